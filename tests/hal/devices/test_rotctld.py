"""rotctld: golden lines of Hamlib 4.5.4's own, and what its client does with each of its errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
from ideal_axes import IdealAxes
from rotators import FAMILIES, LIMITS

from controller.services.lockstep import Lockstep
from hal.errors import DeviceError, ProtocolError, WireTimeout
from sim_hw.devices.rotctld import Rotctld
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.memory_serial import serving

STATE = (
    b"1\n1\nmin_az=-180.000000\nmax_az=450.000000\nmin_el=0.000000\nmax_el=90.000000\n"
    b"south_zero=0\nrot_type=AzEl\ndone\n"
)


@pytest.fixture
def ask() -> Callable[[bytes], bytes]:
    timeline, said = Timeline(), bytearray()
    device = Rotctld(timeline, IdealAxes(timeline, azimuth_deg=180.0, elevation_deg=45.0), **LIMITS)
    device.attach(said.extend)

    def ask(data: bytes) -> bytes:
        said.clear()
        device.receive(data)
        timeline.advance(timeline.now_ns + NS // 10)
        return bytes(said)

    return ask


@pytest.mark.parametrize(
    ("line", "answer"),
    [  # rotctld 4.5.4 with its dummy, asked over a socket
        (b"p\n", b"180.00\n45.00\n"),
        (b"+p\n", b"get_pos:\nAzimuth: 180.00\nElevation: 45.00\nRPRT 0\n"),
        (b"\\get_pos\n", b"180.00\n45.00\n"),
        (b"P 10.5 20.5\n", b"RPRT 0\n"),
        (b"+P 10.5 20.5\n", b"set_pos: 10.5 20.5\nRPRT 0\n"),
        (b"P 10\n 20\n", b"RPRT 0\n"),
        (b"P 10\nS\nS\n", b"RPRT -1\nRPRT 0\n"),
        (b"P 900 0\n", b"RPRT -1\n"),
        (b"+P a b\n", b"set_pos: a b\nRPRT -1\n"),
        (b"S\n", b"RPRT 0\n"),
        (b"+S\n", b"stop:\nRPRT 0\n"),
        (b"+K\n", b"park:\nRPRT 0\n"),
        (b"+M 8 50\n", b"move: 8 50\nRPRT 0\n"),
        (b"+zzz\n", b""),
        (b"\\dump_state\n", STATE),
    ],
)
def test_a_line_is_answered_as_hamlibs_own_does(ask: Callable[[bytes], bytes], line: bytes, answer: bytes) -> None:
    assert ask(line) == answer


@pytest.fixture
def line() -> Iterator[tuple[SerialLine, Callable]]:
    family, timeline = FAMILIES["rotctld"], Timeline()
    axes = IdealAxes(timeline, 180.0, 45.0)
    line = SerialLine(timeline, family.emulator(timeline, axes), family.baud)
    clock = Lockstep(timeline)
    with serving({"rotator": line}, clock):
        yield line, lambda **more: family.open("simhw://rotator", clock, **more)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (-1, "refuses"),
        (-5, "does not answer it"),
        (-6, "port is gone"),
        (-21, "beyond the limits"),
        (-99, "see its log"),
    ],
)
def test_each_error_of_rotctld_is_a_sentence_that_says_what_to_do(line, code: int, why: str) -> None:
    wire, opened = line
    rotator = opened()
    wire.spoil = lambda data: b"RPRT %d\n" % code
    for call in (rotator.position, rotator.stop, lambda: rotator.go_to(1.0, 0.5)):
        with pytest.raises(DeviceError, match=rf"gimbal: rotctld answers .* with error {code}: .*{why}"):
            call()


def test_its_travel_is_what_rotctld_says_and_its_step_what_the_rig_says(line) -> None:
    _, opened = line
    able = opened(position_step_deg=0.5, travel_deg=((-100.0, 700.0), (-2.0, 92.0))).capabilities
    assert [[math.degrees(end) for end in ends] for ends in able.travel_rad] == [
        pytest.approx([-100, 450]),
        pytest.approx([0, 90]),
    ]
    assert math.degrees(able.position_step_rad) == pytest.approx(0.5)


@pytest.mark.parametrize("digits", [b"180.50\n45.00\n", b"180.500000\n45.000000\n", b"-179.5\n45\n"])
def test_angles_are_read_with_any_number_of_decimals(line, digits: bytes) -> None:
    wire, opened = line
    rotator = opened()
    wire.spoil = lambda data: digits
    assert math.degrees(rotator.position().azimuth_rad) % 360 == pytest.approx(180.5)


def test_a_decimal_comma_is_nonsense(line) -> None:
    wire, opened = line
    rotator = opened()
    wire.spoil = lambda data: b"180,50\n45,00\n"
    with pytest.raises(ProtocolError, match="instead of its angles"):
        rotator.position()


def test_a_state_without_limits_or_end_is_refused(line) -> None:
    wire, opened = line
    wire.spoil = lambda data: data.replace(b"max_az=450.000000\n", b"")
    with pytest.raises(ProtocolError, match="max_az in its state"):
        opened()
    said = []
    wire.spoil = lambda data: (said.append(data), data if len(said) == 1 else b"x=1\n" * 50)[1]
    with pytest.raises(WireTimeout, match="its state does not end"):
        opened()


@pytest.mark.parametrize(("kind", "both"), [(b"AzEl", True), (b"Other", True), (b"Az", False)])
def test_only_a_rotator_that_is_said_to_turn_azimuth_alone_has_no_elevation(line, kind: bytes, both: bool) -> None:
    wire, opened = line
    wire.spoil = lambda data: data.replace(b"rot_type=AzEl", b"rot_type=" + kind)
    assert opened().capabilities.has_elevation is both
