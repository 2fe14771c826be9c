"""The benchmark of gimbal drivers measures every driver that an emulator answers, with rigs that are valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.devices.families import FAMILIES
from benchmarks.devices.page import rows
from benchmarks.devices.tracking import rig_of
from hal.drivers import DRIVERS
from hal.rig import load_rig
from sim_hw.devices.rotators import ROTATORS


def test_every_gimbal_is_measured() -> None:
    gimbals = {name for name, driver in DRIVERS.items() if driver.device == "gimbal"}
    assert set(FAMILIES) == gimbals == {"nexstar", *ROTATORS}


@pytest.mark.parametrize("name", FAMILIES)
def test_the_rig_of_a_family_is_the_rf_station_with_its_line(name: str, tmp_path: Path) -> None:
    rig = load_rig(rig_of(name, tmp_path), {"gimbal": ""})
    assert (rig.gimbal.driver, rig.gimbal.baud) == (name, FAMILIES[name].baud)
    assert rig.gimbal.command_latency_s == FAMILIES[name].latency_s


def test_the_tables_have_a_row_for_each_family() -> None:
    speed = {"reads": 100.0, "moves": 50.0}
    once = {"ours": speed, "hamlib": {"reads": 10.0, "moves": 5.0}, "ratio": {"reads": 10.0, "moves": 10.0}}
    angles = dict.fromkeys(
        ("resolution_limit_rms_deg", "told_beforehand_rms_deg", "error_rms_deg", "error_max_deg"), 0.1
    )
    flown = {"follows_by": "position", "baud": 600, "step_deg": 0.5, "ratio": 1.0, **angles}
    told = rows({"commands": {"gs232b": once}, "tracking": {"rot2prog": flown}})
    assert "| gs232b | 100.0 | 10.0 | 10.0 | 50.0 | 5.0 | 10.0 |" in told
    assert "| rot2prog | position | 600 | 0.5 | 0.1 | 0.1 | 0.1 | 0.1 | 1 |" in told
