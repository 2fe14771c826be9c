"""Every rotator's driver against its emulator, on a line that is paced at its baud rate: what holds for all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from ideal_axes import IdealAxes
from rotators import FAMILIES, Family

from controller.services.lockstep import Lockstep
from hal.conformance import SUITES, Terms, run_suite
from hal.devices.rate_rotator import RateRotator
from hal.errors import DeviceError, HalError, ProtocolError
from hal.wires.opening import open_stream
from sim_hw.devices.slew import TOLERANCE_RAD
from sim_hw.faults.panel import Faults, Reach
from sim_hw.faults.table import TABLE
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.memory_serial import serving

DEG = math.radians(1.0)
WORDS = [word for word, row in TABLE.items() if row.applies_to("gimbal")]
NO_DRIVES = "its protocol says nothing of its drives"
ONE_SPEED = [name for name, family in FAMILIES.items() if not issubclass(family.driver, RateRotator)]
ALWAYS, SOME = ("off", "garbage", "hang_up"), ("slow", "intermittent", "late_reply")


class Bench:
    def __init__(self, family: Family) -> None:
        self.family = family
        self.timeline = Timeline()
        self.axes = IdealAxes(self.timeline, azimuth_deg=180.0, elevation_deg=45.0)
        self.rotator = family.emulator(self.timeline, self.axes)
        self.line = SerialLine(self.timeline, self.rotator, family.baud, connects=family.connects)
        self.clock = Lockstep(self.timeline)
        reach = Reach(self.line, self.line.hang_up, self.line.plug_in, self.rotator.conditions())
        self.faults = Faults(self.timeline, np.random.default_rng(1), {"gimbal": reach})

    def open(self, **more):
        return self.family.open("simhw://rotator", self.clock, **more)

    def wait(self, seconds: float) -> None:
        self.clock.sleep_until(self.timeline.now_ns + round(seconds * NS))

    @property
    def deg(self) -> tuple[float, ...]:
        """Where the axes are that it turns."""
        azimuth, elevation = self.axes.encoder_rad()
        return (math.degrees(azimuth), math.degrees(elevation))[: self.axes_turned]

    @property
    def axes_turned(self) -> int:
        return 1 + self.family.elevation

    @property
    def moving(self) -> list[bool]:
        """Which of the axes that it turns move."""
        return [rate != 0.0 for rate in self.axes.rate[: self.axes_turned]]

    def at(self, azimuth_deg: float, elevation_deg: float):
        """What `deg` should be there."""
        return pytest.approx((azimuth_deg, elevation_deg)[: self.axes_turned], abs=0.02)


@pytest.fixture(params=FAMILIES)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    bench = Bench(FAMILIES[request.param])
    with serving({"rotator": bench.line}, bench.clock):
        yield bench


def test_the_driver_does_what_the_trait_of_a_gimbal_says(bench: Bench) -> None:
    report = run_suite("gimbal", SUITES["gimbal"], bench.open, bench.clock, Terms(speed=1.0))
    assert [f"{f.sentence}: {f.detail}" for f in report.findings if f.verdict == "fail"] == []
    skipped = [f.detail for f in report.findings if f.verdict == "skipped"]
    silent = [] if bench.family.driver.drives_told.tells else [NO_DRIVES]
    assert skipped == silent + ([] if bench.family.elevation else ["it has no elevation axis"] * 2)


def test_it_goes_to_the_step_nearest_to_where_it_is_sent(bench: Bench) -> None:
    rotator = bench.open()
    step = rotator.step_deg
    rotator.go_to((190 + 0.4 * step) * DEG, (50 - 0.4 * step) * DEG)
    bench.wait(10)
    assert bench.deg == bench.at(190.0, 50.0)


def test_no_path_leads_beyond_the_soft_limits(bench: Bench) -> None:
    rotator = bench.open(travel_deg=((150.0, 200.0), (10.0, 60.0)))
    for command, numbers, ends in (
        (rotator.go_to, (400 * DEG, 95 * DEG), (200.0, 60.0)),
        (rotator.go_to, (-30 * DEG, -30 * DEG), (150.0, 10.0)),
        (rotator.set_rate, (0.1, 0.1), (200.0, 60.0)),
        (rotator.set_rate, (-0.1, -0.1), (150.0, 10.0)),
    ):
        for _ in range(200 if command == rotator.set_rate else 1):
            command(*numbers)  # as a loop repeats it
            bench.wait(0.1)
        bench.wait(20 if command == rotator.go_to else 0.1)
        step = max(rotator.step_deg, math.degrees(TOLERANCE_RAD)) if rotator.capabilities.rates_rad_s else 0.3
        assert bench.deg == pytest.approx(ends[: bench.axes_turned], abs=0.02 if command == rotator.go_to else step)


def test_soft_limits_that_leave_nothing_are_refused_by_name(bench: Bench) -> None:
    with pytest.raises(DeviceError, match="the azimuth limits of the rig file leave nothing"):
        bench.open(travel_deg=((600.0, 700.0), (0.0, 90.0)))


@pytest.mark.parametrize("bench", ONE_SPEED, indirect=True)
def test_the_same_rate_again_is_not_sent_again(bench: Bench) -> None:
    rotator = bench.open()
    rotator.set_rate(0.1, 0.0)
    heard: list[int] = []
    bench.line.heard = lambda: heard.append(1)
    rotator.set_rate(0.1, 0.0)
    assert heard == []


def test_no_driver_sleeps_where_its_protocol_does_not_say_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for what it reads alone; Hamlib sleeps 50 to 300 ms after a write."""
    slept: list[int] = []
    monkeypatch.setattr(bench.clock, "sleep_until", slept.append)
    rotator = bench.open()
    for azimuth_deg in (181, 182):
        rotator.go_to(azimuth_deg * DEG, 46 * DEG)
        rotator.position()
    rotator.set_rate(0.1, 0.0)
    rotator.stop()
    assert slept == []


