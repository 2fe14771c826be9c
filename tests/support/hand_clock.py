"""A clock that a test turns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class HandClock:
    """Time passes when somebody sleeps, or when a test sets `t_ns`; UTC is `utc_offset_ns` from it."""

    t_ns: int = 10**12
    utc_offset_ns: int = 0
    realtime: bool = False

    def now_ns(self) -> int:
        return self.t_ns

    def utc_ns(self) -> int:
        return self.t_ns + self.utc_offset_ns

    def sleep_until(self, t_ns: int) -> None:
        self.t_ns = max(self.t_ns, t_ns)
