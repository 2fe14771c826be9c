"""What holds for every family of linear stages: the suite of the trait, soft limits, power and reference, stopping."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from stages import FAMILIES, Family

from controller.services.lockstep import Lockstep
from hal.conformance import SUITES, Terms, run_suite
from hal.drivers import DRIVERS
from hal.errors import DeviceError, HalError, WireError
from hal.guardian import stop_device
from hal.traits import Stage, StageStatus
from hal.wires import wirelog
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.memory_serial import serving


class Bench:
    def __init__(self, family: Family) -> None:
        self.timeline = Timeline()
        self.family = family
        self.emulator = family.emulator(self.timeline)
        self.line = family.line(self.timeline, self.emulator)
        self.clock = Lockstep(self.timeline)

    def open(self, **more: object) -> Stage:
        stage: Stage = self.family.open("simhw://stage", self.clock, **more)
        return stage

    def wait(self, seconds: float) -> None:
        self.clock.sleep_until(self.clock.now_ns() + round(seconds * NS))

    def at_rest(self, stage: Stage) -> StageStatus:
        for _ in range(2000):
            status = stage.status()
            if not status.moving:
                return status
            self.wait(0.02)
        pytest.fail("it never stands still")

    def homed(self, **more: object) -> Stage:
        stage = self.open(**more)
        if not stage.status().powered:
            stage.power(True)
        stage.home()
        assert self.at_rest(stage).referenced
        return stage


@pytest.fixture(params=FAMILIES)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    bench = Bench(FAMILIES[request.param])
    with serving({"stage": bench.line}, bench.clock):
        yield bench


@pytest.mark.parametrize("speed", [0.1, 1.0])
def test_the_driver_does_what_the_trait_of_a_stage_says(bench: Bench, speed: float) -> None:
    report = run_suite("stage", SUITES["stage"], bench.open, bench.clock, Terms(speed=speed))
    assert [(finding.sentence, finding.verdict, finding.detail) for finding in report.findings] == [
        (case.sentence, "pass", "") for case in SUITES["stage"]
    ]


def test_it_is_sent_nowhere_before_it_was_home_and_moves_by_nothing(bench: Bench) -> None:
    stage = bench.open()
    if not stage.status().powered:
        stage.power(True)
    before_mm = bench.emulator.carriage.true_mm
    with pytest.raises(DeviceError, match="stage: it does not know where it is; home it first"):
        stage.go_to(5.0)
    bench.wait(1.0)
    assert bench.emulator.carriage.true_mm == before_mm


def test_home_is_at_the_switch_and_a_millimetre_is_a_millimetre(bench: Bench) -> None:
    stage = bench.homed()
    assert bench.emulator.carriage.true_mm == pytest.approx(0.0, abs=1e-9)
    stage.go_to(10.0)
    bench.at_rest(stage)
    assert bench.emulator.carriage.true_mm == pytest.approx(10.0, abs=bench.family.resolution_mm)


@pytest.mark.parametrize(("wanted_mm", "kept_mm"), [(1e6, 6.0), (-1e6, 3.0), (6.5, 6.0), (4.0, 4.0)])
def test_what_is_beyond_the_soft_limits_is_cut_before_the_device_hears_it(
    bench: Bench, wanted_mm: float, kept_mm: float
) -> None:
    stage = bench.homed(travel_mm=(3.0, 6.0))
    highest_mm = 0.0
    stage.go_to(wanted_mm)
    while stage.status().moving:
        highest_mm = max(highest_mm, bench.emulator.carriage.true_mm)
        bench.wait(0.02)
    assert bench.emulator.carriage.true_mm == pytest.approx(kept_mm, abs=2 * bench.family.resolution_mm)
    assert highest_mm <= 6.0 + bench.family.resolution_mm


def test_soft_limits_are_inside_those_of_the_controller_or_refused(bench: Bench) -> None:
    stage = bench.open(travel_mm=(-1e3, 1e3))
    low, high = stage.capabilities.travel_mm
    assert 0.0 <= low < high <= bench.emulator.carriage.length_mm + bench.family.resolution_mm
    stage.close()
    with pytest.raises(DeviceError, match="travel_min_mm and travel_max_mm"):
        bench.open(travel_mm=(200.0, 300.0))


@pytest.mark.parametrize("wanted", [math.nan, math.inf])
def test_what_is_no_number_is_not_sent(bench: Bench, wanted: float) -> None:
    stage = bench.homed()
    with pytest.raises(ValueError, match="is not finite"):
        stage.go_to(wanted)
    assert not stage.status().moving


def test_it_keeps_the_speed_of_the_rig_file(bench: Bench) -> None:
    stage = bench.homed(speed_max_mm_s=2.0)
    stage.go_to(20.0)
    bench.wait(1.0)
    first_mm = bench.emulator.carriage.true_mm
    bench.wait(1.0)
    assert bench.emulator.carriage.true_mm - first_mm == pytest.approx(2.0, rel=0.02)


def test_a_stop_ends_a_motion_and_the_way_home(bench: Bench) -> None:
    stage = bench.homed()
    for start, under_way_s in ((lambda: stage.go_to(20.0), 1.5), (stage.home, 0.4)):
        start()
        bench.wait(under_way_s)
        assert bench.emulator.carriage.moving
        stage.stop()
        bench.wait(0.3)
        assert not bench.emulator.carriage.moving
    assert 1.0 < bench.emulator.carriage.true_mm < 20.0


def test_a_host_that_dies_under_way_leaves_a_stage_that_the_next_one_stops(bench: Bench) -> None:
    stage = bench.homed()
    stage.go_to(20.0)
    bench.wait(0.5)
    for line in (bench.line, bench.line.beside):
        if line is not None:
            line.taken = False
    bench.open()
    bench.wait(0.3)
    assert not bench.emulator.carriage.moving


def test_without_power_of_its_motor_it_says_so_and_is_not_sent(bench: Bench) -> None:
    stage = bench.homed()
    stage.power(False)
    assert not stage.status().powered
    with pytest.raises(DeviceError, match="motor is switched off; switch it on first"):
        stage.go_to(5.0)
    stage.power(True)
    assert stage.status().powered


def test_a_stage_that_sticks_says_where_it_stands(bench: Bench) -> None:
    stage = bench.homed()
    bench.emulator.conditions()["stuck"]({})
    stage.go_to(10.0)
    assert bench.at_rest(stage).position_mm == pytest.approx(0.0, abs=2 * bench.family.resolution_mm)


def test_a_cable_that_is_pulled_is_an_error_that_names_the_stage(bench: Bench) -> None:
    stage = bench.homed()
    bench.line.hang_up()
    with pytest.raises(WireError, match="stage"):
        stage.status()


def test_a_deaf_stage_is_an_error_when_it_is_opened(bench: Bench) -> None:
    bench.line.deaf = True
    with pytest.raises(HalError, match=r"stage: .* does not answer|stage: nothing"):
        bench.open()
    assert not bench.line.taken


def test_the_guardians_stop_needs_to_know_nothing_of_the_line(bench: Bench, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["bench"]
    stage = bench.homed()
    stage.go_to(20.0)
    bench.wait(0.5)
    bench.line.host_write(b"/1 1 0")  # half a command
    stage.close()
    begun_ns = bench.clock.now_ns()
    assert stop_device(name, "simhw://stage", bench.family.baud, "stage", bench.clock, give_up_s=5.0)
    assert bench.clock.now_ns() - begun_ns < NS // 2
    if DRIVERS[name].stop_axes is not None:  # XPS: the guardian is told no group
        bench.wait(0.3)
        assert not bench.emulator.carriage.moving
        assert 1.0 < bench.emulator.carriage.true_mm < 19.0


def test_the_replay_of_its_wire_log_does_the_same(bench: Bench, tmp_path: Path) -> None:
    with wirelog.logging_to(tmp_path):
        seen = run_suite("stage", SUITES["stage"], bench.open, bench.clock)
    clock = Lockstep(Timeline())
    resource = f"replay://{tmp_path}/stage.wire.jsonl"
    again = run_suite("stage", SUITES["stage"], lambda: bench.family.open(resource, clock), clock)
    assert [(finding.verdict, finding.detail) for finding in again.findings] == [("pass", "")] * len(SUITES["stage"])
    assert again.measured == pytest.approx(seen.measured, rel=0.02, abs=1e-3)


def test_whichever_side_it_comes_from_what_hangs_on_it_stands_in_one_place(bench: Bench) -> None:
    """The screw has 0.1 mm of play, which no encoder on it shows."""

    def from_both_sides(approach_mm: float) -> float:
        bench.line.taken = False
        if bench.line.beside is not None:
            bench.line.beside.taken = False
        stage, loads_mm = bench.homed(approach_mm=approach_mm), []
        for before_mm in (4.0, 12.0):
            for goal_mm in (before_mm, 8.0):
                stage.go_to(goal_mm)
                status = bench.at_rest(stage)
                assert status.position_mm == pytest.approx(goal_mm, abs=2 * bench.family.resolution_mm)
            loads_mm.append(bench.emulator.carriage.load_mm)
        stage.close()
        return abs(loads_mm[1] - loads_mm[0])

    bench.emulator.carriage._play_mm = 0.1
    assert from_both_sides(0.0) == pytest.approx(0.1, abs=1e-3)
    assert from_both_sides(0.3) < 1e-3


def test_a_stage_that_is_stopped_on_its_way_down_does_not_turn_round(bench: Bench) -> None:
    stage = bench.homed(approach_mm=0.5)
    stage.go_to(20.0)
    bench.at_rest(stage)
    for end in (stage.stop, lambda: stage.power(False)):
        stage.power(True)
        stage.go_to(10.0)
        bench.wait(0.4)
        end()
        stood_mm = bench.at_rest(stage).position_mm
        bench.wait(0.5)
        assert not stage.status().moving
        assert bench.at_rest(stage).position_mm == pytest.approx(stood_mm, abs=2 * bench.family.resolution_mm)
        assert stood_mm > 10.0
