"""The rig of an RF station flies a short arc open loop: a ROT2PROG at 600 baud, and neither camera nor laser."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from controller.cli import main
from controller.cli.demo import DEFAULT_RIG
from controller.cli.summary import summary_of

ARC_S = 20.0
RF_STATION = DEFAULT_RIG.parent / "rf-station.toml"
STEP_DEG = 0.5  # of a ROT2PROG as it is delivered


@pytest.fixture
def summary(short_pass: Any) -> dict[str, Any]:
    flown = short_pass(ARC_S, rig=RF_STATION)
    assert flown.bench.devices.laser is flown.bench.devices.camera is None
    return summary_of(flown, 1)


def test_an_rf_station_follows_a_pass_within_a_step_of_its_rotator(summary: dict[str, Any]) -> None:
    assert summary["gimbal"] == "rot2prog"
    assert summary["failures"] == {}
    assert set(summary["mode_times_s"]) == {"STOWED", "SLEW", "POINT"}, "nothing is looked for, nothing emits"
    assert summary["tracking_s"] == pytest.approx(ARC_S, abs=0.2)
    assert summary["tracking_error_rms_rad"] <= math.radians(STEP_DEG)
    assert summary["pointing_loss_mean_db"] <= 0.12, "12 (0.5 / 5)^2 dB"
    assert (summary["final_mode"], summary["final_reason"]) == ("STOWED", "the pass is over: parking")


def test_the_demo_flies_a_shipped_rig_by_name_and_shows_degrees(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wish = ["--rig", "rf-station", "--target", "STARLINK-1598", "--arc", "5", "--out", str(tmp_path)]
    main(["demo", *wish])
    shown = capsys.readouterr().err
    assert "tracking error, open loop" in shown
    assert "dB lost" in shown
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "tracking error, rms" in report
    assert "Off the target" in report
    for foreign in ("<h2>How each loop", "<h2>Received power", "<h2>Residual spectrum", "says nothing"):
        assert foreign not in report


@pytest.mark.parametrize("driver", ["easycomm", "easycomm3"])
def test_encoders_of_a_tenth_of_a_degree_are_good_enough_to_be_on_the_path(
    driver: str, short_pass: Any, tmp_path: Path
) -> None:
    """Followed by rates: what they show never comes as near to the path as a telescope's."""
    text = (
        RF_STATION.read_text(encoding="utf-8")
        .replace('"rot2prog"', f'"{driver}"')
        .replace("baud = 600 ", "baud = 9600 ")
    )
    rig = tmp_path / "rig.toml"
    rig.write_text(text, encoding="utf-8")
    summary = summary_of(short_pass(ARC_S, rig=rig), 1)
    assert summary["tracking_s"] == pytest.approx(ARC_S, abs=0.2)
    assert summary["tracking_error_rms_rad"] <= math.radians(0.1)
