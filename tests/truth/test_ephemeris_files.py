"""Real ephemeris files against other people's positions, and against what their writers say of them."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sgp4.api import Satrec
from sgp4.omm import initialize

from controller.geometry.body_rotation import MARS, to_icrf
from controller.geometry.deep_space import Telescope
from controller.geometry.frames import Site, enu_to_azel
from controller.geometry.solar_system import EARTH, MOON, SUN, built_in
from controller.geometry.stars import bright_stars, observed
from controller.pointing.elements import load_elements
from controller.pointing.ephemeris.described import parse_described
from controller.pointing.ephemeris.ephemeris import EphemerisError, iso
from controller.pointing.ephemeris.files import load_ephemerides
from controller.pointing.prediction import Observer, apparent_enu_m

ARTEMIS = "orbits/oem/Artemis_II_OEM_2026_04_10_Post-ICPS-Sep-to-EI.asc"
AU_M = 149_597_870_700.0
LIGHT_M_S = 299_792_458.0


def ns(text):
    return int(np.datetime64(text, "ns").astype(np.int64))


def only(path):
    (target,) = load_ephemerides(path)
    return target


def test_the_fourteen_jumps_of_the_artemis_file_are_found_and_no_other(shared_data):
    # ephemeris.md, finding 9: fourteen above a kilometre, the greatest 87.8 km; finite burns and the perigee are none.
    jumps = [n for n in only(shared_data / ARTEMIS).notes if "jumps" in n]
    sizes = [float(re.search(r"by ([\d.]+) km", note).group(1)) for note in jumps]
    assert len(sizes) == 14
    assert min(sizes) > 1.0
    assert max(sizes) == pytest.approx(87.814, abs=1e-3)
    worst = jumps[int(np.argmax(sizes))]
    assert "2026-04-05T14:59:05.944Z and 2026-04-05T15:00:43.855Z" in worst


def test_nothing_is_interpolated_across_a_jump(shared_data):
    artemis = only(shared_data / ARTEMIS)
    with pytest.raises(EphemerisError, match="between parts that end at 2026-04-05T14:59:05"):
        artemis.position_m(np.array([ns("2026-04-05T15:00:00")]))


def test_artemis_is_where_horizons_has_it(shared_data):
    # Horizons -1024, geocentric, ecliptic of J2000, AU, TDB. Where both have one orbit solution: 0.1 m.
    text = (shared_data / "orbits/horizons/ArtemisII_-1024_geocentric_vectors.txt").read_text(encoding="utf-8-sig")
    rows = [r.split(",") for r in text[text.index("$$SOE") : text.index("$$EOE")].splitlines()[1:]]
    ecliptic = np.array([[float(v) for v in row[3:6]] for row in rows]) * AU_M
    tdb_ns = np.round((np.array([float(row[0]) for row in rows]) - 2440587.5) * 1440).astype(np.int64) * 60 * 10**9
    t = tdb_ns - np.round(np.array([float(row[2]) for row in rows]) * 1e9).astype(np.int64)
    obliquity = np.radians(84381.448 / 3600)
    turn = np.array([[1, 0, 0], [0, np.cos(obliquity), -np.sin(obliquity)], [0, np.sin(obliquity), np.cos(obliquity)]])
    theirs = ecliptic @ turn.T
    artemis = only(shared_data / ARTEMIS)
    misses = []
    for moment, position in zip(t, theirs, strict=True):
        try:
            misses.append(np.linalg.norm(artemis.position_m(np.array([moment]))[0] - position))
        except EphemerisError:
            continue
    assert len(misses) > 2500
    assert np.median(misses) < 0.2


@pytest.mark.parametrize(("frame_file", "bound_m"), [("LEO_60s", 0.02)])
def test_rows_a_minute_apart_give_what_rows_ten_seconds_apart_say(shared_data, frame_file, bound_m):
    # The same orbit, written by STK each 10 s and each 60 s, with Lagrange of degree 7 in the metadata.
    coarse, fine = (only(shared_data / f"orbits/oem/bradsease_{name}.oem") for name in (frame_file, "LEO_10s"))
    t = coarse.start_utc_ns + np.arange(300, 3300, 10, dtype=np.int64) * 10**9
    assert np.linalg.norm(coarse.position_m(t) - fine.position_m(t), axis=-1).max() < bound_m


def test_an_oem_in_text_and_its_twin_in_xml_are_one_orbit(shared_data):
    text, xml = (only(shared_data / f"orbits/oem/orekit_OEMExample{name}") for name in ("8.txt", "3.xml"))
    assert (text.frame, text.name) == (xml.frame, xml.name)
    assert xml.parts[0].position_m[0] == pytest.approx([2789.6e3, -280.0e3, -1746.8e3])
    assert text.parts[0].position_m[0] == pytest.approx([2789.619e3, -280.045e3, -1746.755e3])


@pytest.mark.parametrize("name", ["57517", "63130"])
def test_mean_elements_in_text_and_xml_are_what_sgp4s_own_reader_makes_of_them(shared_data, name):
    path = shared_data / f"orbits/omm/bradsease_real_{name}.omm"
    from_text, from_xml = only(path), only(path.with_suffix(".xml"))
    words = [line.partition("=") for line in path.read_text().splitlines() if "=" in line]
    theirs = Satrec()
    initialize(theirs, {k.strip(): v.strip() for k, _, v in words})
    t = from_text.epoch_utc_ns + np.arange(0, 86400, 3600, dtype=np.int64) * 10**9
    _, position_km, _ = theirs.sgp4_array(t * 0.0 + 2440587.5, t / 86400e9)
    assert from_text.position_m(t) == pytest.approx(from_xml.position_m(t), abs=0)
    assert from_text.position_m(t) == pytest.approx(position_km * 1e3, abs=0.1)  # one double for the date: 40 µs


def test_mean_elements_of_the_csv_are_those_of_the_two_lines(shared_data, tmp_path):
    # sgp4's exporter writes the same elements as OMM; written as CSV and as JSON they propagate alike.
    import csv
    import json

    from sgp4.exporter import export_omm

    iss = load_elements(shared_data / "orbits/tle/skyfield_iss_25544.tle")[0]
    fields = export_omm(iss.satrec, "ISS")
    with (tmp_path / "iss.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        writer.writerow(fields)
    (tmp_path / "iss.json").write_text(json.dumps([fields]))
    t = iss.epoch_utc_ns + np.arange(0, 86400, 600, dtype=np.int64) * 10**9
    for name in ("iss.csv", "iss.json"):
        assert only(tmp_path / name).position_m(t) == pytest.approx(iss.position_m(t), abs=0.05)


def test_an_sp3_orbit_interpolates_into_its_own_rows(shared_data, tmp_path):
    # STELLA each 180 s (SGF): every second row left out is found again from the others.
    stella = only(shared_data / "orbits/sp3/nsgf.orb.stella.v00.sp3.gz")
    part = stella.parts[0]
    from dataclasses import replace

    half = replace(part, tai_ns=part.tai_ns[::2], position_m=part.position_m[::2], velocity_m_s=part.velocity_m_s[::2])
    inner = slice(9, -10, 2)
    assert np.linalg.norm(half.at(part.tai_ns[inner]) - part.position_m[inner], axis=-1).max() < 3.0
    speed = np.linalg.norm(part.velocity_m_s, axis=-1)
    moved = np.linalg.norm(np.diff(part.position_m, axis=0), axis=-1) / 180
    assert speed[:-1] == pytest.approx(moved, rel=0.01)  # decimetres a second were understood


def test_cpf_versions_one_and_two_are_read_alike(shared_data):
    first, second = (
        only(shared_data / "orbits/cpf_crd" / name)
        for name in ("lageos2_cpf_160213_5441.sgf", "lageos1_cpf_180613_16401.hts")
    )
    assert (first.name, iso(first.epoch_utc_ns)) == ("lageos2", "2016-02-13T02:00:00.000Z")
    assert (second.name, iso(second.epoch_utc_ns)) == ("lageos1", "2018-06-13T12:00:00.000Z")
    for target in (first, second):
        t = target.start_utc_ns + np.arange(0, 20000, 100, dtype=np.int64) * 10**9
        radius = np.linalg.norm(target.position_m(t), axis=-1)
        assert (np.abs(radius - 12.2e6) < 3e5).all()


def test_the_moon_turns_its_face_as_the_almanac_has_it():
    # Meeus, Astronomical Algorithms, example 53.a: 1992-04-12 0h TD, libration -1.23 deg, 4.20 deg. His axes are the
    # principal ones, 79" from the mean ones of the IAU.
    longitude, latitude = sub_point(MOON, MOON, EARTH, ns("1992-04-11T23:59:01"), light_time=True)
    assert longitude == pytest.approx(-1.23, abs=0.03)
    assert latitude == pytest.approx(4.20, abs=0.03)


def test_mars_turns_as_allison_and_mcewen_have_it():
    # Mars24's worked example: 2000-01-06 00:00 UTC, subsolar longitude 174.726 W, declination -24.980 (areocentric).
    longitude, latitude = sub_point(MARS, 4, SUN, ns("2000-01-06T00:00:00"), light_time=False)
    assert -longitude == pytest.approx(174.726, abs=0.02)
    assert latitude == pytest.approx(-24.980, abs=0.01)


def sub_point(body, at, seen_from, t, light_time):
    """East longitude and latitude in degrees of the point of a body under another."""
    t = np.array([t])
    sight = built_in().position_m(seen_from, t) - built_in().position_m(at, t)
    if light_time:
        t = t - round(float(np.linalg.norm(sight)) / LIGHT_M_S * 1e9)
        sight = built_in().position_m(seen_from, t) - built_in().position_m(at, t)
    x, y, z = to_icrf(body, t)[0].T @ sight[0]
    return np.degrees([np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))])


def test_a_site_on_the_moon_is_on_the_side_that_faces_us():
    text = '[target]\nkind = "site"\nbody = "moon"\nlatitude_deg = 26.1333\nlongitude_deg = 3.6285\n'
    (apollo,) = parse_described(text, "apollo.toml")
    t = ns("2026-01-01T00:00:00") + np.arange(0, 28 * 86400, 7200, dtype=np.int64) * 10**9
    earth_m, moon_m = built_in().position_m(EARTH, t), built_in().position_m(MOON, t)
    nearer = np.linalg.norm(moon_m - earth_m, axis=-1) - np.linalg.norm(apollo.position_m(t) - earth_m, axis=-1)
    assert (nearer > 0.80 * 1_737_400).all()  # cos 26 deg, less by librations of 8 degrees
    assert (nearer < 1_737_400).all()


def test_a_described_star_stands_where_erfas_own_chain_has_it(earth, site):
    # Another way to the same place: ERFA's star chain (atciq, atioq) in geometry.stars.
    t = ns("2026-03-01T02:00:00")
    for star in bright_stars()[:12]:
        text = (
            f'[target]\nkind = "star"\nright_ascension_deg = {star.right_ascension_deg}\n'
            f"declination_deg = {star.declination_deg}\nmotion_ra_mas_yr = {star.motion_ra_mas_yr}\n"
            f"motion_dec_mas_yr = {star.motion_dec_mas_yr}\n"
        )
        (target,) = parse_described(text, "star.toml")
        azimuth, elevation = observed([star], t, site, earth, 1.55)
        if elevation[0] < np.radians(15):
            continue
        receive, _ = apparent_enu_m(target, np.array([t]), Observer(site, earth))
        ours = enu_to_azel(receive[0])
        assert np.angle(np.exp(1j * (ours[0] - azimuth[0]))) * np.cos(elevation[0]) == pytest.approx(0, abs=2e-8)
        assert ours[1] == pytest.approx(elevation[0], abs=2e-7)  # their refraction is the star's below 15 degrees


def test_the_moon_by_the_kernel_is_skyfields_moon(shared_data, earth):
    # orbits/tables/truth_vectors.json: skyfield's own Horizons case, DE430, 2015-03-02 TDB, Moon minus Boston.
    kernel = shared_data / "orbits/spk/de430-2015-03-02.bsp"
    moon = next(t for t in load_ephemerides(kernel) if t.name == "MOON")
    t = np.array([ns("2015-03-02T00:00:00") - 67_184_000_000])  # TDB to UTC
    boston = Site(42 + 21 / 60 + 24.1 / 3600, -(71 + 3 / 60 + 24.8 / 3600), 0.0)
    telescope = Telescope.at(t, boston, earth, moon.solar_system)
    theirs = np.array([-0.001341501206552443, 0.002190483327459023, 0.0006839177007993498]) * AU_M
    assert (moon.position_m(t) - telescope.position_m)[0] == pytest.approx(theirs, abs=3.0)  # UT1 to 4 ms
