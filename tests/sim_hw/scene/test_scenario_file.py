from __future__ import annotations

from pathlib import Path

import pytest

from sim_hw.scenarios import ScenarioError, load_scenario, shipped_scenarios


def test_the_default_scenario_is_shipped_and_complete() -> None:
    assert "default" in shipped_scenarios()
    scenario = load_scenario()
    assert scenario.jitter.psd_at_zero_urad2_hz == 160.0
    assert scenario.cloud.windows_s == ()


def test_every_wrong_key_is_named_at_once() -> None:
    with pytest.raises(ScenarioError, match=r"\[wind\] rms_mrad is not known.*\n.*\[turbulence\] scale = -1"):
        load_scenario("default", {"wind": {"rms_mrad": 1.0}, "turbulence": {"scale": -1.0}})


def test_a_missing_file_is_told_with_what_there_is() -> None:
    with pytest.raises(ScenarioError, match=r"stormy: no such file; give a path or one of: default\."):
        load_scenario("stormy")


def test_a_file_that_is_not_toml_is_told(tmp_path: Path) -> None:
    file = tmp_path / "broken.toml"
    file.write_text("= 3")
    with pytest.raises(ScenarioError, match="not a TOML file"):
        load_scenario(file)
