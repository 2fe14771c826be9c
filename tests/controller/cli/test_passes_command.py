"""`boresight passes`: the list, JSON, and what a wrong input says."""

from __future__ import annotations

import csv
import gc
import json
from datetime import datetime
from itertools import pairwise

import numpy as np
import pytest
import typer
from sgp4.exporter import export_omm
from typer.testing import CliRunner

from controller.cli.connect import DEFAULT_RIG
from controller.cli.pass_rows import row as row_of
from controller.cli.passes import passes
from controller.errors import BoresightError
from controller.pointing.elements import built_in_elements, find
from controller.pointing.ephemeris.ephemeris import NS, iso

# GOES 16, CelesTrak 2025-10-03: geostationary at 75 W (figures), 20 degrees up from nowhere near Tenerife.
GOES = [
    "GOES 16",
    "1 41866U 16071A   25276.40000000 -.00000266  00000+0  00000+0 0  999",
    "2 41866   0.1000 100.0000 0000900 150.0000 200.0000  1.00270000 3240",
]


def with_checksum(line):
    digits = sum(int(c) if c.isdigit() else c == "-" for c in line) % 10
    return f"{line:<68}"[:68] + str(digits)


def run(*arguments):
    app = typer.Typer()
    app.command()(passes)
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "100"})


def test_the_passes_of_a_target_are_listed_in_order_of_time():
    result = run("--target", "STARLINK-1008", "--json")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert answer["site"] == "ogs"
    times = [row["rise_utc"] for row in answer["passes"]]
    assert times == sorted(times)
    assert len(times) > 2
    # ephemeris.md, section 6: it culminates at 63.49 deg on 2025-10-04, seen a day and a half before; here at 41.9 deg
    assert answer["passes"][0]["elevation_max_deg"] == pytest.approx(41.89, abs=0.01)
    assert all(row["target"] == "STARLINK-1008" for row in answer["passes"])


def test_without_a_target_the_highest_come_first_and_say_what_the_mount_cannot_do():
    rows = json.loads(run("--count", "5", "--json").stdout)["passes"]
    assert len(rows) == 5
    peaks = [row["elevation_max_deg"] for row in rows]
    assert peaks == sorted(peaks, reverse=True)
    assert peaks[0] > 75
    assert "azimuth would have to turn" in rows[0]["refusal"]
    assert rows[0]["predicted_outage_s"] > 5


def test_the_table_fits_a_terminal():
    result = run("--target", "STARLINK-1008")
    assert result.exit_code == 0
    assert "STARLINK-1008" in result.stdout
    assert "…" not in result.stdout
    assert max(len(line) for line in result.stdout.splitlines()) <= 80


def test_a_file_of_elements_is_searched(tmp_path):
    file = tmp_path / "one.tle"
    one = find(built_in_elements(), "STARLINK-1048")
    file.write_text(f"{one.name}\n{one.line1}\n{one.line2}\n")
    rows = json.loads(run("--tle", str(file), "--json").stdout)["passes"]
    assert {row["target"] for row in rows} == {"STARLINK-1048"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--target", "STARLINK-108"), "did you mean"),
        (("--tle", "no/such/file.tle"), "no/such/file.tle does not exist"),
        (("--rig", "no/such/rig.toml"), "no/such/rig.toml"),
        (("--start", "tomorrow"), "--start tomorrow is no time; give UTC as"),
        (("--start", "2026-10-04T12:00"), "fetch a newer element set"),
        (("--now", "--start", "2025-10-04T06:00", "--target", "STARLINK-1008"), "try a later --start"),
        (("--target", "STARLINK-1008", "--plot", "sky.gif"), "give a name that ends so"),
    ],
)
def test_a_wrong_input_is_one_sentence_and_no_list(arguments, words):
    result = run(*arguments)
    assert result.exit_code == 1
    assert words in str(result.exception)
    assert "\n" not in str(result.exception).strip()
    assert result.stdout == ""


def test_a_satellite_that_never_rises_is_said_so(tmp_path):
    file = tmp_path / "goes.tle"
    file.write_text("\n".join([GOES[0], with_checksum(GOES[1]), with_checksum(GOES[2])]))
    result = run("--tle", str(file), "--target", "GOES 16")
    assert result.exit_code == 1
    assert isinstance(result.exception, BoresightError)
    assert "never rises above 20 deg over ogs" in str(result.exception)


