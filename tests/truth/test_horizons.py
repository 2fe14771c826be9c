"""Moon, Mars and the topocentre against JPL Horizons.

Horizons' vertical leaves polar motion out (ours has it: the mount's), so these tests take it out of the table, too; the
10 m by which that moves the site are 0.006" at the Moon.
"""

from __future__ import annotations

import dataclasses
import re

import erfa
import numpy as np
import pytest

from controller.geometry import deep_space
from controller.geometry.earth import EarthOrientation
from controller.geometry.frames import Site, apply, enu_to_azel, gcrf_to_itrf
from controller.geometry.solar_system import load_kernel
from controller.pointing.ephemeris.bodies import body_named
from controller.pointing.prediction import Observer, airless_enu_m

AU_M = 149_597_870_700.0
ARCSEC = np.pi / 648000
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
ROW = re.compile(r"^ (\d{4})-([A-Z][a-z]{2})-(\d\d) (\d\d):(\d\d)")


@pytest.fixture(scope="module")
def no_pole(earth):
    return dataclasses.replace(earth, pole_x_rad=0 * earth.pole_x_rad, pole_y_rad=0 * earth.pole_y_rad)


def table(path):
    """UTC nanoseconds, azimuth and elevation in degrees of a Horizons observer table.

    Left out: 1997-07-01 00:00, the end of a leap second, where Horizons' Earth is half a second further.
    """
    text = path.read_text(encoding="utf-8-sig")
    rows = text[text.index("$$SOE") : text.index("$$EOE")].splitlines()[1:]
    times, places = [], []
    for row in rows:
        year, month, day, hour, minute = ROW.match(row).groups()
        if row.startswith(" 1997-Jul-01 00:00"):
            continue
        iso = f"{year}-{MONTHS.index(month) + 1:02d}-{day}T{hour}:{minute}:00"
        times.append(np.datetime64(iso, "ns").astype(np.int64))
        places.append([float(word) for word in row.split()[-2:]])
    return np.array(times), np.array(places).T


def errors_arcsec(target, times, places, site, earth, bend=lambda elevation: 0.0):
    """On the sky: (cross-elevation, elevation) of ours minus theirs."""
    receive, _ = airless_enu_m(target, times, Observer(site, earth))
    azimuth, elevation = enu_to_azel(receive)
    theirs = np.radians(places)
    turn = np.angle(np.exp(1j * (azimuth - theirs[0]))) * np.cos(theirs[1])
    return np.array([turn, elevation + bend(elevation) - theirs[1]]) / ARCSEC


def angle_rad(a, b):
    cross = np.linalg.norm(np.cross(a, b), axis=-1)
    return cross / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def saemundsson_rad(elevation):
    """What Horizons refracts by: Saemundsson in Meeus, Astronomical Algorithms, eq. 16.4, nought at the zenith."""
    h = np.degrees(elevation)
    return np.radians((1.02 / np.tan(np.radians(h + 10.3 / (h + 5.11))) + 0.0019279) / 60)


def test_the_airless_moon_of_1615_nights_is_where_horizons_has_it(shared_data, no_pole):
    # Horizons, DE431, 279 E 29 N 10 m, every ten days 1975 to 2019; printed to 1e-4 deg (0.10" rms of rounding).
    times, places = table(shared_data / "orbits/horizons/airless_Moon_1975-2019.txt")
    assert len(times) == 1615
    error = errors_arcsec(body_named("moon"), times, places, Site(29.0, -81.0, 10.0), no_pole)
    assert np.sqrt(np.mean(error**2, axis=1)).max() < 0.13
    assert np.abs(error).max() < 0.4


@pytest.mark.parametrize(("name", "site"), [("N29_W081", Site(29, -81, 10.0)), ("N15_E075", Site(15, 75, 10.0))])
def test_the_moon_each_five_minutes_is_where_horizons_has_it(shared_data, no_pole, name, site):
    times, places = table(shared_data / f"orbits/horizons/Moon_{name}.txt")
    high = places[1] > 15
    assert high.sum() > 100
    error = errors_arcsec(body_named("moon"), times[high], places[:, high], site, no_pole, saemundsson_rad)
    assert np.sqrt(np.mean(error**2, axis=1)).max() < 0.13
    assert np.abs(error).max() < 0.4


def test_mars_of_44_years_is_where_horizons_has_it(shared_data, no_pole):
    times, places = table(shared_data / "orbits/horizons/Mars_1975-2019.txt")
    high = places[1] > 15
    assert high.sum() == 599
    site = Site(29.0, -81.0, 10.0)
    error = errors_arcsec(body_named("mars"), times[high], places[:, high], site, no_pole, saemundsson_rad)
    assert np.sqrt(np.mean(error**2, axis=1)).max() < 0.13
    assert np.abs(error).max() < 0.4


