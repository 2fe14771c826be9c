from __future__ import annotations

import datetime as dt
import math

import erfa
import numpy as np
import pytest

from sim_hw.scene.earth import NS, Site, times, timescale
from sim_hw.scene.refraction import bending
from sim_hw.scene.sky import CatalogueStar, Sky

# Hipparcos: Vega, Capella, Sirius (ICRS, J2000.0).
STARS = [
    CatalogueStar(279.23473479, 38.78368896, 200.94, 286.23, 0.03),
    CatalogueStar(79.17232794, 45.99799147, 75.25, -426.89, 0.08),
    CatalogueStar(101.28715533, -16.71611586, -546.01, -1223.07, -1.44),
]
UTC_NS = int(dt.datetime(2026, 3, 1, 21, 0, 7, tzinfo=dt.UTC).timestamp()) * NS


def erfa_places(site: Site, utc_ns: int) -> list[tuple[float, float]]:
    """Azimuth and elevation in vacuum by another library, with the same orientation of the Earth."""
    t = times(utc_ns)
    utc1, utc2 = 2440587.5 + utc_ns // (86400 * NS), (utc_ns % (86400 * NS)) / (86400 * NS)
    _, x_arcsec, y_arcsec = timescale().polar_motion_table
    x, y = (np.interp(t.tt, timescale().polar_motion_table[0], v) / 3600 for v in (x_arcsec, y_arcsec))
    places = []
    for s in STARS:
        dec = math.radians(s.declination_deg)
        ra_rate = math.radians(s.motion_ra_mas_yr / 3.6e6) / math.cos(dec)
        az, zd, *_ = erfa.atco13(
            math.radians(s.right_ascension_deg), dec, ra_rate, math.radians(s.motion_dec_mas_yr / 3.6e6), 0.0, 0.0,
            utc1, utc2, float(t.dut1), math.radians(site.longitude_deg), math.radians(site.latitude_deg), site.height_m,
            math.radians(float(x)), math.radians(float(y)), 0.0, 0.0, 0.0, 1.0,
        )  # fmt: skip
        places.append((float(az), math.pi / 2 - float(zd)))
    return places


def test_stars_stand_where_erfa_puts_them_plus_our_own_bending(site: Site) -> None:
    sky = Sky(STARS, site, UTC_NS, 976e-9)
    for t_s in (0.0, 63.9, 500.0):
        ours = sky.north_east_up(t_s)
        for i, (azimuth, elevation) in enumerate(erfa_places(site, UTC_NS + round(t_s * NS))):
            if elevation < math.radians(10):
                continue
            seen = math.asin(ours[2, i])
            assert math.remainder(math.atan2(ours[1, i], ours[0, i]) - azimuth, 2 * math.pi) * math.cos(
                seen
            ) == pytest.approx(0.0, abs=1e-7)
            bent = float(bending(site.air, 976e-9, np.array(seen)))
            assert seen - bent == pytest.approx(elevation, abs=1e-7)


def test_the_time_scale_keeps_leap_seconds_and_nanoseconds() -> None:
    t = times(UTC_NS)
    # TT - UTC = 32.184 + 37 s since 2017.
    assert (t.tt - (2440587.5 + UTC_NS / (86400 * NS))) * 86400 == pytest.approx(69.184, abs=1e-3)
    assert timescale().polar_motion_table is not None


def test_one_star_stands_where_it_stands_among_all(site: Site) -> None:
    sky = Sky(STARS, site, UTC_NS, 976e-9)
    for t_s in (0.0, 31.7, 63.99, 64.0, 500.0):
        for i in range(len(STARS)):
            assert sky.star(i, t_s) == pytest.approx(tuple(sky.north_east_up(t_s)[:, i]), abs=1e-14)