def test_two_sites_are_searched_at_once_and_each_pass_names_its_own(tmp_path):
    south = tmp_path / "south.toml"
    south.write_text(DEFAULT_RIG.read_text().replace('name = "ogs"', 'name = "south"').replace("28.2995", "-28.2995"))
    rows = json.loads(run("--rig", str(DEFAULT_RIG), "--rig", str(south), "--target", "STARLINK-1008", "--json").stdout)
    alone = json.loads(run("--rig", str(south), "--target", "STARLINK-1008", "--json").stdout)["passes"]
    assert {row["site"] for row in rows["passes"]} == {"ogs", "south"}
    assert [row for row in rows["passes"] if row["site"] == "south"] == alone


def test_every_pass_goes_into_the_csv_file_and_the_highest_are_listed(tmp_path):
    file = tmp_path / "passes.csv"
    listed = json.loads(run("--count", "3", "--csv", str(file), "--json").stdout)["passes"]
    written = list(csv.DictReader(file.read_text().splitlines()))
    assert len(written) > 50
    assert [row["culmination_utc"] for row in written] == sorted(row["culmination_utc"] for row in written)
    for row in listed:
        (same,) = [w for w in written if w["target"] == row["target"] and w["rise_utc"] == row["rise_utc"]]
        assert float(same["elevation_max_deg"]) == row["elevation_max_deg"]
        assert float(same["azimuth_rise_deg"]) == pytest.approx(row["azimuth_rise_deg"], abs=0.02)
        assert float(same["azimuth_rate_max_deg_s"]) == pytest.approx(row["rate_max_deg_s"][0], rel=0.02)


def test_a_search_begins_when_it_is_told_to_and_ends_after_its_hours():
    rows = json.loads(run("--start", "2025-10-04T06:00", "--hours", "8", "--count", "100", "--json").stdout)["passes"]
    assert len(rows) > 5
    assert all("2025-10-04T06:00" <= row["culmination_utc"] <= "2025-10-04T14:00" for row in rows)


def test_what_to_take_now_is_up_or_about_to_rise_can_be_flown_and_lasts_longest():
    result = run("--now", "--start", "2025-10-04T12:41", "--json")
    rows = json.loads(result.stdout)["passes"]
    assert rows
    assert all(row["set_utc"] > "2025-10-04T12:42" and row["rise_utc"] < "2025-10-04T12:51" for row in rows)
    assert not any("azimuth would have to turn" in row["refusal"] for row in rows)
    assert f"Take {rows[0]['target']}" in run("--now", "--start", "2025-10-04T12:41").stdout


def as_states(folder, elements, begin_ns, end_ns):
    """An element set as a list of states: known from one time to another only."""
    t = np.arange(begin_ns, end_ns, 5 * NS, dtype=np.int64)
    file = folder / "states.csv"
    rows = [f"{iso(int(at))},{x:.3f},{y:.3f},{z:.3f}" for at, (x, y, z) in zip(t, elements.position_m(t), strict=True)]
    file.write_text("\n".join(["# frame = TEME", "# name = states", "t_utc,x_m,y_m,z_m", *rows]) + "\n")
    return file


def test_a_list_of_states_has_the_passes_of_the_elements_it_was_made_from_by_the_other_finder(tmp_path):
    one = find(built_in_elements(), "STARLINK-1008")
    begin = one.epoch_utc_ns // NS * NS
    file = as_states(tmp_path, one, begin, begin + 86_400 * NS)
    span = ("--start", iso(begin + 3600 * NS), "--hours", "22", "--json")
    known = run("--ephemeris", str(file), *span)
    rows = json.loads(known.stdout)["passes"]
    wanted = json.loads(run("--target", "STARLINK-1008", *span).stdout)["passes"]
    assert len(rows) == len(wanted) > 2
    assert "is read as" in known.stderr
    for row, same in zip(rows, wanted, strict=True):
        assert (row["target"], row["catalogue_number"], row["cut"]) == ("states", None, "")
        for key in ("rise_utc", "culmination_utc", "set_utc"):
            seconds = [datetime.fromisoformat(r[key]).timestamp() for r in (row, same)]
            assert seconds[0] == pytest.approx(seconds[1], abs=0.02)
        for key in ("elevation_max_deg", "azimuth_culmination_deg", "azimuth_rise_deg", "azimuth_set_deg", "range_km"):
            assert row[key] == pytest.approx(same[key], abs=0.02)
        assert (row["sunlit"], row["dark"]) == (same["sunlit"], same["dark"])


