"""Refraction and refractive index against published or independently traced numbers."""

from __future__ import annotations

import erfa
import numpy as np
import pytest

from controller.geometry.air import refractive_index
from controller.geometry.frames import Site
from controller.geometry.raytrace import Atmosphere
from controller.geometry.refraction import Refraction

# T degrees C, RH %, P kPa, wavelength nm, n: NIST Engineering Metrology Toolbox, Ciddor equation, CO2 450 ppm.
NIST = [
    (20, 0, 101.325, 633, 1.0002718),
    (20, 0, 60, 633, 1.000160924),
    (20, 0, 120, 633, 1.000321916),
    (50, 0, 100, 633, 1.000243285),
    (5, 0, 100, 633, 1.000282756),
    (-40, 0, 100, 633, 1.00033758),
    (50, 100, 120, 633, 1.000287924),
    (40, 75, 120, 633, 1.000299418),
    (20, 100, 100, 633, 1.000267394),
    (40, 100, 110, 1700, 1.000270247),
    (20, 0, 101.325, 1700, 1.000268479),
    (40, 100, 110, 300, 1.000289),
    (20, 0, 101.325, 300, 1.000286581),
    (-40, 0, 120, 300, 1.000427233),
]


@pytest.mark.parametrize(("t", "rh", "kpa", "nm", "n"), NIST)
def test_the_index_of_air_is_the_one_that_nist_prints(t, rh, kpa, nm, n):
    assert refractive_index(10 * kpa, t, rh / 100, nm / 1000) == pytest.approx(n, abs=1e-9)


def test_erfa_gives_its_own_published_refraction_constants_exactly():
    # t_erfa_c.c, eraRefco.
    a, b = erfa.refco(800.0, 10.0, 0.9, 0.4)
    assert a == pytest.approx(2.264949956241415e-4, rel=1e-12)
    assert b == pytest.approx(-2.598658261729344e-7, rel=1e-12)


SEA = (0.0, 1013.25, 15.0, 0.5)  # height, pressure, temperature, humidity
EQUATOR = 6_378_137.0
ARCSEC = np.pi / 648_000


def over_the_sea(wavelength_um: float = 1.55) -> Refraction:
    return Refraction.of(Site(0, 0, *SEA), wavelength_um)


def test_a_star_is_bent_as_in_an_independent_ray_trace_down_to_five_degrees():
    # Ciddor ray trace, standard lapse, 1550 nm (ephemeris.md, section 6), to 0.05 µrad. Which radius and gravity
    # it took is not said: 6371 or 6378 km is worth 0.07" at 5 degrees, 9.81 or 9.82 m/s2 0.09".
    elevation = np.radians([45, 20, 15, 10, 5])
    traced = np.array([56.16, 153.12, 206.51, 307.81, 569.59])
    bend = over_the_sea().star_rad(elevation) / ARCSEC
    assert bend[:4] == pytest.approx(traced[:4], abs=0.1e-6 / ARCSEC)
    assert bend[4] == pytest.approx(traced[4], abs=0.06)


@pytest.mark.parametrize(
    ("wavelength_um", "arcsec"),
    [  # 1013.25 hPa, 15 degrees C, RH 0.5, at 20, 30, 45, 60 degrees: ERFA refco, pat.md 5.2
        (0.55, (155.73, 98.69, 57.11, 33.00)),
        (1.064, (153.56, 97.31, 56.31, 32.54)),
        (1.55, (153.15, 97.05, 56.16, 32.45)),
    ],
)
def test_a_star_is_bent_as_erfa_tabulates_where_erfa_is_valid(wavelength_um, arcsec):
    bend = over_the_sea(wavelength_um).star_rad(np.radians([20, 30, 45, 60])) / ARCSEC
    assert bend == pytest.approx(np.array(arcsec), abs=0.05)  # 0.2 µrad is what ERFA's formula is good for


@pytest.mark.parametrize(
    ("wavelength_um", "apart_urad"),
    [  # from 1550 nm, at 10, 20, 30, 45, 60 degrees: pat.md 5.2. The star camera looks elsewhere than the beam.
        (1.064, (4.0, 1.99, 1.26, 0.73, 0.42)),
        (0.55, (25.2, 12.5, 7.9, 4.6, 2.7)),
    ],
)
def test_colours_part_by_what_erfa_tabulates(wavelength_um, apart_urad):
    elevation = np.radians([10, 20, 30, 45, 60])
    bend = over_the_sea(wavelength_um).star_rad(elevation) - over_the_sea(1.55).star_rad(elevation)
    assert bend * 1e6 == pytest.approx(np.array(apart_urad), abs=0.06)


@pytest.mark.parametrize(("nm", "refractivity"), [(1550, 2.729351e-4), (1064, 2.736612e-4), (589, 2.768365e-4)])
def test_the_index_of_the_standard_air_over_the_sea_is_that_of_another_program(nm, refractivity):
    # Ciddor, 15 degrees C, 101325 Pa, 50 %: ephemeris.md, section 6.
    assert refractive_index(1013.25, 15.0, 0.5, nm / 1000) - 1 == pytest.approx(refractivity, abs=1e-10)


def test_the_fitted_bend_is_the_traced_one_from_the_horizon_to_the_zenith():
    elevation = np.radians(np.linspace(0.0, 90.0, 721))
    for measured in (SEA, (2400.0, 770.0, 5.0, 0.2), (0.0, 1050.0, -40.0, 0.9)):
        height_m, *air = measured
        site = Site(0, 0, *measured)
        traced = Atmosphere.of(*air, 0.55, height_m, float(np.linalg.norm(site.itrf_m))).bend_rad(elevation)
        assert np.abs(Refraction.of(site, 0.55).star_rad(elevation) - traced).max() < 1e-10


@pytest.mark.parametrize(
    ("height_km", "elevation_deg", "star_urad", "satellite_urad"),
    [  # Ciddor ray trace at sea level, 1550 nm (ephemeris.md, section 6), printed to 0.1
        (400, 10, 1492.3, 1444.8),
        (400, 20, 742.4, 724.0),
        (550, 10, 1492.3, 1454.6),
        (550, 20, 742.4, 728.4),
        (550, 30, 470.5, 462.5),
        (550, 60, 157.3, 154.9),
    ],
)
def test_a_satellite_is_refracted_less_than_a_star(height_km, elevation_deg, star_urad, satellite_urad):
    elevation, air = np.radians(elevation_deg), over_the_sea()
    bend_rad = 0.0
    for _ in range(5):  # at this apparent elevation it stands somewhat lower, and so further away
        sine = EQUATOR * np.sin(elevation - bend_rad)
        range_m = np.sqrt(sine**2 + (EQUATOR + height_km * 1e3) ** 2 - EQUATOR**2) - sine
        bend_rad = air.bend_rad(elevation, range_m)
    assert air.star_rad(elevation) * 1e6 == pytest.approx(star_urad, abs=0.1)
    assert bend_rad * 1e6 == pytest.approx(satellite_urad, abs=0.1)
    apparent = air.apparent_rad(elevation - air.bend_rad(elevation, range_m), range_m)
    assert apparent == pytest.approx(elevation, abs=1e-10)


def test_without_air_nothing_bends():
    air = Refraction.of(Site(0, 0, 0, 0.0), 1.55)
    assert air.apparent_rad(np.array([0.1, 1.0]), np.array([1e6, 1e6])) == pytest.approx([0.1, 1.0], abs=1e-12)
