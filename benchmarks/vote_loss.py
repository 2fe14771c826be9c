"""From a lost vote to the falling enable line in real time: every service a process, the board's firmware on a pty.

`python -m benchmarks.vote_loss [--repeats N] [--kills N] [--json]`. A vote is lost by a fault of the emulated laser,
whose current then reads back wrong; the safety process stamps when it read that, the bench the tick (0.1 ms) in which
the line fell, both on CLOCK_MONOTONIC. A kill is SIGKILL of the safety process, stamped before the signal is sent. The
station rests and emits at alignment power: the path from the votes to the line is the same, without a pass to wait for.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from controller.bus.port import Sample
from controller.bus.topics import SAFETY_STATE, SAFETY_TRIP, SIM_TRUTH, Truth
from controller.cli.faults_page import commit, now, put
from controller.cli.faults_processes import START_TIMEOUT_S, ProcessError, RunningBench, RunningStation, pass_plan

ATTEMPTS, SETTLED_S, NOTICED_S = 5, 0.35, 3.0  # the read-back of the current is left alone for 0.3 s
BINS_MS = (0, 1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100, 200, 250, 300, 350, 500)


class Watch:
    """The newest truth, and when the last trip's vote was lost (UTC of the bench)."""

    def __init__(self) -> None:
        self.truth: Truth | None = None
        self.lost_utc_ns: int | None = None
        self.why = ""  # emission is off

    def __call__(self, sample: Sample[Any]) -> None:
        if sample.topic == SIM_TRUTH.name:
            self.truth = sample.body
        elif sample.topic == SAFETY_STATE.name:
            self.why = sample.body.locked_reason
        elif sample.topic == SAFETY_TRIP.name and self.lost_utc_ns is None:
            self.lost_utc_ns = sample.body.lost_utc_ns

    def forget(self) -> None:
        """The trips so far."""
        self.lost_utc_ns = None

    @property
    def line(self) -> bool:
        return self.truth is not None and self.truth.enable_line

    def fell_utc_ns(self) -> int:
        if self.truth is None or self.truth.enable_line or self.truth.enable_changed_utc_ns is None:
            raise ProcessError("the enable line has not fallen")
        return self.truth.enable_changed_utc_ns


def started(bench: RunningBench, watch: Watch) -> RunningStation:
    station = RunningStation(bench, watch)
    if not station.until(lambda: station.alive() and station.mode != "" and watch.truth is not None, START_TIMEOUT_S):
        raise ProcessError(f"the station did not start: {station.log.read_text()[-500:]}")
    return station


def emit(station: RunningStation, watch: Watch) -> None:
    """Arm at alignment power until the line is up; a beam board that has latched is reset with the station."""
    for number in range(40):
        if number % 5 == 4:
            station.client.call("station", "safe", control=True)
            station.listen(0.2)
        if station.mode in {"SAFE", "FAULT", "HOLD"}:
            station.ask("station", "station.reset")
            station.listen(0.2)
        if not station.consented:
            station.ask("safety", "safety.arm", "safety.confirm", body={"alignment": True})
        if station.until(lambda: watch.line and bool(watch.truth and watch.truth.emitting), 0.5):
            return
    raise ProcessError(f"the station does not emit at alignment power: {watch.why}")


MEASURED = ("vote_to_line", "safety_killed_to_line")
FIGURES = ("p50", "p99", "max")


@dataclass
class Votes:
    """What came of the repetitions: times of those that tripped, and what must not be hidden behind them."""

    times_ms: list[float] = field(default_factory=list)
    missed: int = 0  # the line stayed up for NOTICED_S
    untimed: int = 0  # the line fell, but not by a vote whose loss has a time: the beam board was first
    before: int = 0  # the busy machine tripped the station before the vote was lost: nothing was measured

    def add(self, bench: RunningBench, station: RunningStation, watch: Watch) -> None:
        """One lost vote. Raises ProcessError when the station trips by itself again and again."""
        for _ in range(ATTEMPTS):
            emit(station, watch)
            station.listen(SETTLED_S)
            watch.forget()
            if watch.line:
                break
            self.before += 1
        else:
            raise ProcessError(f"emission does not last: {watch.why}")
        bench.fault({"start": "laser", "word": "wrong", "for_s": None, "parameters": {}})
        noticed = station.until(lambda: watch.lost_utc_ns is not None and not watch.line, NOTICED_S)
        bench.fault({"clear": "laser"})
        if noticed and watch.lost_utc_ns is not None:
            self.times_ms.append((watch.fell_utc_ns() - watch.lost_utc_ns) / 1e6)
        elif station.until(lambda: not watch.line, 0.0):
            self.untimed += 1
        else:
            self.missed += 1


def kill(bench: RunningBench, watch: Watch) -> float:
    """SIGKILL of the safety process of a fresh station; milliseconds to the edge."""
    station = started(bench, watch)
    try:
        emit(station, watch)
        station.listen(0.2)
        pid = station.children()["safety"]
        killed_utc_ns = bench.clock.utc_ns()
        os.kill(pid, signal.SIGKILL)
        station.until(lambda: not watch.line, 3.0)
        return (watch.fell_utc_ns() - killed_utc_ns) / 1e6
    finally:
        station.close()


