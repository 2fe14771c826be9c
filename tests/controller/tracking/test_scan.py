from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import pytest

from controller.tracking import scan
from controller.tracking.scan import Scan, begin, ended, step

NS = 1_000_000_000


@dataclass
class Circle:
    duration_s: float = 2.0
    half_extent_rad: float = 1e-3
    predicted_mean_s: float = 1.0
    predicted_success: float = 0.99
    radius_sigma: float = 3.0

    def position(self, t_s: float) -> tuple[float, float]:
        return 1e-3 * math.cos(t_s), 1e-3 * math.sin(t_s)


def same(sky):
    return sky


def run(state: Scan, seconds: float, emitting=lambda t_s: True, detected=lambda t_s: False, start_s: float = 10.0):
    points = []
    for number in range(round(seconds / 0.02)):
        t_s = number * 0.02
        state, new = step(state, round((start_s + t_s) * NS), emitting(t_s), detected(t_s), same)
        points += new
    return state, points


def test_set_points_go_forward_in_time_without_a_gap_and_lie_on_the_path() -> None:
    _, points = run(begin(Circle(), 0), 1.0)
    times = [t for t, _, _ in points]
    assert {b - a for a, b in itertools.pairwise(times)} == {scan.SPACING_NS}
    start_ns = round(10.0 * NS) + scan.LEAD_NS
    for t_ns, x, y in points:
        assert (x, y) == pytest.approx(Circle().position((t_ns - start_ns) / NS))


def test_the_queue_is_always_filled_ahead_of_now() -> None:
    state = begin(Circle(), 0)
    for number in range(40):
        now_ns = (500 + number) * 20_000_000
        state, _ = step(state, now_ns, True, False, same)
        assert state.filled_ns - now_ns > scan.AHEAD_NS - 2 * scan.SPACING_NS
    assert state.filled_ns - now_ns <= scan.AHEAD_NS


def test_no_sweep_without_light() -> None:
    state, points = run(begin(Circle(), 0), 5.0, emitting=lambda t_s: False)
    assert points == []
    assert state.phase == "scanning"
    assert state.elapsed_s(15 * NS) == 0.0


def test_a_sweep_that_lost_its_light_begins_anew() -> None:
    state, _ = run(begin(Circle(), 0), 3.0, emitting=lambda t_s: not 1.0 <= t_s < 1.5)
    assert state.phase == "scanning"
    assert state.elapsed_s(13 * NS) == pytest.approx(1.5, abs=0.06)


def test_a_detection_ends_the_scan() -> None:
    state, points = run(begin(Circle(), 0), 2.0, detected=lambda t_s: t_s > 0.5)
    assert state.phase == "found"
    assert max(t for t, _, _ in points) <= 10.5 * NS + scan.AHEAD_NS + 20_000_000


def test_a_sweep_without_an_answer_fails_after_a_grace_and_the_next_one_counts() -> None:
    state, _ = run(begin(Circle(), 0), 2.4)
    assert state.phase == "scanning"
    state, _ = run(begin(Circle(), 0), 2.8)
    assert state.phase == "failed"
    assert ended(state).sweep == 1
    assert ended(begin(Circle(), 4)).sweep == 0


def test_the_state_tells_prediction_and_progress() -> None:
    state, _ = run(begin(Circle(), 2), 1.0)
    told = state.state(11 * NS, 77)
    assert (told.phase, told.sweep, told.predicted_mean_s, told.predicted_success) == ("scanning", 2, 1.0, 0.99)
    assert told.elapsed_s == pytest.approx(0.97, abs=0.01)
    assert Scan().state(0, 0).phase == "idle"
