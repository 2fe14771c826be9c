"""The lockstep executor: services are threads, exactly one runs, and time passes only when all are blocked.

Simulated time passes in two calls, `sleep_until` and `wait` (a blocked wire read or bus call); both hand the baton
to the earliest due service, ties by service name, after the bench has run every event up to that time. Whatever a
service computes takes no simulated time. See docs/adr/0002-lockstep.md for the rules and why they are so.
"""

from __future__ import annotations

import os
import threading
from bisect import insort
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

Ready = Callable[[], int | None]


class Passing(Protocol):
    """What passes while time passes: the emulated bench."""

    @property
    def now_ns(self) -> int:
        """Simulated nanoseconds since the bench started."""
        ...

    def next_event_ns(self) -> int | None:
        """Time of the bench's next event, or None."""
        ...

    def advance(self, to_ns: int) -> None:
        """Let time pass, running events and physics."""
        ...


class LockstepError(RuntimeError):
    """The executor cannot go on: every service waits for ever, or one blocks outside of simulated time."""


class _KilledError(BaseException):
    """The way out of a killed service's thread."""


@dataclass(eq=False)
class _Turn:
    """One service and what it is blocked on."""

    name: str
    baton: threading.Lock = field(default_factory=threading.Lock)
    deadline_ns: int | None = 0
    ready: Ready | None = None
    killed: bool = False
    not_before_ns: int = 0  # a suspended process has no turn until then
    pause_ns: int = 0  # what a starved process waits after each of its turns

    def due_ns(self) -> int | None:
        """When this service may go on, as far as is known now."""
        at_ns = self.ready() if self.ready is not None else None
        if at_ns is None:
            return self.deadline_ns
        return at_ns if self.deadline_ns is None else min(at_ns, self.deadline_ns)


