"""What gimbals tell of their drives: one that would not move an axis refuses it in a sentence that says what to do.

The states: FLIR's hold power modes (its manual, and the words of Directed Perception's units); Sky-Watcher's status
(digits of `:f`, "Motor Controller Command Set"); parking of Alpaca, INDI and iOptron (`:GLS#`, system status 6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ideal_axes import IdealAxes
from rotators import FAMILIES

from controller.pointing.drive import loop_for, send
from controller.pointing.targets import Fixed
from controller.services.lockstep import Lockstep
from hal.devices.drive_watch import AGAIN_NS, TO_DO
from hal.errors import DeviceError, HalError
from hal.traits import DriveState
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.memory_serial import serving


class Bench:
    def __init__(self, name: str) -> None:
        self.name, self.family = name, FAMILIES[name]
        self.timeline = Timeline()
        self.axes = IdealAxes(self.timeline, azimuth_deg=180.0, elevation_deg=45.0)
        self.unit = self.family.emulator(self.timeline, self.axes)
        self.line = SerialLine(self.timeline, self.unit, self.family.baud, connects=self.family.connects)
        self.clock = Lockstep(self.timeline)

    def open(self, **more: Any) -> Any:
        return self.family.open("simhw://unit", self.clock, **more)

    def wait(self, seconds: float) -> None:
        self.clock.sleep_until(self.timeline.now_ns + round(seconds * NS))

    @property
    def moving(self) -> bool:
        return self.axes.rate != [0.0, 0.0]

    def park(self) -> None:
        """As somebody else does, at the hand box or through another program."""
        match self.name:
            case "alpaca":
                self.unit.telescope.parked = True
            case "indi":
                other, device = self.unit.another(), self.unit._server.device
                other.attach(lambda data: None)
                order = (
                    f"<newSwitchVector device='{device}' name='TELESCOPE_PARK'><oneSwitch name='PARK'>On</oneSwitch>"
                )
                other.receive(f"{order}</newSwitchVector>".encode())
                self.wait(60.0)  # it goes there
            case "ioptron":
                self.unit._parked = True


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    bench = Bench(request.param)
    with serving({"unit": bench.line}, bench.clock):
        yield bench


def on(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("bench", names, indirect=True)


NOT_READY: dict[str, tuple[DriveState, Callable[[Bench], None]]] = {
    "skywatcher": ("off", lambda bench: bench.unit.lose_power()),
    "alpaca": ("parked", Bench.park),
    "indi": ("parked", Bench.park),
    "ioptron": ("parked", Bench.park),
}


@on(*NOT_READY)
def test_an_axis_that_would_not_move_is_not_told_to_and_the_operator_is_told_what_to_do(bench: Bench) -> None:
    gimbal = bench.open()
    state, comes = NOT_READY[bench.name]
    assert gimbal.drives().ready
    comes(bench)
    told = gimbal.drives()
    assert (told.azimuth, told.elevation) == (state, state)
    for command in (lambda: gimbal.go_to(3.2, 0.8), lambda: gimbal.set_rate(0.02, 0.01)):
        with pytest.raises(DeviceError) as refused:
            command()
        assert str(refused.value).endswith(f" {TO_DO[state]}.")
        bench.wait(1.0)
        assert not bench.moving
    gimbal.power(True)
    assert gimbal.drives().ready
    gimbal.go_to(3.2, 0.8)
    bench.wait(1.0)
    assert bench.moving


@on("skywatcher")
def test_an_axis_that_is_blocked_says_so_and_of_which_it_is(bench: Bench) -> None:
    gimbal = bench.open()
    bench.unit.block(1)
    assert gimbal.drives().azimuth == "on"
    with pytest.raises(DeviceError, match=r"gimbal: its elevation is blocked.*clear what holds it"):
        gimbal.set_rate(0.01, 0.01)
    gimbal.power(True)
    gimbal.set_rate(0.01, 0.01)
    bench.wait(0.5)
    assert bench.moving


@on(*NOT_READY)
def test_left_as_it_is_a_mount_is_neither_powered_nor_unparked_by_looking(bench: Bench) -> None:
    state, comes = NOT_READY[bench.name]
    bench.open().close()
    comes(bench)
    gimbal = bench.open(wakes=False)
    assert gimbal.drives().azimuth == state
    gimbal.close()
    assert bench.open().drives().azimuth == "on"


@on("flir_ptu")
def test_an_axis_that_nothing_holds_says_so_and_still_moves(bench: Bench) -> None:
    gimbal = bench.open()
    assert gimbal.drives().azimuth == "on"
    gimbal.power(False)
    assert (gimbal.drives().elevation, bench.unit.answer("TH")) == ("unheld", "* Tilt in OFF hold power mode")
    assert gimbal.drives().ready
    gimbal.set_rate(0.02, 0.0)
    bench.wait(0.5)
    assert bench.moving
    gimbal.power(True)  # which stops it first
    assert not bench.moving
    assert bench.unit.answer("PH") == "* Pan in REGULAR hold power mode"


@on("flir_ptu")
@pytest.mark.parametrize("told", [b"* Tilt in LOW hold power mode\r\n", b"* Pan in LOW move power mode\r\n", b"*\r\n"])
def test_an_answer_of_another_axis_or_of_another_power_is_nonsense(bench: Bench, told: bytes) -> None:
    gimbal = bench.open()
    bench.line.fault = lambda data, put: put(told)
    with pytest.raises(HalError, match="instead of how an axis is held"):
        gimbal.drives()


@on("skywatcher")
@pytest.mark.parametrize("rates", [True, False])
def test_power_that_goes_in_mid_pass_is_told_by_the_loop_within_its_bound(bench: Bench, rates: bool) -> None:
    """Half a second, and a turn of the loop; until then the board only stands."""
    gimbal = bench.open()
    loop = loop_for(gimbal.capabilities)
    loop.follow(Fixed(4.0, 1.2))

    def turn() -> None:
        begin_ns = bench.clock.now_ns()
        sample = gimbal.position()
        command, _ = loop.step(begin_ns, 0, sample, None, 0.0)
        if rates:
            send(gimbal, loop, command, begin_ns, bench.clock)
        bench.wait(0.05)

    def turns(number: int) -> None:
        for _ in range(number):
            turn()

    if not rates:
        gimbal.go_to(4.0, 1.2)
    turns(20)
    assert bench.moving
    bench.unit.lose_power()
    lost_ns, turn_ns = bench.clock.now_ns(), NS // 4
    with pytest.raises(HalError) as told:
        turns(200)
    assert bench.clock.now_ns() - lost_ns <= AGAIN_NS + turn_ns
    if not rates:  # a rate meets the board's refusal, or a count that has jumped, before that
        assert "has no power" in str(told.value)
    with pytest.raises(DeviceError, match="has no power"):
        gimbal.go_to(4.0, 1.2)
    gimbal.stop()
    assert not bench.moving


@on(*(name for name, family in FAMILIES.items() if not family.driver.drives_told.tells))
def test_a_protocol_that_tells_nothing_of_its_drives_is_said_to(bench: Bench) -> None:
    gimbal = bench.open()
    assert not gimbal.capabilities.drives.tells
    with pytest.raises(DeviceError, match="says nothing of its drives"):
        gimbal.drives()
    with pytest.raises(DeviceError, match="has no command that switches its drives off"):
        gimbal.power(False)
