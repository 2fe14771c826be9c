"""How far an axis with limited rate and acceleration stays behind a path; compiled, because a pass has 10^4 steps."""

from __future__ import annotations

import math

import numpy as np
from numba import njit


@njit(cache=True)
def lag(angle, rate, step_s, rate_max, acceleration_max):  # type: ignore[no-untyped-def]  # numba
    """Angle (n) minus the axis's position, radians, at steps of `step_s`; limits in rad/s and rad/s^2.

    The axis turns towards where the target is, no faster and no harder than it can.
    """
    position, speed = angle[0], rate[0]
    change = acceleration_max * step_s
    behind = np.zeros(len(angle))
    for i in range(len(angle)):
        behind[i] = gap = angle[i] - position
        closing = math.copysign(min(abs(gap) / (4 * step_s), math.sqrt(abs(gap) * acceleration_max)), gap)
        wanted = min(max(rate[i] + closing, -rate_max), rate_max)
        speed += min(max(wanted - speed, -change), change)
        position += speed * step_s
    return behind
