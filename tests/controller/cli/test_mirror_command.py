"""`boresight rig mirror` as a bench engineer types it, on an emulated PI tip/tilt platform in real time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from reactor_loop import Loop

from controller.cli import main
from controller.cli.connect import DEFAULT_RIG
from sim_hw.devices.gcs2_mirror import Gcs2Mirror
from sim_hw.timeline import Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.pty import PtyPort

SECTION = """
[mirror]
driver = "gcs2_mirror"
resource = "{resource}"
reach_urad = 900.0
resolution_urad = 0.5
settling_s = 0.02
"""
Say = Callable[..., int]


@pytest.fixture
def say(tmp_path: Path) -> Iterator[Say]:
    """The exit code of `boresight rig mirror` with these words."""
    timeline = Timeline()
    with Loop(timeline) as loop:
        port = loop.call(lambda: PtyPort(SerialLine(timeline, Gcs2Mirror(timeline), 115_200), loop.reactor))
        rig = tmp_path / "rig.toml"
        rig.write_text(DEFAULT_RIG.read_text(encoding="utf-8") + SECTION.format(resource=port.resource), "utf-8")

        def say(*words: str) -> int:
            try:
                main(["rig", "mirror", "--rig", str(rig), "--run-dir", str(tmp_path), *words])
            except SystemExit as ended:
                return int(ended.code or 0)
            return 0

        yield say
        loop.call(port.close)


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_it_is_tipped_only_with_its_servo_on_and_by_somebody_who_is_there(
    say: Say, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert say("--to", "100", "-50") == 1
    assert "nobody is at the terminal" in capsys.readouterr().err
    assert say("--to", "100", "-50", "--yes") == 1
    assert "its servo is off and it does not move; say `boresight rig mirror --power on`" in capsys.readouterr().err
    assert say("--power", "on", "--to", "100", "-50", "--yes", "--json") == 0
    there = told(capsys)
    assert (there["x_urad"], there["y_urad"]) == pytest.approx((100, -50), abs=1.0)
    assert there["powered"] is True
    assert say("--by", "-20", "0", "--yes") == 0
    capsys.readouterr()
    assert say("--json") == 0
    assert told(capsys)["x_urad"] == pytest.approx(80, abs=2.0)
    assert say("--to", "1000", "0", "--yes") == 1
    assert "x = 1000.0 urad is beyond its reach of -900.0 to 900.0 urad" in capsys.readouterr().err
