"""Refraction, refractive index and point-ahead against published or closed-form numbers."""

from __future__ import annotations

import erfa
import numpy as np
import pytest

from controller.geometry import light
from controller.geometry.air import refractive_index
from controller.geometry.frames import EARTH_RATE_RAD_S, Site
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


@pytest.mark.parametrize(
    ("wavelength_um", "arcsec"),
    [  # 1013.25 hPa, 15 degrees C, RH 0.5, at 10, 20, 30, 45, 60 degrees: ERFA refco, pat.md 5.2
        (0.55, (312.33, 155.73, 98.69, 57.11, 33.00)),
        (1.064, (307.95, 153.56, 97.31, 56.31, 32.54)),
        (1.55, (307.13, 153.15, 97.05, 56.16, 32.45)),
    ],
)
def test_a_star_is_refracted_as_tabulated(wavelength_um, arcsec):
    air = Refraction.of(Site(0, 0, 0, 1013.25, 15.0, 0.5), wavelength_um)
    elevations = np.radians([10, 20, 30, 45, 60])
    bend = air.bend_rad(elevations, np.full(5, 1e17)) * 648000 / np.pi
    assert bend == pytest.approx(np.array(arcsec), abs=0.006)


@pytest.mark.parametrize(
    ("height_km", "elevation_deg", "star_urad", "satellite_urad"),
    [  # Ciddor ray trace at sea level, 1550 nm (ephemeris.md, section 6); rounding of the star's value makes 0.2
        (400, 10, 1492.3, 1444.8),
        (400, 20, 742.4, 724.0),
        (550, 10, 1492.3, 1454.6),
        (550, 20, 742.4, 728.4),
        (550, 30, 470.5, 462.5),
        (550, 60, 157.3, 154.9),
    ],
)
def test_a_satellite_is_refracted_less_than_a_star(height_km, elevation_deg, star_urad, satellite_urad):
    radius, elevation = 6.371e6, np.radians(elevation_deg)
    air = Refraction(star_urad * 1e-6 * np.tan(elevation), 0.0, 1 + 2.729351e-4, radius)
    sine = radius * np.sin(elevation)
    range_m = np.sqrt(sine**2 + (radius + height_km * 1e3) ** 2 - radius**2) - sine
    assert air.bend_rad(elevation, range_m) * 1e6 == pytest.approx(satellite_urad, abs=0.25)
    apparent = air.apparent_rad(elevation - air.bend_rad(elevation, range_m), range_m)
    assert apparent == pytest.approx(elevation, abs=1e-10)


def test_without_air_nothing_bends():
    air = Refraction.of(Site(0, 0, 0, 0.0), 1.55)
    assert air.apparent_rad(np.array([0.1, 1.0]), np.array([1e6, 1e6])) == pytest.approx([0.1, 1.0], abs=1e-12)


@pytest.mark.parametrize(
    ("height_km", "elevation_deg", "range_km", "light_ms", "angle_urad"),
    [  # circular orbit, in-plane overhead pass, station not rotating: pat.md 5.1
        (400, 90, 400, 1.33, 51.16),
        (400, 60, 457, 1.53, 45.14),
        (400, 20, 984, 3.28, 23.89),
        (550, 90, 550, 1.83, 50.60),
        (550, 60, 627, 2.09, 44.92),
        (550, 30, 993, 3.31, 30.54),
        (550, 20, 1294, 4.32, 25.38),
        (550, 10, 1816, 6.06, 21.35),
        (1200, 90, 1200, 4.00, 48.38),
        (1200, 30, 1999, 6.67, 33.12),
    ],
)
def test_point_ahead_of_a_circular_orbit_over_a_station_that_stands_still(
    height_km, elevation_deg, range_km, light_ms, angle_urad, monkeypatch
):
    monkeypatch.setattr(light, "EARTH_RATE_RAD_S", 0.0)
    earth_m, mu = 6378137.0, 3.986004418e14
    radius = earth_m + height_km * 1e3
    rate = np.sqrt(mu / radius**3)
    elevation = np.radians(elevation_deg)
    central = np.arccos(earth_m / radius * np.cos(elevation)) - elevation

    def ephemeris(t_ns):
        phase = rate * np.asarray(t_ns) * 1e-9 - central
        return radius * np.stack([np.cos(phase), np.sin(phase), 0 * phase], axis=-1)

    site, t = np.array([earth_m, 0.0, 0.0]), np.array([0])
    down, up = light.receive(ephemeris, t, site)[0], light.transmit(ephemeris, t, site)[0]
    range_m = np.linalg.norm(down)
    angle = np.linalg.norm(np.cross(down, up)) / range_m / np.linalg.norm(up)
    assert range_m / 1e3 == pytest.approx(range_km, abs=0.6)
    assert range_m / light.LIGHT_M_S * 1e3 == pytest.approx(light_ms, abs=0.006)
    assert angle * 1e6 == pytest.approx(angle_urad, abs=0.01)


def test_a_geostationary_satellite_still_needs_a_point_ahead():
    # Over an equatorial station below it, rotation included: 17.409 µrad (pat.md 5.1).
    radius = 42164.17e3

    def still(t_ns):
        return np.tile([radius, 0.0, 0.0], (len(np.atleast_1d(t_ns)), 1))

    site = np.array([6378137.0, 0.0, 0.0])
    t = np.array([0])
    down, up = light.receive(still, t, site)[0], light.transmit(still, t, site)[0]
    angle = np.linalg.norm(np.cross(down, up)) / np.linalg.norm(down) / np.linalg.norm(up)
    assert EARTH_RATE_RAD_S > 7e-5
    assert angle * 1e6 == pytest.approx(17.409, abs=0.002)
