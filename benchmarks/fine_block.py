"""Nanoseconds a tick: plant and firmware in one compiled block, and where they go. `--json` prints one object.

The pick of a user without the block is the same code with the C tick called from Python; the ratio is to that.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numpy as np

from sim_hw.devices.beamboard import BeamBoard
from sim_hw.plant.fine import FineParameters, FinePlant
from sim_hw.plant.fine_block import run_block

TICKS = 100_000
EVENT_TICKS = 14  # a bench with 700 events a second cuts the run into blocks of this size
ROUNDS = 5


def plant() -> tuple[FinePlant, BeamBoard]:
    board = BeamBoard()
    made = FinePlant(FineParameters(), np.random.default_rng(1))
    made.attach(board.tick_address, board.board_address, board.io)
    return made, board


def best_ns(action: Callable[[], object], ticks: int) -> float:
    """Least time of some rounds, a tick."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter_ns()
        action()
        times.append((time.perf_counter_ns() - start) / ticks)
    return min(times)


def measure() -> dict[str, float]:
    """All figures."""
    los, power = np.zeros((TICKS, 2)), np.ones(TICKS)
    start = time.perf_counter()
    fine, board = plant()
    fine.run(los[:1], power[:1])
    first_s = time.perf_counter() - start

    def in_events() -> None:
        for at in range(0, TICKS // 10, EVENT_TICKS):
            fine.run(los[at : at + EVENT_TICKS], power[at : at + EVENT_TICKS])

    whole = best_ns(lambda: fine.run(los, power), TICKS)
    cut = best_ns(in_events, TICKS // 10)
    firmware = best_ns(lambda: board.tick(TICKS), TICKS)
    slow, _ = plant()
    plain = best_ns(lambda: slow.run(los[:500], power[:500], compiled=False), 500)
    return {
        "block_ns_per_tick": whole,
        "block_of_14_ns_per_tick": cut,
        "firmware_by_cffi_ns_per_tick": firmware,
        "python_ns_per_tick": plain,
        "python_over_block": plain / whole,
        "times_real_time": 1e5 / whole,
        "first_call_s": first_s,
        "compiled_now": float(sum(run_block.stats.cache_misses.values())),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    figures = measure()
    if parser.parse_args().json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:32s} {value:12.4g}")


if __name__ == "__main__":
    main()
