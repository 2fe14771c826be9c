"""Ctrl-C and SIGTERM as flags that a loop asks for."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread


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


@contextmanager
def stop_signals() -> Iterator[StopSignals]:
    """Ctrl-C and SIGTERM are counted; elsewhere than in the main thread there are none to catch."""
    told = StopSignals()
    if current_thread() is not main_thread():
        yield told
        return

    def tell(number: int, where: object) -> None:
        told.count += 1

    before = {number: signal.signal(number, tell) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
