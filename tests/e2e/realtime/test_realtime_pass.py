"""A pass held in real time, and a stop in the middle of it: every device on a real wire, every service a process."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from controller.bus.topics import BUS_GAPS, POINTING_STATE, SIM_TRUTH
from controller.cli.factories import REALTIME
from controller.cli.rig import emulated_devices
from controller.record import read_messages
from hal.clock import NS
from hal.rig import load_rig

HOLD_S = 15
ATTEMPTS = 3
STANDSTILL_S = (
    0.1  # of the bench's machine, which no real device does: three attempts to reach the beam board take 0.2 s
)
PARKED_DEG = 0.1
AT_REST = (0.0, 0.0)
CLIMB = ["POINT", "ACQUIRE", "COARSE", "FINE", "LINK"]


def held(station: Any) -> bool:
    """Whether the station comes to LINK and stays there for HOLD_S; false as soon as it trips."""
    modes, ended = station.seen.modes, {"SAFE", "FAULT"}
    station.watch(lambda: modes[-1:] == ["LINK"] or modes[-1] in ended, 120.0, "LINK")
    station.seen.events.clear()
    linked_ns = station.clock.now_ns()
    station.watch(lambda: station.clock.now_ns() - linked_ns > HOLD_S * NS or modes[-1] != "LINK", HOLD_S + 5.0, "it")
    return bool(modes[-1] == "LINK")


def stops_and_parks(station: Any) -> None:
    """SIGTERM of an emitting, moving station: dark first, then to the park position, then its processes end."""
    path = station.bench.rig_path
    gimbal = load_rig(path, dict.fromkeys(emulated_devices(path), "")).gimbal
    told_utc_ns = station.clock.utc_ns()
    station.process.terminate()
    station.watch(lambda: station.process.poll() is not None, 100.0, "the end")

    assert station.process.returncode == 0, station.told()
    assert "supervisor: the gimbal is parked" in station.seen.events, station.told()
    after = [truth for truth in station.seen.truths if truth.t_utc_ns > told_utc_ns]
    dark = next(number for number, truth in enumerate(after) if not truth.emitting)
    assert not any(truth.emitting for truth in after[dark:])
    slews = [max(map(abs, truth.axis_command_rad_s)) > 0.9 * gimbal.rate_max_rad_s for truth in after]
    assert not any(slews[: dark + 1]), "it moves away from the target in the dark"
    assert any(slews), "the park position is elsewhere"
    at = station.client.store.latest(POINTING_STATE, "pointing").body
    off_deg = math.degrees(at.azimuth_rad) - gimbal.park_azimuth_deg
    assert abs((off_deg + 180) % 360 - 180) < PARKED_DEG
    assert abs(math.degrees(at.elevation_rad) - gimbal.park_elevation_deg) < PARKED_DEG
    assert after[-1].axis_command_rad_s == AT_REST


@pytest.mark.timeout(400)
def test_emulate_and_run_hold_a_pass_and_a_stop_in_the_middle_of_it_goes_dark_and_parks(
    bench: Any, start: Callable[..., Any]
) -> None:
    station = start("--no-calibrate")
    station.client.subscribe(BUS_GAPS, POINTING_STATE)
    station.watch(station.alive, 60.0, "the start")
    station.watch(lambda: bool(station.mode and station.seen.truths), 5.0, "a mode")
    for _ in range(ATTEMPTS):
        station.take_up()
        station.seen.bench_late_s = 0.0
        if held(station) or station.seen.bench_late_s < STANDSTILL_S:
            break
    store = station.client.store

    assert station.seen.modes[-5:] == CLIMB, station.told()
    assert not [event for event in station.seen.events if "latch" in event or "watchdog" in event]
    emitting = [truth for truth in station.seen.truths if truth.emitting]
    assert len(emitting) >= 0.95 * SIM_TRUTH.rate_hz * HOLD_S
    assert all(store.latest(BUS_GAPS, name) for name in REALTIME), "everybody counts what it missed"
    stops_and_parks(station)
    recording = max(bench.run_dir.glob("*.mcap"))
    topics = {message.topic for message in read_messages(recording)}
    assert {"station/mode", "station/pass", "tracking/fine", "link/state", "sim/truth/line_of_sight"} <= topics
