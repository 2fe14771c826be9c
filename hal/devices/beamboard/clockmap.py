"""Maps the board's ticks to the host's monotonic time from the bounds that every exchange gives.

The exchange with the tightest bounds of each second says most (the rest waited in some queue); a line through those of
the last half minute gives offset and rate of the board's crystal.
"""

from __future__ import annotations

from collections import deque

from hal.clock import NS
from hal.devices.beamboard.exchange import Executed

BUCKETS = 32
FIT_AFTER = 8  # seconds of history before the rate is believed over its nominal value


class ClockMap:
    """tick <-> monotonic ns; ticks are those of a u32 counter, counted on past its wrap."""

    def __init__(self, rate_hz: float) -> None:
        self._nominal_ns = NS / rate_hz
        self._best: deque[tuple[int, int, float, int]] = deque(maxlen=BUCKETS)  # second, tick, ns, width
        self._origin_tick = 0
        self._origin_ns = 0.0
        self._period_ns = self._nominal_ns

    def add(self, executed: Executed) -> None:
        """Learn from one exchange."""
        tick = self._unwrapped(executed.tick)
        width = max(0, executed.latest_ns - executed.earliest_ns)
        # A request is executed between two ticks, half a tick after the counted one on average.
        at_ns = (executed.earliest_ns + executed.latest_ns) / 2 - self._nominal_ns / 2
        second = executed.latest_ns // NS
        if self._best and self._best[-1][0] == second:
            if self._best[-1][3] <= width:
                return
            self._best[-1] = (second, tick, at_ns, width)
        else:
            self._best.append((second, tick, at_ns, width))
        self._fit()

    def jumped_s(self, executed: Executed) -> float:
        """By how much the board's count is not what it should be by now; 0 where it may be. It never goes back.

        Half a percent is far beyond any crystal; a count that stands still is another fault, and is told elsewhere.
        """
        if not self._best:
            return 0.0
        second, newest, *_ = self._best[-1]
        counted_ns = (self._unwrapped(executed.tick) - newest) * self._nominal_ns
        passed_ns = 1.005 * (executed.latest_ns - second * NS) + NS
        return counted_ns / NS if counted_ns < 0 or counted_ns > passed_ns else 0.0

    def ns_of(self, tick: int) -> int:
        """Monotonic time of a tick of the counter."""
        return round(self._origin_ns + (self._unwrapped(tick) - self._origin_tick) * self._period_ns)

    def tick_of(self, t_ns: int) -> int:
        """The u32 tick nearest to a monotonic time."""
        return (self._origin_tick + round((t_ns - self._origin_ns) / self._period_ns)) & 0xFFFFFFFF

    def _unwrapped(self, tick: int) -> int:
        """The count nearest to the newest known one that shows as `tick`."""
        newest = self._best[-1][1] if self._best else tick
        return newest + ((tick - newest + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)

    def _fit(self) -> None:
        narrowest = min(width for *_, width in self._best)
        good = [(tick, ns) for _, tick, ns, width in self._best if width <= 2 * narrowest + self._nominal_ns]
        n = len(good)
        mean_tick = sum(tick for tick, _ in good) / n
        mean_ns = sum(ns for _, ns in good) / n
        self._period_ns = self._nominal_ns
        spread = sum((tick - mean_tick) ** 2 for tick, _ in good)
        if n >= FIT_AFTER and spread > 0:  # a board whose tick stands still has no rate
            self._period_ns = sum((tick - mean_tick) * (ns - mean_ns) for tick, ns in good) / spread
        self._origin_tick = good[-1][0]
        self._origin_ns = mean_ns + (self._origin_tick - mean_tick) * self._period_ns
