"""Light time, point-ahead, the bending by the Sun and Doppler against published numbers and those of other programs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from controller.geometry import deep_space, light
from controller.geometry.frames import EARTH_RATE_RAD_S, Site
from controller.geometry.solar_system import load_kernel
from controller.pointing.elements import find, load_elements
from controller.pointing.ephemeris.bodies import body_named
from controller.pointing.passes import find_passes
from controller.pointing.prediction import Observer, airless_enu_m
from controller.pointing.sighting import sight

EARTH_M = 6_378_137.0
ARCSEC = np.pi / 648_000
NS = 1_000_000_000
PALOMAR = Site(33.3563, -116.8650, 1712.0)


def utc_ns(iso: str) -> int:
    return int(np.datetime64(iso, "ns").astype(np.int64))


def angle_rad(a, b):
    return np.linalg.norm(np.cross(a, b), axis=-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


@pytest.fixture(scope="module")
def planets_to_2036(shared_data):
    return load_kernel(shared_data / "orbits/spk/de440_2015-2036_sun_emb_earth_moon_mars_jup.bsp")


@pytest.mark.parametrize(
    ("height_km", "elevation_deg", "range_km", "light_ms", "angle_urad", "rate_deg_s"),
    [  # circular orbit, in-plane overhead pass, station not rotating: pat.md 5.1
        (400, 90, 400, 1.33, 51.16, 1.0984),
        (400, 60, 457, 1.53, 45.14, 0.8476),
        (400, 30, 739, 2.47, 29.65, 0.3444),
        (400, 20, 984, 3.28, 23.89, 0.2085),
        (400, 10, 1440, 4.80, 19.23, 0.1147),
        (550, 90, 550, 1.83, 50.60, 0.7902),
        (550, 60, 627, 2.09, 44.92, 0.6154),
        (550, 30, 993, 3.31, 30.54, 0.2642),
        (550, 20, 1294, 4.32, 25.38, 0.1685),
        (550, 10, 1816, 6.06, 21.35, 0.1010),
        (1200, 90, 1200, 4.00, 48.38, 0.3463),
        (1200, 60, 1351, 4.51, 43.89, 0.2791),
        (1200, 30, 1999, 6.67, 33.12, 0.1423),
        (1200, 20, 2456, 8.19, 29.61, 0.1035),
        (1200, 10, 3132, 10.45, 27.07, 0.0742),
    ],
)
def test_point_ahead_of_a_circular_orbit_over_a_station_that_stands_still(
    height_km, elevation_deg, range_km, light_ms, angle_urad, rate_deg_s, monkeypatch
):
    monkeypatch.setattr(light, "EARTH_RATE_RAD_S", 0.0)
    radius = EARTH_M + height_km * 1e3
    rate = np.sqrt(3.986004418e14 / radius**3)
    elevation = np.radians(elevation_deg)
    central = np.arccos(EARTH_M / radius * np.cos(elevation)) - elevation

    def ephemeris(t_ns):
        phase = rate * np.asarray(t_ns) * 1e-9 - central
        return radius * np.stack([np.cos(phase), np.sin(phase), 0 * phase], axis=-1)

    site, t = np.array([EARTH_M, 0.0, 0.0]), np.array([0])
    down, up = light.receive(ephemeris, t, site)[0], light.transmit(ephemeris, t, site)[0]
    range_m = np.linalg.norm(down)
    assert range_m / 1e3 == pytest.approx(range_km, abs=0.6)
    assert range_m / light.LIGHT_M_S * 1e3 == pytest.approx(light_ms, abs=0.006)
    assert angle_rad(down, up) * 1e6 == pytest.approx(angle_urad, abs=0.01)
    before, after = light.receive(ephemeris, np.array([-NS // 100, NS // 100]), site)
    assert np.degrees(angle_rad(before, after)) / 0.02 == pytest.approx(rate_deg_s, abs=1e-4)


def test_point_ahead_across_the_zenith_is_what_an_adaptive_optics_simulator_has(monkeypatch):
    # SPECULA's own test: 7600 m/s at 400 km, 10.457985086989297 arcsec over a ground that stands still (pat.md 5.1).
    monkeypatch.setattr(light, "EARTH_RATE_RAD_S", 0.0)

    def ephemeris(t_ns):
        y = 7600.0 * np.asarray(t_ns) * 1e-9
        return np.stack([np.full_like(y, EARTH_M + 400e3), y, 0 * y], axis=-1)

    down, up = (
        leg(ephemeris, np.array([0]), np.array([EARTH_M, 0.0, 0.0]))[0] for leg in (light.receive, light.transmit)
    )
    assert angle_rad(down, up) / ARCSEC == pytest.approx(
        10.457985086989297, rel=4e-7
    )  # of 1.3 ms, times are whole nanoseconds


def test_a_geostationary_satellite_still_needs_a_point_ahead():
    # Over an equatorial station below it, rotation included: 17.409 µrad (pat.md 5.1).
    radius = 42164.17e3

    def still(t_ns):
        return np.tile([radius, 0.0, 0.0], (len(np.atleast_1d(t_ns)), 1))

    site = np.array([EARTH_M, 0.0, 0.0])
    t = np.array([0])
    down, up = light.receive(still, t, site)[0], light.transmit(still, t, site)[0]
    assert EARTH_RATE_RAD_S > 7e-5
    assert angle_rad(down, up) * 1e6 == pytest.approx(17.409, abs=0.002)


@pytest.mark.parametrize(
    ("name", "rises", "rise_urad", "culmination_urad"),
    [  # by another program, of the same element sets over the OGS: ephemeris.md, section 6
        ("STARLINK-1008", "2025-10-04T12:40:04", 22.029, 48.882),
        ("ISS (ZARYA)", "2025-10-04T09:43:54", 25.784, 49.353),
    ],
)
def test_point_ahead_of_real_passes_is_what_another_program_has(
    name, rises, rise_urad, culmination_urad, shared_data, site, earth
):
    one = find(load_elements(shared_data / "orbits/tle/active_20251003.tle"), name)
    start = utc_ns(rises)
    seen = find_passes(one, site, earth, start - 60 * NS, start + 900 * NS, np.radians(10))[0]
    assert seen.rise_utc_ns == pytest.approx(start, abs=NS)
    t = np.array([seen.rise_utc_ns, seen.culmination_utc_ns])
    receive, transmit = airless_enu_m(one, t, Observer(site, earth))
    assert angle_rad(receive, transmit) * 1e6 == pytest.approx([rise_urad, culmination_urad], abs=0.002)


def test_doppler_of_a_rising_satellite_is_what_another_program_has(shared_data, site, earth):
    # STARLINK-1008 at 10 degrees: -6.548 km/s, +4.22 GHz at 1550 nm (ephemeris.md, section 6).
    one = find(load_elements(shared_data / "orbits/tle/active_20251003.tle"), "STARLINK-1008")
    t = utc_ns("2025-10-04T12:40:04.182")
    seen = sight(one, t, Observer(dataclasses.replace(site, pressure_hpa=0.0), earth))
    assert np.degrees(seen.look.elevation_rad) == pytest.approx(10.0, abs=1e-3)
    assert seen.look.range_rate_m_s == pytest.approx(-6548, abs=1)
    assert seen.doppler_hz(1550e-9) == pytest.approx(4.22e9, abs=0.005e9)


@pytest.mark.parametrize(
    ("day", "apparent_urad", "inertial_urad"),
    [("2025-01-12", 52.71, 149.6), ("2024-04-08", 322.73, 161.1), ("2025-12-24", 372.03, 169.3)],
)
def test_point_ahead_of_mars_from_palomar_is_what_another_program_has(
    day, apparent_urad, inertial_urad, planets_to_2036, earth
):
    # ephemeris.md, section 6, at noon UTC: the angle of the two legs among the stars is the wrong one for a telescope.
    t = np.array([utc_ns(f"{day}T12:00:00")])
    mars = body_named("mars barycenter", planets_to_2036)
    telescope = deep_space.Telescope.at(t, PALOMAR, earth, planets_to_2036)
    receive, transmit = (leg(mars.position_m, telescope) for leg in (deep_space.receive, deep_space.transmit))
    assert angle_rad(receive, transmit) * 1e6 == pytest.approx(apparent_urad, abs=0.01)
    down, up = (np.round(np.linalg.norm(leg, axis=1) / light.LIGHT_M_S * NS) for leg in (receive, transmit))
    came, meets = (mars.position_m(t + tau.astype(np.int64)) - telescope.position_m for tau in (-down, up))
    assert angle_rad(came, meets) * 1e6 == pytest.approx(inertial_urad, abs=0.06)


def test_light_goes_to_mars_and_back_in_the_time_that_another_program_has(planets_to_2036, earth):
    # From Palomar, 2025-12-24 12:00 UTC: 1205.627814 s down, 1205.602690 s up (ephemeris.md, section 6).
    t = np.array([utc_ns("2025-12-24T12:00:00")])
    mars = body_named("mars barycenter", planets_to_2036)
    telescope = deep_space.Telescope.at(t, PALOMAR, earth, planets_to_2036)
    legs = [leg(mars.position_m, telescope) for leg in (deep_space.receive, deep_space.transmit)]
    seconds = [float(np.linalg.norm(leg[0])) / light.LIGHT_M_S for leg in legs]
    assert seconds == pytest.approx([1205.627814, 1205.602690], abs=1e-6)


def test_the_sun_bends_the_light_of_a_star_more_than_that_of_mars_beside_it(planets_to_2036, earth):
    # 2025-12-24 13:35 UTC, 4.1 degrees from the Sun: 69 mas for Mars behind it, 113 mas for a star with the Sun at
    # 1 AU (ephemeris.md, section 6); it was at 0.983.
    t = np.array([utc_ns("2025-12-24T13:35:00")])
    telescope = deep_space.Telescope.at(t, Site(21.5, 55.0, 300.0), earth, planets_to_2036)
    sunless = dataclasses.replace(telescope, sun_m=telescope.sun_m + 1e18)
    mars = body_named("mars barycenter", planets_to_2036)
    there = mars.position_m(t - round(1205.6 * NS)) - telescope.position_m
    sun_au = np.linalg.norm(telescope.sun_m - telescope.position_m) / deep_space.AU_M
    assert sun_au == pytest.approx(0.983, abs=0.001)

    def bent_mas(target, light_time):
        seen = [deep_space.receive(target, each, light_time) for each in (telescope, sunless)]
        return angle_rad(*seen)[0] / ARCSEC * 1e3

    assert bent_mas(mars.position_m, True) == pytest.approx(69, abs=0.6)
    star = telescope.position_m + 1e8 * there
    assert bent_mas(lambda t_utc_ns: star, False) * sun_au == pytest.approx(113, abs=0.8)
