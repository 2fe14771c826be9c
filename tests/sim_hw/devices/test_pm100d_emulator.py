"""The emulated power meter against the light it is given."""

import math

import numpy as np
import pytest

from sim_hw.devices.pm100d import Pm100d
from sim_hw.timeline import Timeline


class Light:
    power_w = 1e-5

    def received_power_w(self) -> float:
        return self.power_w


def meter(light: Light, timeline: Timeline | None = None, seed: int = 1) -> Pm100d:
    return Pm100d(timeline or Timeline(), light, np.random.default_rng(seed))


def reading(pm: Pm100d, line: str = "MEAS:POW?") -> float:
    return float(pm.scpi.execute(line) or "nan")


def test_identity_and_sensor_answer_as_the_real_meter_does() -> None:
    pm = meter(Light())
    assert pm.scpi.execute("*IDN?") == "Thorlabs,PM100D,P0009084,2.4.0"
    assert len((pm.scpi.execute("SYST:SENS:IDN?") or "").split(",")) == 6  # name, serial, calibration, type, sub, flags


def test_a_reading_is_the_light_within_the_noise() -> None:
    pm = meter(Light())
    readings = [reading(pm) for _ in range(200)]
    assert np.mean(readings) == pytest.approx(1e-5, abs=2e-10)
    assert 1e-10 < np.std(readings) < 1e-9  # 2e-5 of the 30 µW range


def test_averaging_lowers_the_noise_by_its_root_and_takes_its_time() -> None:
    pm = meter(Light())
    single = np.std([reading(pm) for _ in range(300)])
    pm.scpi.execute("SENS:AVER:COUN 100")
    pm.scpi.busy_s()
    averaged = np.std([reading(pm) for _ in range(300)])
    assert averaged == pytest.approx(single / 10, rel=0.2)
    assert pm.scpi.busy_s() == pytest.approx(300 * 100 / 3000.0)


def test_a_wrong_wavelength_gives_a_wrong_power() -> None:
    pm = meter(Light())
    pm.scpi.execute("SENS:CORR:WAV 1000")
    assert reading(pm) == pytest.approx(1e-5 / 0.65, rel=1e-3)  # responsivity 1.00 A/W at 1550 nm, 0.65 at 1000


def test_a_wavelength_outside_of_the_head_is_refused() -> None:
    pm = meter(Light())
    assert pm.scpi.execute("SENS:CORR:WAV? MIN;:SENS:CORR:WAV? MAX") == "8.00000000E+02;1.70000000E+03"
    pm.scpi.execute("SENS:CORR:WAV 532")
    assert (pm.scpi.execute("SYST:ERR?") or "").startswith("-222,")


def test_zero_removes_the_dark_offset_and_takes_a_second() -> None:
    light, timeline = Light(), Timeline()
    light.power_w = 0.0
    pm = meter(light, timeline)
    pm.scpi.execute("SENS:AVER:COUN 10000")
    before = reading(pm)
    pm.scpi.execute("SENS:CORR:COLL:ZERO:INIT")
    assert pm.scpi.execute("SENS:CORR:COLL:ZERO:STAT?") == "1"
    timeline.advance(1_000_000_000)
    assert pm.scpi.execute("SENS:CORR:COLL:ZERO:STAT?") == "0"
    assert abs(before) > 1e-11
    assert abs(reading(pm)) < 1e-12


def test_a_fixed_range_overflows_and_says_so_and_auto_follows() -> None:
    light = Light()
    pm = meter(light)
    pm.scpi.execute("SENS:POW:RANG 1E-6")
    assert pm.scpi.execute("SENS:POW:RANG?;:SENS:POW:RANG:AUTO?") == "3.00000000E-06;0"
    assert reading(pm) == 9.9e37
    assert pm.scpi.execute("STAT:QUES:COND?") == "8"
    pm.scpi.execute("SENS:POW:RANG:AUTO ON")
    assert reading(pm) == pytest.approx(1e-5, rel=1e-3)
    assert pm.scpi.execute("STAT:QUES:COND?") == "0"


def test_dbm_is_ten_times_the_logarithm_of_milliwatts() -> None:
    pm = meter(Light())
    pm.scpi.execute("SENS:POW:UNIT DBM")
    assert reading(pm, "READ?") == pytest.approx(10 * math.log10(1e-5 / 1e-3), abs=0.01)
    pm.scpi.execute("INIT")
    assert reading(pm, "FETC?") == pytest.approx(-20.0, abs=0.01)
