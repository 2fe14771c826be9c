"""`boresight rig verify`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controller.cli import main
from controller.cli.connect import DEFAULT_RIG
from controller.cli.rig import all_emulated, emulated_devices
from hal.rig import load_rig


def boresight(*words: str) -> int:
    """The exit code of the command."""
    try:
        main(words)
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def rig_with(tmp_path: Path, device: str, resource: str) -> Path:
    text = DEFAULT_RIG.read_text(encoding="utf-8")
    at = text.index(f"[{device}]")
    path = tmp_path / "rig.toml"
    path.write_text(text[:at] + text[at:].replace('resource = "emulated"', f'resource = "{resource}"', 1))
    return path


def test_an_emulated_device_is_verified_with_no_hardware_and_no_station(capsys: pytest.CaptureFixture[str]) -> None:
    assert boresight("rig", "verify", "power_meter", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["passed"]
    assert result["emulated"]
    assert {finding["verdict"] for finding in result["findings"]} == {"pass"}
    assert result["timing"]["power_w"]["count"] > 50
    bins = result["histogram"]["power_w"]
    assert sum(bins.values()) == result["timing"]["power_w"]["count"]
    assert all(int(edge.removesuffix(" us")) & (int(edge.removesuffix(" us")) - 1) == 0 for edge in bins)


def test_a_real_device_is_not_touched_before_somebody_has_confirmed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = rig_with(tmp_path, "gimbal", "serial:///dev/no_such_port")
    assert boresight("rig", "verify", "gimbal", "--rig", str(path)) == 1
    told = capsys.readouterr().err
    assert "Emission stays off; each axis turns at 0.30 deg/s" in told
    assert "say --yes" in told
    assert "does not exist" not in told  # it was not even opened


def test_a_confirmed_real_device_is_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = rig_with(tmp_path, "gimbal", "serial:///dev/no_such_port")
    assert boresight("rig", "verify", "gimbal", "--rig", str(path), "--yes") == 1
    assert "does not exist; plug the device in" in capsys.readouterr().err


def test_a_device_that_does_not_do_what_it_should_ends_with_an_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert boresight("rig", "verify", "power_meter", "--wire-log", str(tmp_path), "--json") == 0
    log = tmp_path / "power_meter.wire.jsonl"
    log.write_text(log.read_text().replace('"text": "1.310000', '"text": "1.410000'))  # it says another wavelength
    capsys.readouterr()
    path = rig_with(tmp_path, "power_meter", f"replay://{log}")
    assert boresight("rig", "verify", "power_meter", "--rig", str(path), "--json") == 1
    result = json.loads(capsys.readouterr().out)
    assert not result["passed"]


def test_a_real_device_is_compared_with_an_emulator_of_its_own_driver(tmp_path: Path) -> None:
    """It was compared with the built-in rig's, a NexStar, whatever it was."""
    path = rig_with(tmp_path, "gimbal", "serial:///dev/no_such_port")
    (tmp_path / "horizon.csv").write_text("0,1\n360,1\n")
    text = path.read_text(encoding="utf-8").replace('driver = "nexstar"', 'driver = "md01"')
    path.write_text(text.replace("[safety]", '[safety]\nhorizon_mask = "horizon.csv"'), encoding="utf-8")
    folder = tmp_path / "copy"
    folder.mkdir()
    copy = all_emulated(load_rig(path, dict.fromkeys(emulated_devices(path), "")), folder)
    ours = load_rig(copy, dict.fromkeys(emulated_devices(copy), ""))
    assert ours.driver("gimbal").name == "md01"
    assert ours.emulated == set(ours.devices)


def test_a_device_that_no_rig_has_is_refused_with_the_names_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert boresight("rig", "verify", "gimbl") == 2
    assert "gimbal, camera, beam_board, laser, power_meter" in " ".join(capsys.readouterr().err.split())
