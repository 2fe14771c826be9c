"""Simulated time: the one heap of events that emulators and plant share.

An emulator never reads a clock. It asks the timeline what time it is and schedules what it does next; whoever
drives the bench (lockstep executor or real-time reactor) calls `advance`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

NS = 1_000_000_000


class Timeline:
    """Ordered events in nanoseconds since the bench started; equal times run in the order scheduled."""

    def __init__(self, utc0_ns: int = 0) -> None:
        self.now_ns = 0
        self.utc0_ns = utc0_ns
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()

    @property
    def utc_ns(self) -> int:
        """UTC of now, nanoseconds since 1970."""
        return self.utc0_ns + self.now_ns

    def schedule(self, t_ns: int, action: Callable[[], None]) -> None:
        """Run `action` when time reaches `t_ns`; a time that has passed means now."""
        heapq.heappush(self._events, (max(t_ns, self.now_ns), next(self._order), action))

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        """Run `action` after `delay_s`."""
        self.schedule(self.now_ns + round(delay_s * NS), action)

    def next_event_ns(self) -> int | None:
        """Time of the earliest event, or None."""
        return self._events[0][0] if self._events else None

    def advance(self, to_ns: int, between: Callable[[int], None] | None = None) -> None:
        """Let time pass to `to_ns`, running due events in order; `between(t)` is called before time jumps to t."""
        while self._events and self._events[0][0] <= to_ns:
            t_ns, _, action = heapq.heappop(self._events)
            self._pass(t_ns, between)
            action()
        self._pass(to_ns, between)

    def _pass(self, t_ns: int, between: Callable[[int], None] | None) -> None:
        if t_ns > self.now_ns:
            if between is not None:
                between(t_ns)
            self.now_ns = t_ns
