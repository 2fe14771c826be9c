"""How fast the emulated world runs without its devices: times real time, at 700 events a second, and where time goes.

python benchmarks/world.py [--json] [--seconds N]
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import UTC, datetime

from sim_hw.devices.beamboard import BeamBoard
from sim_hw.scenarios import load_scenario
from sim_hw.scene.earth import Site
from sim_hw.scene.target import Target
from sim_hw.world import World

NS = 1_000_000_000
EVENTS_HZ = 700
# CelesTrak, active satellites of 2025-10-03; culminates at 63 degrees at 12:44:08 on 2025-10-04.
TARGET = Target(
    "STARLINK-1008",
    "1 44714U 19074B   25276.13107144  .00025038  00000+0  16942-2 0  9995",
    "2 44714  53.0528 173.9279 0001574 105.0028 255.1136 15.06392841325008",
)
SITE = Site(28.2995, -16.5118, 2393.0, 770.0, 12.0, 0.3)


def measure(lags: bool, seconds: float) -> float:
    """Times real time; `lags`: the plants run when something depends on them, else before every event."""
    start_ns = int(datetime(2025, 10, 4, 12, 43, tzinfo=UTC).timestamp()) * NS
    world = World(load_scenario(), 1, start_ns, SITE, TARGET)
    board = BeamBoard()
    if lags:
        world.attach(board)
    else:
        world.attach_board(board.tick_address, board.board_address, board.io)

    def event() -> None:
        world.timeline.after(1 / EVENTS_HZ, event)

    event()
    world.advance(NS)  # compiled and loaded
    begin = time.process_time()
    world.advance(NS + round(seconds * NS))
    return seconds / (time.process_time() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    result = {
        "events_per_s": EVENTS_HZ,
        "realtime_factor_plants_lag": measure(True, arguments.seconds),
        "realtime_factor_plants_before_every_event": measure(False, arguments.seconds),
    }
    if arguments.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:45} {value:10.1f}")


if __name__ == "__main__":
    main()
