"""The same driver in real time, on a pty that a thread of its own serves."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from hal.clock import NS, RealClock
from hal.devices.beamboard import BeamBoard
from sim_hw.devices import beamboard as emulator
from sim_hw.timeline import Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.pty import PtyPort
from sim_hw.wires.reactor import Reactor

BAUD = 921_600
TICK_NS = 100_000
WATCHDOG_TICKS = 2500


class Ticking:
    """A world that is one beam board; remembers the tick at which the enable line fell."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.board = emulator.BeamBoard()
        self.ticks = 0
        self.fell_at = 0

    @property
    def now_ns(self) -> int:
        return self.timeline.now_ns

    def next_event_ns(self) -> int | None:
        return self.timeline.next_event_ns()

    def advance(self, to_ns: int) -> None:
        self.timeline.advance(to_ns, self._tick)

    def _tick(self, to_ns: int) -> None:
        while self.ticks < to_ns // TICK_NS:
            was_up = self.board.enable_line
            self.board.tick()
            self.ticks += 1
            if was_up and not self.board.enable_line:
                self.fell_at = self.ticks


@pytest.fixture
def served() -> Iterator[tuple[Ticking, str]]:
    world = Ticking()
    reactor = Reactor(world, RealClock())
    port = PtyPort(SerialLine(world.timeline, world.board, BAUD), reactor)
    stop = threading.Event()
    thread = threading.Thread(target=lambda: reactor.run(stop.is_set))
    thread.start()
    yield world, port.resource
    stop.set()
    thread.join(5)
    port.close()
    reactor.close()


def test_the_line_falls_250_ms_of_board_time_after_the_last_heartbeat(served: tuple[Ticking, str]) -> None:
    world, resource = served
    clock = RealClock()
    board = BeamBoard(resource, BAUD, clock)
    last = board.heartbeat(True)
    while not world.fell_at and clock.now_ns() < last.t_ns + 5 * NS:
        clock.sleep_until(clock.now_ns() + NS // 100)
    assert world.fell_at == last.tick + WATCHDOG_TICKS + 1
    assert board.status().latches == ("watchdog",)
    board.close()


def test_a_capture_comes_whole_over_the_tty(served: tuple[Ticking, str]) -> None:
    world, resource = served
    world.board.io[:4] = (0.2, 0.1, 0.1, 0.2)
    board = BeamBoard(resource, BAUD, RealClock())
    capture = board.capture(("quad_x", "quad_sum"), 0.2)
    board.close()
    assert capture.samples.shape == (2000, 2)
    assert capture.samples.min(axis=0) == pytest.approx((1 / 3, 0.6))
    assert capture.samples.max(axis=0) == pytest.approx((1 / 3, 0.6))
