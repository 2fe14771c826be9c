"""`boresight demo --realtime`: the pass with every device on a real wire and every service a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller.bus.topics import STATION_MODE
from controller.errors import BoresightError
from hal.clock import NS, RealClock

if TYPE_CHECKING:
    from hal.rig import Rig

BENCH_TIMEOUT_S = 180.0  # compiles on a first start
END_TIMEOUT_S = 180.0  # the bench reads the recording before it ends
POLL_NS = NS // 5
Tell = Callable[[str, str], None]  # mode, what goes on


def fly_in_real_time(
    rig: Rig, folder: Path, bench_options: list[str], arc_s: float | None, tell: Tell
) -> dict[str, Any]:
    """Run bench and station as processes until the pass has ended; returns the summary.

    Raises BoresightError with the last words of the process that failed.
    """
    clock = RealClock()
    common = ["--rig", str(rig.path), "--run-dir", str(folder)]
    with ExitStack() as stack:
        bench = _start(stack, folder, "emulate", [*common, *bench_options, "--summary"])
        tell("COMPILE", "the bench starts")
        if not _until(clock, BENCH_TIMEOUT_S, lambda: (folder / "addresses.json").exists() or bench.poll() is not None):
            raise BoresightError(f"the bench did not start within {BENCH_TIMEOUT_S:g} s: {_last(folder, 'emulate')}")
        if bench.poll() is not None:
            raise BoresightError(_last(folder, "emulate"))
        arc = ["--arc", str(arc_s)] if arc_s is not None else []
        station = _start(stack, folder, "run", [*common, "--fly", "--calibrate", *arc])
        _watch(rig, clock, station, tell)
        if station.returncode:
            raise BoresightError(_last(folder, "run"))
        tell("REPORT", "the bench sums up")
        bench.terminate()
        if not _until(clock, END_TIMEOUT_S, lambda: bench.poll() is not None) or bench.returncode:
            raise BoresightError(f"the bench gave no summary: {_last(folder, 'emulate')}")
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return summary


def _watch(rig: Rig, clock: RealClock, station: subprocess.Popen[bytes], tell: Tell) -> None:
    from controller.cli.connect import connect

    with connect(rig, "demo") as client:
        client.subscribe(STATION_MODE)
        while station.poll() is None:
            for sample in client.samples(0.5):
                if sample.topic == STATION_MODE.name:
                    tell(sample.body.mode, sample.body.reason)


def _start(stack: ExitStack, folder: Path, verb: str, options: list[str]) -> subprocess.Popen[bytes]:
    """A verb of ours as a process, with its words in a log; ended with the stack."""
    log = stack.enter_context((folder / f"{verb}.log").open("wb"))
    command = [sys.executable, "-m", "controller.cli", verb, *options]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    stack.callback(_end, process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until(clock: RealClock, timeout_s: float, condition: Callable[[], bool]) -> bool:
    end_ns = clock.now_ns() + round(timeout_s * NS)
    while not (met := condition()) and clock.now_ns() < end_ns:
        clock.sleep_until(clock.now_ns() + POLL_NS)
    return met


def _last(folder: Path, verb: str) -> str:
    lines = (folder / f"{verb}.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].removeprefix("boresight: ") if lines else f"boresight {verb} ended without a word"
