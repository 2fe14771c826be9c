"""How the motor boards carry out a goto: a rate every 50 ms, from what the encoders show."""

from __future__ import annotations

import math
from collections.abc import Callable

from sim_hw.timeline import Timeline

STEP_S = 0.05
TOLERANCE_RAD = 30e-6  # a third of the 16-bit step
APPROACH_PER_S = 3.0  # rate for each radian that is left, close to the target
BRAKING = 0.7  # share of the acceleration that the approach counts on


class Slew:
    """Moves both axes to a target through `set_rate(axis, rad_s)`; azimuth the shorter way round, if it `turns`."""

    def __init__(
        self,
        timeline: Timeline,
        angles_rad: Callable[[], tuple[float, float]],
        set_rate: Callable[[int, float], None],
        rate_max_rad_s: float,
        acceleration_max_rad_s2: float,
        *,
        turns: bool = True,
    ) -> None:
        self.active = False
        self._turns = turns  # without stops; else an angle is what it is, overlap included
        self._timeline = timeline
        self._angles_rad = angles_rad
        self._set_rate = set_rate
        self.speeds_rad_s = [rate_max_rad_s, rate_max_rad_s]  # of each axis, at most
        self._acceleration_max_rad_s2 = acceleration_max_rad_s2
        self._number = 0  # of the present slew; a step of an earlier one finds another number and ends

    def start(self, when_ns: int, azimuth_rad: float, elevation_rad: float) -> None:
        """Begin at `when_ns`; replaces a slew that is under way."""
        self._number += 1
        self.active = True
        self._target_rad = (azimuth_rad, elevation_rad)
        number = self._number
        self._timeline.schedule(when_ns, lambda: self._step(number))

    def cancel(self) -> None:
        """Give no more rates; the last one stays until somebody sets another."""
        self._number += 1
        self.active = False

    def _step(self, number: int) -> None:
        if number != self._number:
            return
        azimuth_rad, elevation_rad = self._angles_rad()
        if self._turns:
            azimuth_rad = self._target_rad[0] - math.remainder(self._target_rad[0] - azimuth_rad, math.tau)
            elevation_rad = math.remainder(elevation_rad, math.tau)
        left_rad = (self._target_rad[0] - azimuth_rad, self._target_rad[1] - elevation_rad)
        arrived = max(map(abs, left_rad)) < TOLERANCE_RAD
        for axis, left in enumerate(left_rad):
            self._set_rate(axis, 0.0 if arrived else self._rate(left, self.speeds_rad_s[axis]))
        if arrived:
            self.active = False
        else:
            self._timeline.after(STEP_S, lambda: self._step(number))

    def _rate(self, left_rad: float, speed_rad_s: float) -> float:
        """The fastest rate from which the axis still stops in `left_rad`."""
        braking = math.sqrt(2 * BRAKING * self._acceleration_max_rad_s2 * abs(left_rad))
        return math.copysign(min(speed_rad_s, braking, APPROACH_PER_S * abs(left_rad)), left_rad)
