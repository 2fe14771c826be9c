"""The power meter's driver on its emulator, over USBTMC in simulated time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from controller.services.lockstep import Lockstep
from hal.devices.pm100d import Pm100d
from hal.errors import DeviceError, WireTimeout
from hal.traits import PowerMeter
from sim_hw.devices import pm100d
from sim_hw.timeline import Timeline
from sim_hw.wires.memory_usb import MemoryUsbBackend, as_default_backend

RESOURCE = "visa://USB0::0x1313::0x8078::P0009084::INSTR"


class Bench:
    power_w = 2e-6

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.clock = Lockstep(self.timeline)
        self.emulator = pm100d.Pm100d(self.timeline, self, np.random.default_rng(3))
        self.backend = MemoryUsbBackend(self.clock)
        self.usb = self.emulator.usb()
        self.backend.plug("power_meter", self.usb)

    def received_power_w(self) -> float:
        return self.power_w


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    with as_default_backend(made.backend):
        yield made


@pytest.fixture
def meter(bench: Bench) -> Iterator[PowerMeter]:
    driver = Pm100d.open(RESOURCE, bench.clock)
    yield driver
    driver.close()


def test_the_meter_reads_the_light_in_watts(bench: Bench, meter: Pm100d) -> None:
    meter.configure(1550e-9)
    assert meter.power_w() == pytest.approx(2e-6, rel=1e-3)
    bench.power_w = 5e-9
    assert meter.power_w() == pytest.approx(5e-9, abs=2e-10)


def test_the_wavelength_reaches_the_meter_in_nanometres(bench: Bench, meter: Pm100d) -> None:
    meter.configure(1310e-9)
    assert bench.emulator.scpi.execute("SENS:CORR:WAV?") == "1.31000000E+03"


def test_a_wavelength_that_the_head_does_not_know_is_refused(meter: Pm100d) -> None:
    with pytest.raises(DeviceError, match="power_meter: refused") as told:
        meter.configure(532e-9)
    assert told.value.code == -222


def test_more_light_than_the_head_takes_is_a_device_error(bench: Bench, meter: Pm100d) -> None:
    bench.power_w = 0.01
    with pytest.raises(DeviceError, match="beyond the sensor's range"):
        meter.power_w()


def test_zero_waits_until_it_is_done(bench: Bench, meter: Pm100d) -> None:
    bench.power_w = 0.0
    meter.average(3000)
    before_ns = bench.clock.now_ns()
    meter.zero()
    assert bench.clock.now_ns() - before_ns >= 10**9
    assert abs(meter.power_w()) < 2e-12


def test_a_meter_that_falls_silent_is_a_time_out_and_reads_again_when_it_is_back(bench: Bench, meter: Pm100d) -> None:
    bench.usb._exchange.extra_delay_s = 3.0
    with pytest.raises(WireTimeout, match="power_meter"):
        meter.power_w()
    bench.usb._exchange.extra_delay_s = 0.0
    assert meter.power_w() == pytest.approx(2e-6, rel=1e-3)
