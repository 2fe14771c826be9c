from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hand_clock import HandClock

from controller.bus.local import LocalBus
from controller.bus.topics import (
    LINK_STATE,
    POINTING_STATE,
    SIM_TRUTH,
    STATION_EVENT,
    STATION_MODE,
    TRACKING_COARSE,
    TRACKING_FINE,
    CoarseState,
    FineState,
    LinkState,
    ModeState,
    PointingState,
    StationEvent,
    Truth,
)
from controller.record import Recorder

NS = 1_000_000_000
START_UTC_NS = 1_759_500_000 * NS
MODES = (("STOWED", -20), ("SLEW", -15), ("POINT", -5), ("ACQUIRE", 1), ("COARSE", 9), ("FINE", 18), ("LINK", 20))
END_S = 60
URAD = 1e-6


def mode_at(t_s: float) -> str:
    return [mode for mode, start in MODES if start <= t_s][-1]


def record(folder: Path, with_truth: bool = True, simulated: bool = True) -> None:
    """A made-up pass of a minute: errors shrink from mode to mode."""
    rng = np.random.default_rng(4)
    clock = HandClock(0, START_UTC_NS - 20 * NS)
    bus = LocalBus(clock, 1, simulated)
    station, pointing, tracking = bus.port("station"), bus.port("pointing"), bus.port("tracking")
    link, bench = bus.port("link"), bus.port("bench")
    before = ""
    with Recorder(folder / "recording.mcap") as recorder:
        bus.tap(recorder.write)
        for number in range((END_S + 20) * 50):
            clock.t_ns = number * NS // 50
            t_s, t_utc_ns, mode = number / 50 - 20, clock.utc_ns(), mode_at(number / 50 - 20)
            azimuth, elevation = -0.6 + 0.02 * t_s, math.radians(65 - 0.02 * (t_s - 30) ** 2)
            locked = mode in {"FINE", "LINK"}
            coarse = rng.normal(0, 10 * URAD, 2) if locked or mode == "COARSE" else np.array([3e-4, -2e-4])
            fine = rng.normal(0, 1.2 * URAD, 2) if locked else coarse
            if mode != before:
                text = f"{before} -> {mode}: <next>"
                station.publish(STATION_EVENT, StationEvent("warning" if mode == "FINE" else "info", mode, text))
                before = mode
            if number % 5 == 0:
                ends = (START_UTC_NS, START_UTC_NS + END_S * NS) if mode != "STOWED" else (0, 0)
                station.publish(STATION_MODE, ModeState(mode, t_utc_ns, "as told", "STARLINK-1 & co", *ends))
                pointing.publish(POINTING_STATE, pointing_state(t_utc_ns, azimuth, elevation))
                power_w = 3e-6 if mode == "LINK" else 0.0
                link.publish(LINK_STATE, LinkState(t_utc_ns, power_w, 1e-7, power_w > 1e-7))
            tracking.publish(TRACKING_COARSE, coarse_state(t_utc_ns, coarse, mode in {"COARSE", "FINE", "LINK"}))
            tracking.publish(TRACKING_FINE, fine_state(t_utc_ns, coarse, locked))
            if with_truth:
                bench.publish(SIM_TRUTH, truth(t_utc_ns, azimuth, elevation, coarse, fine, locked, number > 0))
    summary = {
        "target": "STARLINK-1 & co",
        "seed": 3,
        "max_elevation_deg": 65.0,
        "coarse_error_rms_rad": [10.1e-6, 9.9e-6],
        "fine_error_rms_rad": [1.2e-6, None],
        "predictor_bound_rad": 0.9e-6,
        "link_fraction": 0.981,
        "mode_times_s": {"LINK": 40.0},
        "drawn": {"ephemeris_along_track_m": -240.0, "ephemeris_cross_track_m": 80.0, "tilt_rms_rad": 4.4e-6},
        "open_loop_error_before_rms_rad": [9e-4, 5e-4],
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    if with_truth:
        np.savez_compressed(folder / "truth.npz", fine_10khz_rad=rng.normal(0, 1e-6, (40_000, 2)).astype(np.float32))


def pointing_state(t_utc_ns: int, azimuth: float, elevation: float) -> PointingState:
    return PointingState(
        t_utc_ns, "track", azimuth, elevation, 0.02, 0.0, azimuth, elevation, 0.02, 0.0, 650e3, (1e-5, 0), (0, 0),
        (4e-5, 0), (0, 0), 0.1, True,
    )  # fmt: skip


def coarse_state(t_utc_ns: int, error: np.ndarray, seen: bool) -> CoarseState:
    pair = (float(error[0]), float(error[1])) if seen else (0.0, 0.0)
    return CoarseState(t_utc_ns, seen, pair, 5e4, 60.0, pair, (2e-5, 2e-5), 0.01, 0)


def fine_state(t_utc_ns: int, coarse: np.ndarray, locked: bool) -> FineState:
    mean = (float(coarse[0]), float(coarse[1])) if locked else (0.0, 0.0)
    board = "track" if locked else "setpoint"
    phase = "closed" if locked else "idle"
    return FineState(t_utc_ns, board, locked, False, (0, 0), (1e-6, 1e-6), 1.0, mean, (2e-6, 0), 0, 200, phase)


def truth(t_utc_ns: int, azimuth: float, elevation: float, coarse, fine, lit: bool, started: bool) -> Truth:
    c, f = (float(coarse[0]), float(coarse[1])), (float(fine[0]), float(fine[1]))
    power_w = 3.1e-6 if lit else 0.0
    range_m = 650e3 if started else 1.0  # the first row of a bench that has just begun
    return Truth(t_utc_ns, azimuth, elevation, range_m, c, (c[0] + 1e-5, c[1] - 1e-5), f, f, c, power_w, lit, lit, lit)


@pytest.fixture(scope="session")
def flown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    record(folder)
    return folder


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    record(folder, with_truth=False, simulated=False)
    return folder