def figures(times_ms: list[float]) -> dict[str, Any]:
    if not times_ms:
        return {"n": 0}
    counts, _ = np.histogram(times_ms, (*BINS_MS, np.inf))
    return {
        "n": len(times_ms),
        "p50_ms": float(np.percentile(times_ms, 50)),
        "p99_ms": float(np.percentile(times_ms, 99)),
        "max_ms": max(times_ms),
        "histogram_from_ms": {str(low): int(count) for low, count in zip(BINS_MS, counts, strict=True) if count},
    }


def scheduling(station: RunningStation) -> str:
    """How the safety process is scheduled, as the kernel says."""
    policy = os.sched_getscheduler(station.children()["safety"])
    return {os.SCHED_FIFO: "SCHED_FIFO", os.SCHED_FIFO | os.SCHED_RESET_ON_FORK: "SCHED_FIFO"}.get(
        policy, "SCHED_OTHER"
    )


def measure(repeats: int, kills: int) -> dict[str, Any]:
    watch, votes, deaths, unstarted = Watch(), Votes(), list[float](), 0
    with tempfile.TemporaryDirectory() as folder:
        bench = RunningBench(Path(folder), pass_plan())
        try:
            station = started(bench, watch)
            try:
                priority = scheduling(station)
                for number in range(repeats):
                    votes.add(bench, station, watch)
                    print(f"\r{number + 1} of {repeats} votes", end="", file=sys.stderr, flush=True)
            finally:
                station.close()
            for _ in range(kills):
                try:
                    deaths.append(kill(bench, watch))
                except ProcessError as error:  # a machine too busy for a station, or a line that stayed up
                    unstarted += 1
                    print(f"\n{error}", file=sys.stderr)
        finally:
            bench.close()
    return {
        "vote_to_line": {
            **figures(votes.times_ms),
            "missed": votes.missed,
            "untimed": votes.untimed,
            "tripped_before": votes.before,
        },
        "safety_killed_to_line": {**figures(deaths), "missed": unstarted},
        "scheduling": priority,
        "cores": os.cpu_count(),
        "load_1_min": os.getloadavg()[0],
        "machine": platform.machine(),
    }


def section(result: dict[str, Any]) -> str:
    """The part of docs/fault-campaign.md."""
    lines = [
        f"{now()} UTC, commit {result['commit']}, {result['machine']} with {result['cores']} cores under a load of",
        f"{result['load_1_min']:.1f}, services with {result['scheduling']}, by `python -m benchmarks.vote_loss`.",
        "",
        "*missed*: a repetition in which the line did not fall within 3 s, or no station came up. In",
        f"{result['vote_to_line']['untimed']} more it fell without a vote whose loss has a time: the beam board was",
        f"first. Before {result['vote_to_line']['tripped_before']} repetitions the station had tripped by itself, the",
        "machine being busy, and was armed again.",
        "",
        "| from | to the falling edge | n | missed | p50 | p99 | maximum |",
        "|---|---|---|---|---|---|---|",
    ]
    names = {
        "vote_to_line": "a vote lost in the safety process",
        "safety_killed_to_line": "SIGKILL of the safety process",
    }
    for key, name in names.items():
        if (found := result[key])["n"] or found["missed"]:
            times = " | ".join(f"{found[f'{figure}_ms']:.1f} ms" if found["n"] else "-" for figure in FIGURES)
            lines.append(f"| {name} | enable line of the beam board | {found['n']} | {found['missed']} | {times} |")
    for key, name in names.items():
        if (found := result[key])["n"]:
            bins = ", ".join(f"{low} ms: {count}" for low, count in found["histogram_from_ms"].items())
            lines += ["", f"How many from so many milliseconds on, {name}: {bins}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--page", type=Path, help="also write the part of docs/fault-campaign.md")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    tree = commit()
    result = measure(options.repeats, options.kills) | {"commit": tree}
    if options.page is not None:
        put(options.page, "## From a lost vote to the enable line", section(result))
    print(json.dumps(result) if options.json else "\n".join(summary(result)))
    sys.exit(failed(result))


def summary(result: dict[str, Any]) -> list[str]:
    """As lines."""
    lines = []
    for name in MEASURED:
        if (found := result[name])["n"] or found["missed"]:
            times = [f"{key} {found[f'{key}_ms']:.1f} ms" for key in FIGURES if found["n"]]
            lines.append(", ".join([f"{name}: {found['n']} times, {found['missed']} missed", *times]))
    return [*lines, f"{result['scheduling']}, {result['cores']} cores, load {result['load_1_min']:.1f}"]


def failed(result: dict[str, Any]) -> bool:
    """A line that stayed up, or a station that never came, is none that could be left out."""
    return any(result[name]["missed"] for name in MEASURED)


if __name__ == "__main__":
    main()
