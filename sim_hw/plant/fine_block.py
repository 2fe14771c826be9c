"""The compiled block: steering mirror, quad cell and the firmware's tick at 10 kHz, no Python in between.

All of it is in one file because numba's cache looks at the file of the outermost function only: a step imported from
another file could go stale. The same code runs un-jitted (`run_block.py_func`).

Quad cell: a Gaussian spot on four square cells of finite field. With 1/e^2 radius w the signal of a wide cell is
erf(sqrt(2) x / w), slope sqrt(8/pi)/w = 1.596/w; here each cell's share is integrated over its own finite square.
Cells leak into their neighbours; every cell has shot and amplifier noise.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim_hw.plant.mirror import AXIS_STATE
from sim_hw.plant.tick import call_tick

Array = NDArray[np.float64]
_STILL = 1e-150  # a mirror at rest rings down to numbers so small that processors need ten times as long for them


@njit(cache=True, inline="always")
def axis_step(state: Array, k: Array, command_rad: float) -> float:
    """Advance one axis by a tick and hand it the next command; returns its position at the end of the tick."""
    held = state[7]
    state[7] = min(max(command_rad, -k[18]), k[18])
    drive = held * (1.0 - 3.0 * k[17])
    for i in range(3):
        radius = k[14 + i]
        play = min(max(state[4 + i], held - radius), held + radius)
        state[4 + i] = play
        drive += k[17] * play
    position = 0.0
    for i in range(2):
        m = 7 * i
        x = state[2 * i]
        v = state[2 * i + 1]
        if abs(x) + abs(v) < _STILL:
            x = v = 0.0
        x, v = k[m] * x + k[m + 1] * v + k[m + 4] * drive, k[m + 2] * x + k[m + 3] * v + k[m + 5] * drive
        state[2 * i] = x
        state[2 * i + 1] = v
        position += k[m + 6] * x
    return position


@njit(cache=True, inline="always")
def half_shares(x: float, radius: float, field: float) -> tuple[float, float]:
    """Share of a Gaussian at `x` that falls on [0, field] and on [-field, 0]."""
    k = math.sqrt(2.0) / radius
    middle = math.erf(k * x)
    return 0.5 * (math.erf(k * (field - x)) + middle), 0.5 * (math.erf(k * (field + x)) - middle)


@njit(cache=True, inline="always")
def quad_cells(
    x: float, y: float, power: float, k: NDArray[np.float64], normal: NDArray[np.float32], io: NDArray[np.float32]
) -> None:
    """Photocurrents a, b, c, d into io[0:4] for a spot at (x, y) rad; `normal` holds four normal draws.

    k = (radius, field, shot, floor, crosstalk x4, slope): noise-equivalent angle^2 = shot^2/power + floor^2/power^2;
    slope is that of the difference of two halves at the null, per radian at power 1.
    """
    right, left = half_shares(x, k[0], k[1])
    up, down = half_shares(y, k[0], k[1])
    a, b, c, d = power * right * up, power * left * up, power * left * down, power * right * down
    # Four cells make one difference: an angle noise of sigma needs sigma * slope / 2 on each.
    noise = 0.5 * k[8] * math.sqrt(k[2] * k[2] * power + k[3] * k[3])
    # Each cell leaks into its two neighbours.
    io[0] = a * (1.0 - 2.0 * k[4]) + b * k[5] + d * k[7] + noise * normal[0]
    io[1] = b * (1.0 - 2.0 * k[5]) + a * k[4] + c * k[6] + noise * normal[1]
    io[2] = c * (1.0 - 2.0 * k[6]) + b * k[5] + d * k[7] + noise * normal[2]
    io[3] = d * (1.0 - 2.0 * k[7]) + a * k[4] + c * k[6] + noise * normal[3]


@njit(cache=True)
def run_block(
    los: Array,
    power: Array,
    noise: NDArray[np.float32],
    state: Array,
    mirror_k: Array,
    quad_k: Array,
    frame: Array,
    io: NDArray[np.float32],
    addresses: NDArray[np.int64],
    out: Array,
    enable: NDArray[np.bool_],
) -> None:
    """n ticks of plant and firmware.

    los (n, 2), power (n,), noise (n, 6) normals, state (18,), mirror_k (2, 19), quad_k (9,),
    frame = (g00, g01, g10, g11, offset_x, offset_y, point-ahead step, position noise), io (12,),
    addresses = (tick, board, io), out (n, 6) = residual, mirror, point-ahead; enable (n,).
    """
    tick, board, io_address = addresses[0], addresses[1], addresses[2]
    x_state = state[0:AXIS_STATE]
    y_state = state[AXIS_STATE : 2 * AXIS_STATE]
    ahead = state[2 * AXIS_STATE : 2 * AXIS_STATE + 2]
    for i in range(los.shape[0]):
        mx = axis_step(x_state, mirror_k[0], io[7])
        my = axis_step(y_state, mirror_k[1], io[8])
        sky_x = frame[0] * mx + frame[1] * my
        sky_y = frame[2] * mx + frame[3] * my
        residual_x = los[i, 0] - sky_x - frame[4]
        residual_y = los[i, 1] - sky_y - frame[5]
        ahead[0] += frame[6] * (io[9] - ahead[0])
        ahead[1] += frame[6] * (io[10] - ahead[1])
        quad_cells(residual_x, residual_y, power[i], quad_k, noise[i], io)
        io[4] = mx + frame[7] * noise[i, 4]
        io[5] = my + frame[7] * noise[i, 5]
        call_tick(tick, board, io_address)
        out[i, 0] = residual_x
        out[i, 1] = residual_y
        out[i, 2] = sky_x
        out[i, 3] = sky_y
        out[i, 4] = frame[0] * ahead[0] + frame[1] * ahead[1]
        out[i, 5] = frame[2] * ahead[0] + frame[3] * ahead[1]
        enable[i] = io[11] > 0.5
