"""A stage with its guardian: it moves while that watches, and is stopped when it is closed."""

from __future__ import annotations

from typing import Any

import pytest
from stages import FAMILIES

from controller.services.lockstep import Lockstep
from hal.errors import DeviceError, WireError
from hal.guarded import GuardedStage
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.memory_serial import serving


class Watcher:
    """A guardian as the stage sees it."""

    alive = True

    def __init__(self) -> None:
        self.ended: list[str] = []

    def dismiss(self) -> None:
        self.ended.append("dismissed")

    def release(self) -> bool:
        self.ended.append("released")
        return True


class Bench:
    def __init__(self) -> None:
        self.timeline = Timeline()
        self.unit = FAMILIES["zaber"].emulator(self.timeline)
        self.line = SerialLine(self.timeline, self.unit, 115_200)
        self.clock = Lockstep(self.timeline)
        self.watcher = Watcher()

    def open(self) -> GuardedStage:
        watcher: Any = self.watcher
        return GuardedStage(FAMILIES["zaber"].open("simhw://stage", self.clock), watcher)

    def wait(self, seconds: float) -> None:
        self.clock.sleep_until(self.clock.now_ns() + round(seconds * NS))


def test_it_is_sent_nowhere_when_its_guardian_is_gone_and_stops() -> None:
    bench = Bench()
    with serving({"stage": bench.line}, bench.clock):
        stage = bench.open()
        stage.home()
        bench.wait(5.0)
        stage.go_to(20.0)
        bench.wait(0.5)
        bench.watcher.alive = False
        for move in (stage.home, lambda: stage.go_to(5.0)):
            with pytest.raises(DeviceError, match="its guardian process is gone, so it was stopped"):
                move()
            bench.wait(0.2)
            assert not stage.status().moving
        assert 1.0 < bench.unit.carriage.true_mm < 19.0


@pytest.mark.parametrize("deaf", [False, True])
def test_closing_stops_it_or_leaves_it_to_the_guardian(deaf: bool) -> None:
    bench = Bench()
    with serving({"stage": bench.line}, bench.clock):
        stage = bench.open()
        stage.home()
        bench.wait(0.1)
        bench.line.deaf = deaf
        stage.close()
        bench.wait(0.2)
        assert bench.watcher.ended == (["released"] if deaf else ["dismissed"])
        assert bench.unit.carriage.moving == deaf


def test_power_and_status_pass_through_it() -> None:
    bench = Bench()
    with serving({"stage": bench.line}, bench.clock):
        stage = bench.open()
        stage.power(False)
        assert not stage.status().powered
        with pytest.raises(DeviceError):
            stage.home()
        bench.line.hang_up()
        with pytest.raises(WireError):
            stage.status()
