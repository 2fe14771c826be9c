"""The real-time event loop, with a hand-driven clock where time matters."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from hal.clock import RealClock
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.reactor import STEP_MAX_NS, Reactor


class HandClock:
    def __init__(self) -> None:
        self.t_ns = 5_000

    def now_ns(self) -> int:
        return self.t_ns


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    os.set_blocking(write, False)
    yield read, write
    os.close(read)
    os.close(write)


@pytest.fixture
def timeline() -> Timeline:
    return Timeline()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def reactor(timeline: Timeline, clock: HandClock) -> Iterator[Reactor]:
    reactor = Reactor(timeline, clock)
    yield reactor
    reactor.close()


def test_simulated_time_follows_the_machine_s(timeline: Timeline, clock: HandClock, reactor: Reactor) -> None:
    ran: list[int] = []
    timeline.schedule(3_000, lambda: ran.append(timeline.now_ns))
    clock.t_ns += 4_000
    reactor.turn()

    assert ran == [3_000]
    assert timeline.now_ns == 4_000


def test_late_events_are_counted_and_the_worst_is_known(timeline: Timeline, clock: HandClock, reactor: Reactor) -> None:
    for due_ns, reached_ns in ((1_000_000, 1_900_000), (10_000_000, 13_000_000)):
        timeline.schedule(due_ns, lambda: None)
        clock.t_ns = 5_000 + reached_ns
        reactor.turn()

    assert (reactor.steps, reactor.late_steps, reactor.lateness_max_ns) == (2, 1, 3_000_000)


def test_it_works_ahead_only_when_nothing_is_ready_and_there_is_time(
    timeline: Timeline, clock: HandClock, pipe: tuple[int, int]
) -> None:
    done: list[int] = []

    def piece() -> bool:
        done.append(timeline.now_ns)
        return len(done) < 3

    reactor = Reactor(timeline, clock, work_ahead=piece)
    try:
        reactor.add_reader(pipe[0], lambda: os.read(pipe[0], 10))
        os.write(pipe[1], b"x")
        reactor.turn()
        assert done == [], "a byte had come"
        timeline.schedule(1_000_000, lambda: None)
        reactor.turn()
        assert done == [], "the next event is near"
        clock.t_ns += 1_000_000
        reactor.turn()
        reactor.turn()
        assert done == [1_000_000] * 2
    finally:
        reactor.close()


def test_bytes_arrive_in_a_world_that_is_up_to_date(
    timeline: Timeline, clock: HandClock, reactor: Reactor, pipe: tuple[int, int]
) -> None:
    seen: list[int] = []
    reactor.add_reader(pipe[0], lambda: seen.append(timeline.now_ns))
    os.write(pipe[1], b"x")
    clock.t_ns += 7_000
    reactor.turn()

    assert seen == [7_000]


def test_one_descriptor_may_be_read_and_written(reactor: Reactor, pipe: tuple[int, int]) -> None:
    calls: list[str] = []
    reactor.add_writer(pipe[1], lambda: calls.append("write"))
    reactor.add_reader(pipe[1], lambda: calls.append("read"))
    reactor.turn()
    assert calls == ["write"]

    reactor.remove_writer(pipe[1])
    reactor.turn()
    assert calls == ["write"]


def test_a_callback_may_remove_another_that_is_ready(reactor: Reactor, pipe: tuple[int, int]) -> None:
    calls: list[str] = []

    def first() -> None:
        calls.append("first")
        reactor.remove_reader(pipe[0])
        reactor.remove_writer(pipe[1])

    reactor.add_reader(pipe[0], first)
    reactor.add_writer(pipe[1], first)
    os.write(pipe[1], b"x")
    reactor.turn()

    assert calls == ["first"]
    reactor.remove_reader(pipe[0])  # an unknown descriptor is no error


def test_run_keeps_pace_with_real_time_and_ends_when_told(timeline: Timeline) -> None:
    clock = RealClock()
    reactor = Reactor(timeline, clock)
    start_ns = clock.now_ns()
    ticks: list[int] = []

    def tick() -> None:
        ticks.append(timeline.now_ns)
        timeline.after(0.01, tick)

    tick()
    reactor.run(lambda: timeline.now_ns >= NS // 5)
    passed_ns = clock.now_ns() - start_ns
    reactor.close()

    assert len(ticks) >= 20
    assert 0 <= passed_ns - timeline.now_ns < STEP_MAX_NS * 20
