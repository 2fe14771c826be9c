"""A set clock is noticed, a slewed one and a late reading are not mistaken for one."""

from __future__ import annotations

from hal.utc_watch import UtcWatch

NS = 10**9


class HandClock:
    realtime = True

    def __init__(self) -> None:
        self.t_ns, self.apart_ns, self.held_up_ns = NS, 1_760_000_000 * NS, 0

    def now_ns(self) -> int:
        return self.t_ns

    def utc_ns(self) -> int:
        utc_ns = self.t_ns + self.apart_ns
        self.t_ns += self.held_up_ns
        return utc_ns

    def sleep_until(self, t_ns: int) -> None: ...


def test_a_step_is_told_once_with_its_sign_and_a_slew_never() -> None:
    clock = HandClock()
    watch = UtcWatch(clock)
    found = []
    for step_ns in (0, 2 * NS, 0, -NS, 10_000):  # the last is 500 ppm, the most that the kernel slews by, over 20 ms
        clock.t_ns += NS // 50
        clock.apart_ns += step_ns
        found.append(watch.stepped_ns())
    assert found == [0, 2 * NS, 0, -NS, 0]


def test_a_process_that_was_held_up_between_two_readings_says_nothing_and_still_sees_the_step() -> None:
    clock = HandClock()
    watch = UtcWatch(clock)
    watch.stepped_ns()
    clock.held_up_ns = NS // 10
    assert watch.stepped_ns() == 0
    clock.held_up_ns, clock.apart_ns = 0, clock.apart_ns + NS
    assert watch.stepped_ns() == NS
