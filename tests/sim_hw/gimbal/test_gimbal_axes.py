from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from sim_hw.plant.coarse_block import COMMAND, LOAD, LOAD_RATE, MOTOR, MOTOR_RATE, boresight, error, step_axis
from sim_hw.plant.gimbal import Gimbal, GimbalParameters
from sim_hw.scenarios import load_scenario
from sim_hw.scene.mount import MountTerms
from sim_hw.timeline import Timeline

DEG_S = math.radians(1.0)
PARAMETERS = GimbalParameters.draw(load_scenario().gimbal, np.random.default_rng(1))
# No worm, no play: what is left is the stage and its friction.
SMOOTH = replace(PARAMETERS, worm_amplitude_rad=0.0, worm_second_amplitude_rad=0.0, backlash_rad=0.0)


def axis_of(parameters: GimbalParameters) -> tuple[np.ndarray, np.ndarray]:
    gimbal = Gimbal(parameters, (0.0, 0.0), Timeline(), np.random.default_rng(2))
    return gimbal.state[0], gimbal.rows[0]


def run(state: np.ndarray, row: np.ndarray, rate_rad_s: float, seconds: float) -> np.ndarray:
    """Columns motor, load, load rate of every step."""
    state[COMMAND] = rate_rad_s
    steps = round(seconds * 1e3)
    rows = np.empty((steps, 3))
    for i in range(steps):
        step_axis(state, row)
        rows[i] = state[MOTOR], state[LOAD], state[LOAD_RATE]
    return rows


def test_the_motor_follows_a_rate_within_its_limits() -> None:
    state, row = axis_of(PARAMETERS)
    run(state, row, 10 * DEG_S, 1.0)
    assert state[MOTOR_RATE] == pytest.approx(2.0 * DEG_S)  # 2 deg/s2 for 1 s
    assert state[MOTOR] == pytest.approx(1.0 * DEG_S)
    run(state, row, 10 * DEG_S, 1.0)
    assert state[MOTOR_RATE] == pytest.approx(3.0 * DEG_S)


def test_a_reversal_loses_the_backlash_and_the_friction_of_both_directions() -> None:
    state, row = axis_of(replace(PARAMETERS, worm_amplitude_rad=0.0, worm_second_amplitude_rad=0.0))
    up = run(state, row, 0.1 * DEG_S, 2.0)[-1]
    down = run(state, row, -0.1 * DEG_S, 2.0)[-1]
    lost = (up[0] - up[1]) - (down[0] - down[1])
    drag = 2 * PARAMETERS.friction_coulomb_rad + 4 * PARAMETERS.stage_damping * 0.1 * DEG_S / PARAMETERS.stage_rad_s
    assert lost == pytest.approx(150e-6 + 2 * 4e-6, abs=drag - 7.9e-6)


def test_the_load_carries_the_worm_error_of_its_two_harmonics() -> None:
    state, row = axis_of(replace(SMOOTH, worm_amplitude_rad=24e-6, worm_second_amplitude_rad=7.5e-6))
    rows = run(state, row, 0.5 * DEG_S, 10.0)[1000:]  # 4.5 degrees of axis
    turn = 2 * np.pi * rows[:, 0] / math.radians(2.0)
    basis = np.stack([np.ones_like(turn), np.sin(turn), np.cos(turn), np.sin(2 * turn), np.cos(2 * turn)], axis=1)
    fit = np.linalg.lstsq(basis, rows[:, 1] - rows[:, 0], rcond=None)[0]
    assert 2 * math.hypot(fit[1], fit[2]) == pytest.approx(48e-6, rel=0.02)
    assert 2 * math.hypot(fit[3], fit[4]) == pytest.approx(15e-6, rel=0.03)


@pytest.mark.parametrize(("rate_deg_s", "sticks"), [(0.003, True), (0.018, True), (0.023, False), (0.1, False)])
def test_the_axis_sticks_and_slips_below_the_stated_rate_and_slides_above(rate_deg_s: float, sticks: bool) -> None:
    state, row = axis_of(SMOOTH)
    run(state, row, 0.1 * DEG_S, 2.0)
    rows = run(state, row, rate_deg_s * DEG_S, 10.0)[5000:]
    standing = float(np.mean(rows[:, 2] == 0.0))
    assert (standing > 0.05) is sticks
    if not sticks:
        assert rows[:, 2].std() < 1e-3 * rate_deg_s * DEG_S


def test_without_static_friction_above_coulomb_nothing_sticks_while_it_moves() -> None:
    state, row = axis_of(replace(SMOOTH, friction_static_rad=SMOOTH.friction_coulomb_rad))
    rows = run(state, row, 0.003 * DEG_S, 10.0)[8000:]
    assert not np.any(rows[:, 2] == 0.0)


def test_encoders_show_the_motor_with_their_noise_and_nothing_of_what_is_behind() -> None:
    timeline = Timeline()
    gimbal = Gimbal(PARAMETERS, (1.0, 0.5), timeline, np.random.default_rng(2))
    readings = np.array([gimbal.encoder_rad() for _ in range(4000)])
    assert readings.mean(axis=0) == pytest.approx([1.0, 0.5], abs=1e-7)
    assert readings.std(axis=0) == pytest.approx([1.2e-6, 1.2e-6], rel=0.05)


def test_encoders_are_interpolated_to_the_moment_of_the_reading() -> None:
    timeline = Timeline()
    gimbal = Gimbal(replace(PARAMETERS, encoder_rms_rad=0.0), (0.0, 0.0), timeline, np.random.default_rng(2))
    run(gimbal.state[0], gimbal.rows[0], DEG_S, 2.0)
    for now_us in (2_000_000, 1_999_300, 2_000_050):
        timeline.now_ns = now_us * 1000
        gimbal.stepped_ns = 2_000_000_000
        expected = DEG_S * (now_us * 1e-6 - 0.25)  # half a second of acceleration costs a quarter
        assert gimbal.encoder_rad()[0] == pytest.approx(expected, abs=1e-9)


def test_an_ideal_mount_looks_where_its_axes_point() -> None:
    assert boresight(0.7, 0.4, MountTerms().array) == pytest.approx((0.7, 0.4))


@pytest.mark.parametrize(
    ("terms", "cross_urad", "elevation_urad"),
    [
        (MountTerms(index_azimuth_rad=1e-4), 100 * math.cos(0.9), 0.0),
        (MountTerms(index_elevation_rad=1e-4), 0.0, 100.0),
        (MountTerms(collimation_rad=1e-4), 100.0, 0.0),
        # The zenith of the azimuth axis leans north: looking north (azimuth 0.7), elevation falls by AN cos az.
        (MountTerms(axis_north_rad=1e-4), 100 * math.sin(0.9) * math.sin(0.7) * -1, -100 * math.cos(0.7)),
        (MountTerms(axis_west_rad=1e-4), 100 * math.sin(0.9) * math.cos(0.7) * -1, 100 * math.sin(0.7)),
    ],
)
def test_each_mount_term_moves_the_boresight_as_its_formula_says(
    terms: MountTerms, cross_urad: float, elevation_urad: float
) -> None:
    azimuth, elevation = boresight(0.7, 0.9, terms.array)
    moved = (1e6 * (azimuth - 0.7) * math.cos(0.9), 1e6 * (elevation - 0.9))
    assert moved == pytest.approx((cross_urad, elevation_urad), abs=0.03)


def test_error_between_directions_is_signed_and_survives_the_wrap_of_azimuth() -> None:
    assert error(0.001, 0.9, 2 * math.pi - 0.001, 0.899) == pytest.approx((0.002 * math.cos(0.9), 0.001), abs=2e-6)
