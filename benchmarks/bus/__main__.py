"""Commands and telemetry of our bus beside raw pyzmq and what others use, each as a ratio to raw pyzmq in the same run.

`python -m benchmarks.bus [--json] [--starts N] [--rounds N] [--only NAME,NAME]`. All transports are alive at once, both
ends of each are processes of their own, and they take turns in random order, so that what disturbs the machine disturbs
all. They are started several times: where the kernel puts a process's libraries moves its round trip by microseconds,
and stays as it is for all of its life. Two placements, each under SCHED_FIFO 1: everything on one core (what the
software costs), and left to the scheduler (with the wake-ups across cores). Where SCHED_FIFO is not allowed there is
one placement, and the result says so.

`python -m benchmarks.bus.load` has the flood, `python -m benchmarks.bus.inside` codec, in-process bus and recording.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.bus.contest import WINDOW, Client, Service, contestants, telemetry

SIZES = {64: 300, 1024: 100, 32768: 60}  # bytes of a command: round trips in a round
WARM = 20
MESSAGES = 4000  # of telemetry in a round
CORE = max(os.sched_getaffinity(0))
PLACEMENTS = {
    "one core, SCHED_FIFO": ["chrt", "-f", "1", "taskset", "-c", str(CORE)],
    "any core, SCHED_FIFO": ["chrt", "-f", "1"],
}
REFERENCE = {name: "raw CURVE" if "CURVE" in name else "raw" for name in ("ours CURVE", "raw CURVE")}
TARGETS = {
    ("ours", "p50"): 1.2,
    ("ours", "p99"): 1.5,
    ("ours CURVE", "p50"): 1.2,
    ("ours, asyncio + uvloop", "p50"): 2.2,
}


class Alive:
    """A transport with its two services."""

    def __init__(self, name: str, contestant: Any) -> None:
        self.name = name
        self.echo, self.publisher = Service(name, "echo"), Service(name, "publish")
        self.client: Client = contestant.client(self.echo.address, self.publisher.address)
        self.trips: dict[int, list[list[int]]] = {size: [] for size in SIZES}
        self.rates: list[float] = []
        self._subscribed = False

    def command(self, size: int) -> None:
        payload = random.randbytes(size)
        self.client.trips(payload, WARM)
        self.trips[size].append(self.client.trips(payload, SIZES[size]))

    def listen(self) -> None:
        if not self._subscribed:
            time.sleep(0.5)  # a subscription is on its way, and no transport of the seven tells when it is there
            self._subscribed = True
        start = time.perf_counter()
        for _ in range(MESSAGES // WINDOW):
            self.publisher.burst(WINDOW)
            self.client.take(WINDOW)
        self.rates.append(MESSAGES / (time.perf_counter() - start))

    def close(self) -> None:
        self.client.close()
        self.echo.close()
        self.publisher.close()


def run(rounds: int, only: list[str]) -> dict[str, Any]:
    """Every transport in this process's placement, started once: its round trips in ns, its messages a second."""
    found, missing = contestants()
    alive = [Alive(name, one) for name, one in found.items() if not only or name in only or name.startswith("raw")]
    try:
        for _ in range(rounds):
            for size in SIZES:
                for one in random.sample(alive, len(alive)):
                    one.command(size)
            for one in random.sample(alive, len(alive)):
                one.listen()
    finally:
        for one in alive:
            one.close()
    return {
        "trips": {one.name: {str(size): trips for size, trips in one.trips.items()} for one in alive},
        "rates": {one.name: one.rates for one in alive},
        "not_available": missing,
    }