def test_a_pass_is_cut_where_the_states_end_and_taken_now_drawn_and_written_all_the_same(tmp_path):
    one = find(built_in_elements(), "STARLINK-1008")
    whole = json.loads(run("--target", "STARLINK-1008", "--json").stdout)["passes"][0]
    rise, top, fall = (
        round(datetime.fromisoformat(whole[f"{key}_utc"]).timestamp()) * NS for key in ("rise", "culmination", "set")
    )
    file = as_states(tmp_path, one, rise - 600 * NS, top + 60 * NS)
    table, sky = tmp_path / "passes.csv", tmp_path / "sky.png"
    asked = ("--ephemeris", str(file), "--now", "--start", iso(rise - 60 * NS), "--csv", str(table), "--plot", str(sky))
    (row,) = json.loads(run(*asked, "--json").stdout)["passes"]
    assert "what is known of states ends at" in row["cut"]
    assert datetime.fromisoformat(row["set_utc"]).timestamp() < top / NS + 60 < fall / NS
    told = run(*asked)
    assert "Take states" in told.stdout
    assert row["cut"] in told.stderr
    (written,) = csv.DictReader(table.read_text().splitlines())
    assert (written["target"], written["catalogue_number"]) == ("states", "")
    assert float(written["azimuth_rate_max_deg_s"]) == pytest.approx(row["rate_max_deg_s"][0], rel=0.02)
    assert sky.stat().st_size > 10_000


def test_a_catalogue_of_mean_elements_is_searched_as_two_lines_are(tmp_path):
    sets = [find(built_in_elements(), name) for name in ("STARLINK-1008", "STARLINK-1048")]
    file = tmp_path / "catalogue.json"
    file.write_text(json.dumps([export_omm(s.satrec, s.name) for s in sets]))
    rows = json.loads(run("--ephemeris", str(file), "--count", "4", "--json").stdout)["passes"]
    wanted = tmp_path / "two.tle"
    wanted.write_text("".join(f"{s.name}\n{s.line1}\n{s.line2}\n" for s in sets))
    assert rows == json.loads(run("--tle", str(wanted), "--count", "4", "--json").stdout)["passes"]


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_the_listed_passes_are_drawn(tmp_path, ending):
    file = tmp_path / f"sky.{ending}"
    assert run("--target", "STARLINK-1008", "--plot", str(file)).exit_code == 0
    assert file.stat().st_size > 10_000
    if ending == "svg":
        assert "STARLINK-1008" in file.read_text().replace("&#45;", "-")


def test_the_masks_of_a_rig_are_drawn_around_its_passes(tmp_path):
    rows = [f"{azimuth},{20 + azimuth // 90}" for azimuth in range(360)]
    (tmp_path / "walls.csv").write_text("\n".join(["azimuth_deg,elevation_deg", *rows]))
    text = DEFAULT_RIG.read_text().replace("park_azimuth_deg", 'horizon_mask = "walls.csv"\npark_azimuth_deg')
    (tmp_path / "rig.toml").write_text(text)
    file = tmp_path / "sky.svg"
    asked = ("--rig", str(tmp_path / "rig.toml"), "--target", "STARLINK-1008", "--plot", str(file))
    assert run(*asked).exit_code == 0
    assert "no motion below" in file.read_text()


def test_a_way_through_the_constellation_is_listed_turn_by_turn():
    rows = json.loads(run("--handover", "30", "--hours", "6", "--json").stdout)["passes"]
    assert len(rows) > 5
    for before, after in pairwise(rows):
        overlap_s = (
            datetime.fromisoformat(before["leave_utc"]) - datetime.fromisoformat(after["take_utc"])
        ).total_seconds()
        assert after["overlap_s"] == pytest.approx(overlap_s, abs=0.002)
        assert after["overlap_s"] <= 30
        assert 0 < after["slew_deg"] < 180
    assert [row["leave_utc"] for row in rows] == [row["set_utc"] for row in rows]
    told = run("--handover", "30", "--hours", "6").stdout
    assert f"{len(rows)} satellites, {len(rows) - 1} handovers" in told


def test_a_way_through_is_for_one_site_and_all_of_the_time():
    with pytest.raises(BoresightError, match="leave out --now"):
        raise run("--handover", "30", "--now").exception


def test_no_cycles_are_collected_while_passes_are_searched_and_they_are_again_afterwards(monkeypatch):
    collecting = []

    def watched(*arguments):
        collecting.append(gc.isenabled())
        return row_of(*arguments)

    monkeypatch.setattr("controller.cli.passes.row", watched)
    assert run("--count", "2", "--json").exit_code == 0
    assert collecting == [False, False]
    assert gc.isenabled()
    assert run("--target", "NO-SUCH-SATELLITE").exit_code == 1
    assert gc.isenabled()
