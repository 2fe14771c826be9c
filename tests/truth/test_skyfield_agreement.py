"""Our chain against skyfield on the same Earth-orientation table, with every modelled difference listed by size.

Sizes are for STARLINK-1008 over the OGS on 2025-10-04 (603 km, 63 degrees at culmination), in µrad on the sky.
"""

from __future__ import annotations

import numpy as np
import pytest
from skyfield.api import EarthSatellite
from skyfield.api import Star as SkyfieldStar

from controller.geometry import light
from controller.geometry.frames import azel_to_enu, enu_to_azel
from controller.geometry.stars import bright_stars, observed
from controller.pointing.elements import built_in_elements, find
from controller.pointing.prediction import Observer, apparent_enu_m, geometric_enu_m, itrf_m

NS = 1_000_000_000
T0 = int(np.datetime64("2025-10-04T00:00:00", "ns").astype(np.int64))
CULMINATION = T0 + round(764.11876 * 60 * NS)
TIMES = CULMINATION + np.arange(-240, 241, 20, dtype=np.int64) * NS


@pytest.fixture(scope="module")
def elements():
    return find(built_in_elements(), "STARLINK-1008")


def skyfield_time(timescale, t_ns):
    seconds = (np.asarray(t_ns) - T0) / 1e9
    return timescale.utc(2025, 10, 4, 0, 0, seconds)


def oracle(timescale, station, elements, t_target_ns, t_station_ns, t_axes_ns):
    """Directions (n, 3) east-north-up by skyfield: target and station each at its own time, axes at a third."""
    satellite = EarthSatellite.from_satrec(elements.satrec, timescale)
    target = satellite.at(skyfield_time(timescale, t_target_ns)).position.m
    place = station.at(skyfield_time(timescale, t_station_ns)).position.m
    axes = station.rotation_at(skyfield_time(timescale, t_axes_ns))  # rows north, east, up
    north, east, up = np.einsum("ijn,jn->in", axes, target - place)
    enu = np.stack([east, north, up], axis=-1)
    return enu, enu / np.linalg.norm(enu, axis=-1)[:, None]


def apart(a, b):
    a, b = (v / np.linalg.norm(v, axis=-1)[:, None] for v in (a, b))
    return np.linalg.norm(np.cross(a, b), axis=-1)


def test_geometric_directions_agree_with_skyfield_to_a_tenth_of_a_microradian(
    elements, site, earth, timescale, station
):
    ours = geometric_enu_m(elements, TIMES, site, earth)
    theirs, _ = oracle(timescale, station, elements, TIMES, TIMES, TIMES)
    assert apart(ours, theirs).max() < 1e-7
    assert np.abs(np.linalg.norm(ours, axis=1) - np.linalg.norm(theirs, axis=1)).max() < 0.05


@pytest.mark.parametrize(("leg", "sign"), [(light.receive, -1), (light.transmit, +1)])
def test_receive_and_transmit_directions_agree_with_skyfield_once_light_time_is_put_into_both(
    leg, sign, elements, site, earth, timescale, station
):
    ours = leg(lambda t: itrf_m(elements, t, earth), TIMES, site.itrf_m) @ site.itrf_to_enu.T
    tau_ns = np.round(np.linalg.norm(ours, axis=1) / light.LIGHT_M_S * 1e9).astype(np.int64)
    # The moving telescope sees target and itself at the retarded time (aberration), on the axes of now.
    theirs, _ = oracle(timescale, station, elements, TIMES + sign * tau_ns, TIMES + sign * tau_ns, TIMES)
    assert apart(ours, theirs).max() < 1e-7


