"""Ctrl-C, SIGTERM and a closed terminal as flags that a loop asks for; Ctrl-Z suspends nobody who minds a mount."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType
from typing import Final

COUNTED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SUSPENDING: Final = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)  # from a terminal; SIGSTOP nobody can ignore


class StopSignals:
    """True once a signal has come; `urgent` once a second has: who says it twice does not want to wait.

    A closed terminal is never the second: shell and kernel both tell of it, and a gimbal is to be parked all the same.
    """

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> bool:
        """Whether the end is wanted."""
        return self.count > 0

    def urgent(self) -> bool:
        """Whether it is wanted at once."""
        return self.count > 1

    def tell(self, number: int, where: FrameType | None) -> None:
        """Count one: the handler."""
        self.count = max(self.count, 1) if number == signal.SIGHUP else self.count + 1


@contextmanager
def stop_signals() -> Iterator[StopSignals]:
    """Ctrl-C, SIGTERM and SIGHUP (unless it is ignored: nohup) are counted; Ctrl-Z is ignored, also by what is started.

    Within another one it is the other's count. Elsewhere than in the main thread there are no signals to catch.
    """
    outer = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    if isinstance(outer, StopSignals) or current_thread() is not main_thread():
        yield outer if isinstance(outer, StopSignals) else StopSignals()
        return
    told = StopSignals()
    counted = [number for number in COUNTED if (number, signal.getsignal(number)) != (signal.SIGHUP, signal.SIG_IGN)]
    before = {number: signal.signal(number, told.tell) for number in counted}
    before |= {number: signal.signal(number, signal.SIG_IGN) for number in SUSPENDING}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
