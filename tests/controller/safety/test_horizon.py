"""The horizon mask: what its file must be, which elevation counts, and what the vote makes of it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from controller.cli.rig import app, describe
from controller.geometry.horizon import CLOSED, HorizonError, HorizonMask, horizon_at, load_horizon
from controller.safety.votes import VOTERS
from hal.errors import RigError
from hal.rig import DEVICES, HORIZON, load_rig

DEG = math.pi / 180
SHIPPED = Path(__file__).parents[3] / "controller" / "data" / "rigs" / "ogs.toml"


def written(folder: Path, rows: list[str], header: str = "azimuth_deg,elevation_deg") -> Path:
    path = folder / "horizon.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def flat(elevation_deg: float = 5.0) -> list[str]:
    return [f"{azimuth},{elevation_deg}" for azimuth in range(360)]


def rig_with_mask(folder: Path) -> Path:
    text = SHIPPED.read_text().replace("moon_cone_deg = 2.0", 'moon_cone_deg = 2.0\nhorizon_mask = "horizon.csv"')
    (folder / "rig.toml").write_text(text)
    return folder / "rig.toml"


def test_between_two_azimuths_the_higher_counts_also_across_north(tmp_path: Path) -> None:
    rows = flat()
    rows[100], rows[359] = "100,40", "359,30"
    mask = load_horizon(written(tmp_path, rows))
    at = {deg: mask.at(deg * DEG) / DEG for deg in (98.9, 99.1, 100.0, 100.9, 101.1, 359.5, -0.5, 0.0)}
    expected = {98.9: 5, 99.1: 40, 100.0: 40, 100.9: 40, 101.1: 5, 359.5: 30, -0.5: 30, 0.0: 5}
    assert at == pytest.approx(expected)


def test_a_direction_that_is_no_number_is_below_every_mask() -> None:
    assert HorizonMask((0.0,) * 360).at(math.nan) == math.inf


@pytest.mark.parametrize(
    ("rows", "header", "told"),
    [
        (flat()[:359], "azimuth_deg,elevation_deg", "359 rows after the header; write 360"),
        (flat(), "az,el", "line 1 is not azimuth_deg,elevation_deg"),
        (["0,5", "2,5", *flat()[2:]], "azimuth_deg,elevation_deg", "line 3 is '2,5'; write azimuth 1"),
        (["0,nan", *flat()[1:]], "azimuth_deg,elevation_deg", "line 2 is '0,nan'"),
        (["0,91", *flat()[1:]], "azimuth_deg,elevation_deg", "from -10 to 90 degrees"),
        (["0,5,7", *flat()[1:]], "azimuth_deg,elevation_deg", "line 2 is '0,5,7'"),
        (["0,high", *flat()[1:]], "azimuth_deg,elevation_deg", "line 2 is '0,high'"),
    ],
)
def test_a_mask_with_a_mistake_is_refused_with_its_line(
    tmp_path: Path, rows: list[str], header: str, told: str
) -> None:
    with pytest.raises(HorizonError) as caught:
        load_horizon(written(tmp_path, rows, header))
    assert told in str(caught.value)


def test_emission_ends_below_the_mask_of_that_azimuth_and_in_an_orderly_way_behind_a_roof(good: Any) -> None:
    roof = HorizonMask(tuple(50 * DEG if 57 <= azimuth <= 60 else 0.0 for azimuth in range(360)))
    limits = replace(good.limits, horizon=roof)
    inputs = good.inputs()  # 45 deg high at 57.3 deg
    behind = VOTERS["horizon"](inputs, limits)
    assert (behind.ok, behind.orderly) == (False, True)
    assert "mask 50.00 deg" in behind.reason
    aside = replace(inputs.pointing, body=good.changed(good.pointing, azimuth_rad=0.5, target_azimuth_rad=0.5))
    assert VOTERS["horizon"](replace(inputs, pointing=aside), limits).ok


def test_the_station_mask_still_counts_where_the_horizon_mask_is_lower(good: Any) -> None:
    limits = replace(good.limits, horizon=HorizonMask((0.0,) * 360))
    low = good.changed(good.pointing, elevation_rad=19 * DEG, target_elevation_rad=19 * DEG)
    inputs = replace(good.inputs(), pointing=replace(good.inputs().pointing, body=low))
    assert not VOTERS["horizon"](inputs, limits).ok


def test_the_vote_says_when_a_setting_target_reaches_the_mask(good: Any) -> None:
    setting = good.changed(good.pointing, target_elevation_rate_rad_s=-0.5 * DEG)
    inputs = replace(good.inputs(), pointing=replace(good.inputs().pointing, body=setting))
    assert VOTERS["horizon"](inputs, good.limits).changes_in_s == pytest.approx(50.0)  # 25 deg at 0.5 deg/s


def test_a_rig_whose_mask_is_not_there_is_refused(tmp_path: Path) -> None:
    path = rig_with_mask(tmp_path)
    with pytest.raises(RigError, match=r'\[safety\] horizon_mask = "horizon.csv" is not there; put it beside'):
        load_rig(path, dict.fromkeys(DEVICES, ""))


def test_a_mask_that_cannot_be_used_locks_emission_and_closes_the_sky(tmp_path: Path) -> None:
    path = rig_with_mask(tmp_path)
    written(tmp_path, flat())
    rig = load_rig(path, dict.fromkeys(DEVICES, ""))
    mask, problems = horizon_at(rig.companions[HORIZON])
    assert mask is not None
    assert mask.at(1.0) == pytest.approx(5 * DEG)
    assert problems == []
    written(tmp_path, flat()[:10])
    mask, problems = horizon_at(rig.companions[HORIZON])
    assert mask is CLOSED
    assert problems == ["horizon.csv: 10 rows after the header; write 360, one a degree."]
    assert problems[0] in describe(rig)["emission_locked"]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (flat(-1.0), ""),
        (flat()[:10], "horizon.csv: 10 rows after the header; write 360, one a degree."),
        (flat(32.0), "horizon.csv: the mount cannot be parked: that is 30.0 deg high, and the telescope stays 0.5 deg"),
    ],
)
def test_a_mask_for_motion_that_is_wrong_or_above_the_parked_mount_is_a_mistake_of_the_rig(
    tmp_path: Path, rows: list[str], told: str
) -> None:
    text = SHIPPED.read_text().replace("park_azimuth_deg", 'horizon_mask = "horizon.csv"\npark_azimuth_deg')
    (tmp_path / "rig.toml").write_text(text)
    written(tmp_path, rows)
    result = CliRunner().invoke(app, ["check", str(tmp_path / "rig.toml"), "--json"])
    assert result.exit_code == bool(told)
    assert told in result.output
