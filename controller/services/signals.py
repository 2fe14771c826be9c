"""Ctrl-C and SIGTERM as flags that a loop asks for; Ctrl-Z does not suspend whoever has something to look after."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType
from typing import Final

COUNTED: Final = (signal.SIGINT, signal.SIGTERM)
SUSPENDING: Final = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)  # from a terminal; SIGSTOP nobody can ignore


class StopSignals:
    """True once a signal has come; `urgent` once a second has: who says it twice does not want to wait."""

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
        self.count += 1


@contextmanager
def stop_signals() -> Iterator[StopSignals]:
    """Ctrl-C and SIGTERM are counted and Ctrl-Z is ignored, by what is started meanwhile, too.

    Within another one it is the other's count. Elsewhere than in the main thread there are no signals to catch.
    """
    outer = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    if isinstance(outer, StopSignals) or current_thread() is not main_thread():
        yield outer if isinstance(outer, StopSignals) else StopSignals()
        return
    told = StopSignals()
    before = {number: signal.signal(number, told.tell) for number in COUNTED}
    before |= {number: signal.signal(number, signal.SIG_IGN) for number in SUSPENDING}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