class Lockstep:
    """A Clock for hal and services, a Waiter for in-memory wires, and the scheduler behind both."""

    realtime = False

    def __init__(self, world: Passing, utc0_ns: int = 0, wall_guard_s: float = 60.0) -> None:
        self._world = world
        self._utc0_ns = utc0_ns
        self._wall_guard_s = wall_guard_s
        self._turns: list[_Turn] = []
        self._running: _Turn | None = None
        self._threads: list[threading.Thread] = []
        self._killed: list[_Turn] = []
        self._done = threading.Event()
        self._local = threading.local()
        self._steps = 0
        self._broken: LockstepError | None = None
        self.failures: dict[str, BaseException] = {}
        self.withheld = 0  # turns that were given later than they were due, or, after a kill, never

    # Clock

    def now_ns(self) -> int:
        """Simulated monotonic nanoseconds."""
        return self._world.now_ns

    def utc_ns(self) -> int:
        """Simulated UTC, nanoseconds since 1970."""
        return self._utc0_ns + self._world.now_ns

    def sleep_until(self, t_ns: int) -> None:
        """Block the calling service until simulated `t_ns`."""
        if t_ns > self._world.now_ns:
            self._block(None, t_ns)

    # Waiter

    def wait(self, ready: Ready, deadline_ns: int | None) -> bool:
        """Block until the time that `ready` names (True) or until `deadline_ns` (False), whichever is first."""
        at_ns = ready()
        if at_ns is None or at_ns > self._world.now_ns:
            self._block(ready, deadline_ns)
            at_ns = ready()
        return at_ns is not None and at_ns <= self._world.now_ns

    # Processes that do not run as they should

    def kill(self, name: str) -> None:
        """A service never has a turn again and closes nothing, as a process after SIGKILL. Raises KeyError.

        Its thread ends with the run, when nobody sees any more what it does on its way out.
        """
        turn = self._named(name)
        self._turns.remove(turn)
        self._killed.append(turn)
        self.withheld += 1

    def suspend(self, name: str, for_s: float) -> None:
        """A service has no turn for a while, as a process after SIGSTOP. Raises KeyError."""
        self._named(name).not_before_ns = self.now_ns() + round(for_s * 1e9)

    def starve(self, name: str, pause_s: float) -> None:
        """A service waits so long after each of its turns, as on a machine that is too busy. Raises KeyError."""
        self._named(name).pause_ns = round(pause_s * 1e9)

    def step_utc(self, step_s: float) -> None:
        """UTC as services see it is set, and the world's is not; monotonic time goes on."""
        self._utc0_ns += round(step_s * 1e9)

    def _named(self, name: str) -> _Turn:
        return {turn.name: turn for turn in self._turns}[name]

    # Scheduler

    def spawn(self, name: str, run: Callable[[], None]) -> None:
        """Add a service; it starts at the present simulated time once `run` drives the executor."""
        if any(turn.name == name for turn in self._turns):
            raise ValueError(f"a service named {name!r} runs already; names order the services and must differ")
        turn = _Turn(name, deadline_ns=self._world.now_ns)
        turn.baton.acquire()
        insort(self._turns, turn, key=lambda turn: turn.name)
        thread = threading.Thread(target=self._live, args=(turn, run), name=f"lockstep-{name}", daemon=True)
        self._threads.append(thread)

    def run(self) -> None:
        """Drive all services until each has returned.

        Raises:
            LockstepError: every service waits for ever, or one blocked outside of simulated time for longer than
                the wall-clock guard.
        """
        if not self._turns:
            return
        with _one_core():
            for thread in self._threads:
                thread.start()
            self._pass_baton()
            self._watch()
        if self._broken is not None:
            raise self._broken
        for turn in self._killed:
            turn.killed = True
            turn.baton.release()
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _watch(self) -> None:
        """Wall-clock guard: it may fail a run, it never shapes one."""
        seen = -1
        while not self._done.wait(self._wall_guard_s):
            if self._steps == seen:
                name = self._running.name if self._running else "the bench"
                self._broken = LockstepError(
                    f"{name} made no progress for {self._wall_guard_s:g} s of wall time: it blocks outside of "
                    "simulated time; every wait must go through the Clock or an in-memory wire"
                )
                return
            seen = self._steps

    def _live(self, turn: _Turn, run: Callable[[], None]) -> None:
        self._local.turn = turn
        turn.baton.acquire()
        try:
            run()
        except BaseException as error:  # a service that dies must not take the executor with it
            if not turn.killed:
                self.failures[turn.name] = error
        finally:
            if not turn.killed:
                self._turns.remove(turn)
                self._pass_baton()

    def _block(self, ready: Ready | None, deadline_ns: int | None) -> None:
        turn: _Turn | None = getattr(self._local, "turn", None)
        if turn is None:
            self._alone(ready, deadline_ns)
            return
        if turn.killed:
            raise _KilledError
        turn.ready, turn.deadline_ns = ready, deadline_ns
        if self._pass_baton() is not turn:
            turn.baton.acquire()
            if turn.killed:
                raise _KilledError
        turn.ready = None

    def _alone(self, ready: Ready | None, deadline_ns: int | None) -> None:
        """A caller that is no service (a test, the bench before it runs): time passes for it alone."""
        turn = _Turn("caller", deadline_ns=deadline_ns, ready=ready)
        while not self._reached(turn.due_ns()):
            pass

    def _pass_baton(self) -> _Turn | None:
        """Let time pass until a service is due, and hand it the baton; the caller's own turn needs no hand-over."""
        self._steps += 1
        mine: _Turn | None = getattr(self._local, "turn", None)
        try:
            turn = self._next_due()
        except BaseException as error:  # the bench itself failed: nobody can go on
            self._broken = error if isinstance(error, LockstepError) else LockstepError(f"the bench failed: {error!r}")
            self._broken.__cause__ = error
            self._done.set()
            raise
        self._running = turn
        if turn is None:
            self._done.set()
        elif turn is not mine:
            turn.baton.release()
        return turn

    def _next_due(self) -> _Turn | None:
        """Let time pass until a service is due; of those due at a time, the first by name."""
        while self._turns:
            best, best_ns, best_late = None, None, False
            for turn in self._turns:  # in the order of names
                due_ns = turn.deadline_ns if turn.ready is None else turn.due_ns()
                late = due_ns is not None and due_ns < turn.not_before_ns
                if late:
                    due_ns = turn.not_before_ns
                if due_ns is not None and (best_ns is None or due_ns < best_ns):
                    best, best_ns, best_late = turn, due_ns, late
            if self._reached(best_ns):
                self.withheld += best_late
                if best is not None and best.pause_ns:
                    best.not_before_ns = self.now_ns() + best.pause_ns
                return best
        return None

    def _reached(self, due_ns: int | None) -> bool:
        """Advance to the bench's next event (False: ask everybody again) or, when that is later, to `due_ns`."""
        if due_ns is not None and due_ns <= self._world.now_ns:
            return True
        event_ns = self._world.next_event_ns()
        if due_ns is not None and (event_ns is None or due_ns < event_ns):
            self._world.advance(due_ns)
            return True
        if event_ns is None:
            waiting = ", ".join(turn.name for turn in self._turns) or "the caller"
            raise LockstepError(f"nothing can happen any more and these wait without a deadline: {waiting}")
        self._world.advance(event_ns)
        return False


@contextmanager
def _one_core() -> Iterator[None]:
    """Keep all services on one core while they take turns: a hand-over costs 8 µs there and 27 µs across cores.

    As a batch job it costs 4 µs: the service that is woken then waits until the one that woke it blocks, where it would
    otherwise interrupt it only to find the interpreter's lock taken. Flights of several processes spread over cores.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores, policy = os.sched_getaffinity(0), os.sched_getscheduler(0)
    os.sched_setaffinity(0, {sorted(cores)[os.getpid() % len(cores)]})
    if policy == os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        yield
    finally:
        if policy == os.SCHED_OTHER:
            os.sched_setscheduler(0, policy, os.sched_param(0))
        os.sched_setaffinity(0, cores)
