"""What `[supervisor]` of a rig file says reaches the supervisor that `boresight run` starts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from controller.cli.factories import PRIORITIES
from controller.cli.run import run
from controller.services import realtime

RESOURCES = {
    "camera": "usb://1209:0001",
    "laser": "visa://USB0::0x1313::0x804a::M1::INSTR",
    "power_meter": "visa://USB0::0x1313::0x8078::P1::INSTR",
}


def test_the_rig_s_rules_priorities_and_processors_are_those_of_the_run(
    tmp_path: Path, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = (pytestconfig.rootpath / "controller/data/rigs/ogs.toml").read_text()
    text = re.sub(r'(?m)^resource = "emulated" +# (serial://\S+)', r'resource = "\1"', example)
    for device, resource in RESOURCES.items():
        text = re.sub(rf'(\[{device}\]\ndriver = "\w+"\nresource = )"emulated"', rf'\1"{resource}"', text)
    lines = 'restart = ["recorder"]\nrestarts_max = 3\npriority = { link = 0 }\ncpus = { link = [0] }'
    rig = tmp_path / "rig.toml"
    rig.write_text(f"{text}\n[supervisor]\n{lines}\n")
    asked: dict[str, Any] = {}
    monkeypatch.setattr(realtime, "run_station", lambda *_, **named: asked.update(named) or 0)

    with pytest.raises(typer.Exit) as ended:
        run(rig, tmp_path, fly=False, calibrate=False, target="", tle=None, arc=None, wire_log=False)
    assert ended.value.exit_code == 0
    assert asked["rules"].restart == {"recorder"}
    assert asked["rules"].restarts_max == 3
    assert asked["priorities"] == {**PRIORITIES, "link": 0}
    assert asked["cpus"] == {"link": [0]}


@pytest.mark.parametrize("where", ["a pipe whose reader has gone", "a full disk"])
def test_a_sentence_that_cannot_be_written_ends_nothing(where: str) -> None:
    if where == "a full disk":
        end = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, end = os.pipe()
        os.close(reader)
    code = (
        "from controller.cli import main; from controller.cli.run import _tell; from controller.cli.fly import _say\n"
        "_tell('error: first died'); _say('tracking')\n"
        "main(['run', '--no-such-option'])"
    )
    try:
        assert subprocess.run([sys.executable, "-c", code], stderr=end, check=False).returncode == 2
    finally:
        os.close(end)
