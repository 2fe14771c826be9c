"""`boresight rig drives` as somebody types it whose mount does not move, on an emulated Sky-Watcher."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ideal_axes import IdealAxes
from reactor_loop import Loop
from rotators import LIMITS

from controller.cli import main
from controller.cli.connect import DEFAULT_RIG
from sim_hw.devices.skywatcher import SkyWatcher
from sim_hw.timeline import Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.pty import PtyPort


@dataclass
class Bench:
    unit: SkyWatcher
    axes: IdealAxes
    rig: Path

    def say(self, *words: str) -> int:
        """The exit code of `boresight rig drives`."""
        try:
            main(["rig", "drives", "--rig", str(self.rig), "--run-dir", str(self.rig.parent), *words])
        except SystemExit as ended:
            return int(ended.code or 0)
        return 0


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    timeline = Timeline()
    axes = IdealAxes(timeline, azimuth_deg=30.0, elevation_deg=40.0)
    with Loop(timeline) as loop:
        unit = SkyWatcher(timeline, axes, **LIMITS)
        port = loop.call(lambda: PtyPort(SerialLine(timeline, unit, 9600), loop.reactor))
        head, gimbal, rest = DEFAULT_RIG.read_text(encoding="utf-8").partition('driver = "nexstar"')
        assert gimbal
        rest = rest.replace('resource = "emulated"', f'resource = "{port.resource}"\nwithout_power = "holds"', 1)
        rig = tmp_path / "rig.toml"
        rig.write_text(f'{head}driver = "skywatcher"{rest}', encoding="utf-8")
        yield Bench(unit, axes, rig)
        loop.call(port.close)


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_looking_switches_nothing_on_and_switching_is_read_back(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.say() == 0
    assert "azimuth: has no power; see what took it" in capsys.readouterr().out
    assert bench.say("--json") == 0
    assert told(capsys) == {"azimuth": "off", "elevation": "off", "ready": False, "without_power": "holds"}
    assert bench.say("--power", "on", "--yes", "--json") == 0
    assert told(capsys)["ready"] is True
    bench.unit.block(1)
    assert bench.say("--json") == 0
    assert told(capsys)["elevation"] == "blocked"
    assert bench.axes.rate == [0.0, 0.0]


def test_a_real_mount_is_switched_only_by_somebody_who_is_there(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert bench.say("--power", "on") == 1
    assert "nobody may be in reach" in (said := capsys.readouterr().err)
    assert "say --yes" in said
    assert bench.unit.answer(":f1")[-1] == "0"
    assert bench.say("--power", "off", "--yes") == 1
    assert "skywatcher has no command that switches its drives off" in capsys.readouterr().err
    assert bench.say("--power", "maybe") == 2
