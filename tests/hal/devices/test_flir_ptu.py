"""FLIR's pan-tilt units: golden frames, and what the driver makes of them.

The frames: FLIR, "PTU-D300 User's Manual" 2.19 and "E Series Command Reference Manual" 7.00, general ASCII command
format and the examples of PP, ED, FT and V; what a PTU-E46 answered to speeds and positions beyond its limits (a public
log); and what Hamlib 4.7.2's client 2501 was seen to send and hear.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import pytest
from ideal_axes import IdealAxes
from rotators import LIMITS

from controller.services.lockstep import Lockstep
from hal.devices.flir_ptu import FlirPtu
from hal.errors import DeviceError
from sim_hw.devices import flir_ptu
from sim_hw.devices.flir_ptu import STEP_DEG
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.memory_serial import serving

DEG = math.radians(1.0)
PAN = -2500 * STEP_DEG
UPPER = math.floor(math.degrees(LIMITS["rate_max_rad_s"]) / STEP_DEG)


class Bench:
    def __init__(self) -> None:
        self.timeline = Timeline()
        self.axes = IdealAxes(self.timeline, azimuth_deg=360 + PAN, elevation_deg=10.0)
        self.unit = flir_ptu.FlirPtu(self.timeline, self.axes, **LIMITS)
        self.line = SerialLine(self.timeline, self.unit, 9600)
        self.clock = Lockstep(self.timeline)
        self.open = partial(FlirPtu, "simhw://unit", 9600, self.clock, command_latency_s=0.05, **LIMITS)

    def wait(self, seconds: float) -> None:
        self.clock.sleep_until(self.timeline.now_ns + round(seconds * NS))

    def hear(self, said: bytes) -> bytes:
        """What the unit sends to that."""
        told: list[bytes] = []
        self.unit.attach(told.append)
        self.unit.receive(said)
        self.timeline.advance(self.timeline.now_ns + NS // 10)
        return b"".join(told)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    with serving({"unit": bench.line}, bench.clock):
        yield bench


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"ED ", b"ED *\r\n"),  # echoed, the last time
        (b"ED PP1186 TP780\r", b"ED PP1186 TP780\r*\r\n*\r\n*\r\n"),
        (b"F\r", b"F\r* ASCII verbose mode\r\n"),
        (b"FT F\r", b"FT F\r*\r\n* ASCII terse mode\r\n"),
        (b"nonsense ", b"nonsense ! Illegal command entered\r\n"),
    ],
)
def test_words_are_echoed_and_answered_as_the_manual_shows(bench: Bench, said: bytes, told: bytes) -> None:
    assert bench.hear(said) == told


def test_an_angle_is_told_in_a_sentence_or_as_a_number(bench: Bench) -> None:
    bench.unit.answer("PP-2500")
    bench.wait(90)
    assert bench.unit.answer("PP") == "* Current Pan position is -2500"
    bench.unit.answer("FT")
    assert bench.unit.answer("PP") == "* -2500"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("PP99999", f"! Maximum allowable Pan position is {round(435 / STEP_DEG)}"),
        ("TP-9000", f"! Minimum allowable Tilt position is {round(-30 / STEP_DEG)}"),
        ("PS9000", f"! Pan speed cannot exceed {UPPER} pos/sec"),
        ("PS-10", "! Illegal argument"),  # a signed speed is one of pure velocity mode
        ("H", "*"),
        ("O", "* Input 30 VDC @ 86 degF"),
    ],
)
def test_what_is_beyond_its_limits_is_refused_with_the_reason(bench: Bench, said: str, told: str) -> None:
    assert bench.unit.answer(said) == told


def test_it_turns_at_signed_counts_a_second(bench: Bench) -> None:
    unit = bench.open()
    unit.set_rate(-0.02, 0.01)
    bench.wait(1)
    step = math.radians(STEP_DEG)
    assert bench.axes.rate == pytest.approx([-0.02, 0.01], abs=0.5 * step)
    assert [round(rate / step, 6) % 1 for rate in bench.axes.rate] == pytest.approx([0, 0], abs=1e-5)
    unit.stop()
    assert bench.axes.rate == [0.0, 0.0]


def test_its_resolution_limits_and_speeds_are_what_the_unit_tells(bench: Bench) -> None:
    able = bench.open().capabilities
    assert able.resolution_rad == pytest.approx(math.radians(46.2857 / 3600))  # E46, the data sheet's 0.0129 degrees
    assert able.rate_gaps_rad_s == ((0.0, pytest.approx(math.radians(46.2857 / 3600))),)
    assert able.best == "rate"
    travel = bench.open(travel_deg=((-720.0, 720.0), (-90.0, 180.0))).capabilities.travel_rad
    assert travel is not None
    assert travel == (pytest.approx((-435 * DEG, 435 * DEG), abs=1e-3), pytest.approx((-30 * DEG, 90 * DEG), abs=1e-3))


def test_after_turning_it_still_goes_to_where_it_is_sent(bench: Bench) -> None:
    unit = bench.open()
    unit.set_rate(0.02, 0.0)
    bench.wait(1)
    unit.go_to(350 * DEG, 20 * DEG)
    bench.wait(20)
    assert [angle / DEG for angle in bench.axes.encoder_rad()] == pytest.approx([350, 20], abs=STEP_DEG)


def test_a_limit_that_is_told_unasked_is_no_answer(bench: Bench) -> None:
    unit = bench.open()
    bench.line.fault = lambda data, put: put(b"!P\r\n" + data)
    assert unit.position().elevation_rad == pytest.approx(10 * DEG, abs=math.radians(STEP_DEG))


def test_a_refusal_is_an_error_in_the_units_own_words(bench: Bench) -> None:
    unit = bench.open()
    bench.line.fault = lambda data, put: put(b"! Maximum allowable Pan position is 3090\r\n")
    with pytest.raises(DeviceError, match=r"gimbal: the unit refuses PP: Maximum allowable Pan position is 3090"):
        unit.position()