def test_a_late_answer_is_never_that_of_the_next_question(bench: Bench) -> None:
    rotator = bench.open()
    late = []
    bench.line.fault = lambda data, put: (late.append(data), bench.timeline.after(0.9, lambda: put(data)))[0]
    with pytest.raises(HalError):
        rotator.position()
    bench.line.fault = None
    rotator.go_to(200 * DEG, 60 * DEG)
    bench.wait(10)
    assert rotator.position().azimuth_rad / DEG == pytest.approx(200.0, abs=0.01)
    assert late


def test_nonsense_is_a_protocol_error_and_the_next_question_is_answered(bench: Bench) -> None:
    rotator = bench.open()
    bench.line.fault = lambda data, put: put(b"?" * (len(data) - 2) + data[-2:])
    with pytest.raises(ProtocolError, match=r"gimbal: .* instead of its angles"):
        rotator.position()
    bench.line.fault = None
    assert rotator.position().azimuth_rad == pytest.approx(180 * DEG, abs=1e-6)


@pytest.mark.parametrize("half", [b"W1", b"W180 0", b"\x57\x30", b"AZ1", b"P 1"])
def test_whoever_takes_over_stops_both_axes_knowing_nothing(bench: Bench, half: bytes) -> None:
    rotator = bench.open()
    rotator.go_to(270 * DEG, 80 * DEG)
    bench.wait(1)
    assert all(bench.moving)
    rotator.close()
    bench.line.host_write(half)  # half a command of the owner that died
    wire = open_stream("simhw://rotator", bench.clock, "gimbal", baud=bench.family.baud)
    in_time: list[bool] = []
    bench.timeline.after(0.5, lambda: in_time.append(not any(bench.moving)))
    bench.family.stop_axes(wire, bench.clock)
    assert not any(bench.moving)
    bench.wait(0.5)
    assert in_time == [True]
    wire.close()


def test_a_rotator_whose_answers_are_lost_is_stopped_all_the_same(bench: Bench) -> None:
    rotator = bench.open()
    rotator.go_to(270 * DEG, 80 * DEG)
    bench.wait(1)
    bench.line.fault = lambda data, put: None
    with pytest.raises(HalError):
        rotator.stop()
    bench.wait(1)
    assert not any(bench.moving)


def test_a_silent_host_does_not_stop_it_and_it_stops_where_it_was_sent(bench: Bench) -> None:
    rotator = bench.open()
    rotator.go_to(270 * DEG, 80 * DEG)
    rotator.close()
    bench.wait(30)
    assert rotator.capabilities.keeps_moving_when_silent
    assert bench.deg == bench.at(270.0, 80.0)
    assert not any(bench.moving)


@pytest.mark.parametrize("word", WORDS)
def test_a_fault_ends_in_a_documented_error_in_time_and_the_rotator_comes_back(bench: Bench, word: str) -> None:
    rotator = bench.open()
    bench.faults.start("gimbal", word, parameters={"bytes_s": 4.0} if word == "slow" else None)
    errors: list[str] = []
    for _ in range(12):
        asked_ns = bench.timeline.now_ns
        try:
            position = rotator.position()
        except HalError as error:
            errors.append(str(error))
        else:
            assert asked_ns <= position.t_ns <= bench.timeline.now_ns
        assert bench.timeline.now_ns - asked_ns <= 3 * NS
    assert len(errors) >= (12 if word in ALWAYS else 1 if word in SOME else 0)
    assert all("gimbal" in error for error in errors)
    bench.faults.clear()
    for _ in range(20):
        try:
            rotator.position()
            here = rotator.position()
            break
        except HalError:
            rotator.close()
            rotator = bench.open()
    assert here.azimuth_rad == pytest.approx(180 * DEG, abs=1e-6)
