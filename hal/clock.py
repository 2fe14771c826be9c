"""The one source of time: a Clock is injected everywhere and nothing else reads or waits for time.

Three clocks exist: `RealClock` and `ShiftedClock` here, and the lockstep executor in `controller.services.lockstep`.
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
    """The machine's own clock. A command of the bus reads it twenty times: the functions are the machine's own, too."""

    realtime = True
    now_ns = staticmethod(time.monotonic_ns)
    utc_ns = staticmethod(time.time_ns)

    def sleep_until(self, t_ns: int) -> None:
        """Sleep to an absolute monotonic time, so that lateness does not accumulate."""
        while (left_ns := t_ns - time.monotonic_ns()) > 0:
            time.sleep(left_ns / NS)


class ShiftedClock:
    """Real speed at another epoch: for an emulated sky, whose satellites are of another day.

    UTC is the machine's monotonic time plus `utc_offset_ns`: every process of the machine that is given the same
    offset has the same UTC, and setting the machine's clock does not move the sky. It is nobody's UTC, so `realtime`
    is false: no real device is opened with it, and nothing real emits.
    """

    realtime = False

    def __init__(self, utc_offset_ns: int) -> None:
        self.utc_offset_ns = utc_offset_ns

    def now_ns(self) -> int:
        """Monotonic nanoseconds of the machine."""
        return time.monotonic_ns()

    def utc_ns(self) -> int:
        """UTC of the emulated world in nanoseconds since 1970."""
        return time.monotonic_ns() + self.utc_offset_ns

    def sleep_until(self, t_ns: int) -> None:
        """Sleep to an absolute monotonic time."""
        RealClock().sleep_until(t_ns)


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
