"""The laser's driver on its emulator, over USBTMC in simulated time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from controller.services.lockstep import Lockstep
from hal.devices.itc4000 import Itc4000
from hal.errors import DeviceError, WireError
from hal.traits import Laser
from sim_hw.devices import itc4000
from sim_hw.timeline import Timeline
from sim_hw.wires.memory_usb import MemoryUsbBackend, as_default_backend

RESOURCE = "visa://USB0::0x1313::0x804a::M00404162::INSTR"


class Bench:
    def __init__(self) -> None:
        self.timeline = Timeline()
        self.clock = Lockstep(self.timeline)
        self.enable_line = True
        self.on_enable_change: list[Callable[[bool], None]] = []
        self.current_a = 0.0
        self.emulator = itc4000.Itc4000(self.timeline, self)
        self.backend = MemoryUsbBackend(self.clock)
        self.usb = self.emulator.usb()
        self.backend.plug("laser", self.usb)

    def set_laser(self, output_on: bool, current_a: float) -> None:
        self.current_a = current_a if output_on else 0.0

    def laser_power_w(self) -> float:
        return 0.9 * self.current_a

    def interlock(self, closed: bool) -> None:
        self.enable_line = closed
        for tell in self.on_enable_change:
            tell(closed)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    with as_default_backend(made.backend):
        yield made


@pytest.fixture
def laser(bench: Bench) -> Iterator[Laser]:
    driver = Itc4000.open(RESOURCE, bench.clock)
    yield driver
    driver.close()


def test_output_current_and_power_read_back_what_the_diode_does(bench: Bench, laser: Itc4000) -> None:
    laser.configure(1.0, 1.2)
    laser.output(True)
    status = laser.status()
    assert bench.current_a == 1.0
    assert (status.output_on, status.current_a, status.interlock_closed, status.tripped) == (True, 1.0, True, "")
    assert status.measured_power_w == pytest.approx(0.9)
    assert status.t_ns == bench.clock.now_ns()
    laser.output(False)
    assert bench.current_a == 0.0
    assert not laser.status().output_on


def test_a_status_is_one_exchange(bench: Bench, laser: Itc4000) -> None:
    before_ns = bench.clock.now_ns()
    laser.status()
    assert bench.clock.now_ns() - before_ns == 1_000_000


def test_the_limit_can_be_lowered_below_the_present_current(bench: Bench, laser: Itc4000) -> None:
    laser.configure(1.0, 1.2)
    laser.configure(0.2, 0.3)
    assert bench.emulator.scpi.execute("SOUR:CURR?;CURR:LIM?") == "2.00000000E-01;3.00000000E-01"


def test_a_current_above_its_limit_is_refused_before_it_is_sent(bench: Bench, laser: Itc4000) -> None:
    with pytest.raises(DeviceError, match=r"laser: 1.3 A is not between zero and the limit of 1.2 A"):
        laser.configure(1.3, 1.2)
    assert bench.emulator.scpi.execute("SOUR:CURR?") == "0.00000000E+00"


def test_a_limit_that_the_instrument_does_not_take_is_refused_by_it(laser: Itc4000) -> None:
    with pytest.raises(DeviceError) as told:
        laser.configure(1.0, 6.0)
    assert told.value.code == -222


def test_the_current_is_not_changed_while_the_output_is_on(laser: Itc4000) -> None:
    laser.configure(1.0, 1.2)
    laser.output(True)
    with pytest.raises(DeviceError, match="the output is on"):
        laser.configure(0.5, 1.2)


def test_an_open_interlock_refuses_the_output_and_is_told(bench: Bench, laser: Itc4000) -> None:
    laser.configure(1.0, 1.2)
    bench.interlock(False)
    with pytest.raises(DeviceError) as told:
        laser.output(True)
    assert told.value.code == -221
    status = laser.status()
    assert (status.output_on, status.interlock_closed, status.tripped) == (False, False, "interlock")


def test_a_trip_is_remembered_after_its_cause_has_gone(bench: Bench, laser: Itc4000) -> None:
    laser.configure(1.0, 1.2)
    laser.output(True)
    bench.interlock(False)
    bench.interlock(True)
    status = laser.status()
    assert (status.output_on, status.interlock_closed, status.tripped) == (False, True, "interlock")
    assert bench.current_a == 0.0


def test_a_turned_key_is_a_trip(bench: Bench, laser: Itc4000) -> None:
    laser.configure(1.0, 1.2)
    laser.output(True)
    bench.emulator.turn_key(False)
    assert laser.status().tripped == "key lock"


def test_switching_off_is_tried_again_when_the_first_exchange_times_out(bench: Bench, laser: Itc4000) -> None:
    laser.configure(1.0, 1.2)
    laser.output(True)
    query, silent = laser._device.wire.query, [True]

    def first_is_silent(message: str, timeout_s: float | None = None) -> str:
        if silent:
            silent.clear()
            bench.usb._exchange.extra_delay_s = 1.0
        else:
            bench.usb._exchange.extra_delay_s = 0.0
        return query(message, timeout_s)

    laser._device.wire.query = first_is_silent  # type: ignore[method-assign]
    laser.output(False)
    assert not laser.status().output_on


@pytest.mark.parametrize("left", [-410, -113])
def test_what_a_disturbed_line_left_long_ago_does_not_refuse_the_output(
    bench: Bench, laser: Itc4000, left: int
) -> None:
    """The soak's: the queue kept a -410 of a late reply for a quarter of an hour, until the laser was to emit."""
    laser.configure(1.0, 1.2)
    bench.usb._exchange.extra_delay_s = 1.5
    with pytest.raises(WireError):
        laser.status()
    bench.usb._exchange.extra_delay_s = 0.0
    assert not laser.status().output_on
    bench.emulator.scpi.error(left)
    laser.output(True)
    assert laser.status().output_on


def test_off_is_the_first_thing_said_and_no_old_error_refuses_it(bench: Bench, laser: Itc4000) -> None:
    laser.configure(1.0, 1.2)
    laser.output(True)
    bench.emulator.scpi.error(-113)
    laser._device._disturbed = True
    said: list[str] = []
    write = laser._device.wire.write
    laser._device.wire.write = lambda message: (said.append(message), write(message))[1]  # type: ignore[method-assign]
    laser.output(False)
    assert said == ["OUTP OFF"]
    assert bench.current_a == 0.0


def test_a_laser_that_is_unplugged_while_on_stays_on_and_is_a_wire_error(bench: Bench, laser: Itc4000) -> None:
    laser.configure(1.0, 1.2)
    laser.output(True)
    bench.backend.unplug("laser")
    with pytest.raises(WireError, match="laser: "):
        laser.output(False)
    assert bench.current_a == 1.0
    bench.interlock(False)  # what stops it then
    assert bench.current_a == 0.0


def test_another_instrument_at_the_address_is_refused_and_closed(bench: Bench) -> None:
    bench.emulator.scpi._common_query["*IDN"] = lambda: "Thorlabs,PM100D,P1,1"
    with pytest.raises(DeviceError, match="where a ITC4 or CLD1 is expected"):
        Itc4000.open(RESOURCE, bench.clock)


def test_an_output_that_does_not_follow_is_a_device_error(bench: Bench, laser: Itc4000) -> None:
    laser.configure(1.0, 1.2)
    bench.emulator.scpi.add("OUTPut[:STATe]", query=lambda _: "0", action=lambda _: None)
    with pytest.raises(DeviceError, match="OUTP ON was not obeyed"):
        laser.output(True)
