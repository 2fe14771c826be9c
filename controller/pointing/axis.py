"""One axis of a gimbal as its loop sees it: commands on their way, the aim of the last one, braking, whole turns."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

NS = 1_000_000_000


@dataclass(slots=True)
class Axis:
    """One axis: what was commanded and when it takes effect, and the aim of the last command."""

    lead_s: float = 0.03  # from the beginning of a turn to the last byte of this axis' command; measured
    sent: deque[tuple[int, float]] = field(default_factory=lambda: deque([(0, 0.0)], maxlen=16))
    aim: tuple[int, float] | None = None
    side: float = 0.0

    @property
    def rate(self) -> float:
        """The newest rate that was sent."""
        return self.sent[-1][1]

    def travel(self, from_ns: int, to_ns: int) -> float:
        """How far the commands move the axis between two moments."""
        distance, end = 0.0, to_ns
        for effect_ns, rate in reversed(self.sent):
            start = max(from_ns, effect_ns)
            if start < end:
                distance += rate * (end - start) / NS
                end = start
            if effect_ns <= from_ns:
                break
        return distance


def closing_rate(error: float, gain_hz: float, braking: float) -> float:
    """Rate that closes an error: proportional when it is small, a braking curve (rad/s2) when it is not."""
    return math.copysign(min(gain_hz * abs(error), math.sqrt(2 * braking * abs(error))), error)


def near(azimuth_rad: float, reference_rad: float | None) -> float:
    """The same azimuth, by whole turns as near as can be to a reference."""
    return (
        azimuth_rad if reference_rad is None else reference_rad + math.remainder(azimuth_rad - reference_rad, math.tau)
    )
