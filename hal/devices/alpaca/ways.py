"""Whether an axis turns the way that it was told: Alpaca leaves open what a positive rate is (ASCOM, "MoveAxis FAQ").

In a loop, an axis that turns the other way runs from its target, ever faster, and out of its travel.
"""

from __future__ import annotations

import math

from hal.clock import NS

SETTLES_NS = NS // 2  # beyond latency and ramp: readings of some servers are as old
SURE_RAD = math.radians(0.2)  # by which it should have turned before it is judged, and
SURE_NS = NS  # for how long


class Way:
    """One axis. `told` hears every rate, `seen` every reading, times in ns of the Clock."""

    def __init__(self, latency_s: float, acceleration_rad_s2: float) -> None:
        self._latency_s, self._acceleration_rad_s2 = latency_s, acceleration_rad_s2
        self._rate_rad_s = 0.0
        self._since_ns = 0  # from when readings count; the axis has turned one way since
        self._told_ns = 0
        self._start: tuple[int, float] | None = None  # the first that counted
        self._wanted_rad = 0.0  # by which it should have turned since

    def told(self, rate_rad_s: float, now_ns: int) -> None:
        """It turns at this rate from now on; 0 also where something else moves it."""
        self._count(now_ns)
        if rate_rad_s * self._rate_rad_s <= 0:
            ramp_s = abs(rate_rad_s - self._rate_rad_s) / self._acceleration_rad_s2
            self._since_ns = now_ns + SETTLES_NS + round((self._latency_s + ramp_s) * NS)
            self._start = None
        self._rate_rad_s = rate_rad_s

    def wrong(self, angle_rad: float, t_ns: int) -> bool:
        """With this reading it is plain that it turns the other way."""
        self._count(t_ns)
        if self._rate_rad_s == 0.0 or t_ns < self._since_ns:
            return False
        if self._start is None:
            self._start, self._wanted_rad = (t_ns, angle_rad), 0.0
            return False
        if abs(self._wanted_rad) < SURE_RAD or t_ns - self._start[0] < SURE_NS:
            return False
        if abs(self._wanted_rad) > math.pi / 2:  # read so seldom that it may have gone round
            self._start = None
            return False
        turned_rad = math.remainder(angle_rad - self._start[1], math.tau)
        wrong = turned_rad * self._wanted_rad < -0.25 * self._wanted_rad**2
        self._start = None  # judged anew from here
        return wrong

    def _count(self, now_ns: int) -> None:
        self._wanted_rad += self._rate_rad_s * (now_ns - self._told_ns) / NS
        self._told_ns = now_ns
