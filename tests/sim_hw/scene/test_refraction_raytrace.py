"""Figures of reference ephemeris.md 6: Ciddor ray traces at sea level, 15 C, 1013.25 hPa, 50 %, 1550 nm."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sim_hw.scene.refraction import Air, bending, refract

SEA = Air(1013.25, 15.0, 0.5, 6_371_000.0)
ARCSEC = math.pi / 648_000


@pytest.mark.parametrize(
    ("wavelength_nm", "refractivity"), [(1550, 2.729351e-4), (1064, 2.736612e-4), (589, 2.768365e-4)]
)
def test_refractivity_agrees_with_ciddor(wavelength_nm: float, refractivity: float) -> None:
    assert SEA.refractivity(1e-9 * wavelength_nm) == pytest.approx(refractivity, rel=2e-4)


@pytest.mark.parametrize(("elevation_deg", "arcsec"), [(45, 56.16), (20, 153.12), (15, 206.51)])
def test_bending_of_a_star_agrees_with_a_ray_trace_of_the_standard_atmosphere(
    elevation_deg: float, arcsec: float
) -> None:
    seen = bending(SEA, 1550e-9, np.array(math.radians(elevation_deg)))
    # An exponential atmosphere has no tropopause: 0.2 % at 15 degrees.
    assert float(seen) / ARCSEC == pytest.approx(arcsec, rel=2e-3)


@pytest.mark.parametrize(
    ("range_height_km", "apparent_deg", "infinite_urad", "finite_urad"),
    [(400, 20, 742.4, 724.0), (550, 20, 742.4, 728.4), (550, 30, 470.5, 462.5), (550, 60, 157.3, 154.9)],
)
def test_a_satellite_is_bent_less_than_a_star(
    range_height_km: float, apparent_deg: float, infinite_urad: float, finite_urad: float
) -> None:
    # The geometric elevation and range that the finite correction belongs to.
    elevation = math.radians(apparent_deg) - 1e-6 * finite_urad
    r0, r1 = SEA.radius_m, SEA.radius_m + 1e3 * range_height_km
    range_m = -r0 * math.sin(elevation) + math.sqrt(r1**2 - (r0 * math.cos(elevation)) ** 2)
    e = np.array([elevation])
    finite = float(refract(SEA, 1550e-9, e, np.array([range_m]))[0]) - elevation
    infinite = float(bending(SEA, 1550e-9, np.array([math.radians(apparent_deg)]))[0])
    assert 1e6 * (infinite - finite) == pytest.approx(infinite_urad - finite_urad, rel=0.06)
    assert 1e6 * finite == pytest.approx(finite_urad, abs=1.5)


def test_below_the_horizon_nothing_breaks() -> None:
    e = np.linspace(-1.5, 0.1, 50)
    bent = refract(SEA, 1550e-9, e, np.full(50, 5e6))
    assert np.all(np.isfinite(bent))
    assert np.all(np.diff(bent) > 0)
