from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from controller.cli import main
from controller.cli.connect import DEFAULT_RIG, read_rig
from controller.freeze import as_metadata, frozen
from controller.record import Recorder, read_metadata


def test_every_setting_in_force_is_there_and_no_address_of_an_emulator() -> None:
    record = frozen(read_rig(DEFAULT_RIG))
    assert record["settings"]["gimbal"]["resource"] == "emulated"
    assert record["settings"]["gimbal"]["baud"] == 9600
    assert set(record["drivers"].values()) == {"nexstar", "u3v", "beamboard", "itc4000", "pm100d"}
    assert record["libraries"]["pyserial"]
    assert record["files"]["rig.toml"] == hashlib.sha256(DEFAULT_RIG.read_bytes()).hexdigest()


def test_the_record_is_the_same_every_time() -> None:
    assert frozen(read_rig(DEFAULT_RIG)) == frozen(read_rig(DEFAULT_RIG))


def test_a_calibration_is_known_by_its_hash(tmp_path: Path) -> None:
    model = tmp_path / "mount.toml"
    assert "mount.toml" not in frozen(read_rig(DEFAULT_RIG), [model])["files"]
    model.write_text("IA = 1.0\n")
    assert frozen(read_rig(DEFAULT_RIG), [model])["files"]["mount.toml"] == hashlib.sha256(b"IA = 1.0\n").hexdigest()


def test_a_recording_keeps_the_record(tmp_path: Path) -> None:
    record = as_metadata(frozen(read_rig(DEFAULT_RIG)), seed="7")
    with Recorder(tmp_path / "recording.mcap", record):
        pass
    kept = read_metadata(tmp_path / "recording.mcap")
    assert kept == record
    assert kept["boresight"]["seed"] == "7"
    assert json.loads(kept["rig"]["settings"])["optics"]


def test_the_command_prints_what_a_recording_keeps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["rig", "freeze", str(DEFAULT_RIG), "--json", "--run-dir", str(tmp_path)])
    assert json.loads(capsys.readouterr().out) == frozen(read_rig(DEFAULT_RIG))
    main(["rig", "freeze", str(DEFAULT_RIG), "--run-dir", str(tmp_path)])
    assert "[gimbal]" in capsys.readouterr().out
