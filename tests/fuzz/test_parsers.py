"""Whatever bytes come, a parser answers with its documented error or not at all: 10^5 inputs each, long files 5,000.

A failure prints the input as Python. `make campaign` feeds each 10^7, guided by coverage (benchmarks/fuzz.py).
"""

from __future__ import annotations

import struct

import pytest
from fuzz_drivers import gencp_reply, usbip_reply
from fuzz_target import Target
from mutations import inputs
from parsers import TARGETS
from usb.core import USBError

from hal.errors import WireTimeout
from hal.wires.usbip_link import HEADER as URB
from hal.wires.usbip_link import RETURN

COUNT = 100_000


@pytest.mark.no_cover  # tracing would cost more than the parsers; their own tests cover them
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_no_bytes_bring_a_parser_to_more_than_its_documented_error(target: Target) -> None:
    feed = target.make()
    refused, count = 0, COUNT // target.slow
    for data in inputs(target.seeds, count, seed=2026, repair=target.repair):
        try:
            feed(data)
        except target.allowed:
            refused += 1
        except Exception as error:
            pytest.fail(f"{target.name}: {type(error).__name__}: {error}\ninput = {data!r}")
    assert refused < count, "no input at all was accepted: the seeds are wrong"


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_the_seeds_themselves_are_understood(target: Target) -> None:
    feed = target.make()
    understood = 0
    for data in target.seeds:
        try:
            feed(data)
        except target.allowed:
            continue
        understood += 1
    assert understood


def test_a_camera_that_speaks_for_ever_but_never_to_the_point_is_a_time_out() -> None:
    """Found by fuzzing: late answers, and requests for more time, kept the driver for ever."""
    feed = gencp_reply()
    late = struct.pack("<IHHHH", 0x43563355, 0, 0x0801, 0, 999)
    pending = struct.pack("<IHHHH", 0x43563355, 0, 0x0805, 4, 1) + struct.pack("<HH", 0, 60_000)
    for answer in (late, pending):
        with pytest.raises(WireTimeout, match="no answer to a register command"):
            feed(answer)


@pytest.mark.parametrize(("status", "actual"), [(0, -1), (0, 1 << 30), (-(1 << 31), 0), (5, 0)])
def test_a_usbip_server_that_answers_with_an_impossible_status_or_length_is_a_lost_device(
    status: int, actual: int
) -> None:
    """Found by fuzzing: a negative length was a ValueError, a status of -2^31 an OverflowError."""
    with pytest.raises(USBError, match="connection to the device is lost"):
        usbip_reply()(URB.pack(3, 1, 0, 0, 0) + RETURN.pack(status, actual, 0, 0, 0) + b"answer")
