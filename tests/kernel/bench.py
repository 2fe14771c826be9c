"""The emulated devices that the kernel of the guest meets, as one plain process: `python bench.py STATE_FILE`.

Prints the port of its USB/IP server, and writes what the guest set on the serial port into STATE_FILE, a line a change.
Ends when its standard input is closed.
"""

from __future__ import annotations

import json
import selectors
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from hal.clock import RealClock
from sim_hw.devices.beamboard import BeamBoard
from sim_hw.devices.pm100d import Pm100d
from sim_hw.devices.u3v import U3vCamera
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.cdc_acm import CdcAcm
from sim_hw.wires.reactor import Reactor
from sim_hw.wires.usbip import UsbipServer

TICK_NS = 100_000
CATCH_UP_TICKS = 20_000
LOOK_NS = NS // 200


class World:
    """Time, a beam board that ticks with it, a spot for the camera, and light for the power meter."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.board = BeamBoard(serial=42)
        self._ticks = 0

    @property
    def now_ns(self) -> int:
        return self.timeline.now_ns

    def next_event_ns(self) -> int | None:
        return self.timeline.next_event_ns()

    def advance(self, to_ns: int) -> None:
        self.timeline.advance(to_ns, self._tick)

    def received_power_w(self) -> float:
        return 3e-6

    def spots(self, t0_ns: int, t1_ns: int) -> list[Any]:
        return []

    def _tick(self, to_ns: int) -> None:
        due = to_ns // TICK_NS
        self.board.tick(min(due - self._ticks, CATCH_UP_TICKS))
        self._ticks = due


def main(state_file: Path) -> None:
    world = World()
    reactor = Reactor(world, RealClock())
    camera = U3vCamera(world.timeline, world.spots, np.random.default_rng(1))
    meter = Pm100d(world.timeline, world, np.random.default_rng(2))
    acm = CdcAcm(world.board, 0x1209, 0x0003, ("Boresight", "Beam board", "BB0042"))
    server = UsbipServer(reactor, {"1-1": camera, "1-2": meter.usb(), "1-3": acm})
    seen: list[dict[str, Any]] = []

    def look() -> None:
        world.timeline.schedule(world.now_ns + LOOK_NS, look)
        state = {**asdict(acm.framing), **asdict(acm.host_lines)}
        if not seen or seen[-1] != state:
            seen.append(state)
            with state_file.open("a") as file:
                file.write(json.dumps(state) + "\n")

    look()
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    owner = selectors.DefaultSelector()
    owner.register(sys.stdin, selectors.EVENT_READ)
    reactor.run(lambda: bool(owner.select(0)))
    server.close()
    reactor.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
