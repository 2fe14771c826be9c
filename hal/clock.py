"""The one source of time: a Clock is injected everywhere and nothing else reads or waits for time.

Two clocks exist: `RealClock` here, and the lockstep executor in `controller.services.lockstep`.
"""

from __future__ import annotations

import time
from typing import Protocol

NS = 1_000_000_000


class Clock(Protocol):
    """Time as everything in Boresight sees it."""

    @property
    def realtime(self) -> bool:
        """True only where a second is a second: anything else never counts towards real emission."""
        ...

    def now_ns(self) -> int:
        """Monotonic nanoseconds, from an arbitrary start."""
        ...

    def utc_ns(self) -> int:
        """UTC as nanoseconds since 1970-01-01 (POSIX: a leap second repeats)."""
        ...

    def sleep_until(self, t_ns: int) -> None:
        """Block until monotonic `t_ns`; return at once if it has passed."""
        ...


class RealClock:
    """The machine's own clock."""

    realtime = True

    def now_ns(self) -> int:
        """Monotonic nanoseconds of the machine."""
        return time.monotonic_ns()

    def utc_ns(self) -> int:
        """UTC of the machine in nanoseconds since 1970."""
        return time.time_ns()

    def sleep_until(self, t_ns: int) -> None:
        """Sleep to an absolute monotonic time, so that lateness does not accumulate."""
        while (left_ns := t_ns - time.monotonic_ns()) > 0:
            time.sleep(left_ns / NS)


class Deadline:
    """A moment on a Clock by which something must have happened."""

    def __init__(self, clock: Clock, timeout_s: float) -> None:
        self._clock = clock
        self.t_ns = clock.now_ns() + round(timeout_s * NS)

    @property
    def remaining_s(self) -> float:
        """Seconds left, never negative."""
        return max(0, self.t_ns - self._clock.now_ns()) / NS

    @property
    def expired(self) -> bool:
        """True once the moment has passed."""
        return self._clock.now_ns() >= self.t_ns