def test_mars_near_the_sun_is_where_horizons_has_it_to_a_metre_and_a_microsecond(shared_data, no_pole):
    # Horizons, 2025-12-24 13:35 UT, 21.5 N 55.0 E 300 m (orbits/tables/truth_vectors.json): 4.1 degrees from the Sun.
    kernel = load_kernel(shared_data / "orbits/spk/de440_2015-2036_sun_emb_earth_moon_mars_jup.bsp")
    t = np.datetime64("2025-12-24T13:35:00", "ns").astype(np.int64)
    site = Site(21.5, 55.0, 300.0)
    mars = body_named("mars barycenter", kernel)
    error = errors_arcsec(mars, np.array([t]), np.array([[241.884725], [4.515307]]), site, no_pole)
    assert np.abs(error).max() < 0.1
    second = np.array([-1, 0, 1]) * 1_000_000_000
    telescope = deep_space.Telescope.at(t + second, site, no_pole, kernel)
    receive = deep_space.receive(mars.position_m, telescope)
    range_m = np.linalg.norm(receive, axis=-1)
    assert range_m[1] == pytest.approx(2.41599313076047 * AU_M, abs=1.0)
    assert range_m[1] / 299_792_458.0 == pytest.approx(20.09320217 * 60, abs=1e-6)  # printed to 0.6 µs
    # The derivative of the light path; Horizons' "deldot" -0.7162227 km/s is u.(v_target - v_observer), 7 mm/s away.
    assert (range_m[2] - range_m[0]) / 2 == pytest.approx(-716.2301, abs=1e-3)
    azimuth, elevation = enu_to_azel(receive @ site.itrf_to_enu.T)
    rate = np.array([(azimuth[2] - azimuth[0]) * np.cos(elevation[1]), elevation[2] - elevation[0]]) / 2 * 60 / ARCSEC
    assert rate == pytest.approx([360.13, -738.84], abs=0.02)


def test_the_site_is_among_the_planets_where_horizons_has_it(shared_data, earth):
    # Horizons, 280 E 30 N 1000 m, geocentre as seen from the topocentre, ICRF, 2021-11; times are TDB.
    text = (shared_data / "orbits/horizons/Earth_N30_W80_1000m.txt").read_text(encoding="utf-8-sig")
    rows = text[text.index("$$SOE") : text.index("$$EOE")].splitlines()[1:]
    days = np.array([float(row.split()[0]) for row in rows[::3]])
    vectors = [[float(v) for v in re.findall(r"=\s*([-+.\dE]+)", row)] for row in rows]
    position = -np.array(vectors[1::3]) * AU_M
    velocity = -np.array(vectors[2::3]) * AU_M / 86400
    assert len(days) == 1153
    tdb_ns = np.round((days - 2440587.5) * 1440 / 5).astype(np.int64) * 300 * 1_000_000_000
    tdb_minus_tt_s = erfa.dtdb(days, 0.0, 0.0, 0.0, 0.0, 0.0)  # 1.2 ms: half a metre of rotation
    t = tdb_ns - 69_184_000_000 - np.round(tdb_minus_tt_s * 1e9).astype(np.int64)
    site = Site(30.0, -80.0, 1000.0)
    ours, ours_m_s = deep_space.geocentric_site(t, site, earth)
    assert np.abs(ours - position).max() < 0.25
    assert np.abs(ours_m_s - velocity).max() < 1e-4
    by_rotation = apply(np.swapaxes(gcrf_to_itrf(t, earth), -1, -2), np.tile(site.itrf_m, (len(t), 1)))
    assert np.abs(by_rotation - ours).max() < 2e-3


@pytest.mark.parametrize(("day", "urad"), [("2025-01-16", 51.8), ("2025-07-01", 224.7), ("2026-07-01", 302.0)])
def test_point_ahead_of_mars_includes_the_telescopes_own_motion(earth, day, urad):
    # Geocentric, astropy's built-in ephemeris: pat.md 5.1. Here from the pole, so that the site does not move.
    t = np.array([np.datetime64(f"{day}T00:00:00", "ns").astype(np.int64)])
    receive, transmit = airless_enu_m(body_named("mars"), t, Observer(Site(89.9999, 0.0, 0.0), earth))
    assert angle_rad(receive, transmit) * 1e6 == pytest.approx(urad, abs=0.2)


@pytest.mark.filterwarnings("ignore:ERFA function:erfa.ErfaWarning")  # nobody knows the leap seconds of those years
def test_mars_never_asks_for_more_than_on_the_first_of_march_2028():
    # 2024 to 2040: 376.2 urad at most (pat.md 5.1). No table of UT1 goes that far; from the pole it does not matter.
    none = np.zeros(2)
    still = EarthOrientation("still", np.array([58849.0, 66154.0]), np.full(2, -37.0), none, none, 66154.0)
    start = np.datetime64("2024-01-01T00:00:00", "ns").astype(np.int64)
    t = start + np.arange(0, 16 * 365, 5, dtype=np.int64) * 86_400 * 1_000_000_000
    receive, transmit = airless_enu_m(body_named("mars"), t, Observer(Site(89.9999, 0.0, 0.0), still))
    angle_urad = angle_rad(receive, transmit) * 1e6
    assert angle_urad.max() == pytest.approx(376.2, abs=0.1)
    most = np.datetime64(int(t[np.argmax(angle_urad)]), "ns")
    assert abs((most - np.datetime64("2028-03-01")) / np.timedelta64(1, "D")) < 5
    assert np.median(angle_urad) == pytest.approx(242, abs=1)
    assert np.mean(angle_urad > 300) == pytest.approx(0.35, abs=0.01)


def test_the_moon_asks_for_a_point_ahead_of_four_to_eight_microradians(earth):
    # From Table Mountain in January 2026 above 10 degrees: 3.94 to 7.55, median 5.05 urad (pat.md 5.1).
    site = Site(34.3820, -117.6820, 2285.0)
    start = np.datetime64("2026-01-01T00:00:00", "ns").astype(np.int64)
    t = start + np.arange(0, 31 * 86400, 600, dtype=np.int64) * 1_000_000_000
    receive, transmit = airless_enu_m(body_named("moon"), t, Observer(site, earth))
    up = enu_to_azel(receive)[1] > np.radians(10)
    angle = angle_rad(receive, transmit)[up] * 1e6
    assert angle.min() == pytest.approx(3.94, abs=0.05)
    assert 7.5 < angle.max() < 7.7  # the extreme of a denser sampling than theirs
    assert np.median(angle) == pytest.approx(5.05, abs=0.05)
