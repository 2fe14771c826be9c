"""Every fault against every family of stages, in lockstep: a documented error in time, nothing stale, and recovery."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from stages import FAMILIES

from controller.services.lockstep import Lockstep
from hal.errors import HalError
from hal.traits import Stage
from sim_hw.faults.panel import Faults, Reach
from sim_hw.faults.table import TABLE
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.memory_serial import serving

CALLS = 12
DEADLINE_S = 1.5  # of one call
AGE_NS = 2_000_000
ALWAYS, SOME, NEVER = CALLS, 1, 0  # calls that fail at least while the fault lasts
EXPECTED = {
    "off": ALWAYS,
    "garbage": ALWAYS,
    "hang_up": ALWAYS,
    "slow": SOME,
    "intermittent": SOME,
    "late_reply": SOME,
    "delayed": NEVER,
    "split": NEVER,
    "duplicated": NEVER,
    "replug": NEVER,
    "stuck": NEVER,
    "wrong": NEVER,
}
WORDS = [name for name, word in TABLE.items() if word.applies_to("stage")]


class Bench:
    def __init__(self, family: str) -> None:
        self.timeline = Timeline()
        self.family = FAMILIES[family]
        self.emulator = self.family.emulator(self.timeline)
        self.line = line = self.family.line(self.timeline, self.emulator)
        reach = Reach(line, line.hang_up, line.plug_in, self.emulator.conditions())
        self.faults = Faults(self.timeline, np.random.default_rng(7), {"stage": reach})
        self.clock = Lockstep(self.timeline)

    def open(self) -> Stage:
        stage: Stage = self.family.open("simhw://stage", self.clock)
        return stage

    def call(self, stage: Stage) -> HalError | None:
        """One status: its error. Its duration and its age are checked."""
        asked_ns = self.clock.now_ns()
        error, told_ns = None, self.clock.now_ns()
        try:
            told_ns = stage.status().t_ns
        except HalError as raised:
            error = raised
        took_s = (self.clock.now_ns() - asked_ns) / NS
        assert took_s <= DEADLINE_S, f"a call took {took_s:.2f} s of simulated time"
        assert error is None or "stage" in str(error), "the message names the device"
        assert asked_ns - AGE_NS <= told_ns <= self.clock.now_ns(), "it is of another time"
        return error


@pytest.fixture
def bench(family: str) -> Iterator[Bench]:
    bench = Bench(family)
    with serving({"stage": bench.line}, bench.clock):
        yield bench


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("word", WORDS)
def test_a_fault_ends_in_a_documented_error_in_time_and_the_stage_comes_back(bench: Bench, word: str) -> None:
    stage = bench.open()
    assert bench.call(stage) is None
    bench.faults.start("stage", word)
    errors = [bench.call(stage) for _ in range(CALLS)]
    assert sum(error is not None for error in errors) >= EXPECTED[word]
    bench.faults.clear()
    good = 0
    for attempt in range(20):
        error = bench.call(stage)
        good = 0 if error is not None else good + 1
        if good == 3:
            return
        if error is not None and attempt >= 3:
            stage.close()
            stage = bench.open()
    pytest.fail(f"the stage does not come back after {word}")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("word", ["off", "garbage", "intermittent", "late_reply"])
def test_a_position_is_sent_once_or_not_at_all(bench: Bench, word: str) -> None:
    """A lost answer never makes a second motion, nor one to another place."""
    stage = bench.open()
    if not stage.status().powered:
        stage.power(True)
    stage.home()
    while stage.status().moving:
        bench.clock.sleep_until(bench.clock.now_ns() + NS // 20)
    bench.faults.start("stage", word)
    sent = 0
    for goal_mm in (5.0, 10.0):
        try:
            stage.go_to(goal_mm)
            sent += 1
        except HalError:
            continue
    bench.faults.clear()
    bench.clock.sleep_until(bench.clock.now_ns() + 5 * NS)
    stands_mm = bench.emulator.carriage.true_mm
    assert min(abs(stands_mm - goal_mm) for goal_mm in (0.0, 5.0, 10.0)) < 0.01
    assert sent == 0 or stands_mm > 1.0
