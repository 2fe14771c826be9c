"""Where the time of a lockstep pass goes: exclusive wall time by service and by emulated device.

`python -m benchmarks.lockstep [--arc SECONDS] [--json]`. The metering itself is part of "executor".
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from controller.cli.demo import DEFAULT_RIG, choose_pass
from controller.cli.flight import Flight
from controller.cli.rig import emulated_devices
from controller.services.lockstep import Lockstep
from hal.rig import load_rig
from sim_hw.timeline import Timeline
from sim_hw.world import World

OWNERS = {  # module of an event's action -> device class
    "sim_hw.devices.nexstar": "gimbal emulator",
    "sim_hw.devices.u3v": "camera emulator",
    "sim_hw.devices.beamboard": "beam board emulator",
    "sim_hw.devices.pm100d": "instrument emulators",
    "sim_hw.devices.itc4000": "instrument emulators",
    "sim_hw.wires.usbtmc": "instrument emulators",
    "sim_hw.wires.line": "serial devices",
    "sim_hw.world": "world",
}


class Meter:
    """A stack of owners; the one on top is charged."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._stack: list[str] = ["executor"]
        self._since = time.process_time()

    def push(self, owner: str) -> None:
        self._charge()
        self._stack.append(owner)

    def pop(self) -> None:
        self._charge()
        self._stack.pop()

    def swap(self, owner: str) -> None:
        self._charge()
        self._stack[-1] = owner

    def _charge(self) -> None:
        now = time.process_time()
        self.spent[self._stack[-1]] += now - self._since
        self._since = now


def owner_of(action: Callable[[], None]) -> str:
    function = getattr(action, "__func__", action)
    return OWNERS.get(getattr(function, "__module__", ""), "other events")


def install(meter: Meter) -> None:
    """Wrap the three places where the baton changes hands."""
    block, schedule, between = Lockstep._block, Timeline.schedule, World.catch_up

    def metered_block(self: Lockstep, ready: Any, deadline_ns: int | None) -> None:
        turn = getattr(self._local, "turn", None)
        meter.swap("executor")
        block(self, ready, deadline_ns)
        meter.swap(turn.name if turn else "caller")

    def metered_schedule(self: Timeline, t_ns: int, action: Callable[[], None]) -> None:
        owner = owner_of(action)

        def run() -> None:
            meter.push(owner)
            action()
            meter.pop()

        schedule(self, t_ns, run)

    def metered_between(self: World) -> None:
        meter.push("world")
        between(self)
        meter.pop()

    Lockstep._block = metered_block  # type: ignore[method-assign]
    Timeline.schedule = metered_schedule  # type: ignore[method-assign]
    World.catch_up = metered_between  # type: ignore[method-assign]


def measure(arc_s: float, seed: int) -> dict[str, Any]:
    rig = load_rig(DEFAULT_RIG, dict.fromkeys(emulated_devices(DEFAULT_RIG), ""))
    plan = choose_pass(rig, None, "", above_limits=False)
    meter = Meter()
    install(meter)
    spent_at_rise: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        flight = Flight(DEFAULT_RIG, plan, Path(folder), seed=seed, arc_s=arc_s)

        def at_rise(mode: str, what: str, share: float) -> None:
            if not spent_at_rise and mode == "ACQUIRE":
                spent_at_rise.update(meter.spent)

        flight._tell = at_rise
        flown = flight.fly({})
        end_ns = flight._bench.world.now_ns
        acquire_ns = flown.entered_ns("ACQUIRE") or 0
        flight.close()
    spent = {name: seconds - spent_at_rise.get(name, 0.0) for name, seconds in meter.spent.items()}
    total = sum(spent.values())
    return {
        "simulated_s": (end_ns - acquire_ns) * 1e-9,
        "wall_s": total,
        "realtime_factor": (end_ns - acquire_ns) * 1e-9 / total,
        "share": {name: seconds / total for name, seconds in sorted(spent.items(), key=lambda item: -item[1])},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arc", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = measure(options.arc, options.seed)
    if options.json:
        print(json.dumps(result))
        return
    took = f"{result['simulated_s']:.0f} s of pass in {result['wall_s']:.1f} s"
    print(f"{took}: {result['realtime_factor']:.1f} x real time")
    for name, share in result["share"].items():
        print(f"  {name:<22}{share * 100:6.1f} %")


if __name__ == "__main__":
    main()