def pooled(starts: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of all starts together."""
    names = list(starts[0]["rates"])
    trips = {
        name: {size: list(chain(*(start["trips"][name][str(size)] for start in starts))) for size in SIZES}
        for name in names
    }
    rates = {name: list(chain(*(start["rates"][name] for start in starts))) for name in names}
    told = {}
    for name in names:
        raw = REFERENCE.get(name, "raw")
        told[name] = {"reference": raw} | figures(trips[name], trips[raw], rates[name], rates[raw])
    return {"transports": told, "not_available": starts[0]["not_available"]}


def figures(
    trips: dict[int, list[list[int]]], raw_trips: dict[int, list[list[int]]], rates: list[float], raw_rates: list[float]
) -> dict[str, Any]:
    """Microseconds, and ratios to raw pyzmq: of all rounds, and the smallest and largest of a single one."""
    told: dict[str, Any] = {}
    for size in SIZES:
        mine, theirs = trips[size], raw_trips[size]
        all_mine, all_theirs = list(chain(*mine)), list(chain(*theirs))
        told[f"{size} B"] = {
            key: {
                "us": quantile(all_mine, share) / 1e3,
                "ratio": quantile(all_mine, share) / quantile(all_theirs, share),
                "ratio_of_rounds": spread(
                    [quantile(a, share) / quantile(b, share) for a, b in zip(mine, theirs, strict=True)]
                ),
            }
            for key, share in (("p50", 0.5), ("p99", 0.99))
        }
    told["telemetry"] = {
        "per_s": median(rates),
        "ratio": median(rates) / median(raw_rates),
        "ratio_of_rounds": spread([a / b for a, b in zip(rates, raw_rates, strict=True)]),
    }
    return told


def quantile(values: list[int], share: float) -> float:
    return sorted(values)[min(len(values) - 1, round(share * len(values)))]


def spread(values: list[float]) -> list[float]:
    return [min(values), max(values)]


def placed(words: list[str], starts: int, rounds: int, only: list[str]) -> dict[str, Any] | str:
    """The result of a placement, or why there is none."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.json"  # not the standard output: some of the libraries write to it
        command = [*words, sys.executable, "-m", "benchmarks.bus", "--here", str(told), "--rounds", str(rounds)]
        if only:
            command += ["--only", ",".join(only)]
        for number in range(starts):
            print(f"{' '.join(words)}: start {number + 1} of {starts}", file=sys.stderr)
            try:
                done = subprocess.run(command, stdout=sys.stderr, check=False)
            except FileNotFoundError as error:
                return str(error)
            if done.returncode:
                return f"exit code {done.returncode}"
            found.append(json.loads(told.read_text(encoding="utf-8")))
    return pooled(found)


def measure(starts: int, rounds: int, only: list[str]) -> dict[str, Any]:
    allowed = subprocess.run(["chrt", "-f", "1", "true"], check=False, stderr=subprocess.DEVNULL).returncode == 0
    placements = PLACEMENTS if allowed else {"any core, not FIFO (chrt is not allowed)": []}
    return {
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True
        ).stdout.strip(),
        "starts": starts,
        "rounds": rounds,
        "command_bytes": list(SIZES),
        "telemetry_bytes": len(telemetry()),
        "placements": {name: placed(words, starts, rounds, only) for name, words in placements.items()},
        "targets": {f"{name} {key}": bound for (name, key), bound in TARGETS.items()},
    }


def tell(result: dict[str, Any]) -> None:
    for placement, found in result["placements"].items():
        print(f"\n{placement}")
        if isinstance(found, str):
            print(f"  not measured: {found}")
            continue
        sizes = [f"{size} B" for size in SIZES]
        print(
            f"  {'':<24}"
            + "".join(f"{size + ' p50':>12}{'x':>6}{'p99':>8}{'x':>6}" for size in sizes)
            + f"{'msg/s':>10}{'x':>6}"
        )
        for name, row in found["transports"].items():
            cells = "".join(
                f"{row[size]['p50']['us']:>12.1f}{row[size]['p50']['ratio']:>6.2f}"
                f"{row[size]['p99']['us']:>8.1f}{row[size]['p99']['ratio']:>6.2f}"
                for size in sizes
            )
            print(f"  {name:<24}{cells}{row['telemetry']['per_s']:>10.0f}{row['telemetry']['ratio']:>6.2f}")
        for name, why in found["not_available"].items():
            print(f"  {name:<24}not available: {why}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3, help="of each start")
    parser.add_argument("--only", default="", help="names, by comma; raw pyzmq is always among them")
    parser.add_argument("--here", metavar="FILE", help="one start in this process's placement, as JSON into a file")
    words = parser.parse_args()
    only = [name for name in words.only.split(",") if name]
    if words.here:
        Path(words.here).write_text(json.dumps(run(words.rounds, only)), encoding="utf-8")
        return
    result = measure(words.starts, words.rounds, only)
    if words.json:
        print(json.dumps(result))
    else:
        tell(result)


if __name__ == "__main__":
    main()
