"""`boresight rig check`, and how a rig file finds its emulators."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from controller.cli.rig import ADDRESS_FILE, app, resolve, resolve_in
from hal.errors import RigError
from hal.rig import DEVICES

ADDRESSES = {
    "gimbal": "serial:///dev/pts/1",
    "camera": "usbip://127.0.0.1:3240/1-1",
    "beam_board": "serial:///dev/pts/2",
    "laser": "visa://TCPIP0::127.0.0.1::5025::SOCKET",
    "power_meter": "visa://TCPIP0::127.0.0.1::5026::SOCKET",
}


@pytest.fixture
def example(pytestconfig: pytest.Config) -> Path:
    return pytestconfig.rootpath / "controller/data/rigs/ogs.toml"


@pytest.fixture
def broken(example: Path, tmp_path: Path) -> Path:
    path = tmp_path / "broken.toml"
    path.write_text(example.read_text().replace('"nexstar"', '"nexstr"').replace("height_m", "height_km"))
    return path


def test_a_good_rig_is_told_what_stops_each_device(example: Path) -> None:
    result = CliRunner().invoke(app, ["check", str(example)])

    assert result.exit_code == 0
    for device in DEVICES:
        assert f"{device}: " in result.output
    assert "when host dies: nothing: it keeps its last rate; only the motion cut-off stops it" in result.output
    assert "motion cut-off: power switch of the mount" in result.output


def test_a_bad_rig_gives_every_sentence_and_a_non_zero_exit(broken: Path) -> None:
    result = CliRunner().invoke(app, ["check", str(broken)])

    assert result.exit_code == 1
    assert result.stdout == ""
    assert "did you mean nexstar?" in result.stderr
    assert "did you mean height_m (the unit" in result.stderr
    assert "Traceback" not in result.output


def test_json_is_one_object_whatever_the_rig(example: Path, broken: Path) -> None:
    good = json.loads(CliRunner().invoke(app, ["check", str(example), "--json"]).stdout)
    bad = CliRunner().invoke(app, ["check", str(broken), "--json"])

    assert (good["ok"], good["errors"], set(good["devices"])) == (True, [], set(DEVICES))
    assert good["devices"]["laser"]["emulated"] is True
    assert bad.exit_code == 1
    assert len(json.loads(bad.stdout)["errors"]) == 2


def test_a_real_laser_with_emulators_is_reported_as_locked(example: Path, tmp_path: Path) -> None:
    path = tmp_path / "mixed.toml"
    text = example.read_text()
    laser = text.index("[laser]")
    path.write_text(text[:laser] + text[laser:].replace('"emulated"', '"visa://USB0::1::2::3::INSTR"', 1))
    result = CliRunner().invoke(app, ["check", str(path)])

    assert result.exit_code == 0
    assert "emission: LOCKED" in result.output
    assert "gimbal is emulated and laser is real" in result.output


def test_emulated_devices_get_the_addresses_of_the_run_directory(example: Path, tmp_path: Path) -> None:
    (tmp_path / ADDRESS_FILE).write_text(json.dumps(ADDRESSES))
    rig = resolve_in(example, tmp_path)

    assert rig.emulated == set(DEVICES)
    assert rig.laser.resource == ADDRESSES["laser"]


def test_without_an_emulator_the_error_names_the_command_to_run(example: Path, tmp_path: Path) -> None:
    with pytest.raises(RigError, match=r"\[gimbal\], .* emulated, but no emulator serves them; start one with `bores"):
        resolve_in(example, tmp_path)
    with pytest.raises(RigError, match=r"\[laser\] emulated, but no emulator serves it"):
        resolve(example, {device: address for device, address in ADDRESSES.items() if device != "laser"})


@pytest.mark.parametrize("content", ["{", "[]"])
def test_an_address_file_that_makes_no_sense_is_told(example: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / ADDRESS_FILE).write_text(content)
    with pytest.raises(RigError, match="start `boresight emulate` again"):
        resolve_in(example, tmp_path)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["check", str(tmp_path / "none.toml")])

    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "no such rig file" in result.stderr


def test_an_enclosed_bench_is_told_with_what_it_stands_in_for(example: Path) -> None:
    told = CliRunner().invoke(app, ["check", str(example)]).output
    assert "enclosed bench: neither clearinghouse nor aircraft are asked" in told
