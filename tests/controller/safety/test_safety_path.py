"""The closest approach along the path to come, against a dense search."""

import math

import numpy as np
import pytest

from controller.safety.path import circle, closest_rad, crosses_s, direction


@pytest.mark.parametrize("seed", range(20))
def test_the_closest_approach_equals_a_dense_search_along_the_great_circle(seed: int) -> None:
    rng = np.random.default_rng(seed)
    azimuth, elevation = rng.uniform(-3, 3), rng.uniform(0.3, 1.4)
    rates = rng.uniform(-0.2, 0.2, 2)
    body = direction(rng.uniform(-3, 3), rng.uniform(-0.2, 1.5))
    u = np.array(direction(azimuth, elevation))
    h = 1e-7
    v = (np.array(direction(azimuth + rates[0] * h, elevation + rates[1] * h)) - u) / h
    speed = np.linalg.norm(v)
    angles = np.linspace(0, speed * 30.0, 200_001)
    path = np.outer(np.cos(angles), u) + np.outer(np.sin(angles), v / speed)
    dense = np.arccos(np.clip((path @ np.array(body)).max(), -1, 1))
    assert closest_rad(circle(azimuth, elevation, *rates, body), 30.0) == pytest.approx(dense, abs=2e-5)


def test_a_path_that_does_not_move_is_its_own_closest_approach() -> None:
    # 90 deg of azimuth at the horizon
    assert closest_rad(circle(0.0, 0.0, 0.0, 0.0, direction(math.pi / 2, 0.0)), 10.0) == pytest.approx(math.pi / 2)


def test_a_body_behind_is_not_approached() -> None:
    assert closest_rad(circle(0.0, 0.0, 0.01, 0.0, direction(-0.5, 0.0)), 10.0) == pytest.approx(0.5)


def test_a_path_through_the_zenith_meets_what_is_beyond_it() -> None:
    # from 80 deg elevation straight up and over: 20 deg of arc reach 80 deg on the other side
    over = closest_rad(circle(0.0, math.radians(80), 0.0, math.radians(2), direction(math.pi, math.radians(80))), 10.0)
    assert over == pytest.approx(0.0, abs=1e-6)


def test_a_cone_is_entered_and_left_when_the_path_says_so() -> None:
    # along the horizon at 1 deg/s towards a body 40 deg away with a cone of 30 deg: 10 s to it, 70 s to its far side
    ahead = circle(0.0, 0.0, math.radians(1), 0.0, direction(math.radians(40), 0.0))
    within = circle(math.radians(20), 0.0, math.radians(1), 0.0, direction(math.radians(40), 0.0))
    assert crosses_s(ahead, math.radians(30)) == pytest.approx(10.0)
    assert crosses_s(within, math.radians(30)) == pytest.approx(50.0)


def test_a_cone_that_the_path_misses_or_a_path_that_rests_is_never_crossed() -> None:
    high = direction(0.0, math.radians(80))
    assert crosses_s(circle(0.0, 0.0, math.radians(1), 0.0, high), math.radians(30)) is None
    assert crosses_s(circle(0.0, 0.0, 0.0, 0.0, high), math.radians(30)) is None
