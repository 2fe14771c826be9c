"""Hexagonal step and stare: the scan for a satellite whose detector needs seconds, not one frame.

Reference case: the ground terminal of the Lunar Laser Communication Demonstration (LLOT), 191 µrad of uncertainty, a
beam of 110 µrad, 19 points of 5 s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StepStare:
    """Points in order from the middle outwards, (cross-elevation, elevation) rad, each held for `dwell_s`."""

    points_rad: tuple[tuple[float, float], ...]
    pitch_rad: float
    covered_rad: float  # radius of the largest disc without a gap
    dwell_s: float

    @property
    def duration_s(self) -> float:
        """All points."""
        return len(self.points_rad) * self.dwell_s

    def position(self, t_s: float) -> tuple[float, float]:
        """Where the beam is `t_s` after the start; the last point is held."""
        number = min(max(int(t_s // self.dwell_s), 0), len(self.points_rad) - 1)
        return self.points_rad[number]


def hexagon(radius_rad: float, beam_diameter_rad: float, dwell_s: float) -> StepStare:
    """The fewest rings of a gapless hexagonal grid (pitch sqrt 3 times the beam's radius) that cover the radius."""
    beam = beam_diameter_rad / 2
    pitch = math.sqrt(3) * beam
    rings = 0
    while covered(rings, pitch, beam) < radius_rad:
        rings += 1
    points = [
        (pitch * (column + row / 2), pitch * math.sqrt(3) / 2 * row)
        for row in range(-rings, rings + 1)
        for column in range(-rings, rings + 1)
        if abs(row + column) <= rings
    ]
    ordered = sorted(points, key=lambda at: (round(math.hypot(*at) / pitch, 6), round(math.atan2(at[1], at[0]), 9)))
    return StepStare(tuple(ordered), pitch, covered(rings, pitch, beam), dwell_s)


def covered(rings: int, pitch_rad: float, beam_rad: float) -> float:
    """Radius of the largest disc that `rings` rings of beams cover; needs pitch <= sqrt 3 beam radius.

    The gap between two neighbours on the outermost side decides, at the middle pair for an odd number of rings and
    beside the middle point for an even one.
    """
    if rings == 0:
        return beam_rad
    side = rings * pitch_rad * math.sqrt(3) / 2
    notch = side + math.sqrt(beam_rad**2 - (pitch_rad / 2) ** 2)
    along = 0.0 if rings % 2 else pitch_rad / 2
    return math.hypot(notch, along)
