"""Commands and telemetry of our bus beside raw pyzmq and what others use, each as a ratio to raw pyzmq in the same run.

`python -m benchmarks.bus [--json] [--page] [--starts N] [--rounds N] [--only NAME,NAME]` (docs/benchmarks.md). All
transports are alive at once, both ends of each are processes of their own that load nothing of the others, and they
take turns in random order, so that what disturbs the machine disturbs all. They are started several times: where the
kernel puts a process's libraries moves its round trip by microseconds, and stays as it is for all of its life. Two
placements, each under SCHED_FIFO 1: everything on one core (what the software costs), and left to the scheduler (with
the wake-ups across cores). Where SCHED_FIFO is not allowed there is one placement, and the result says so.

`python -m benchmarks.bus.load` has the flood, `python -m benchmarks.bus.inside` codec, in-process bus and recording.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from difflib import get_close_matches
from itertools import chain
from statistics import median
from typing import Any

from benchmarks.bus.contest import contestants, telemetry
from benchmarks.bus.page import COMMANDS, commands, write_section
from benchmarks.bus.turns import SIZES, Alive
from benchmarks.checkout import commit

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


def placed(placement: list[str], starts: int, rounds: int, found: dict[str, str]) -> dict[str, Any]:
    """The figures of all starts together."""
    trips: dict[str, dict[int, list[list[int]]]] = {name: {size: [] for size in SIZES} for name in found}
    rates: dict[str, list[float]] = {name: [] for name in found}
    for number in range(starts):
        print(f"{' '.join(placement)}: start {number + 1} of {starts}", file=sys.stderr)
        for one in once(placement, rounds, found):
            rates[one.name] += one.rates
            for size in SIZES:
                trips[one.name][size] += one.trips[size]
    told = {}
    for name in found:
        raw = REFERENCE.get(name, "raw")
        told[name] = {"reference": raw} | figures(trips[name], trips[raw], rates[name], rates[raw])
    return told


def once(placement: list[str], rounds: int, found: dict[str, str]) -> list[Alive]:
    """Every transport, started once, with what it measured in its turns."""
    alive: list[Alive] = []
    try:
        for name, module in found.items():
            alive.append(Alive(placement, module, name))
        for _ in range(rounds):
            for size in SIZES:
                for one in random.sample(alive, len(alive)):
                    one.command(size)
            for one in random.sample(alive, len(alive)):
                one.listen()
    finally:
        for one in alive:
            one.close()
    return alive


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


def measure(starts: int, rounds: int, found: dict[str, str]) -> dict[str, Any]:
    """Everything of these transports (see `contestants`), in both placements."""
    allowed = subprocess.run(["chrt", "-f", "1", "true"], check=False, stderr=subprocess.DEVNULL).returncode == 0
    placements = PLACEMENTS if allowed else {"any core, not FIFO (chrt is not allowed)": []}
    return {
        "commit": commit(),
        "starts": starts,
        "rounds": rounds,
        "command_bytes": list(SIZES),
        "trips": list(SIZES.values()),
        "telemetry_bytes": len(telemetry()),
        "placements": {name: placed(words, starts, rounds, found) for name, words in placements.items()},
        "targets": {f"{name} {key}": bound for (name, key), bound in TARGETS.items()},
    }


def tell(result: dict[str, Any]) -> None:
    for placement, found in result["placements"].items():
        print(f"\n{placement}")
        sizes = [f"{size} B" for size in SIZES]
        print(
            f"  {'':<24}"
            + "".join(f"{size + ' p50':>12}{'x':>6}{'p99':>8}{'x':>6}" for size in sizes)
            + f"{'msg/s':>10}{'x':>6}"
        )
        for name, row in found.items():
            cells = "".join(
                f"{row[size]['p50']['us']:>12.1f}{row[size]['p50']['ratio']:>6.2f}"
                f"{row[size]['p99']['us']:>8.1f}{row[size]['p99']['ratio']:>6.2f}"
                for size in sizes
            )
            print(f"  {name:<24}{cells}{row['telemetry']['per_s']:>10.0f}{row['telemetry']['ratio']:>6.2f}")
    for name, why in result["not_available"].items():
        print(f"{name} is not available: {why}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--page", action="store_true", help="write the section of docs/benchmarks.md")
    parser.add_argument("--starts", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2, help="of each start")
    parser.add_argument("--only", default="", help="names, by comma; raw pyzmq is always among them")
    words = parser.parse_args()
    only = [name for name in words.only.split(",") if name]
    installed, missing = contestants()
    for name in only:
        if name not in installed:
            near = get_close_matches(name, installed, 1)
            parser.error(f"no transport {name!r}" + (f": {near[0]!r}?" if near else f" ({', '.join(installed)})"))
    found = {name: at for name, at in installed.items() if not only or name in only or name in ("raw", "raw CURVE")}
    result = measure(words.starts, words.rounds, found) | {"not_available": missing}
    if words.page:
        write_section(COMMANDS, commands(result))
    if words.json:
        print(json.dumps(result))
    else:
        tell(result)


if __name__ == "__main__":
    main()
