"""Pelco-D: golden frames, since no client of somebody else's installs here.

The frames: PELCO, "D Protocol Manual" (TF-0002): the layout and its sum, moves, absolute pan and tilt, the questions
and their answers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import pytest
from ideal_axes import IdealAxes
from rotators import LIMITS

from controller.services.lockstep import Lockstep
from hal.devices.pelco_d import ASK_PAN, ASK_TILT, SET_PAN, STOP, PelcoD, frame
from hal.errors import ProtocolError
from sim_hw.devices import pelco_d
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.memory_serial import serving

DEG = math.radians(1.0)


class Bench:
    def __init__(self, elevation_deg: float = 45.0) -> None:
        self.timeline = Timeline()
        self.axes = IdealAxes(self.timeline, azimuth_deg=180.5, elevation_deg=elevation_deg)
        self.head = pelco_d.PelcoD(self.timeline, self.axes, **LIMITS)
        self.line = SerialLine(self.timeline, self.head, 2400)
        self.clock = Lockstep(self.timeline)
        self.open = partial(PelcoD, "simhw://head", 2400, self.clock, command_latency_s=0.05, **LIMITS)

    def wait(self, seconds: float) -> None:
        self.clock.sleep_until(self.timeline.now_ns + round(seconds * NS))

    def hear(self, said: bytes) -> bytes:
        """What the head sends to that."""
        told: list[bytes] = []
        self.head.attach(told.append)
        self.head.receive(said)
        self.timeline.advance(self.timeline.now_ns + NS // 10)
        return b"".join(told)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    with serving({"head": bench.line}, bench.clock):
        yield bench


def test_the_drivers_frames_are_those_of_the_manual() -> None:
    assert bytes.fromhex("FF 01 00 00 00 00 01") == STOP
    assert frame(ASK_PAN) == bytes.fromhex("FF 01 00 51 00 00 52")
    assert frame(ASK_TILT) == bytes.fromhex("FF 01 00 53 00 00 54")
    assert frame(SET_PAN, 18_050) == bytes.fromhex("FF 01 00 4B 46 82 14")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("FF 01 00 51 00 00 52", "FF 01 00 59 46 82 22"),  # 180.50 degrees
        ("FF 01 00 53 00 00 54", "FF 01 00 5B 11 94 01"),  # 45.00
        ("FF 02 00 51 00 00 53", ""),  # another's address
        ("FF 01 00 51 00 00 53", ""),  # a wrong sum
        ("FF 01 00 FF 01 00 51 00 00 52", "FF 01 00 59 46 82 22"),  # after half a frame
        ("FF 01 00 4B 46 82 14", ""),
        ("12 34", ""),
    ],
)
def test_the_head_answers_questions_alone(bench: Bench, said: str, told: str) -> None:
    assert bench.hear(bytes.fromhex(said)) == bytes.fromhex(told)


def test_a_head_is_moved_at_a_share_of_its_speed_until_it_is_stopped(bench: Bench) -> None:
    bench.hear(bytes.fromhex("FF 01 00 04 3F 00 44"))  # pan left, fastest but for turbo
    assert bench.axes.rate == pytest.approx([-LIMITS["rate_max_rad_s"], 0.0])
    bench.hear(bytes.fromhex("FF 01 00 08 00 20 29"))  # tilt up, half as fast
    assert bench.axes.rate == pytest.approx([0.0, 0x20 / 0x3F * LIMITS["rate_max_rad_s"]])
    bench.hear(STOP)
    assert bench.axes.rate == [0.0, 0.0]


@pytest.mark.parametrize("elevation_deg", [-10.25, 0.0, 90.0])
def test_tilt_below_the_horizon_is_told_from_360_downwards(elevation_deg: float) -> None:
    bench = Bench(elevation_deg)
    with serving({"head": bench.line}, bench.clock):
        assert bench.open().position().elevation_rad == pytest.approx(elevation_deg * DEG, abs=0.005 * DEG)


def test_it_goes_below_the_horizon_when_it_is_sent_there(bench: Bench) -> None:
    head = bench.open()
    head.go_to(185.25 * DEG, -5.5 * DEG)
    bench.wait(15)
    assert [angle / DEG for angle in bench.axes.encoder_rad()] == pytest.approx([185.25, -5.5], abs=0.01)


def test_an_answer_with_a_wrong_sum_is_a_protocol_error_that_names_the_address(bench: Bench) -> None:
    head = bench.open()
    bench.line.fault = lambda data, put: put(data[:-1] + b"\0")
    with pytest.raises(ProtocolError, match=r"gimbal: sent .* check cable, baud rate and its address, which must be 1"):
        head.position()
