"""The emulated laser driver: what it lets through and what stops it."""

from collections.abc import Callable

import pytest

from sim_hw.devices.itc4000 import Itc4000
from sim_hw.timeline import Timeline


class Plant:
    def __init__(self) -> None:
        self.enable_line = True
        self.on_enable_change: list[Callable[[bool], None]] = []
        self.current_a = 0.0

    def set_laser(self, output_on: bool, current_a: float) -> None:
        self.current_a = current_a if output_on else 0.0

    def laser_power_w(self) -> float:
        return 0.8 * self.current_a

    def interlock(self, closed: bool) -> None:
        self.enable_line = closed
        for tell in self.on_enable_change:
            tell(closed)


@pytest.fixture
def plant() -> Plant:
    return Plant()


@pytest.fixture
def itc(plant: Plant) -> Itc4000:
    return Itc4000(Timeline(), plant)


def emitting(itc: Itc4000) -> None:
    itc.scpi.execute("SOUR:CURR:LIM 1.2;:SOUR:CURR 1;:OUTP ON")


def test_output_and_current_reach_the_diode_and_the_monitor_reads_it_back(itc: Itc4000, plant: Plant) -> None:
    emitting(itc)
    assert plant.current_a == 1.0
    assert itc.scpi.execute("OUTP?;:MEAS:CURR?;:MEAS:POW2?") == "1;1.00000000E+00;8.00000000E-01"
    itc.scpi.execute("OUTP OFF")
    assert plant.current_a == 0.0


def test_the_current_never_passes_its_limit(itc: Itc4000, plant: Plant) -> None:
    emitting(itc)
    itc.scpi.execute("SOUR:CURR 1.3")
    assert (itc.scpi.execute("SYST:ERR?") or "").startswith("-222,")
    assert plant.current_a == 1.0
    assert itc.scpi.execute("SOUR:CURR? MAX") == "1.20000000E+00"
    itc.scpi.execute("SOUR:CURR:LIM 0.5")
    assert (itc.scpi.execute("SYST:ERR?") or "").startswith("-221,")


def test_an_interlock_that_opens_switches_off_and_closing_it_does_not_switch_on(itc: Itc4000, plant: Plant) -> None:
    emitting(itc)
    plant.interlock(False)
    assert plant.current_a == 0.0
    assert itc.scpi.execute("OUTP?;:OUTP:PROT:INTL:TRIP?;:STAT:MEAS:COND?") == "0;1;4"
    plant.interlock(True)
    assert plant.current_a == 0.0
    assert itc.scpi.execute("OUTP?;:OUTP:PROT:INTL:TRIP?;:STAT:MEAS:COND?;EVEN?") == "0;1;0;4"
    itc.scpi.execute("OUTP ON")
    assert plant.current_a == 1.0
    assert itc.scpi.execute("OUTP:PROT:INTL:TRIP?") == "0"


def test_the_output_cannot_be_switched_on_with_an_open_interlock_or_key(itc: Itc4000, plant: Plant) -> None:
    plant.interlock(False)
    emitting(itc)
    assert plant.current_a == 0.0
    assert (itc.scpi.execute("SYST:ERR?") or "").startswith("-221,")
    plant.interlock(True)
    itc.turn_key(False)
    itc.scpi.execute("OUTP ON")
    assert plant.current_a == 0.0
    assert itc.scpi.execute("OUTP:PROT:KEYL:TRIP?") == "1"


def test_a_silent_host_leaves_the_output_on() -> None:
    timeline, plant = Timeline(), Plant()
    itc = Itc4000(timeline, plant)
    emitting(itc)
    timeline.advance(3600 * 10**9)
    assert plant.current_a == 1.0


def test_reset_switches_off(itc: Itc4000, plant: Plant) -> None:
    emitting(itc)
    itc.scpi.execute("*RST")
    assert plant.current_a == 0.0


def test_the_mount_goes_to_its_set_point_with_the_cooler_and_warms_up_without() -> None:
    timeline = Timeline()
    itc = Itc4000(timeline, Plant())

    def temperature_c() -> float:
        return float(itc.scpi.execute("MEAS:TEMP?") or "nan")

    assert temperature_c() == 22.0
    itc.scpi.execute("SOUR:TEMP 25C;:OUTP2 ON")
    emitting(itc)
    timeline.advance(60 * 10**9)
    assert temperature_c() == pytest.approx(25.0, abs=0.01)
    itc.scpi.execute("OUTP2 OFF")
    timeline.advance(120 * 10**9)
    assert temperature_c() == pytest.approx(22.0 + 12.0, abs=0.01)


def test_without_power_it_is_dark_and_with_it_again_as_after_its_start(itc: Itc4000, plant: Plant) -> None:
    emitting(itc)
    itc.conditions()["off"]({})
    assert plant.current_a == 0.0
    itc.conditions()["off"](None)
    assert itc.scpi.execute("OUTP?;:SOUR:CURR?") == "0;0.00000000E+00"
