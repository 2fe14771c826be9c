"""When things happen in an instrument: messages one after the other, each reply at its simulated time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

from sim_hw.devices.scpi.core import Scpi
from sim_hw.timeline import Timeline

Deliver = Callable[[str], None]


class Exchange:
    """Runs the messages of one instrument in order.

    `latency_s` is the time from a query to its reply; `extra_delay_s` may be set at any time and makes replies late.
    """

    def __init__(self, timeline: Timeline, core: Scpi, latency_s: float = 0.001) -> None:
        self.core = core
        self.latency_s = latency_s
        self.extra_delay_s = 0.0
        self.fault: Callable[[bytes, Callable[[bytes], None]], None] | None = None  # see sim_hw.faults
        self.deaf = False
        self.heard: Callable[[], None] = lambda: None
        self._timeline = timeline
        self._queue: deque[tuple[str, Deliver]] = deque()
        self._working = False
        self._generation = 0

    @property
    def idle(self) -> bool:
        """Nothing is being worked on."""
        return not self._working

    def submit(self, line: str, deliver: Deliver) -> None:
        """Take a program message; `deliver` gets its reply, if it has one, when it is ready."""
        self.heard()
        if self.deaf:
            return
        self._queue.append((line, deliver))
        if not self._working:
            self._next()

    def clear(self) -> None:
        """Device clear: forget queued messages and replies on their way (IEEE 488.2 5.8)."""
        self._queue.clear()
        self._working = False
        self._generation += 1

    def _next(self) -> None:
        while self._queue:
            line, deliver = self._queue.popleft()
            reply = self.core.execute(line)
            busy_s = self.core.busy_s()
            if reply is None and busy_s == 0.0:
                continue
            delay_s = busy_s if reply is None else self.latency_s + self.extra_delay_s + busy_s
            self._working = True
            self._timeline.after(delay_s, partial(self._finish, self._generation, reply, deliver))
            return

    def _finish(self, generation: int, reply: str | None, deliver: Deliver) -> None:
        if generation != self._generation:
            return
        self._working = False
        if reply is not None and self.fault is not None:
            self.fault(reply.encode("latin-1"), partial(self._gather, bytearray(), len(reply), deliver))
        elif reply is not None:
            deliver(reply)
        if not self._working:
            self._next()

    @staticmethod
    def _gather(come: bytearray, length: int, deliver: Deliver, piece: bytes) -> None:
        """A message goes out when its last piece has come: it has one end, however it was split."""
        come += piece
        if len(come) >= length:
            whole = bytes(come)
            come.clear()
            deliver(whole.decode("latin-1"))
