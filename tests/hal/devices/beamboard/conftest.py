"""The beam-board driver on an in-memory line with the firmware at the other end, in simulated time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from hal.devices.beamboard import BeamBoard
from sim_hw.devices import beamboard as emulator
from sim_hw.timeline import Timeline
from sim_hw.wires import memory_serial
from sim_hw.wires.line import SerialLine

BAUD = 921_600
TICK_NS = 100_000
_number = itertools.count()


class Bench:
    """Clock and Waiter at once: the only service is the test, so waiting is advancing."""

    realtime = False

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.board = emulator.BeamBoard(serial=42)
        self.line = SerialLine(self.timeline, self.board, BAUD)
        self.resource = memory_serial.register(f"beamboard-{next(_number)}", self.line, self)
        self.ticks = 0
        self.frozen = False  # a board whose tick has stopped

    def now_ns(self) -> int:
        return self.timeline.now_ns

    def utc_ns(self) -> int:
        return self.timeline.utc_ns

    def sleep_until(self, t_ns: int) -> None:
        self.timeline.advance(max(t_ns, self.now_ns()), self._tick)

    def sleep(self, seconds: float) -> None:
        self.sleep_until(self.now_ns() + round(seconds * 1e9))

    def wait(self, ready: Callable[[], int | None], deadline_ns: int | None) -> bool:
        while True:
            at = ready()
            if at is not None and (deadline_ns is None or at <= deadline_ns):
                self.sleep_until(at)
                return True
            following = self.timeline.next_event_ns()
            if following is None or (deadline_ns is not None and following > deadline_ns):
                assert deadline_ns is not None, "the test waits for ever"
                self.sleep_until(deadline_ns)
                return False
            self.sleep_until(following)

    def _tick(self, to_ns: int) -> None:
        due = to_ns // TICK_NS - self.ticks
        self.ticks += due
        if not self.frozen:
            self.board.tick(due)

    def light(self, x: float, y: float, total: float = 1.0) -> None:
        for index, (sx, sy) in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1))):
            self.board.io[index] = total / 4 * (1 + sx * x + sy * y)

    def driver(self) -> BeamBoard:
        return BeamBoard(self.resource, BAUD, self)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    memory_serial.unregister(made.resource.removeprefix(memory_serial.SCHEME))


@pytest.fixture
def driver(bench: Bench) -> Iterator[BeamBoard]:
    made = bench.driver()
    yield made
    bench.line.spoil = None
    made.close()
