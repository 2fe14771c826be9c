"""Whoever flies for a station does not outlive it, and begins nothing more once told to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.bus.endpoints import STATION_SERVICES
from controller.bus.topics import Heartbeat
from controller.cli.connect import DEFAULT_RIG
from controller.operate import OperationError, Operator
from controller.pointing.elements import built_in_elements
from hal.clock import NS, Deadline, RealClock

TARGET = "STARLINK-1598"
RUN = """
import sys
from controller.cli.run import _operator

with _operator(["fly", *sys.argv[1:]]) as process:
    print(process.pid, flush=True)
    sys.stdin.read()
"""


class Port:
    """A station whose services are all alive; remembers what it was told."""

    def __init__(self, stopped: bool) -> None:
        self.stopped = stopped
        self.told: list[str] = []

    def fresh(self, topic: Any, source: str = "") -> Heartbeat:
        return Heartbeat(0, 1, 0)

    def call(self, service: str, method: str, *rest: Any) -> None:
        self.told.append(method)
        raise AssertionError(method)


def test_an_operator_who_was_told_to_end_while_he_planned_asks_nothing_of_the_station() -> None:
    port = Port(stopped=True)
    operator = Operator(RealClock(), port, ("station",))  # type: ignore[arg-type]
    for step in (operator.wait_for_services, lambda: operator.track(None, 0), operator.arm):  # type: ignore[arg-type]
        with pytest.raises(OperationError, match="told to end"):
            step()
    assert port.told == []
    Operator(RealClock(), Port(stopped=False), ("station",)).wait_for_services()  # type: ignore[arg-type]


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_operator_of_a_station_that_was_killed_ends_and_waits_for_no_other(
    tmp_path: Path, free_base_port: Callable[[int], int]
) -> None:
    base_port = free_base_port(1 + 3 * len(STATION_SERVICES))
    text = (DEFAULT_RIG.parent / "rf-station.toml").read_text()
    rig = tmp_path / "rig.toml"
    rig.write_text(text.replace("base_port = 5560", f"base_port = {base_port}"))
    clock = RealClock()
    epoch_ns = next(elements.epoch_utc_ns for elements in built_in_elements() if elements.name == TARGET)
    world = {"gimbal": "tcp://127.0.0.1:9", "utc_offset_ns": epoch_ns - clock.now_ns()}
    (tmp_path / "addresses.json").write_text(json.dumps(world))
    command = [sys.executable, "-c", RUN, "--rig", str(rig), "--run-dir", str(tmp_path), "--target", TARGET]
    with (tmp_path / "said").open("wb") as said:
        run = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said)
    assert run.stdin is not None
    assert run.stdout is not None
    pid = int(run.stdout.readline())
    try:
        assert _runs(pid)
        run.kill()
        run.wait()
        deadline = Deadline(clock, 30.0)  # half of what it waits for services
        while _runs(pid):
            assert not deadline.expired
            clock.sleep_until(clock.now_ns() + NS // 50)
        assert "told to end: no more was begun" in (tmp_path / "said").read_text()
    finally:
        run.stdin.close()
        run.stdout.close()
        if _runs(pid):
            os.kill(pid, signal.SIGKILL)
