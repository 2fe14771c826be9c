from __future__ import annotations

from sim_hw.timeline import Timeline


def test_events_run_in_order_of_time_and_then_of_scheduling() -> None:
    timeline, order = Timeline(), []
    timeline.schedule(20, lambda: order.append("later"))
    timeline.schedule(10, lambda: order.append("first"))
    timeline.schedule(10, lambda: order.append("second"))
    timeline.advance(15)
    assert (order, timeline.now_ns) == (["first", "second"], 15)
    timeline.advance(20)
    assert order == ["first", "second", "later"]


def test_an_event_sees_the_time_at_which_it_was_due_and_may_schedule_the_next() -> None:
    timeline, seen = Timeline(utc0_ns=1000), []

    def tick() -> None:
        seen.append((timeline.now_ns, timeline.utc_ns))
        if len(seen) < 3:
            timeline.after(5e-9, tick)

    timeline.schedule(5, tick)
    timeline.advance(100)
    assert seen == [(5, 1005), (10, 1010), (15, 1015)]


def test_what_is_due_in_the_past_runs_now_and_not_before() -> None:
    timeline, seen = Timeline(), []
    timeline.advance(50)
    timeline.schedule(10, lambda: seen.append(timeline.now_ns))
    timeline.advance(50)
    assert seen == [50]


def test_physics_is_asked_to_pass_every_gap_between_events_once() -> None:
    timeline, gaps = Timeline(), []
    timeline.schedule(10, lambda: None)
    timeline.schedule(10, lambda: None)
    timeline.advance(30, gaps.append)
    timeline.advance(30, gaps.append)
    assert gaps == [10, 30]


def test_the_next_event_is_known() -> None:
    timeline = Timeline()
    assert timeline.next_event_ns() is None
    timeline.schedule(7, lambda: None)
    assert timeline.next_event_ns() == 7
