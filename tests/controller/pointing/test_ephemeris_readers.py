"""Files of positions: what is read, and the sentence for each way in which a file can be wrong."""

# ruff: noqa: E501 (files within lines)
from __future__ import annotations

import gzip
import re

import numpy as np
import pytest

from controller.errors import BoresightError
from controller.geometry.frames import Site
from controller.pointing.ephemeris.ephemeris import EphemerisError, Frame, age_warning
from controller.pointing.ephemeris.files import find_ephemeris, load_ephemerides

MINUTE = 60_000_000_000
OEM = """CCSDS_OEM_VERS = 2.0
CREATION_DATE = 2026-01-01T00:00:00
ORIGINATOR = TEST
META_START
OBJECT_NAME = ARIEL
OBJECT_ID = 2026-001A
CENTER_NAME = EARTH
REF_FRAME = EME2000
TIME_SYSTEM = UTC
START_TIME = 2026-01-01T00:00:00
STOP_TIME = 2026-01-01T00:09:00
META_STOP
"""
CPF = """H1 CPF  2  TST 2026  1  1  0  001 01 ariel
H2 2600101 1234 99999 2026 1 1 0 0 0 2026 1 1 0 9 0 60 1 1 0 0 0 1
H9
"""
OMM = {
    "OBJECT_NAME": "ARIEL", "OBJECT_ID": "2026-001A", "CENTER_NAME": "EARTH", "REF_FRAME": "TEME", "TIME_SYSTEM": "UTC",
    "MEAN_ELEMENT_THEORY": "SGP4", "EPOCH": "2026-01-01T00:00:00.000000", "MEAN_MOTION": "15.5", "ECCENTRICITY": "0.001",
    "INCLINATION": "51.6", "RA_OF_ASC_NODE": "10", "ARG_OF_PERICENTER": "20", "MEAN_ANOMALY": "30",
    "NORAD_CAT_ID": "123456789", "BSTAR": "0.0001", "MEAN_MOTION_DOT": "0", "MEAN_MOTION_DDOT": "0",
}  # fmt: skip
STATES = "# name = ascent\nt_utc,latitude_deg,longitude_deg,height_m,sigma_m\n"
RADIUS_KM, RATE = 7000.0, 2 * np.pi / 5828.5


def circle(minute):
    phase = RATE * 60 * minute
    r = RADIUS_KM * np.array([np.cos(phase), np.sin(phase), 0.0])
    v = RADIUS_KM * RATE * np.array([-np.sin(phase), np.cos(phase), 0.0])
    return r, v


def oem(rows=10, head=OEM, spoil=None):
    lines = []
    for minute in range(rows):
        r, v = circle(minute)
        if spoil is not None and minute >= spoil:
            r = r + np.array([0.0, 0.0, 5.0])
        lines.append(f"2026-01-01T00:{minute:02d}:00 " + " ".join(f"{x:.9f}" for x in (*r, *v)))
    return head + "\n".join(lines) + "\n"


def cpf(head=CPF, direction=0):
    rows = []
    for minute in range(10):
        r, _ = circle(minute)
        x, y, z = r * 1e3
        rows.append(f"10 {direction} 61041 {minute * 60:.6f} 0 {x:.3f} {y:.3f} {z:.3f}")
    return head + "\n".join(rows) + "\n99\n"


def kvn(fields):
    return "CCSDS_OMM_VERS = 2.0\n" + "\n".join(f"{k} = {v}" for k, v in fields.items()) + "\n"


def states(*rows, head=STATES):
    return head + "".join(f"{row}\n" for row in rows)


def load(tmp_path, text, name="file"):
    path = tmp_path / name
    path.write_text(text)
    return load_ephemerides(path)


def ns(text):
    return int(np.datetime64(text, "ns").astype(np.int64))


@pytest.mark.parametrize(
    ("text", "form", "frame"),
    [
        (oem(), "CCSDS OEM", Frame.GCRF),
        (cpf(), "ILRS CPF", Frame.ITRF),
        (kvn(OMM), "CCSDS OMM", Frame.TEME),
        (",".join(OMM) + "\n" + ",".join(OMM.values()) + "\n", "CCSDS OMM", Frame.TEME),
        ("[" + str(OMM).replace("'", '"') + "]", "CCSDS OMM", Frame.TEME),
        (states("2026-01-01T00:00:00,28,-16,0,10", "2026-01-01T00:01:00,28,-15,1e5,50"), "list of states", Frame.ITRF),
        ('[target]\nkind = "fixed"\nazimuth_deg = 10\nelevation_deg = 20\n', "direction over the station", Frame.HORIZON),
        ('[target]\nkind = "body"\nbody = "moon"\n', "JPL kernel (SPK)", Frame.BCRF),
    ],
)  # fmt: skip
def test_a_format_is_told_by_the_content(tmp_path, text, form, frame):
    (target,) = load(tmp_path, text)
    assert (target.format, target.frame) == (form, frame)


