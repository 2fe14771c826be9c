"""The compiled half of a block before the mirror: gimbal axes, boresight, error and light at every tick.

All of it is in one file because numba's cache looks only at the file of the outermost function. The gimbal is stepped
at 1 kHz and the error interpolated to the 10 kHz ticks: a line between millisecond points misses a satellite's
acceleration by 1e-9 rad. Angles in radians, azimuth from north through east, errors are (cross-elevation, elevation).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
STEP_S = 1e-3
TICKS_A_STEP = 10
# State of one axis.
MOTOR, MOTOR_RATE, COMMAND, PLAY, LOAD, LOAD_RATE, MOTOR_BEFORE = range(7)
AXIS_STATES = 7
# Parameters of one axis.
(
    RATE_MAX, ACCELERATION_MAX, WORM, WORM_AMPLITUDE, WORM_PHASE, SECOND_AMPLITUDE, SECOND_PHASE,
    HALF_PLAY, STATIC, COULOMB, STRIBECK, STAGE, DAMPING,
) = range(13)  # fmt: skip
# What is kept between blocks: error at the last two steps.
ERROR_BEFORE, ERROR_AFTER = 0, 2


@njit(cache=True)
def step_axis(state: Floats, p: Floats) -> None:
    """One axis through one step of 1 ms; see sim_hw.plant.gimbal for the model."""
    command = min(max(state[COMMAND], -p[RATE_MAX]), p[RATE_MAX])
    before = state[MOTOR_RATE]
    limit = p[ACCELERATION_MAX] * STEP_S
    after = before + min(max(command - before, -limit), limit)
    state[MOTOR_BEFORE] = state[MOTOR]
    motor = state[MOTOR] + 0.5 * (before + after) * STEP_S
    state[MOTOR] = motor
    state[MOTOR_RATE] = after

    play = min(max(state[PLAY], motor - p[HALF_PLAY]), motor + p[HALF_PLAY])
    state[PLAY] = play
    turn = p[WORM] * motor
    drive = play + p[WORM_AMPLITUDE] * math.sin(turn + p[WORM_PHASE])
    drive += p[SECOND_AMPLITUDE] * math.sin(2.0 * turn + p[SECOND_PHASE])
    # In units of the stage's stiffness, so that friction is an angle of wind-up.
    stiffness = p[STAGE] * p[STAGE]
    rate = state[LOAD_RATE]
    free = rate + (stiffness * (drive - state[LOAD]) - 2.0 * p[DAMPING] * p[STAGE] * rate) * STEP_S
    slip = rate / p[STRIBECK]
    friction = stiffness * (p[COULOMB] + (p[STATIC] - p[COULOMB]) * math.exp(-slip * slip)) * STEP_S
    # Friction takes speed away and never more than there is: what is slower than that sticks.
    if free > friction:
        free -= friction
    elif free < -friction:
        free += friction
    else:
        free = 0.0
    state[LOAD_RATE] = free
    state[LOAD] += free * STEP_S


@njit(cache=True)
def boresight(azimuth_axis: float, elevation_axis: float, terms: Floats) -> tuple[float, float]:
    """Direction (azimuth -pi to pi, elevation) of the telescope at two axis angles.

    `terms` as in MountTerms.array; rotations, not small angles.
    """
    a = azimuth_axis + terms[0]
    e = elevation_axis + terms[1]
    sin_a, cos_a, cos_e = math.sin(a), math.cos(a), math.cos(e)
    sin_c, cos_c = math.sin(terms[2]), math.cos(terms[2])
    # Collimation turns the beam toward increasing azimuth, about the telescope's own vertical.
    north = cos_c * cos_e * cos_a - sin_c * sin_a
    east = cos_c * cos_e * sin_a + sin_c * cos_a
    up = cos_c * math.sin(e)
    sin_n, cos_n = math.sin(terms[3]), math.cos(terms[3])
    north, up = north * cos_n + up * sin_n, up * cos_n - north * sin_n
    sin_w, cos_w = math.sin(terms[4]), math.cos(terms[4])
    east, up = east * cos_w - up * sin_w, up * cos_w + east * sin_w
    return math.atan2(east, north), math.atan2(up, math.sqrt(north * north + east * east))


@njit(cache=True)
def error(azimuth: float, elevation: float, azimuth_from: float, elevation_from: float) -> tuple[float, float]:
    """Angles (cross-elevation, elevation) of a direction as seen from another."""
    turn = azimuth - azimuth_from
    sin_t, cos_t = math.sin(elevation), math.cos(elevation)
    sin_f, cos_f = math.sin(elevation_from), math.cos(elevation_from)
    right = cos_t * math.sin(turn)
    above = sin_t * cos_f - cos_t * sin_f * math.cos(turn)
    ahead = sin_t * sin_f + cos_t * cos_f * math.cos(turn)
    return math.atan2(right, ahead), math.atan2(above, math.sqrt(right * right + ahead * ahead))


@njit(cache=True)
def point(
    axes: Floats, terms: Floats, wind: Floats, target: Floats, boresight_out: Floats, errors: Floats, at: int
) -> None:
    """Boresight of the axes' present state and the target's error from it, into `errors[at:at + 2]`.

    wind (2,), target (2,) = azimuth, elevation; boresight_out (2,).
    """
    azimuth, elevation = boresight(axes[0, LOAD], axes[1, LOAD], terms)
    elevation += wind[1]
    azimuth += wind[0] / max(math.cos(elevation), 1e-6)
    boresight_out[0] = azimuth
    boresight_out[1] = elevation
    errors[at], errors[at + 1] = error(target[0], target[1], azimuth, elevation)


@njit(cache=True)
def coarse_block(
    first: int,
    count: int,
    ring: int,
    axes: Floats,
    axis_parameters: Floats,
    terms: Floats,
    errors: Floats,
    target: Floats,
    wind: Floats,
    boresights: Floats,
    shake: Floats,
    gain: Floats,
    light: Floats,
    coarse: Floats,
    line_of_sight: Floats,
    power: Floats,
) -> None:
    """Ticks first ... first + count - 1; tick k ends at (k + 1) * 0.1 ms and step m at (m + 1) ms.

    Rings of `ring` ticks: shake (ring, 2), gain (ring,) in; coarse (ring, 2), line_of_sight (ring, 2), power (ring,)
    out. Rings of ring/10 steps: target (n, 2), wind (n, 2) in; boresights (n, 2) out. light = (on from, on until) in
    ticks, decided longer ahead than a block.
    """
    for tick in range(first, first + count):
        phase = tick % TICKS_A_STEP
        r = tick % ring
        if phase == 0:
            m = r // TICKS_A_STEP
            step_axis(axes[0], axis_parameters[0])
            step_axis(axes[1], axis_parameters[1])
            errors[0] = errors[2]
            errors[1] = errors[3]
            point(axes, terms, wind[m], target[m], boresights[m], errors, ERROR_AFTER)
        part = (phase + 1) / TICKS_A_STEP
        lit = light[0] <= tick < light[1]
        for axis in range(2):
            e = errors[axis] + part * (errors[2 + axis] - errors[axis])
            coarse[r, axis] = e
            line_of_sight[r, axis] = e + shake[r, axis]
        power[r] = gain[r] if lit else 0.0
