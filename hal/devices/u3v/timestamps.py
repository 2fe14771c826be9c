"""The camera's clock, told in the host's: a straight line through the latches with the shortest round trips.

A latch reads the camera's clock at some moment between two readings of the host's. The shorter that round trip, the
less room for error, so only the quickest latches enter the fit.
"""

from __future__ import annotations

from collections import deque

NS = 1_000_000_000
KEPT = 64
QUICK = 1.5  # times the shortest round trip
DRIFT_AFTER_NS = 5 * NS  # a drift from a shorter baseline would be noise


class ClockMap:
    """Maps camera ticks to the host's monotonic nanoseconds."""

    def __init__(self, ns_per_tick: int = 1) -> None:
        self._ns_per_tick = ns_per_tick
        self._latches: deque[tuple[int, int, int]] = deque(maxlen=KEPT)  # round trip, camera, host (ns)
        self._camera0_ns = self._host0_ns = 0
        self._slope = 1.0

    def add(self, before_ns: int, ticks: int, after_ns: int) -> None:
        """A latch: the camera showed `ticks` somewhere between two host times."""
        self._latches.append((after_ns - before_ns, ticks * self._ns_per_tick, (before_ns + after_ns) // 2))
        shortest = min(latch[0] for latch in self._latches)
        quick = [latch for latch in self._latches if latch[0] <= QUICK * shortest]
        camera = [latch[1] for latch in quick]
        host = [latch[2] for latch in quick]
        self._camera0_ns, self._host0_ns = camera[-1], host[-1]
        x = [float(c - self._camera0_ns) for c in camera]
        excess = [float(h - self._host0_ns) - xi for h, xi in zip(host, x, strict=True)]
        x_mean, excess_mean = sum(x) / len(x), sum(excess) / len(excess)
        rate = 0.0
        if camera[-1] - camera[0] >= DRIFT_AFTER_NS:
            spread = sum((xi - x_mean) ** 2 for xi in x)
            rate = sum((xi - x_mean) * (e - excess_mean) for xi, e in zip(x, excess, strict=True)) / spread
        self._slope = 1.0 + rate
        self._host0_ns += round(excess_mean - rate * x_mean)

    @property
    def drift(self) -> float:
        """Host seconds in a camera second, less one."""
        return self._slope - 1.0

    def host_ns(self, ticks: int) -> int:
        """Host time at which the camera's clock showed `ticks`."""
        elapsed_ns = ticks * self._ns_per_tick - self._camera0_ns
        return self._host0_ns + elapsed_ns + round((self._slope - 1.0) * elapsed_ns)