def test_positions_between_rows_are_those_of_the_orbit(tmp_path):
    (target,) = load(tmp_path, oem())
    t = ns("2026-01-01T00:04:30")
    assert target.position_m(np.array([t]))[0] == pytest.approx(circle(4.5)[0] * 1e3, abs=0.05)


def test_a_packed_file_is_unpacked(tmp_path):
    path = tmp_path / "oem.gz"
    path.write_bytes(gzip.compress(oem().encode()))
    assert load_ephemerides(path)[0].name == "ARIEL"


@pytest.mark.parametrize("text", [oem(), cpf()])
def test_nothing_is_extrapolated(tmp_path, text):
    (target,) = load(tmp_path, text)
    for moment, words in (("2025-12-31T23:59:59", "before its first"), ("2026-01-01T00:09:01", "after its last")):
        assert not target.known(np.array([ns(moment)])).any()
        with pytest.raises(EphemerisError, match=f"1.0 s {words} position"):
            target.position_m(np.array([ns(moment)]))


def test_a_break_of_five_kilometres_is_found_and_said(tmp_path):
    (target,) = load(tmp_path, oem(rows=20, spoil=10))
    assert len(target.parts) == 2
    assert "jumps by 5.000 km" in target.notes[0]
    assert "between 2026-01-01T00:09:00.000Z and 2026-01-01T00:10:00.000Z" in target.notes[0]


def test_an_old_file_is_said_to_be_old(tmp_path):
    (target,) = load(tmp_path, kvn(OMM))
    assert age_warning(target, ns("2026-01-10T00:00:00")) == ""
    assert "20.0 days after the epoch of ARIEL" in age_warning(target, ns("2026-01-21T00:00:00"))


def test_the_uncertainty_of_a_list_of_states_grows_with_it(tmp_path):
    (target,) = load(tmp_path, states("2026-01-01T00:00:00,28,-16,0,10", "2026-01-01T00:01:00,28,-15,1e5,50"))
    sigmas = [np.sqrt(target.covariance_m2(ns(t))[0, 0]) for t in ("2026-01-01T00:00:30", "2026-01-01T00:01:00")]
    assert sigmas == [10.0, 50.0]
    start = target.position_m(np.array([ns("2026-01-01T00:00:00")]))[0]
    assert start == pytest.approx(Site(28.0, -16.0, 0.0).itrf_m, abs=1e-6)


def test_a_leap_second_is_a_second_between_rows(tmp_path):
    rows = [f"2016-12-31T23:59:{s},{1000.0 * i},0,7e6" for i, s in enumerate(("58", "59", "60"))]
    rows.append("2017-01-01T00:00:00,3000.0,0,7e6")
    (target,) = load(tmp_path, states(*rows, head="t_utc,x_m,y_m,z_m\n"))
    x = target.position_m(np.array([ns("2016-12-31T23:59:59.5"), ns("2017-01-01T00:00:00")]))[:, 0]
    assert x == pytest.approx([1500.0, 3000.0], abs=1e-6)


def test_dynamical_time_is_69_seconds_from_utc(tmp_path):
    utc = load(tmp_path, oem())[0]
    tt = load(tmp_path, oem(head=OEM.replace("TIME_SYSTEM = UTC", "TIME_SYSTEM = TT")))[0]
    assert utc.start_utc_ns - tt.start_utc_ns == 69_184_000_000


WRONG = [
    (OEM.replace("REF_FRAME", "REF_FRAM"), "line 8: REF_FRAM is no key here; did you mean REF_FRAME?"),
    (OEM.replace("EME2000", "EME200"), "line 8: EME200 is a frame that is not known here; did you mean EME2000?"),
    (OEM.replace("= UTC", "= UCT"), "line 9: UCT is no time scale that is known here; did you mean UTC?"),
    (OEM.replace("= EARTH", "= ERTH"), "line 7: ERTH is a centre that is not known here; did you mean EARTH?"),
    (OEM.replace("OBJECT_NAME = ARIEL\n", ""), "OBJECT_NAME is missing"),
    (OEM.replace("META_STOP", "INTERPOLATION = HERMIT\nMETA_STOP"), "did you mean HERMITE?"),
]


