"""The library thorlabs-apt-device drives the emulated KDC101 over a pty, at its baud rate and with its dynamics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from reactor_loop import Loop

from hal.clock import NS, RealClock
from sim_hw.devices.apt import COUNTS_PER_MM, Apt
from sim_hw.timeline import Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.pty import PtyPort

pytestmark = pytest.mark.stranger


@pytest.fixture
def unit() -> Apt:
    return Apt(Timeline())


@pytest.fixture
def stage(unit: Apt, package: Callable[[str], ModuleType]) -> Iterator[Any]:
    timeline = unit._timeline
    with Loop(timeline) as loop:
        port = loop.call(lambda: PtyPort(SerialLine(timeline, unit, 115_200), loop.reactor))
        device = package("thorlabs_apt_device").KDC101(
            serial_port=port.path, home=False, invert_direction_logic=False, swap_limit_switches=False
        )
        until(lambda: device.status["msg"] == "mot_get_dcstatusupdate")
        yield device
        device.close()
        device._thread.join(10)
        loop.call(port.close)


def until(so: Callable[[], bool]) -> None:
    clock = RealClock()
    end_ns = clock.now_ns() + 20 * NS
    while not so():
        assert clock.now_ns() < end_ns, "it never comes"
        clock.sleep_until(clock.now_ns() + NS // 100)


def homed(stage: Any) -> Any:
    stage.home()
    until(lambda: stage.status["homed"] and not stage.status["homing"])
    return stage


def test_it_reads_the_parameters_of_the_controller(stage: Any) -> None:
    until(lambda: bool(stage.velparams["max_velocity"]) and bool(stage.jogparams["step_size"]))
    # 34304 counts a mm, 767367.49 for 1 mm/s: Thorlabs' table of the MTS25-Z8
    assert stage.velparams["max_velocity"] == pytest.approx(2.4 * 767_367.49, rel=1e-6)
    assert stage.velparams["acceleration"] == pytest.approx(40.0 * 261.93, rel=1e-4)
    assert stage.status["motor_connected"]
    assert stage.status["channel_enabled"]
    assert not stage.status["homed"]


def test_it_homes_moves_stops_and_reads_the_position(stage: Any, unit: Apt) -> None:
    homed(stage)
    assert stage.status["position"] == 0
    stage.move_absolute(COUNTS_PER_MM)
    until(lambda: stage.status["position"] == COUNTS_PER_MM and not stage.status["moving_forward"])
    assert unit.carriage.true_mm == pytest.approx(1.0, abs=1e-4)
    stage.move_relative(-COUNTS_PER_MM // 2)
    until(lambda: stage.status["position"] == COUNTS_PER_MM // 2)
    stage.move_absolute(20 * COUNTS_PER_MM)
    until(lambda: bool(stage.status["moving_forward"]))
    stage.stop()
    until(lambda: not stage.status["moving_forward"])
    assert 0.5 < unit.carriage.true_mm < 20.0


def test_it_sees_that_the_motor_is_off_and_that_the_stage_sticks(stage: Any, unit: Apt) -> None:
    homed(stage)
    stage.set_enabled(False)
    until(lambda: not stage.status["channel_enabled"])
    stage.move_absolute(COUNTS_PER_MM)
    stage.set_enabled(True)
    until(lambda: bool(stage.status["channel_enabled"]))
    assert unit.carriage.true_mm == 0.0
    unit.conditions()["stuck"]({})
    stage.move_absolute(COUNTS_PER_MM)
    until(lambda: bool(stage.status["motion_error"]))
