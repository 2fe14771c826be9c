"""The carriage of an emulated stage moves as ramps do, whenever it is asked and whatever it did before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_hw.devices.carriage import Carriage
from sim_hw.timeline import NS, Timeline

SPEED, ACCELERATION, LENGTH = 5.0, 50.0, 50.0
STEP_S = 1e-3


def carriage(play_mm: float = 0.0) -> tuple[Timeline, Carriage]:
    timeline = Timeline()
    made = Carriage(
        timeline, length_mm=LENGTH, position_mm=20.0, speed_mm_s=SPEED, acceleration_mm_s2=ACCELERATION, play_mm=play_mm
    )
    return timeline, made


@pytest.mark.parametrize(
    ("way_mm", "lasts_s"),
    [
        (10.0, 10.0 / SPEED + SPEED / ACCELERATION),  # a trapezoid: way by speed, and once the ramp
        (-10.0, 10.0 / SPEED + SPEED / ACCELERATION),
        (0.5, SPEED / ACCELERATION * 2),  # v^2/a = 0.5 mm: just no level part
        (0.02, 2 * (0.02 / ACCELERATION) ** 0.5),  # a triangle
        (0.0, 0.0),
    ],
)
def test_a_way_lasts_as_long_as_its_ramps(way_mm: float, lasts_s: float) -> None:
    timeline, stage = carriage()
    stage.go(way_mm)  # from what its controller calls zero before it was home
    assert stage.ends_ns / NS == pytest.approx(lasts_s, abs=1e-8)
    timeline.advance(stage.ends_ns)
    assert stage.true_mm == pytest.approx(20.0 + way_mm, abs=1e-9)
    assert not stage.moving


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-25, 35), st.floats(0.01, 3.0), st.booleans()), min_size=1, max_size=4))
def test_it_never_jumps_nor_breaks_its_limits_whatever_it_is_told_on_its_way(
    told: list[tuple[float, float, bool]],
) -> None:
    timeline, stage = carriage()
    seen = [stage.true_mm]
    for goal_mm, wait_s, stops in told:
        stage.go(goal_mm)
        for _ in range(round(wait_s / STEP_S)):
            timeline.advance(timeline.now_ns + round(STEP_S * NS))
            seen.append(stage.true_mm)
        if stops:
            stage.stop()
    while stage.moving:
        timeline.advance(timeline.now_ns + round(STEP_S * NS))
        seen.append(stage.true_mm)
    at = np.array(seen)
    speeds = np.diff(at) / STEP_S
    assert at.min() >= 0.0
    assert at.max() <= LENGTH
    assert np.abs(speeds).max(initial=0.0) <= SPEED * (1 + 1e-6)
    assert np.abs(np.diff(speeds)).max(initial=0.0) / STEP_S <= ACCELERATION * (1 + 1e-3)
    if not told[-1][2]:
        assert at[-1] == pytest.approx(min(LENGTH, max(0.0, 20.0 + told[-1][0])), abs=1e-6)


def test_it_knows_where_it_is_once_it_was_home_and_not_after_its_power_went() -> None:
    timeline, stage = carriage()
    assert (stage.referenced, stage.shown_mm) == (False, 0.0)
    stage.home()
    timeline.advance(stage.ends_ns)
    assert (stage.referenced, stage.true_mm) == (True, pytest.approx(0.0, abs=1e-9))
    stage.go(7.0)
    timeline.advance(stage.ends_ns)
    stage.lose()
    assert (stage.referenced, stage.shown_mm) == (False, 0.0)
    assert stage.true_mm == pytest.approx(7.0)


def test_what_hangs_on_it_is_behind_by_half_the_play_on_either_side() -> None:
    timeline, stage = carriage(play_mm=0.2)
    stage.go(5.0)
    timeline.advance(stage.ends_ns)
    assert stage.load_mm == pytest.approx(24.9)
    stage.go(4.95)
    timeline.advance(stage.ends_ns)
    assert stage.load_mm == pytest.approx(24.9)  # within the play it stands
    stage.go(0.0)
    timeline.advance(stage.ends_ns)
    assert stage.load_mm == pytest.approx(20.1)


def test_a_way_that_turns_round_within_its_ramps_takes_the_play_with_it() -> None:
    timeline, stage = carriage(play_mm=0.2)
    stage.go(5.0)
    timeline.advance(NS // 2)
    stage.go(stage.shown_mm)  # it brakes beyond, and comes back
    timeline.advance(stage.ends_ns)
    assert stage.load_mm == pytest.approx(stage.true_mm + 0.1, abs=1e-6)
