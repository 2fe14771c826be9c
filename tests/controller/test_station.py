from __future__ import annotations

from dataclasses import replace

import pytest

from controller.bus.topics import (
    AcquisitionState,
    CoarseState,
    Correction,
    FineState,
    LinkState,
    PointingState,
    SafetyState,
)
from controller.station import EMITTING, RESTING, STEPS, TIME_OUTS_S, Inputs, Mode, State, handover_fits, step, track

ZERO = (0.0, 0.0)
MASK_RAD = 0.35


def pointing(**change: object) -> PointingState:
    values: dict[str, object] = {
        "t_utc_ns": 0,
        "activity": "track",
        "azimuth_rad": 1.0,
        "elevation_rad": 0.5,
        "azimuth_rate_rad_s": 0.0,
        "elevation_rate_rad_s": 0.0,
        "target_azimuth_rad": 1.0,
        "target_elevation_rad": 0.5,
        "target_azimuth_rate_rad_s": 0.0,
        "target_elevation_rate_rad_s": 0.0,
        "range_m": 1e6,
        "deviation_rad": ZERO,
        "deviation_rate_rad_s": ZERO,
        "point_ahead_rad": ZERO,
        "correction_rad": ZERO,
        "command_latency_s": 0.1,
        "settled": True,
    }
    return PointingState(**(values | change))  # type: ignore[arg-type]


def coarse(detected: bool = True, estimate: float = 10e-6, sigma: float = 20e-6) -> CoarseState:
    return CoarseState(0, detected, (estimate, estimate), 1e4, 50.0, (estimate, estimate), (sigma, sigma), 0.01, 0)


def fine(phase: str = "closed", latched: bool = False) -> FineState:
    return FineState(0, "track", True, latched, ZERO, ZERO, 1.0, ZERO, ZERO, 0, 200, phase)


CORRECTION = Correction(0, ZERO, ZERO, (5e-6, 5e-6), "coarse")
SAFETY = SafetyState(0, True, True, False, "", [])
UP = Inputs(
    now_s=100.0,
    utc_ns=1000,
    elevation_mask_rad=MASK_RAD,
    quad_half_field_rad=100e-6,
    pointing=pointing(),
    coarse=coarse(),
    correction=CORRECTION,
    fine=fine(),
    acquisition=AcquisitionState(0, "found", 1.0, 2.0, 0.99, 1.0, 1),
    safety=SAFETY,
    link=LinkState(0, 1e-6, 1e-7, True),
)


def settle(state: State, inputs: Inputs, seconds: float = 3.0) -> State:
    """Turn the machine at 20 Hz with inputs that do not change, until the mode changes or the time is up."""
    start = state.mode
    for turn in range(round(seconds * 20)):
        state = step(state, replace(inputs, now_s=inputs.now_s + turn / 20))
        if state.mode is not start:
            break
    return state


def in_mode(mode: Mode) -> State:
    return replace(track(State(), 100.0, "SAT", 500, 10_000), mode=mode)


def test_a_pass_climbs_every_rung_in_order() -> None:
    state = track(State(), 100.0, "SAT", 500, 10_000)
    modes = [state.mode]
    for _ in range(5):
        state = settle(state, UP)
        modes.append(state.mode)
    assert modes == [Mode.SLEW, Mode.POINT, Mode.ACQUIRE, Mode.COARSE, Mode.FINE, Mode.LINK]


def test_a_condition_that_flickers_does_not_climb() -> None:
    state = in_mode(Mode.COARSE)
    for turn in range(100):
        seen = coarse(detected=turn % 3 != 0)
        state = step(state, replace(UP, now_s=100 + turn / 20, coarse=seen))
    assert state.mode is Mode.COARSE


@pytest.mark.parametrize(
    ("mode", "inputs", "rung"),
    [
        (Mode.LINK, replace(UP, link=LinkState(0, 0.0, 1e-7, False)), Mode.FINE),
        (Mode.LINK, replace(UP, link=None), Mode.FINE),
        (Mode.FINE, replace(UP, fine=fine("idle")), Mode.COARSE),
        (Mode.FINE, replace(UP, fine=None), Mode.COARSE),
        (Mode.COARSE, replace(UP, coarse=coarse(False)), Mode.ACQUIRE),
        (Mode.COARSE, replace(UP, coarse=None), Mode.ACQUIRE),
        (
            Mode.ACQUIRE,
            replace(UP, coarse=None, acquisition=AcquisitionState(0, "failed", 9, 2, 0.99, 3, 1)),
            Mode.POINT,
        ),
    ],
)
def test_what_is_lost_goes_back_exactly_one_rung(mode: Mode, inputs: Inputs, rung: Mode) -> None:
    assert settle(in_mode(mode), inputs).mode is rung


