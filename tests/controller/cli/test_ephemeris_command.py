"""`boresight ephemeris`, and `--ephemeris` of the verbs that plan: what is in a file, and what is said of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import typer
from starlink_oem import START, starlink_oem
from typer.testing import CliRunner

from controller.cli.ephemeris import ephemeris
from controller.cli.passes import passes
from controller.errors import BoresightError
from controller.geometry.earth import load_earth_orientation
from controller.geometry.frames import Site
from controller.geometry.trajectory import Trajectory
from controller.pointing.elements import built_in_elements, find
from controller.pointing.ephemeris.ephemeris import iso
from controller.pointing.passes import find_passes


def run(command, *arguments):
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "100"})


def test_an_ephemeris_says_its_span_age_and_where_the_target_stands(tmp_path):
    file = starlink_oem(tmp_path / "star.oem")
    result = run(ephemeris, str(file), "--at", "2025-10-04T12:44:00", "--json")
    assert result.exit_code == 0
    (row,) = json.loads(result.stdout)["targets"]
    assert (row["format"], row["frame"], row["start_utc"]) == ("CCSDS OEM", "TEME", "2025-10-04T12:30:00.000Z")
    assert row["age_days"] == pytest.approx(0.5306, abs=1e-3)
    seen = row["at"]
    assert 60 < seen["elevation_deg"] < 64
    assert seen["light_time_s"] == pytest.approx(seen["range_m"] / 299_792_458.0, abs=1e-9)
    assert seen["doppler_hz"] == pytest.approx(-seen["range_rate_m_s"] / 1550e-9, rel=0.01)
    assert 40 < np.hypot(*seen["point_ahead_urad"].values()) < 52


def test_a_time_outside_the_file_is_refused(tmp_path):
    result = run(ephemeris, str(starlink_oem(tmp_path / "star.oem")), "--at", "2025-10-04T13:30:00")
    assert isinstance(result.exception, BoresightError)
    assert "after its last position" in str(result.exception)


def test_a_pass_of_a_file_is_that_of_its_element_set(tmp_path):
    by_file = json.loads(run(passes, "--ephemeris", str(starlink_oem(tmp_path / "star.oem")), "--json").stdout)
    (row,) = by_file["passes"]
    one, site = find(built_in_elements(), "STARLINK-1008"), Site(28.2995, -16.5118, 2393.0)
    start = int(np.datetime64(START, "ns").astype(np.int64))
    (twin,) = find_passes(one, site, load_earth_orientation(), start, start + 1800 * 10**9, np.radians(20))
    assert row["cut"] == ""
    assert row["catalogue_number"] is None
    assert row["rise_utc"] == iso(twin.rise_utc_ns)
    assert row["elevation_max_deg"] == pytest.approx(np.degrees(twin.elevation_max_rad), abs=1e-3)


def test_a_file_that_ends_in_the_middle_of_a_pass_says_so(tmp_path):
    file = starlink_oem(tmp_path / "star.oem", rows=32)  # to 12:45:30, after the culmination
    result = run(passes, "--ephemeris", str(file))
    assert result.exit_code == 0
    assert "what is known of STAR ends at 2025-10-04T12:45:2" in result.stderr


def test_two_sources_at_once_are_refused(tmp_path):
    result = run(passes, "--ephemeris", "moon", "--tle", str(tmp_path / "x.tle"))
    assert "give one of them" in str(result.exception)


def test_what_has_no_two_lines_is_sent_to_the_station_as_a_trajectory(tmp_path):
    from controller.cli.connect import DEFAULT_RIG
    from controller.cli.control import next_pass
    from controller.cli.rig import emulated_devices
    from hal.rig import load_rig

    rig = load_rig(DEFAULT_RIG, dict.fromkeys(emulated_devices(DEFAULT_RIG), ""))
    now = int(np.datetime64("2025-10-04T12:35:00", "ns").astype(np.int64))
    file = starlink_oem(tmp_path / "star.oem")
    body = next_pass(rig, "", None, now, 14.0, above_limits=True, ephemeris=str(file))
    assert "line1" not in body
    path = Trajectory.from_body(body["segments"])
    assert path.start_utc_ns <= body["start_utc_ns"] < body["end_utc_ns"] <= path.end_utc_ns
    assert body["epoch_utc_ns"] == int(np.datetime64("2025-10-04T00:00:00", "ns").astype(np.int64))