def test_every_modelled_difference_has_the_size_that_is_written_here(elements, site, earth, timescale, station):
    receive = light.receive(lambda t: itrf_m(elements, t, earth), TIMES, site.itrf_m) @ site.itrf_to_enu.T
    tau_ns = np.round(np.linalg.norm(receive, axis=1) / light.LIGHT_M_S * 1e9).astype(np.int64)

    def skyfield(t_target, t_station=TIMES, t_axes=TIMES):
        return oracle(timescale, station, elements, t_target, t_station, t_axes)[0]

    geometric = skyfield(TIMES)
    retarded = skyfield(TIMES - tau_ns)
    apparent, _ = apparent_enu_m(elements, TIMES, Observer(site, earth))
    sizes = {
        "light time": apart(geometric, retarded).max(),  # v/c of the satellite: half the point-ahead angle
        "own motion": apart(retarded, receive).max(),  # 409 m/s at 28 degrees over c
        "refraction at culmination": apart(receive, apparent)[len(TIMES) // 2],
        "refraction at the ends": apart(receive, apparent)[0],
    }
    assert sizes["light time"] == pytest.approx(25.3e-6, abs=0.3e-6)
    assert sizes["own motion"] == pytest.approx(1.36e-6, abs=0.1e-6)
    assert sizes["refraction at culmination"] == pytest.approx(103e-6, abs=2e-6)
    assert sizes["refraction at the ends"] > 8 * sizes["refraction at culmination"]


def test_polar_motion_and_ut1_matter_and_are_in(elements, site, earth, timescale, station):
    # A run with the UT1 of a table that is wrong by 1 ms must miss by 0.9 µrad at 500 km (ephemeris.md, section 5).
    from dataclasses import replace

    wrong = replace(earth, ut1_minus_tai_s=earth.ut1_minus_tai_s + 1e-3)
    still = replace(earth, pole_x_rad=0 * earth.pole_x_rad, pole_y_rad=0 * earth.pole_y_rad)
    truth, _ = oracle(timescale, station, elements, TIMES, TIMES, TIMES)
    assert 0.3e-6 < apart(geometric_enu_m(elements, TIMES, site, wrong), truth).max() < 0.9e-6
    assert apart(geometric_enu_m(elements, TIMES, site, still), truth).max() > 2e-6


def test_point_ahead_at_culmination_is_twice_the_transverse_velocity_over_c(elements, site, earth):
    # 48.882 µrad at 603.788 km; 50.637 when the station's own motion is forgotten (ephemeris.md, section 6).
    ephemeris = lambda t: itrf_m(elements, t, earth)  # noqa: E731
    t = np.array([CULMINATION])
    angle = apart(light.receive(ephemeris, t, site.itrf_m), light.transmit(ephemeris, t, site.itrf_m))[0]
    assert angle == pytest.approx(48.882e-6, abs=0.005e-6)


def test_stars_stand_where_skyfield_and_erfa_see_them(site, earth, timescale, station, planets):
    stars = bright_stars()
    airless = type(site)(site.latitude_deg, site.longitude_deg, site.height_m, 0.0)
    azimuth, elevation = observed(stars, CULMINATION, airless, earth, 0.7)
    t = skyfield_time(timescale, CULMINATION)
    for star, az, el in zip(stars, azimuth, elevation, strict=True):
        if el < np.radians(5):
            continue
        place = SkyfieldStar(
            ra_hours=star.right_ascension_deg / 15,
            dec_degrees=star.declination_deg,
            ra_mas_per_year=star.motion_ra_mas_yr,
            dec_mas_per_year=star.motion_dec_mas_yr,
        )
        altitude, bearing, _ = (planets["earth"] + station).at(t).observe(place).apparent().altaz()
        miss = np.linalg.norm(azel_to_enu(az, el) - azel_to_enu(bearing.radians, altitude.radians))
        # 0.03 µrad: skyfield leaves out dX, dY as we do, but uses IAU 2000A's own precession; Sun and Earth deflection
        # differ by less than 0.01 µrad away from the Sun.
        assert miss < 0.1e-6, star.name


def test_directions_survive_the_way_through_azimuth_and_elevation():
    enu = np.array([[1.0, 2.0, 3.0], [-4.0, 0.5, 0.1], [0.0, -1.0, 0.0]])
    unit = enu / np.linalg.norm(enu, axis=1)[:, None]
    assert azel_to_enu(*enu_to_azel(enu)) == pytest.approx(unit, abs=1e-15)
