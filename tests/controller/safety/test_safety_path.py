"""The closest approach along the path to come, against a dense search."""

import math

import numpy as np
import pytest

from controller.safety.path import closest_rad, direction


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
    assert closest_rad(azimuth, elevation, *rates, 30.0, body) == pytest.approx(dense, abs=2e-5)


def test_a_path_that_does_not_move_is_its_own_closest_approach() -> None:
    # 90 deg of azimuth at the horizon
    assert closest_rad(0.0, 0.0, 0.0, 0.0, 10.0, direction(math.pi / 2, 0.0)) == pytest.approx(math.pi / 2)


def test_a_body_behind_is_not_approached() -> None:
    assert closest_rad(0.0, 0.0, 0.01, 0.0, 10.0, direction(-0.5, 0.0)) == pytest.approx(0.5)


def test_a_path_through_the_zenith_meets_what_is_beyond_it() -> None:
    # from 80 deg elevation straight up and over: 20 deg of arc reach 80 deg on the other side
    over = closest_rad(0.0, math.radians(80), 0.0, math.radians(2), 10.0, direction(math.pi, math.radians(80)))
    assert over == pytest.approx(0.0, abs=1e-6)
