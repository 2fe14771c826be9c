"""The way through a constellation: no fewer handovers would do, and each is made before the one before is broken."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from controller.pointing.circumstances import Circumstances
from controller.pointing.constellation import PassTable
from controller.pointing.handover import Turn, sequence

NS = 1_000_000_000
END_S = 3000
OVERLAP_S = 30
FAST, SLOW = 1.0, 0.01

passes = st.lists(
    st.tuples(st.integers(-600, END_S), st.integers(60, 900), st.booleans()).map(
        lambda one: (one[0], one[0] + one[1], FAST if one[2] and one[1] % 7 == 0 else SLOW)
    ),
    max_size=24,
)


def table_of(spans: list[tuple[int, int, float]]) -> tuple[PassTable, Circumstances]:
    rise, fall, rate = (np.array(column) for column in zip(*spans, strict=True)) if spans else (np.array([]),) * 3
    none = np.zeros(len(rise))
    times = (NS * rise.astype(np.int64), NS * fall.astype(np.int64))
    index = np.arange(len(rise))
    table = PassTable(index, index * 0, times[0], times[0], times[1], none, np.array([], dtype=np.int64))
    return table, Circumstances(none, none, none, none, rate.astype(float), none > 0, none > 0)


def turns_of(spans: list[tuple[int, int, float]], rate_max_rad_s: float = 0.1) -> list[Turn]:
    return sequence(*table_of(spans), 0, END_S * NS, OVERLAP_S * NS, rate_max_rad_s)


def fewest(spans: list[tuple[int, int, float]]) -> int | None:
    """Passes in the shortest chain from 0 to the end, found by breadth-first search; None when there is none."""
    usable = {span for span in spans if span[2] == SLOW}
    front, count = {span for span in usable if span[0] <= 0 and span[1] >= 60}, 1
    seen = set(front)
    while front:
        if any(fall >= END_S for _, fall, _ in front):
            return count
        front = {
            span
            for _, fall, _ in front
            for span in usable - seen
            if span[0] <= fall - OVERLAP_S and span[1] >= fall + 60
        }
        seen |= front
        count += 1
    return None


@given(passes)
def test_where_a_chain_without_a_break_exists_the_shortest_is_found(spans: list[tuple[int, int, float]]) -> None:
    least, turns = fewest(spans), turns_of(spans)
    if least is not None:
        assert len(turns) == least
        assert all(turn.overlap_ns >= OVERLAP_S * NS for turn in turns[1:])


@given(passes)
def test_every_turn_is_inside_its_pass_after_the_one_before_and_no_wait_could_be_shorter(
    spans: list[tuple[int, int, float]],
) -> None:
    turns = turns_of(spans)
    for turn in turns:
        rise, fall, rate = spans[turn.row]
        assert rise * NS <= turn.take_utc_ns < turn.leave_utc_ns == fall * NS
        assert rate == SLOW
    for before, after in pairwise(turns):
        assert after.overlap_ns == before.leave_utc_ns - after.take_utc_ns
        assert after.leave_utc_ns - max(before.leave_utc_ns, after.take_utc_ns) >= 60 * NS
        if after.overlap_ns < OVERLAP_S * NS:  # broken, or nearly: nothing of use had risen earlier
            left_s = before.leave_utc_ns // NS
            of_use = [span for span in spans if span[2] == SLOW and span[1] - max(span[0], left_s) >= 60]
            assert min(rise for rise, _, _ in of_use) * NS == after.take_utc_ns


def test_a_gap_is_told_as_a_negative_overlap() -> None:
    first, second = turns_of([(0, 500, SLOW), (600, 1200, SLOW)])
    assert (first.overlap_ns, second.overlap_ns) == (0, -100 * NS)
    assert first.made_before_broken
    assert not second.made_before_broken


def test_what_is_too_fast_for_the_mount_or_nothing_at_all_makes_no_turn() -> None:
    assert turns_of([(0, 500, FAST)]) == []
    assert turns_of([]) == []
