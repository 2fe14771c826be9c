"""`boresight rig stage` as a bench engineer types it, on an emulated Zaber stage in real time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from reactor_loop import Loop

from controller.cli import main
from controller.cli.connect import DEFAULT_RIG
from hal.clock import NS, RealClock
from sim_hw.devices.carriage import Carriage
from sim_hw.devices.zaber import Zaber
from sim_hw.timeline import Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.pty import PtyPort

SECTION = """
[stage]
driver = "zaber"
resource = "{resource}"
travel_min_mm = 1.0
travel_max_mm = 48.0
resolution_mm = 47.625e-6
speed_max_mm_s = {speed}
"""


@dataclass
class Bench:
    unit: Zaber
    rig: Path
    folder: Path

    def home(self) -> None:
        """It has been home before the command is typed."""
        self.unit.carriage.home()
        until(lambda: self.unit.carriage.referenced, 5)

    def say(self, *words: str) -> int:
        """The exit code of `boresight rig stage`."""
        try:
            main(["rig", "stage", "--rig", str(self.rig), "--run-dir", str(self.folder), *words])
        except SystemExit as ended:
            return int(ended.code or 0)
        return 0


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    timeline = Timeline()
    with Loop(timeline) as loop:
        unit = Zaber(timeline, Carriage(timeline, length_mm=50.8, speed_mm_s=50.0, acceleration_mm_s2=1000.0))
        port = loop.call(lambda: PtyPort(SerialLine(timeline, unit, 115_200), loop.reactor))
        rig = tmp_path / "rig.toml"
        text = DEFAULT_RIG.read_text(encoding="utf-8") + SECTION.format(resource=port.resource, speed=40.0)
        rig.write_text(text, encoding="utf-8")
        yield Bench(unit, rig, tmp_path)
        loop.call(port.close)


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_it_says_where_the_stage_is_and_moves_nothing(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    before_mm = bench.unit.carriage.true_mm
    assert bench.say("--json") == 0
    status = told(capsys)
    assert (status["position_mm"], status["referenced"], status["powered"]) == (None, False, True)
    assert status["warnings"] == ["WR"]
    assert status["travel_mm"] == [1.0, 48.0]
    assert bench.unit.carriage.true_mm == before_mm
    assert bench.say() == 0
    assert "does not know where it is: --home" in capsys.readouterr().out


def test_it_homes_and_moves_there_and_by_and_waits_until_it_is_there(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.say("--home", "--to", "3", "--yes", "--json") == 0
    assert told(capsys)["position_mm"] == pytest.approx(3.0, abs=1e-4)
    assert bench.unit.carriage.true_mm == pytest.approx(3.0, abs=1e-4)
    assert bench.say("--by", "-0.5", "--yes", "--json") == 0
    assert told(capsys)["position_mm"] == pytest.approx(2.5, abs=1e-4)
    assert bench.say("--power", "off", "--yes") == 0
    assert "its motor is off" in capsys.readouterr().out
    assert bench.say("--to", "3", "--yes") == 1
    assert "its motor is switched off; switch it on first" in capsys.readouterr().err


def test_it_refuses_what_is_beyond_the_soft_limits_and_what_was_never_home(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.say("--to", "5", "--yes") == 1
    assert "it does not know where it is; home it first" in capsys.readouterr().err
    assert bench.say("--home", "--to", "48.5", "--yes") == 1
    assert "48.5 mm is beyond its travel of 1 to 48 mm" in capsys.readouterr().err
    assert bench.unit.carriage.true_mm == 0.0  # home, and no further


def test_a_real_stage_is_not_moved_before_somebody_has_confirmed(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.say("--home") == 1
    assert "say --yes" in capsys.readouterr().err
    assert not bench.unit.carriage.referenced


def test_a_stage_that_sticks_is_told_with_how_far_it_is_off(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.home()
    bench.unit.conditions()["stuck"]({})
    assert bench.say("--to", "2", "--yes") == 1
    assert "it came to rest -2.0000 mm from where it was sent" in capsys.readouterr().err


def test_a_rig_without_a_stage_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["rig", "stage", "--rig", str(DEFAULT_RIG), "--run-dir", str(tmp_path)])
    assert "it has no [stage]" in capsys.readouterr().err


def test_it_stops_on_its_way_when_the_command_is_killed(bench: Bench) -> None:
    bench.home()
    bench.rig.write_text(bench.rig.read_text(encoding="utf-8").replace("40.0", "5.0"), encoding="utf-8")
    words = ["rig", "stage", "--rig", str(bench.rig), "--run-dir", str(bench.folder), "--to", "48", "--yes"]
    process = subprocess.Popen(
        [sys.executable, "-m", "controller.cli", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until(lambda: bench.unit.carriage.true_mm > 1.0, 30)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    until(lambda: not bench.unit.carriage.moving, 5)
    assert bench.unit.carriage.true_mm < 40.0  # its way takes nine seconds


def until(so: Any, seconds: float) -> None:
    clock = RealClock()
    end_ns = clock.now_ns() + round(seconds * NS)
    while not so():
        assert clock.now_ns() < end_ns, "it never comes"
        clock.sleep_until(clock.now_ns() + NS // 100)
