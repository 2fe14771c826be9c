"""The real-time reactor in a thread of its own, so that a test may block in the library under test."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from hal.clock import RealClock
from sim_hw.timeline import Timeline
from sim_hw.wires.reactor import Reactor


class Loop:
    """`start`, and `close` in the end; usable as a context manager."""

    def __init__(self, timeline: Timeline) -> None:
        self.reactor = Reactor(timeline, RealClock())
        self._calls: list[Callable[[], None]] = []
        self._ended = False
        self._thread = threading.Thread(target=self.reactor.run, args=(self._turn,), name="reactor-loop")

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._ended = True
        self._thread.join(10)
        self.reactor.close()

    def __enter__(self) -> Loop:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, action: Callable[[], Any]) -> Any:
        """Run `action` in the reactor's thread and give back what it returns."""
        done = threading.Event()
        answer: list[Any] = []

        def run() -> None:
            try:
                answer.append(action())
            finally:
                done.set()

        self._calls.append(run)
        assert done.wait(10)
        return answer[0]

    def _turn(self) -> bool:
        while self._calls:
            self._calls.pop(0)()
        return self._ended
