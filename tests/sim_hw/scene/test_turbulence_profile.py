"""Figures of reference pat.md 5.6 (HV5/7, Bufton 5/30 m/s), each re-derived there from the papers' integrals."""

from __future__ import annotations

import math

import pytest

from sim_hw.scenarios import Turbulence
from sim_hw.scene.turbulence import Atmosphere

HV57 = Turbulence(
    scale=1.0,
    high_wind_m_s=21.0,
    ground_cn2=1.7e-14,
    bufton_ground_m_s=5.0,
    bufton_tropopause_m_s=30.0,
    tilt=True,
    scintillation=True,
)


@pytest.mark.parametrize(("wavelength_m", "r0_m"), [(500e-9, 0.0496), (1064e-9, 0.1228), (1550e-9, 0.1928)])
def test_coherence_length_of_hv57_is_the_one_that_names_it(wavelength_m: float, r0_m: float) -> None:
    assert Atmosphere(HV57, 0.28).coherence_length_m(wavelength_m) == pytest.approx(r0_m, rel=3e-3)


@pytest.mark.parametrize(
    ("aperture_m", "elevation_deg", "tilt_urad"),
    [(0.2, 90, 3.29), (0.4, 90, 2.93), (1.0, 90, 2.52), (0.2, 30, 4.66), (0.4, 30, 4.15), (1.0, 30, 3.56)],
)
def test_gradient_tilt_of_an_aperture(aperture_m: float, elevation_deg: float, tilt_urad: float) -> None:
    seeing = Atmosphere(HV57, aperture_m).seeing(math.radians(elevation_deg), 0.0, 0.0)
    assert 1e6 * seeing.tilt_rms_rad == pytest.approx(tilt_urad, rel=3e-3)


@pytest.mark.parametrize(
    ("aperture_m", "slew_deg_s", "f_tg_hz"),
    [(0.2, 0.0, 3.81), (0.4, 0.0, 3.39), (1.0, 0.0, 2.91), (0.2, 0.87, 21.4), (0.4, 0.87, 19.1), (1.0, 0.87, 16.4)],
)
def test_the_rms_rate_of_tilt_is_that_of_tylers_tracking_frequency(
    aperture_m: float, slew_deg_s: float, f_tg_hz: float
) -> None:
    seeing = Atmosphere(HV57, aperture_m).seeing(math.pi / 2, math.radians(slew_deg_s), 0.0)
    f_tg = seeing.tilt_corner_hz * seeing.tilt_rms_rad / (1550e-9 / aperture_m)
    assert f_tg == pytest.approx(f_tg_hz, rel=5e-3)


def test_a_point_ahead_angle_decorrelates_tilt_and_a_small_one_in_proportion() -> None:
    atmosphere = Atmosphere(HV57, 0.28)
    tiny, double, usual = (
        atmosphere.seeing(math.radians(60), 0.01, angle).anisoplanatic_rms_rad for angle in (1e-7, 2e-7, 5e-5)
    )
    assert double == pytest.approx(2 * tiny, rel=1e-3)
    both = math.sqrt(2) * atmosphere.seeing(math.radians(60), 0.01, 5e-5).tilt_rms_rad
    assert 0.1 * both < usual < both


def test_no_turbulence_means_no_tilt_and_no_scintillation() -> None:
    calm = Atmosphere(HV57.model_copy(update={"scale": 0.0}), 0.28).seeing(1.0, 0.01, 5e-5)
    assert calm.tilt_rms_rad == calm.anisoplanatic_rms_rad == calm.log_amplitude_rms == 0.0


def test_scintillation_grows_toward_the_horizon_and_shrinks_with_the_aperture() -> None:
    high, low = (Atmosphere(HV57, 0.28).seeing(math.radians(e), 0.01, 0.0).log_amplitude_rms for e in (80, 25))
    small = Atmosphere(HV57, 0.1).seeing(math.radians(80), 0.01, 0.0).log_amplitude_rms
    assert 0.02 < high < low < 0.5
    assert small > high
