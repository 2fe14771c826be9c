"""The event loop of an emulated bench in real time: one thread lets simulated time follow the machine's.

Sockets and ptys call back from here, so no emulator is ever entered from two threads.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable
from typing import Protocol, cast

from sim_hw.timeline import NS

STEP_MAX_NS = NS // 100  # physics never lags further behind, even when nothing is asked of it
IDLE_NS = NS // 500  # so much time until the next event is enough for a piece of work ahead
LATE_NS = NS // 1000  # an event that ran later than this counts as late

Callback = Callable[[], None]


class Time(Protocol):
    """The machine's monotonic time."""

    def now_ns(self) -> int:
        """Nanoseconds from an arbitrary start."""
        ...


class Passing(Protocol):
    """What passes while time passes: world or timeline."""

    @property
    def now_ns(self) -> int:
        """Simulated nanoseconds since the bench started."""
        ...

    def next_event_ns(self) -> int | None:
        """Time of the next event, or None."""
        ...

    def advance(self, to_ns: int) -> None:
        """Let time pass, running events and physics."""
        ...


class Reactor:
    """Couples `world` to `time` and carries its wires.

    A descriptor may have a reader and a writer; a callback may add and remove any. `offset_ns` is the machine's time
    minus the world's, in case that is fixed by something else than now. `work_ahead` does a short piece of what will be
    needed later, when there is time for it; False says that there is nothing to do.
    """

    def __init__(
        self,
        world: Passing,
        time: Time,
        offset_ns: int | None = None,
        work_ahead: Callable[[], bool] = lambda: False,
    ) -> None:
        self.count_anew()
        self._world = world
        self._work_ahead = work_ahead
        self._time = time
        self.offset_ns = time.now_ns() - world.now_ns if offset_ns is None else offset_ns
        self._selector = selectors.SelectSelector()  # epoll would round every wait up to a millisecond

    def add_reader(self, fd: int, callback: Callback) -> None:
        """Call back whenever `fd` can be read (or has hung up)."""
        self._set(fd, selectors.EVENT_READ, callback)

    def remove_reader(self, fd: int) -> None:
        """Stop that; an unknown `fd` is no error."""
        self._set(fd, selectors.EVENT_READ, None)

    def add_writer(self, fd: int, callback: Callback) -> None:
        """Call back whenever `fd` can be written."""
        self._set(fd, selectors.EVENT_WRITE, callback)

    def remove_writer(self, fd: int) -> None:
        """Stop that; an unknown `fd` is no error."""
        self._set(fd, selectors.EVENT_WRITE, None)

    def run(self, stop: Callable[[], bool]) -> None:
        """Turn until `stop()`, which is asked at least every 10 ms."""
        while not stop():
            self.turn()

    def count_anew(self) -> None:
        """Begin to count steps and their lateness from here."""
        self.steps = 0
        self.late_steps = 0
        self.lateness_max_ns = 0

    def turn(self) -> None:
        """Catch up with the time, wait for the next event or a wire, serve the wires."""
        now_ns = self._catch_up()
        due_ns = self._world.next_event_ns()
        wait_ns = STEP_MAX_NS if due_ns is None else min(STEP_MAX_NS, max(0, due_ns - now_ns))
        ready = self._selector.select(0) if wait_ns > IDLE_NS else None
        if ready is None or (not ready and not self._work_ahead()):
            ready = self._selector.select(wait_ns / NS)
        if not ready:
            return
        self._catch_up()  # bytes arrive in a world that is up to date
        for key, events in ready:
            for event in (selectors.EVENT_READ, selectors.EVENT_WRITE):
                callback = self._callbacks(key.fd).get(event)
                if events & event and callback is not None:
                    callback()

    def close(self) -> None:
        """Forget every descriptor; closing them is their owners' business."""
        self._selector.close()

    def _catch_up(self) -> int:
        now_ns = self._time.now_ns() - self.offset_ns
        due_ns = self._world.next_event_ns()
        if due_ns is not None and due_ns <= now_ns:
            self.steps += 1
            self.lateness_max_ns = max(self.lateness_max_ns, now_ns - due_ns)
            self.late_steps += now_ns - due_ns > LATE_NS
        self._world.advance(max(now_ns, self._world.now_ns))
        return now_ns

    def _callbacks(self, fd: int) -> dict[int, Callback]:
        key = self._selector.get_map().get(fd)
        return cast("dict[int, Callback]", key.data) if key is not None else {}

    def _set(self, fd: int, event: int, callback: Callback | None) -> None:
        callbacks = dict(self._callbacks(fd))
        known = bool(callbacks)
        callbacks.pop(event, None)
        if callback is not None:
            callbacks[event] = callback
        mask = sum(callbacks)
        if not callbacks:
            if known:
                self._selector.unregister(fd)
        elif known:
            self._selector.modify(fd, mask, callbacks)
        else:
            self._selector.register(fd, mask, callbacks)
