from __future__ import annotations

import numpy as np
import pytest

from sim_hw.plant.light_block import ON_FROM, ON_UNTIL, illuminate
from sim_hw.scenarios import load_scenario
from sim_hw.scene.satellite import Terminal

TRIP_TICKS = 40.0


@pytest.fixture
def terminal() -> Terminal:
    made = Terminal.create(load_scenario().satellite, 1e-4, np.random.default_rng(3))
    for tick in range(-600, 0):  # to the start of a frame
        if made.state[3] == made.parameters[1]:
            break
        illuminate(tick, 0.0, 0.0, TRIP_TICKS, made.state, made.parameters)
    return made


def shine(terminal: Terminal, first: int, count: int, off_axis_rad: float, power: float = 1.0) -> None:
    for tick in range(first, first + count):
        illuminate(tick, off_axis_rad**2, power, TRIP_TICKS, terminal.state, terminal.parameters)


def test_one_whole_frame_inside_the_capture_radius_brings_the_beacon(terminal: Terminal) -> None:
    shine(terminal, 0, 500, 39.9e-6)
    # response 0.25 s, hold 3 s, light time 4 ms, from the frame's last tick
    assert tuple(terminal.light) == (499 + 2500 + 40, 499 + 30_000 + 40)


@pytest.mark.parametrize(("off_axis_rad", "power"), [(40.1e-6, 1.0), (0.0, 0.0), (0.0, 0.13)])
def test_outside_of_it_or_with_too_little_power_nothing_comes(
    terminal: Terminal, off_axis_rad: float, power: float
) -> None:
    shine(terminal, 0, 5000, off_axis_rad, power)
    assert terminal.state[ON_UNTIL] < 0


def test_a_beam_that_crosses_for_a_tenth_of_a_frame_is_not_seen(terminal: Terminal) -> None:
    shine(terminal, 0, 225, 1.0)
    shine(terminal, 225, 50, 0.0)
    shine(terminal, 275, 225, 1.0)
    assert terminal.state[ON_UNTIL] < 0


def test_every_frame_that_sees_us_prolongs_the_light_without_a_gap(terminal: Terminal) -> None:
    shine(terminal, 0, 500, 0.0)
    on_from = terminal.state[ON_FROM]
    shine(terminal, 500, 20_000, 0.0)
    assert terminal.state[ON_FROM] == on_from
    assert terminal.state[ON_UNTIL] == 20_499 + 30_000 + 40


def test_after_the_hold_time_the_light_must_be_earned_anew(terminal: Terminal) -> None:
    shine(terminal, 0, 500, 0.0)
    shine(terminal, 500, 40_000, 1.0)
    shine(terminal, 40_500, 500, 0.0)
    assert terminal.state[ON_FROM] == 40_999 + 2500 + 40
