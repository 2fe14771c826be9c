"""GS-232A and B: golden lines of the manual and of Hamlib's transcripts, and what only this family has."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ideal_axes import IdealAxes

from sim_hw.devices.gs232 import Gs232
from sim_hw.timeline import NS, Timeline

Ask = Callable[[str, bytes], bytes]


@pytest.fixture
def ask() -> Ask:
    timeline = Timeline()
    axes = IdealAxes(timeline, azimuth_deg=180.0, elevation_deg=45.0)
    boxes = {
        dialect: Gs232(timeline, axes, dialect, rate_max_rad_s=0.1, acceleration_max_rad_s2=0.2) for dialect in "AB"
    }

    def ask(dialect: str, data: bytes) -> bytes:
        said = bytearray()
        boxes[dialect].attach(said.extend)
        boxes[dialect].receive(data)
        timeline.advance(timeline.now_ns + NS // 10)
        return bytes(said)

    return ask


@pytest.mark.parametrize(
    ("dialect", "command", "answer"),
    [  # Yaesu, GS-232B manual, commands; Hamlib 4.5.4 and 4.7.2 on a real port for the bare CR after each write
        ("B", b"C2\r", b"AZ=180  EL=045\r\n"),
        ("B", b"C\r", b"AZ=180\r\n"),
        ("B", b"b\r", b"EL=045\r\n"),
        ("A", b"C2\r", b"+0180+0045\r\n"),
        ("A", b"C\r", b"+0180\r\n"),
        ("A", b"B\r", b"+0045\r\n"),
        ("B", b"W180 045\r", b"\r"),
        ("B", b"W180 045\r\r", b"\r"),
        ("B", b"\r", b""),
        ("B", b"X3\r", b"\r"),
        ("B", b"W18 45\r", b"?>\r\n"),
        ("B", b"W451 045\r", b"?>\r\n"),
        ("B", b"W100 181\r", b"?>\r\n"),
        ("B", b"Q\rC2\r", b"?>\r\nAZ=180  EL=045\r\n"),
    ],
)
def test_a_command_is_answered_as_the_manual_has_it(ask: Ask, dialect: str, command: bytes, answer: bytes) -> None:
    assert ask(dialect, command) == answer


def test_an_axis_is_stopped_while_the_other_goes_on(ask: Ask) -> None:
    ask("B", b"W200 070\r")
    for _ in range(5):
        ask("B", b"")
    ask("B", b"A\r")
    azimuth = ask("B", b"C\r")
    for _ in range(100):
        ask("B", b"")
    assert ask("B", b"C2\r") == azimuth.strip() + b"  EL=070\r\n"
    assert azimuth != b"AZ=200\r\n"


def test_azimuth_has_an_overlap_and_goes_through_it_the_long_way(ask: Ask) -> None:
    ask("B", b"W420 045\r")
    for _ in range(500):
        ask("B", b"")
    assert ask("B", b"C\r") == b"AZ=420\r\n"
    ask("B", b"W060 045\r")
    for _ in range(20):
        ask("B", b"")
    assert 200 < int(ask("B", b"C\r")[3:6]) < 420
