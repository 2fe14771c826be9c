"""Time scales, Earth orientation, stars, Sun and Moon."""

from __future__ import annotations

import erfa
import numpy as np
import pytest

from controller.geometry.bodies import Place, separation_rad, sun_and_moon
from controller.geometry.earth import EarthOrientationError, load_earth_orientation
from controller.geometry.frames import Site
from controller.geometry.stars import bright_stars, observed
from controller.geometry.timescales import tai_jd, tai_minus_utc_s, tt_jd, utc_jd

NS = 1_000_000_000
DAY_NS = 86_400 * NS
SITE = Site(28.2995, -16.5118, 2393.0, 770.0, 12.0, 0.3, "ogs")


def ns(text):
    return int(np.datetime64(text, "ns").astype(np.int64))


@pytest.fixture(scope="module")
def earth():
    return load_earth_orientation()


def test_leap_seconds_are_those_of_the_day():
    times = np.array([ns("2016-12-31T23:59:59"), ns("2017-01-01T00:00:00"), ns("1999-01-01T12:00:00")])
    assert tai_minus_utc_s(times).tolist() == [36.0, 37.0, 32.0]


def test_terrestrial_time_is_69_184_seconds_ahead_of_utc():
    t = np.int64(ns("2025-10-04T12:00:00"))
    tt, utc, tai = tt_jd(t), utc_jd(t), tai_jd(t)
    assert ((tt.days - utc.days) + (tt.fraction - utc.fraction)) * 86400 == pytest.approx(69.184, abs=1e-9)
    assert erfa.taitt(*tai)[1] == pytest.approx(float(tt.fraction), abs=1e-14)


def test_two_parts_keep_a_nanosecond():
    t = np.array([ns("2025-10-04T12:34:56"), ns("2025-10-04T12:34:56") + 1])
    days, fraction = utc_jd(t)
    assert days[0] == days[1]
    assert (fraction[1] - fraction[0]) * DAY_NS == pytest.approx(1.0, abs=0.05)


def test_earth_orientation_is_the_row_of_the_table(earth):
    # finals2000A.all, row of 16 10 22 (MJD 57683): x 0.204269, y 0.296476, UT1-UTC -0.3093158.
    o = earth.at(np.int64(ns("2016-10-22T00:00:00")))
    arcsec = np.pi / 648000
    assert o.pole_x_rad == pytest.approx(0.204269 * arcsec, abs=1e-15)
    assert o.pole_y_rad == pytest.approx(0.296476 * arcsec, abs=1e-15)
    utc = utc_jd(np.int64(ns("2016-10-22T00:00:00")))
    difference = ((o.ut1.days - utc.days) + (o.ut1.fraction - utc.fraction)) * 86400
    assert difference == pytest.approx(-0.3093158, abs=1e-9)


def test_ut1_runs_smoothly_over_a_leap_second(earth):
    t = np.arange(ns("2016-12-31T00:00:00"), ns("2017-01-02T00:00:00"), 3600 * NS, dtype=np.int64)
    o = earth.at(t)
    ut1_s = (o.ut1.days - o.ut1.days[0]) * 86400 + o.ut1.fraction * 86400
    tai = tai_jd(t)
    tai_s = (tai.days - tai.days[0]) * 86400 + tai.fraction * 86400
    assert np.ptp(ut1_s - tai_s) < 0.01


def test_the_age_of_the_table_counts_from_its_last_measured_day(earth):
    last = round((earth.measured_until_mjd - 40587) * DAY_NS)
    assert earth.age_days(last - DAY_NS) == 0.0
    assert earth.age_days(last + 12 * DAY_NS) == pytest.approx(12.0)


def test_a_time_beyond_the_table_is_refused_with_what_to_do(earth):
    with pytest.raises(EarthOrientationError, match="astropy-iers-data"):
        earth.at(np.int64(ns("2045-01-01T00:00:00")))


@pytest.mark.parametrize(
    ("content", "words"),
    [("", "no row"), ("x" * 80, "line 1"), (None, "cannot read"), ("\xff", "cannot read")],
)
def test_a_file_that_is_no_table_is_named(tmp_path, content, words):
    path = tmp_path / "finals.txt"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
    with pytest.raises(EarthOrientationError, match=words) as caught:
        load_earth_orientation(path)
    assert str(path) in str(caught.value)


def test_the_catalogue_holds_the_bright_stars():
    stars = bright_stars()
    assert len(stars) > 70
    assert stars[0].name == "Sirius"
    assert all(s.magnitude <= 2.6 for s in stars)
    assert len({(s.right_ascension_deg, s.declination_deg) for s in stars}) == len(stars)
    vega = next(s for s in stars if s.name == "Vega")
    # Hipparcos 91262 at J2000.0: 279.23473 deg, +38.78369 deg, 200.94 and 286.23 mas a year.
    assert vega.right_ascension_deg == pytest.approx(279.23473, abs=2e-5)
    assert vega.declination_deg == pytest.approx(38.78369, abs=2e-5)
    assert vega.motion_dec_mas_yr == pytest.approx(286.23, abs=1.5)


def test_observed_places_are_those_of_erfa_in_one_call(earth):
    t = ns("2025-10-04T21:00:00")
    stars = bright_stars()[:20]
    azimuth, elevation = observed(stars, t, SITE, earth, 0.7)
    o = earth.at(np.int64(t))
    utc = utc_jd(np.int64(t))
    ut1_minus_utc_s = float((o.ut1.days - utc.days + o.ut1.fraction - utc.fraction) * 86400)
    for star, az, el in zip(stars, azimuth, elevation, strict=True):
        dec = np.radians(star.declination_deg)
        mas = np.pi / 648e6
        expected = erfa.atco13(
            np.radians(star.right_ascension_deg), dec,
            star.motion_ra_mas_yr * mas / np.cos(dec), star.motion_dec_mas_yr * mas, 0.0, 0.0,
            *utc, ut1_minus_utc_s, np.radians(SITE.longitude_deg), np.radians(SITE.latitude_deg), SITE.height_m,
            o.pole_x_rad, o.pole_y_rad, SITE.pressure_hpa, SITE.temperature_c, SITE.relative_humidity, 0.7,
        )  # fmt: skip
        assert az == pytest.approx(float(expected[0]), abs=1e-9)
        assert el == pytest.approx(np.pi / 2 - float(expected[1]), abs=1e-9)


def test_sun_and_moon_stand_where_skyfield_sees_them(earth):
    # DE421, apparent airless places.
    from pathlib import Path

    import skyfield_data
    from skyfield.api import load, load_file, wgs84

    kernel = load_file(str(Path(skyfield_data.__file__).parent / "data" / "de421.bsp"))
    try:
        station = kernel["earth"] + wgs84.latlon(SITE.latitude_deg, SITE.longitude_deg, SITE.height_m)
        timescale = load.timescale(builtin=True)
        for text in ("2025-10-04T12:00:00", "2025-03-20T08:00:00", "2026-01-15T23:30:00"):
            y, m, d = (int(v) for v in text[:10].split("-"))
            t = timescale.utc(y, m, d, int(text[11:13]), int(text[14:16]))
            for name, ours in zip(("sun", "moon"), sun_and_moon(ns(text), SITE, earth), strict=True):
                altitude, azimuth, _ = station.at(t).observe(kernel[name]).apparent().altaz()
                assert np.degrees(separation_rad(ours, Place(azimuth.radians, altitude.radians))) < 1 / 60
    finally:
        kernel.close()
