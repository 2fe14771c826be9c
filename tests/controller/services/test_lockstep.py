from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from controller.services.lockstep import Lockstep, LockstepError
from hal.clock import Deadline
from sim_hw.timeline import Timeline

MS = 1_000_000


class Bench:
    def __init__(self) -> None:
        self.timeline = Timeline()

    @property
    def now_ns(self) -> int:
        return self.timeline.now_ns

    def next_event_ns(self) -> int | None:
        return self.timeline.next_event_ns()

    def advance(self, to_ns: int) -> None:
        self.timeline.advance(to_ns)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def drive(bench: Bench, services: dict[str, Callable[[Lockstep], None]]) -> Lockstep:
    lockstep = Lockstep(bench, utc0_ns=10**18, wall_guard_s=20)
    for name, body in services.items():
        lockstep.spawn(name, lambda body=body: body(lockstep))
    lockstep.run()
    if lockstep.failures:
        raise next(iter(lockstep.failures.values()))
    return lockstep


def test_two_services_that_block_at_once_run_in_order_of_time_then_name(bench: Bench) -> None:
    order: list[tuple[str, int]] = []

    def ticking(name: str, period_ms: int, times: int) -> Callable[[Lockstep], None]:
        def body(lockstep: Lockstep) -> None:
            for step in range(1, times + 1):
                lockstep.sleep_until(step * period_ms * MS)
                order.append((name, lockstep.now_ns() // MS))

        return body

    drive(bench, {"slow": ticking("slow", 20, 3), "fast": ticking("fast", 10, 6)})
    assert order == [
        ("fast", 10), ("fast", 20), ("slow", 20), ("fast", 30), ("fast", 40), ("slow", 40), ("fast", 50), ("fast", 60),
        ("slow", 60),
    ]  # fmt: skip


def test_computing_takes_no_simulated_time(bench: Bench) -> None:
    seen: list[int] = []

    def body(lockstep: Lockstep) -> None:
        before = lockstep.now_ns()
        sum(range(100_000))
        seen.append(lockstep.now_ns() - before)

    drive(bench, {"worker": body})
    assert seen == [0]


def test_a_wait_ends_at_the_time_at_which_the_byte_arrives(bench: Bench) -> None:
    arrival: list[int] = []
    seen: list[tuple[bool, int]] = []
    bench.timeline.schedule(5 * MS, lambda: arrival.append(7 * MS))

    def reader(lockstep: Lockstep) -> None:
        came = lockstep.wait(lambda: arrival[0] if arrival else None, 100 * MS)
        seen.append((came, lockstep.now_ns()))

    drive(bench, {"reader": reader})
    assert seen == [(True, 7 * MS)]


def test_a_time_out_passes_in_simulated_time(bench: Bench) -> None:
    seen: list[tuple[bool, int]] = []

    def reader(lockstep: Lockstep) -> None:
        deadline = Deadline(lockstep, 3.5)
        seen.append((lockstep.wait(lambda: None, deadline.t_ns), lockstep.now_ns()))
        assert deadline.expired

    drive(bench, {"reader": reader})
    assert seen == [(False, 3500 * MS)]


def test_a_byte_that_arrives_after_the_deadline_is_a_time_out(bench: Bench) -> None:
    seen: list[tuple[bool, int]] = []

    def reader(lockstep: Lockstep) -> None:
        seen.append((lockstep.wait(lambda: 30 * MS, 20 * MS), lockstep.now_ns()))

    drive(bench, {"reader": reader})
    assert seen == [(False, 20 * MS)]


def test_events_of_a_moment_come_before_the_services_of_that_moment(bench: Bench) -> None:
    order: list[str] = []
    bench.timeline.schedule(10 * MS, lambda: order.append("event"))

    def body(lockstep: Lockstep) -> None:
        lockstep.sleep_until(10 * MS)
        order.append("service")

    drive(bench, {"a": body})
    assert order == ["event", "service"]


def test_one_service_wakes_another_at_the_same_simulated_time(bench: Bench) -> None:
    posted: list[int] = []
    seen: list[int] = []

    def reader(lockstep: Lockstep) -> None:
        lockstep.wait(lambda: posted[0] if posted else None, None)
        seen.append(lockstep.now_ns())

    def writer(lockstep: Lockstep) -> None:
        lockstep.sleep_until(12 * MS)
        posted.append(lockstep.now_ns())

    drive(bench, {"reader": reader, "writer": writer})
    assert seen == [12 * MS]


def test_services_that_wait_for_ever_are_named(bench: Bench) -> None:
    lockstep = Lockstep(bench, wall_guard_s=20)
    lockstep.spawn("deaf", lambda: void(lockstep.wait(lambda: None, None)))
    with pytest.raises(LockstepError, match="wait without a deadline: deaf"):
        lockstep.run()


def void(_: object) -> None:
    return None


def test_a_service_that_blocks_outside_of_simulated_time_is_named_by_the_wall_guard(bench: Bench) -> None:
    lockstep = Lockstep(bench, wall_guard_s=0.05)
    leave = threading.Event()
    lockstep.spawn("stuck", lambda: void(leave.wait(10)))
    with pytest.raises(LockstepError, match="stuck made no progress"):
        lockstep.run()
    leave.set()
    for thread in list(lockstep._threads):
        thread.join(5)


@pytest.mark.parametrize("library_timeout_s", [0.001, 5.0])
def test_a_librarys_own_time_out_never_shapes_a_result(bench: Bench, library_timeout_s: float) -> None:
    """A library waits in wall time for another service's lock that is free: its time-out value changes nothing."""
    lock = threading.Lock()
    seen: list[int] = []

    def body(lockstep: Lockstep) -> None:
        for step in range(1, 50):
            assert lock.acquire(timeout=library_timeout_s)
            lock.release()
            lockstep.sleep_until(step * MS)
        seen.append(lockstep.now_ns())

    drive(bench, {"a": body, "b": body})
    assert seen == [49 * MS, 49 * MS]


def test_a_service_that_dies_leaves_the_others_running(bench: Bench) -> None:
    seen: list[int] = []

    def dying(lockstep: Lockstep) -> None:
        lockstep.sleep_until(5 * MS)
        raise OSError("cable cut")

    def living(lockstep: Lockstep) -> None:
        lockstep.sleep_until(50 * MS)
        seen.append(lockstep.now_ns())

    lockstep = Lockstep(bench, wall_guard_s=20)
    lockstep.spawn("dying", lambda: dying(lockstep))
    lockstep.spawn("living", lambda: living(lockstep))
    lockstep.run()
    assert seen == [50 * MS]
    assert isinstance(lockstep.failures["dying"], OSError)


def test_the_order_does_not_depend_on_the_order_of_spawning(bench: Bench) -> None:
    def trace(names: list[str]) -> list[str]:
        order: list[str] = []

        def body(name: str) -> Callable[[Lockstep], None]:
            def run(lockstep: Lockstep) -> None:
                for step in range(1, 20):
                    lockstep.sleep_until(step * MS)
                    order.append(name)

            return run

        drive(Bench(), {name: body(name) for name in names})
        return order

    assert trace(["a", "b", "c"]) == trace(["c", "a", "b"])


def test_a_caller_that_is_no_service_lets_time_pass_alone(bench: Bench) -> None:
    lockstep = Lockstep(bench, utc0_ns=5)
    lockstep.sleep_until(3 * MS)
    assert (lockstep.now_ns(), lockstep.utc_ns()) == (3 * MS, 3 * MS + 5)


def steps(bench: Bench, harm: Callable[[Lockstep], None]) -> list[int]:
    """When a service that steps every 10 ms had its turns, of which `harm` is done to it at 25 ms."""
    turns: list[int] = []

    def victim(lockstep: Lockstep) -> None:
        for step in range(1, 8):
            lockstep.sleep_until(step * 10 * MS)
            turns.append(lockstep.now_ns() // MS)

    def hand(lockstep: Lockstep) -> None:
        lockstep.sleep_until(25 * MS)
        harm(lockstep)

    drive(bench, {"victim": victim, "hand": hand})
    return turns


def test_a_killed_service_has_no_turn_again_and_the_others_go_on(bench: Bench) -> None:
    assert steps(bench, lambda lockstep: lockstep.kill("victim")) == [10, 20]


def test_a_suspended_service_does_what_it_missed_when_it_goes_on(bench: Bench) -> None:
    assert steps(bench, lambda lockstep: lockstep.suspend("victim", 0.020)) == [10, 20, 45, 45, 50, 60, 70]


def test_a_starved_service_waits_after_each_of_its_turns(bench: Bench) -> None:
    assert steps(bench, lambda lockstep: lockstep.starve("victim", 0.025)) == [10, 20, 30, 55, 55, 80, 80]


@pytest.mark.parametrize(("pause_s", "withheld"), [(0.004, 0), (0.020, 1)])
def test_a_turn_that_is_withheld_is_counted_and_a_pause_in_which_none_is_due_is_not(
    bench: Bench, pause_s: float, withheld: int
) -> None:
    held: list[Lockstep] = []

    def harm(lockstep: Lockstep) -> None:
        lockstep.suspend("victim", pause_s)
        held.append(lockstep)

    steps(bench, harm)
    assert held[0].withheld == withheld


def test_a_set_clock_moves_utc_and_leaves_monotonic_time_alone(bench: Bench) -> None:
    seen: list[tuple[int, int]] = []

    def body(lockstep: Lockstep) -> None:
        lockstep.sleep_until(5 * MS)
        lockstep.step_utc(-1.0)
        seen.append((lockstep.now_ns(), lockstep.utc_ns() - 10**18))

    drive(bench, {"service": body})
    assert seen == [(5 * MS, 5 * MS - 10**9)]
