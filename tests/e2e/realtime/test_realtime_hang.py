"""A service that hangs for good while it moves a mount: it is killed, the mount stops, and nothing begins by itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from controller.pointing.plan import order
from controller.services.rules import DEFAULT_RULES
from hal.clock import NS

STILL_S = 0.500
AFTER_S = 1.2
AT_REST = (0.0, 0.0)


@pytest.mark.campaign
@pytest.mark.timeout(240)
def test_a_moving_gimbal_whose_service_is_suspended_stops_and_its_service_comes_back_without_moving_it(
    bench: Any, start: Callable[..., Any]
) -> None:
    station, plan = start(), bench.plan
    station.watch(station.alive, 60.0, "the start")
    station.watch(lambda: bool(station.mode and station.seen.truths), 5.0, "a mode")
    station.obeys("station", "station.track", body=order(plan, plan.target.set_utc_ns))
    station.watch(lambda: max(map(abs, station.truth.axis_command_rad_s)) > 1e-3, 45.0, "motion")

    suspended_ns = station.clock.utc_ns()
    os.kill(station.children()["pointing"], signal.SIGSTOP)
    back = "supervisor: pointing was started again: nothing moves or emits by that"
    station.watch(lambda: back in station.seen.events, 20.0, "the restart")
    station.watch(station.alive, 60.0, "everybody")
    station.listen(AFTER_S)
    after = [truth for truth in station.seen.truths if truth.t_utc_ns > suspended_ns]
    last = max(number for number, truth in enumerate(after) if truth.axis_command_rad_s != AT_REST)
    moving_s = (after[last + 1].t_utc_ns - suspended_ns) / NS
    assert moving_s <= DEFAULT_RULES.hung_moving_after_s + STILL_S
    assert station.mode == "FAULT"
    assert any("pointing hangs (no heartbeat for 2.5 s) and was killed" in event for event in station.seen.events)
