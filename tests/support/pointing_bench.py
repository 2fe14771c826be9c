"""The pointing service on a simulated mount, with a port without a bus and a station that only tells its mode."""

from __future__ import annotations

import math

from controller.bus.topics import POINTING_STATE, STATION_EVENT, STATION_MODE, ModeState
from controller.pointing.ground import OPEN
from controller.pointing.keepout import KeepOut
from controller.pointing.service import PointingService
from controller.pointing.targets import Fixed
from hal.clock import NS


class Bench:
    """A service, its mount and its port; `turn` runs cycles while a station tells its mode at 10 Hz."""

    def __init__(self, clock, mount, port, observer, wrap=None, ground=OPEN):
        self.clock, self.mount, self.port = clock, mount, port
        park, cones = Fixed(0.0, math.radians(30), unwound=True), KeepOut(math.radians(30), 0.0)
        self.service = PointingService(
            clock, port, lambda: mount, observer, park, cones=cones, wrap=wrap, ground=ground
        )
        self.mode: str | None = "SLEW"
        self.service.open()

    def turn(self, seconds):
        end_ns = self.clock.t_ns + round(seconds * NS)
        while self.clock.t_ns < end_ns:
            if self.mode is not None:
                self.port.give(STATION_MODE, ModeState(self.mode, 0, "a test says so"))
            self.service.cycle()
        return self.states[-1] if self.states else None

    def ask(self, method, body=None):
        self.port.ask(method, body)
        self.turn(0.05)
        return self.port.answers[-1]

    @property
    def states(self):
        return self.port.bodies(POINTING_STATE)

    @property
    def events(self):
        return self.port.bodies(STATION_EVENT)

    @property
    def moving(self):
        self.turn(0.4)  # commands on their way, and braking
        before = list(self.mount.angle)
        self.turn(0.2)
        return max(abs(a - b) for a, b in zip(before, self.mount.angle, strict=True)) > 1e-9
