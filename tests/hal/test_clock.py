from __future__ import annotations

from hand_clock import HandClock

from hal.clock import NS, Deadline, RealClock, ShiftedClock


def test_a_deadline_counts_down_on_its_clock_and_never_below_zero() -> None:
    clock = HandClock(5 * NS)
    deadline = Deadline(clock, 2.0)
    assert (deadline.remaining_s, deadline.expired) == (2.0, False)
    clock.sleep_until(6 * NS)
    assert deadline.remaining_s == 1.0
    clock.sleep_until(9 * NS)
    assert (deadline.remaining_s, deadline.expired) == (0.0, True)


def test_the_real_clock_sleeps_to_an_absolute_time_and_not_at_all_into_the_past() -> None:
    clock = RealClock()
    due_ns = clock.now_ns() + NS // 100
    clock.sleep_until(due_ns)
    assert clock.now_ns() >= due_ns
    clock.sleep_until(due_ns)


def test_the_real_clock_says_that_it_is_real() -> None:
    assert RealClock().realtime


def test_a_shifted_clock_keeps_real_pace_at_its_own_epoch_and_says_that_it_is_not_real() -> None:
    epoch_ns = 1_759_523_996 * NS  # 2025-10-03
    real = RealClock()
    shifted = ShiftedClock(epoch_ns - real.now_ns())
    assert 0 <= shifted.utc_ns() - epoch_ns < NS
    earlier_ns, utc_ns = shifted.now_ns(), shifted.utc_ns()
    shifted.sleep_until(earlier_ns + NS // 100)
    assert shifted.utc_ns() - utc_ns >= NS // 100 - NS // 1000
    assert real.now_ns() >= earlier_ns + NS // 100
    assert not shifted.realtime


def test_processes_with_one_offset_have_one_utc() -> None:
    first, second = ShiftedClock(7 * NS), ShiftedClock(7 * NS)
    before_ns = first.utc_ns()
    assert before_ns <= second.utc_ns() <= first.utc_ns()
