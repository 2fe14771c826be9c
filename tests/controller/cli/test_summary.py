from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

from controller.cli.flown import Flown
from controller.cli.summary import _outside_fine_s, _within

NS = 1_000_000_000


def flown(*modes: tuple[str, float], until_s: float) -> Flown:
    world: Any = SimpleNamespace(now_ns=round(until_s * NS), timeline=SimpleNamespace(utc0_ns=0))
    bench: Any = SimpleNamespace(world=world)
    plan: Any = None
    made = Flown(bench, plan, end_utc_ns=round(until_s * NS))
    made.modes = [(mode, round(t_s * NS)) for mode, t_s in modes]
    return made


def scanning(sweep: int, mean_s: float = 2.0) -> Any:
    return SimpleNamespace(predicted_mean_s=mean_s, predicted_success=0.995, sweep=sweep)


def test_a_reversal_that_keeps_the_link_cost_no_time_outside_fine() -> None:
    held = flown(("FINE", 10.0), ("LINK", 11.0), until_s=100.0)
    assert _outside_fine_s(held, 50 * NS, 100 * NS) == 0.0


def test_time_in_coarse_after_the_reversal_is_counted_and_before_it_is_not() -> None:
    lost = flown(("FINE", 10.0), ("COARSE", 20.0), ("LINK", 25.0), ("COARSE", 51.0), ("FINE", 52.5), until_s=100.0)
    assert _outside_fine_s(lost, 50 * NS, 100 * NS) == 1.5


def test_an_arc_that_ends_before_the_culmination_has_no_figure_of_the_reversal() -> None:
    assert math.isnan(_outside_fine_s(flown(("LINK", 10.0), until_s=40.0), 50 * NS, 40 * NS))
    assert _within([(10 * NS, 40 * NS)], 45 * NS, 55 * NS) == []


def test_sweeps_are_counted_until_the_beacon_is_seen_first() -> None:
    pass_ = flown(("ACQUIRE", 0.0), until_s=100.0)
    for sweep in (0, 1):
        pass_.hear("acquisition/state", "tracking", 0, scanning(sweep, mean_s=2.0 + sweep))
    pass_.hear("station/mode", "station", 5 * NS, SimpleNamespace(mode="COARSE", reason=""))
    pass_.hear("acquisition/state", "tracking", 0, scanning(4))
    assert pass_.acquisition_sweeps == 2
    assert pass_.acquisition_predicted_s == 2.0, "what was predicted of the first sweep"
