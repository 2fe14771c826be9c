"""One motor of a mount whose axes are commanded apart: it turns, goes somewhere and brakes by itself."""

from __future__ import annotations

import math
from collections.abc import Callable

from sim_hw.devices.encoders import Encoders
from sim_hw.devices.slew import APPROACH_PER_S, BRAKING, STEP_S
from sim_hw.timeline import NS, Timeline

ARRIVED_RAD = 5e-6


class AxisDrive:
    """Axis 0 or 1 of a mount. What it is told begins `motion_delay_s` later."""

    def __init__(
        self, timeline: Timeline, mount: Encoders, axis: int, *, rate_max_rad_s: float,
        acceleration_max_rad_s2: float, motion_delay_s: float = 0.02,
    ) -> None:  # fmt: skip
        self._timeline, self._mount, self._axis = timeline, mount, axis
        self.rate_max_rad_s = rate_max_rad_s
        self._acceleration_max_rad_s2 = acceleration_max_rad_s2
        self._delay_ns = round(motion_delay_s * NS)
        self._number = 0  # of what it was told last; a step of something earlier finds another number and ends
        self.turning = False  # at a rate that it was told
        self.moving = False  # turning, on its way or braking
        self.rate_rad_s = 0.0  # that its motor has now

    @property
    def angle_rad(self) -> float:
        """What its encoder shows."""
        return self._mount.encoder_rad()[self._axis]

    def turn(self, rate_rad_s: float) -> None:
        """Turn at this rate, or at its fastest, until told otherwise."""
        rate_rad_s = min(self.rate_max_rad_s, max(-self.rate_max_rad_s, rate_rad_s))
        if not self.turning:
            self._begin(turning=True)
        self._later(lambda: self._set(rate_rad_s))

    def go(self, angle_rad: float, arrived: Callable[[], None] = lambda: None) -> None:
        """Go to an angle and stop there."""
        self._begin()
        number = self._number
        self._later(lambda: self._approach(number, angle_rad, arrived))

    def brake(self) -> None:
        """Come to rest as fast as its acceleration lets it, beginning at once."""
        if not self.moving:
            return
        self._begin()
        number = self._number
        braking_s = abs(self.rate_rad_s) / self._acceleration_max_rad_s2
        self._set(0.0)
        self._timeline.after(braking_s, lambda: self._rest(number))

    def halt(self) -> None:
        """Stand at once, as without power, or against a stop."""
        self._begin()
        self._set(0.0)
        self.moving = False

    def _begin(self, turning: bool = False) -> None:
        self._number += 1
        self.moving, self.turning = True, turning

    def _later(self, action: Callable[[], None]) -> None:
        number = self._number
        due_ns = self._timeline.now_ns + self._delay_ns
        self._timeline.schedule(due_ns, lambda: action() if number == self._number else None)

    def _set(self, rate_rad_s: float) -> None:
        self.rate_rad_s = rate_rad_s
        self._mount.set_rate(self._axis, rate_rad_s)

    def _rest(self, number: int) -> None:
        if number == self._number:
            self.moving = False

    def _approach(self, number: int, angle_rad: float, arrived: Callable[[], None]) -> None:
        if number != self._number:
            return
        left_rad = angle_rad - self.angle_rad
        if abs(left_rad) < ARRIVED_RAD:
            self._set(0.0)
            self.moving = False
            arrived()
            return
        braking = math.sqrt(2 * BRAKING * self._acceleration_max_rad_s2 * abs(left_rad))
        self._set(math.copysign(min(self.rate_max_rad_s, braking, APPROACH_PER_S * abs(left_rad)), left_rad))
        self._timeline.after(STEP_S, lambda: self._approach(number, angle_rad, arrived))