@pytest.mark.parametrize("mode", sorted(EMITTING))
def test_a_tripped_vote_ends_in_safe(mode: Mode) -> None:
    tripped = SafetyState(0, False, False, True, "sun cone", [])
    state = step(in_mode(mode), replace(UP, safety=tripped))
    assert state.mode is Mode.SAFE
    assert "sun cone" in state.reason


@pytest.mark.parametrize("mode", sorted(set(Mode) - RESTING))
@pytest.mark.parametrize(
    ("service", "end"), [("pointing", Mode.FAULT), ("tracking", Mode.FAULT), ("safety", Mode.SAFE)]
)
def test_a_lost_service_ends_in_the_mode_of_the_table(mode: Mode, service: str, end: Mode) -> None:
    state = step(in_mode(mode), replace(UP, lost=(service,)))
    assert state.mode is end
    assert service in state.reason


def test_a_lost_power_meter_takes_the_link_and_nothing_else() -> None:
    assert step(in_mode(Mode.LINK), replace(UP, lost=("link",))).mode is Mode.FINE
    assert step(in_mode(Mode.FINE), replace(UP, lost=("link",))).mode is Mode.FINE


@pytest.mark.parametrize("mode", sorted({Mode.HOLD, Mode.SAFE, Mode.FAULT, Mode.OFF, Mode.STOWED}))
def test_nothing_resumes_by_itself(mode: Mode) -> None:
    assert settle(in_mode(mode), UP, seconds=60).mode is mode


@pytest.mark.parametrize("mode", sorted(set(Mode) - RESTING))
def test_the_end_of_the_pass_stows_from_every_mode(mode: Mode) -> None:
    assert step(in_mode(mode), replace(UP, utc_ns=10_000)).mode is Mode.STOWED


def test_emission_is_not_asked_for_below_the_mask_or_before_the_pass() -> None:
    low = replace(UP, pointing=pointing(target_elevation_rad=MASK_RAD - 1e-6))
    assert settle(in_mode(Mode.POINT), low).mode is Mode.POINT
    assert settle(in_mode(Mode.POINT), replace(UP, utc_ns=499)).mode is Mode.POINT


def test_a_station_without_a_camera_stays_on_the_predicted_path() -> None:
    assert settle(in_mode(Mode.POINT), UP).mode is Mode.ACQUIRE
    assert settle(in_mode(Mode.POINT), replace(UP, quad_half_field_rad=None)).mode is Mode.POINT


@pytest.mark.parametrize(
    ("estimate_urad", "sigma_urad", "fits"), [(0, 33, True), (0, 34, False), (40, 20, True), (41, 20, False)]
)
def test_handover_is_computed_from_three_sigma_and_the_quads_field(
    estimate_urad: float, sigma_urad: float, fits: bool
) -> None:
    seen = coarse(estimate=estimate_urad * 1e-6, sigma=sigma_urad * 1e-6)
    assert handover_fits(CORRECTION, seen, 100e-6) is fits


def test_a_coasting_estimate_never_hands_over() -> None:
    coasting = Correction(0, ZERO, ZERO, (1e-6, 1e-6), "coast")
    assert not handover_fits(coasting, coarse(), 100e-6)


def test_every_rung_says_what_the_operator_is_told() -> None:
    assert all(row.tell for row in STEPS)
    assert all(text for _, text in TIME_OUTS_S.values())


@pytest.mark.parametrize("mode", sorted(set(Mode) - RESTING))
def test_a_live_target_whose_stream_is_silent_leaves_the_axes_held(mode: Mode) -> None:
    after = step(State(mode, target="plane"), replace(UP, silent=True))
    assert (after.mode, after.reason) == (Mode.HOLD, "the stream of plane is silent: the axes are held")