@pytest.mark.parametrize(("head", "words"), WRONG)
def test_a_wrong_key_of_an_oem_is_named_with_its_line_and_the_nearest(tmp_path, head, words):
    with pytest.raises(EphemerisError, match=re.escape(words)):
        load(tmp_path, oem(head=head))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (oem().replace("2026-01-01T00:03:00", "2026-01-01T00:02:00"), "line 16: this row is not later"),
        (oem().replace("2026-01-01T00:03:00 ", "2026-01-01T00:03:00 x "), "line 16: a row needs a date and six numbers"),
        (oem().replace("2026-01-01T00:03:00", "2026-13-01T00:03:00"), "line 16: the date: '2026-13-01T00:03:00' is no day"),
        (oem(rows=1), "this block has 1 rows"),
        (cpf(direction=1), "line 4: direction 1 (light time built in) is not read"),
        (cpf(head=CPF.replace("60 1 1 0 0 0 1", "60 1 1 1 0 0 1")), "line 2: reference frame 1 is inertial"),
        (cpf(head=CPF.replace("H9", "X9")), "line 3: no record of a CPF begins with X9"),
        (kvn(OMM | {"MEAN_MOTION": "fast"}), "MEAN_MOTION is 'fast', no number"),
        (kvn(OMM | {"REF_FRAME": "ICRF"}), "REF_FRAME is ICRF; SGP4's elements are in TEME"),
        (kvn(OMM | {"MEAN_ELEMENT_THEORY": "DSST"}), "the theory DSST"),
        (kvn({k: v for k, v in OMM.items() if k != "EPOCH"}), "EPOCH is missing"),
        (states("2026-01-01T00:00:00,28,-16,0,10", head="t_utc,latitude_deg,longitude,height_m,sigma_m\n"),
         "line 1: longitude is no column of a list of states; did you mean longitude_deg?"),
        (states("2026-01-01T00:00:00,28,-16"), "line 3: 3 values under 5 headings"),
        ('[target]\nkind = "sight"\n', "kind 'sight' is no kind of target; did you mean site?"),
        ('[target]\nkind = "fixed"\nazimut_deg = 3\n', "azimut_deg is no key of a fixed; did you mean azimuth_deg?"),
        ('[target]\nkind = "fixed"\nazimuth_deg = 3\n', "elevation_deg is missing"),
        ('[target]\nkind = "star"\nright_ascension_deg = 400\ndeclination_deg = 0\n', "a number from 0 to 360"),
        ('[target]\nkind = "body"\nbody = "mooon"\n', "no body mooon; did you mean MOON?"),
        ('[target]\nkind = "site"\nbody = "venus"\nlatitude_deg = 0\nlongitude_deg = 0\n', "rotation of venus is not known"),
        ("<?xml version='1.0'?>\n<!DOCTYPE x [<!ENTITY a 'b'>]>\n<oem id='CCSDS_OEM_VERS'></oem>", "line 2: a document type"),
        ("<?xml version='1.0'?>\n<oem id='CCSDS_OEM_VERS'><body>", "line 2: not well-formed XML"),
        ("[{]  MEAN", "line 1: not JSON"),
        ("hello", "is in no format that is read here (it begins 'hello')"),
        ("", "(it is empty)"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_sentence(tmp_path, text, words):
    with pytest.raises(BoresightError, match=re.escape(words)) as caught:
        load(tmp_path, text)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert str(tmp_path / "file") in sentence or "DE421" in sentence or "de421" in sentence


def test_what_is_no_file_is_said(tmp_path):
    for path, words in ((tmp_path / "none", "does not exist"), (tmp_path, "is a folder")):
        with pytest.raises(EphemerisError, match=words):
            load_ephemerides(path)
    damaged = tmp_path / "damaged.gz"
    damaged.write_bytes(gzip.compress(oem().encode())[:200])
    with pytest.raises(EphemerisError, match="is a damaged"):
        load_ephemerides(damaged)


def test_a_name_that_is_not_there_gets_the_nearest(tmp_path):
    both = oem() + oem(head=OEM.partition("META_START")[1] + OEM.partition("META_START")[2].replace("ARIEL", "OBERON"))
    found = load(tmp_path, both)
    assert [target.name for target in found] == ["ARIEL", "OBERON"]
    assert find_ephemeris(found, "oberon").name == "OBERON"
    with pytest.raises(EphemerisError, match="did you mean OBERON"):
        find_ephemeris(found, "OBERN")
    with pytest.raises(EphemerisError, match="holds 2 targets; name one with --target: ARIEL, OBERON"):
        find_ephemeris(found)


def test_one_state_is_carried_on_as_kepler_has_it_but_for_the_flattening(tmp_path):
    r, v = circle(0)
    lines = "\n".join(
        f"{k} = {x:.9f}" for k, x in zip(("X", "Y", "Z", "X_DOT", "Y_DOT", "Z_DOT"), (*r, *v), strict=True)
    )
    head = OEM.replace("OEM", "OPM").replace("START_TIME = 2026-01-01T00:00:00\nSTOP_TIME = 2026-01-01T00:09:00\n", "")
    (target,) = load(tmp_path, head + "EPOCH = 2026-01-01T00:00:00\n" + lines + "\n")
    assert target.format == "CCSDS OPM"
    assert "one state, carried on for 6 h" in target.notes[0]
    quarter = target.position_m(np.array([target.start_utc_ns + round(5828.5e9 / 4)]))[0]
    # In the equator's plane the flattening pulls 1.5 J2 (R/r)^2 = 1.35e-3 more: 3 km inward and on, a quarter later.
    assert np.linalg.norm(quarter - [0.0, RADIUS_KM * 1e3, 0.0]) == pytest.approx(11e3, abs=6e3)
    assert np.linalg.norm(quarter) < RADIUS_KM * 1e3
