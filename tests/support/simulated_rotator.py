"""A simulated rotator of whole degrees, on a clock that it advances itself."""

from __future__ import annotations

import math

from hal.clock import NS
from hal.traits import AxisPosition, GimbalCapabilities

DEG = math.radians(1.0)
MS = NS // 1000
CAPABILITIES = GimbalCapabilities(
    rate_max_rad_s=6 * DEG,
    acceleration_max_rad_s2=20 * DEG,
    resolution_rad=DEG,
    rate_resolution_rad_s=6 * DEG,
    command_latency_s=0.1,
    keeps_moving_when_silent=True,
    takes=frozenset({"rate", "position"}),
    position_step_rad=DEG,
    rates_rad_s=(6 * DEG,),
    travel_rad=((0.0, 450 * DEG), (0.0, 180 * DEG)),
)


class SimulatedRotator:
    """Goes to whole degrees at 6 deg/s, 0.1 s after it was told; shows whole degrees; `history` is the truth.

    `late_s` is how much later it goes than anybody says.
    """

    def __init__(self, clock, start_deg=(0.0, 0.0), capabilities=CAPABILITIES, late_s=0.0):
        self.late_ns = round((0.1 + late_s) * NS)
        self.capabilities = capabilities
        self.clock = clock
        self.angle = [angle * DEG for angle in start_deg]
        self.goal, self.told = list(self.angle), []
        self.t_ns = clock.now_ns()
        self.history, self.sent, self.stops, self.deaf = [], [], 0, False
        self.identity = {"model": "simulated"}

    def _advance(self):
        while self.t_ns < self.clock.now_ns():
            self.t_ns += 10 * MS
            while self.told and self.t_ns >= self.told[0][0]:
                self.goal = self.told.pop(0)[1]
            reach = self.capabilities.rate_max_rad_s * 0.01
            self.angle = [a + min(reach, max(-reach, g - a)) for a, g in zip(self.angle, self.goal, strict=True)]
            self.history.append((self.t_ns, *self.angle))

    def position(self):
        self._advance()
        asked = self.clock.now_ns()
        self.clock.t_ns += 30 * MS
        return AxisPosition(asked, *(round(angle / DEG) * DEG for angle in self.angle))

    def go_to(self, azimuth_rad, elevation_rad):
        self._advance()
        self.sent.append((azimuth_rad / DEG, elevation_rad / DEG))
        if not self.deaf:
            goal = [round(a / DEG) * DEG for a in (azimuth_rad, elevation_rad)]
            self.told.append((self.t_ns + self.late_ns, goal))

    def stop(self):
        self._advance()
        self.goal, self.told, self.stops = list(self.angle), [], self.stops + 1

    def close(self):
        pass
