"""A telescope whose axis turns the other way is stopped before it has gone far, and one that is late is not."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from alpaca_bench import Bench

from hal.devices.alpaca import Alpaca
from hal.devices.alpaca.ways import Way
from hal.errors import DeviceError
from sim_hw.timeline import NS

DEG = math.radians(1.0)
MS = NS // 1000


def track(bench: Bench, telescope: Alpaca, rates: Callable[[float], tuple[float, float]], seconds: float) -> None:
    """Follow rates in degrees a second as a loop does, ten times a second."""
    for step in range(round(seconds * 10)):
        azimuth, elevation = rates(step / 10)
        telescope.position()
        telescope.set_rate(azimuth * DEG, elevation * DEG)
        bench.wait(0.1)


@pytest.mark.parametrize(("signs", "axis", "told"), [((-1, 1), 0, "azimuth"), ((1, -1), 1, "elevation")])
@pytest.mark.parametrize("rate_deg_s", [0.3, -0.3, 3.0])
def test_an_axis_that_turns_the_other_way_is_stopped_and_named(
    make: Callable[..., Bench], signs: tuple[int, int], axis: int, told: str, rate_deg_s: float
) -> None:
    bench = make(signs=signs)
    telescope = bench.open()
    with pytest.raises(DeviceError, match=rf"its {told} turns the other way .* reversed_axes = .{{2}}{told}"):
        track(bench, telescope, lambda t: (rate_deg_s, rate_deg_s), 10)
    bench.wait(1)
    assert bench.axes.rate == [0.0, 0.0]
    assert abs(bench.deg[axis] - (180.0, 45.0)[axis]) < abs(rate_deg_s) * 2.5 + 0.3
    telescope.position()  # which it tells once


@pytest.mark.parametrize("signs", [(-1, 1), (1, -1), (-1, -1)])
def test_the_axes_that_the_rig_file_calls_reversed_turn_as_they_are_told(
    make: Callable[..., Bench], signs: tuple[int, int]
) -> None:
    bench = make(signs=signs)
    named = [name for name, sign in zip(("azimuth", "elevation"), signs, strict=True) if sign < 0]
    telescope = bench.open(reversed_axes=named)
    track(bench, telescope, lambda t: (2.0, -1.0), 5)
    assert bench.deg == pytest.approx([190.0, 40.0], abs=1.5)


def test_a_path_that_turns_round_and_a_slew_against_it_are_no_wrong_way(bench: Bench) -> None:
    telescope = bench.open()
    track(bench, telescope, lambda t: (5.0 * math.cos(t), 3.0 * math.sin(2 * t)), 15)
    telescope.set_rate(3 * DEG, 0.0)
    bench.wait(2)
    telescope.position()
    telescope.go_to(120 * DEG, 45 * DEG)
    for _ in range(200):
        telescope.position()
        bench.wait(0.1)
    assert bench.deg[0] == pytest.approx(120.0, abs=0.01)


def test_readings_that_are_half_a_second_old_are_no_wrong_way() -> None:
    way, angle, seen, history = Way(0.1, 2 * DEG), 0.0, [], []
    for step in range(3000):
        t_ns = step * 10 * MS
        rate = 3 * DEG * (1 if (step // 500) % 2 == 0 else -1)
        if step % 10 == 0:
            way.told(rate, t_ns)
        history.append(angle)
        angle += rate * 0.01
        seen.append(way.wrong(history[max(0, step - 50)], t_ns))
    assert not any(seen)


def test_one_that_was_not_read_for_long_is_not_judged() -> None:
    way = Way(0.1, 300 * DEG)
    way.told(30 * DEG, 0)
    assert not way.wrong(0.0, 10 * NS)
    assert not way.wrong(math.remainder(30 * DEG * 7, math.tau), 17 * NS)
    assert not way.wrong(0.0, 18 * NS)
    assert way.wrong(-30 * DEG, 19 * NS + MS)
