"""A mount whose axes follow every rate at once, as the plant behind an emulated hand controller."""

from __future__ import annotations

import math

from sim_hw.timeline import NS, Timeline


class IdealAxes:
    """`angle` and `rate` are (azimuth, elevation) in rad and rad/s; `set_at` has the time of every command, ns."""

    def __init__(self, timeline: Timeline, azimuth_deg: float, elevation_deg: float) -> None:
        self.timeline = timeline
        self.angle = [math.radians(azimuth_deg), math.radians(elevation_deg)]
        self.rate = [0.0, 0.0]
        self.since = 0
        self.set_at: list[int] = []

    def encoder_rad(self) -> tuple[float, float]:
        passed_s = (self.timeline.now_ns - self.since) / NS
        self.since = self.timeline.now_ns
        self.angle = [angle + rate * passed_s for angle, rate in zip(self.angle, self.rate, strict=True)]
        return self.angle[0], self.angle[1]

    def set_rate(self, axis: int, rate_rad_s: float) -> None:
        self.encoder_rad()
        self.rate[axis] = rate_rad_s
        self.set_at.append(self.timeline.now_ns)
