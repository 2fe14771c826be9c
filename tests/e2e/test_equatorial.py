"""Mounts on a wedge: an equatorial Sky-Watcher flies the pass that an alt-azimuth one does, over the same wire."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controller.cli.demo import DEFAULT_RIG
from controller.cli.flight import Flight
from controller.cli.summary import summary_of

SMALL_TELESCOPE = DEFAULT_RIG.parent / "small-telescope.toml"
RF_STATION = DEFAULT_RIG.parent / "rf-station.toml"
EQUATORIAL = """[gimbal]
mount = "equatorial"
start_azimuth_deg = 90.0   # switched on at the pole, counterweight down
start_elevation_deg = 90.0"""


def rig_of(folder: Path, shipped: Path, *changes: tuple[str, str]) -> Path:
    """A shipped rig with some lines changed."""
    text = shipped.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "rig.toml").write_text(text, encoding="utf-8")
    return folder / "rig.toml"


def test_an_equatorial_sky_watcher_follows_a_pass_open_loop_within_its_worms_and_the_air(
    short_pass: Any, tmp_path: Path
) -> None:
    """Truth is where the emulated sky has the satellite: a frame that is wrong anywhere is off by degrees."""
    rig = rig_of(
        tmp_path, RF_STATION, ("[gimbal]", EQUATORIAL), ('"rot2prog"', '"skywatcher"'), ("baud = 600 ", "baud = 9600 "),
        ("elevation_min_deg = 0.0", "elevation_min_deg = -80.0"), ("azimuth_max_deg = 540.0", "azimuth_max_deg = 180"),
    )  # fmt: skip
    flown = short_pass(8.0, rig=rig, ephemeris={"along_track_m": 0.0, "cross_track_m": 0.0})
    summary = summary_of(flown, 1)
    assert summary["gimbal"] == "skywatcher"
    assert summary["failures"] == {}
    assert summary["tracking_s"] == pytest.approx(8.0, abs=0.2)
    assert summary["tracking_error_rms_rad"] < 50e-6, "it was 23 µrad: what worms and wind make"


@pytest.mark.campaign
@pytest.mark.parametrize("mount", ["alt-az", "equatorial"])
def test_a_whole_calibrated_pass_is_flown_as_well_on_a_wedge(mount: str, tmp_path: Path, short_pass: Any) -> None:
    """Stars, model, acquisition and loops at once; both against the bound of test_small_telescope.py."""
    path = rig_of(tmp_path, SMALL_TELESCOPE, ("[gimbal]", f'[gimbal]\nmount = "{mount}"'))
    flight = Flight(path, short_pass.plan, tmp_path, 1)
    try:
        summary = summary_of(flight.fly({}), 1)
    finally:
        flight.close()
    assert summary["failures"] == {}
    assert summary["link_fraction"] > 0.95
    assert max(summary["coarse_error_rms_rad"]) <= 25e-6
    before, after = (max(summary[f"open_loop_error_{when}_rms_rad"]) for when in ("before", "after"))
    assert after < before / 5, "the model has the misalignment, not worms and play: 71 of 578 µrad, upright 55 of 661"
