"""SGP4 and frames against published cases."""

from __future__ import annotations

import math
from pathlib import Path

import erfa
import numpy as np
import pytest
import sgp4
from sgp4.api import Satrec

from controller.geometry.earth import ARCSEC, EarthOrientation
from controller.geometry.frames import Site, apply, enu_to_azel, gcrf_to_itrf, teme_to_itrf
from controller.geometry.timescales import utc_jd
from controller.geometry.trajectory import fit
from controller.pointing.elements import parse_elements
from controller.pointing.prediction import geometric_enu_m
from hal.clock import NS

FOLDER = Path(sgp4.__file__).parent


def ns(text: str) -> int:
    return int(np.datetime64(text, "ns").astype(np.int64))


def verification_rows():
    """(satellite, minutes, position km, velocity km/s) of tcppver.out: Vallado et al., AIAA 2006-6753."""
    lines = [r for r in (FOLDER / "SGP4-VER.TLE").read_text().splitlines() if r[:2] in ("1 ", "2 ")]
    satellites = iter([Satrec.twoline2rv(a, b[:69]) for a, b in zip(lines[::2], lines[1::2], strict=True)])
    satellite = None
    for line in (FOLDER / "tcppver.out").read_text().splitlines():
        if line.rstrip().endswith("xx"):
            satellite = next(satellites)
        elif line.strip():
            numbers = [float(word) for word in line.split()[:7]]
            yield satellite, numbers[0], numbers[1:4], numbers[4:7]


def test_sgp4_reproduces_every_row_of_the_verification_file():
    rows = list(verification_rows())
    assert len(rows) == 667  # 33 cases
    worst = max(np.abs(np.subtract(s.sgp4_tsince(t)[1], r)).max() for s, t, r, _ in rows)
    assert worst < 2e-7  # km; the file prints 1e-8


AIAA_UTC = "2004-04-06T07:51:28.386"
AIAA_ITRF_M = np.array([-1033.479383, 7901.2952754, 6380.3565958]) * 1e3
AIAA_EARTH = EarthOrientation(  # one dUT1 and one pole for the whole day, as the paper takes them
    "AIAA 2006-6753",
    np.array([53100.0, 53102.0]),
    np.full(2, -0.4399619 - 32.0),
    np.full(2, -0.140682 * ARCSEC),
    np.full(2, 0.333309 * ARCSEC),
    53102.0,
)


def test_teme_turns_into_itrf_as_in_aiaa_2006_6753():
    # Vallado, Crawford, Hujsak, Kelso, appendix C. Their UT1 was one double (40 µs of time, 14 mm), so 0.02 m.
    t = np.array([ns(AIAA_UTC)])
    teme = np.array([[5094.1801621, 6127.6446595, 6380.3445327]]) * 1e3
    assert apply(teme_to_itrf(t, AIAA_EARTH), teme)[0] == pytest.approx(AIAA_ITRF_M, abs=0.02)


def test_the_same_place_among_the_stars_is_that_of_iau_2006_and_2000a():
    # The same epoch, IAU 2006/2000A with dX, dY (ephemeris.md, case 3), which we leave out: 1 cm here.
    t = np.array([ns(AIAA_UTC)])
    gcrf = apply(np.swapaxes(gcrf_to_itrf(t, AIAA_EARTH), -1, -2), AIAA_ITRF_M[None])[0]
    assert gcrf == pytest.approx(np.array([5102.5089529, 6123.0113991, 6378.1369338]) * 1e3, abs=0.03)


def test_a_site_sees_vallado_example_4_1_at_its_azimuth_elevation_and_range():
    # Vallado, Fundamentals, example 4-1 (data/orbits/tables/truth_vectors.json): IAU-76/80, UT1 = UTC, h 2.19456 km.
    t = np.array([ns("1994-05-14T13:11:20.598560")])
    jd = utc_jd(t)
    to_itrf = erfa.rz(erfa.gst94(*jd), np.eye(3)) @ erfa.pnm80(*jd)
    site = Site(39.007, -104.883, 2194.56)
    itrf = apply(to_itrf, np.array([[5036.736529, -10806.660797, -4534.633784]]) * 1e3)
    enu = (itrf - site.itrf_m) @ site.itrf_to_enu.T
    azimuth, elevation = np.degrees(enu_to_azel(enu))
    assert azimuth[0] % 360 == pytest.approx(210.8777747, abs=3e-6)
    assert elevation[0] == pytest.approx(-5.9409535, abs=4e-6)  # the page rounds the site's height
    assert np.linalg.norm(enu) == pytest.approx(11710812.0, abs=1.0)


def test_the_rates_of_vallado_example_4_1_are_those_of_a_trajectory():
    # The same example: 6.0842826 km/s, 0.00384011466 and 0.01495847759 deg/s, with its velocity in the inertial frame.
    begin = ns("1994-05-14T13:11:20.598560")
    site = Site(39.007, -104.883, 2194.56)
    r = np.array([5036.736529, -10806.660797, -4534.633784]) * 1e3
    v = np.array([2.6843855, -5.759592, -2.4168093]) * 1e3

    def path(t_utc_ns):
        after = (np.asarray(t_utc_ns) - begin)[:, None] / NS
        jd = utc_jd(np.asarray(t_utc_ns))
        to_itrf = np.array([erfa.rz(erfa.gst94(*day), np.eye(3)) @ erfa.pnm80(*day) for day in zip(*jd, strict=True)])
        enu = (np.einsum("nij,nj->ni", to_itrf, r + after * v) - site.itrf_m) @ site.itrf_to_enu.T
        return enu, enu

    look = fit(path, begin - 60 * NS, begin + 60 * NS).receive(begin)
    assert look.range_rate_m_s == pytest.approx(6084.2826, abs=1e-3)
    assert math.degrees(look.azimuth_rate_rad_s) == pytest.approx(0.00384011466, abs=2e-9)
    assert math.degrees(look.elevation_rate_rad_s) == pytest.approx(0.01495847759, abs=2e-9)


def test_the_iss_case_of_skyfields_documentation(earth):
    # Skyfield's documentation, re-run with skyfield 1.55: 2014-01-23 11:18:07 UTC, 40.8939 N 83.8917 W. Skyfield left
    # polar motion out there, worth 1 µrad here; 16.275713898 deg, 350.255656134 deg, 1168.664104 km.
    iss = parse_elements(
        [
            "1 25544U 98067A   14020.93268519  .00009878  00000-0  18200-3 0  5082",
            "2 25544  51.6498 109.4756 0003572  55.9686 274.8005 15.49815350868473",
        ],
        "case",
    )[0]
    enu = geometric_enu_m(iss, np.array([ns("2014-01-23T11:18:07")]), Site(40.8939, -83.8917, 0.0), earth)
    azimuth, elevation = enu_to_azel(enu)
    assert np.degrees(elevation[0]) == pytest.approx(16.275713898, abs=3e-4)
    assert np.degrees(azimuth[0]) % 360 == pytest.approx(350.255656134, abs=1e-3)
    assert np.linalg.norm(enu) == pytest.approx(1168664.104, abs=10.0)
