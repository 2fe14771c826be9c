"""Waiting for what comes over a socket, and no longer than a test may take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hal.clock import NS, Deadline, RealClock


def eventually(read: Callable[[], Any], timeout_s: float = 5.0) -> Any:
    """What `read` gives as soon as it gives something."""
    clock = RealClock()
    deadline = Deadline(clock, timeout_s)
    while not (value := read()):
        assert not deadline.expired, "it never came"
        clock.sleep_until(clock.now_ns() + NS // 1000)
    return value
