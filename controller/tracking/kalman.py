"""The arithmetic of a Kalman filter with two measurements a time, compiled: some twenty numpy calls a frame cost more.

State x (n,) with covariance P (n, n), both changed in place: constants that wander, or first-order processes with an
e-folding rate. Rows (2, n) say how the state shows. Textbook: Gelb, Applied Optimal Estimation (1974), table 4.2-1.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]


@njit(cache=True)
def propagate(x: Array, P: Array, dt_s: float, decay: Array, wander: Array, stationary: Array, moved: int) -> None:
    """Let time pass: components `moved`, `moved` + 1 are driven by the two after them, then everything decays.

    decay (n,) is per second, wander (n,) variance per second, stationary (n,) the variance that a process returns to.
    """
    n = len(x)
    for i in range(moved, moved + 2):
        x[i] += dt_s * x[i + 2]
        for j in range(n):
            P[i, j] += dt_s * P[i + 2, j]
    keep = np.empty(n)
    for j in range(n):
        keep[j] = math.exp(-decay[j] * dt_s)
    for i in range(n):
        for j in range(moved, moved + 2):
            P[i, j] += dt_s * P[i, j + 2]
        for j in range(n):
            P[i, j] *= keep[i] * keep[j]
        P[i, i] += wander[i] * dt_s + stationary[i] * (1.0 - keep[i] * keep[i])
        x[i] *= keep[i]


@njit(cache=True)
def correct(x: Array, P: Array, rows: Array, seen: Array, variance: float, gate: float, innovation: Array) -> bool:
    """Take the measurement `seen` (2,), unless it is further off than `gate` sigma; then False, and nothing changes.

    `innovation` (2,) is filled with what was seen minus what was expected.
    """
    n = len(x)
    cross = np.zeros((2, n))  # rows P
    for axis in range(2):
        for i in range(n):
            if rows[axis, i] != 0.0:
                for j in range(n):
                    cross[axis, j] += rows[axis, i] * P[i, j]
    a, b, d = variance, 0.0, variance
    innovation[:] = seen
    for i in range(n):
        a += cross[0, i] * rows[0, i]
        b += cross[0, i] * rows[1, i]
        d += cross[1, i] * rows[1, i]
        innovation[0] -= rows[0, i] * x[i]
        innovation[1] -= rows[1, i] * x[i]
    determinant = a * d - b * b
    u = (d * innovation[0] - b * innovation[1]) / determinant
    v = (a * innovation[1] - b * innovation[0]) / determinant
    if u * innovation[0] + v * innovation[1] >= gate * gate:
        return False
    for i in range(n):
        x[i] += cross[0, i] * u + cross[1, i] * v
        gain_0 = (d * cross[0, i] - b * cross[1, i]) / determinant
        gain_1 = (a * cross[1, i] - b * cross[0, i]) / determinant
        for j in range(i + 1):  # the other half is the same: it stays symmetric
            P[i, j] -= gain_0 * cross[0, j] + gain_1 * cross[1, j]
            P[j, i] = P[i, j]
    return True


@njit(cache=True)
def value(x: Array, rows: Array, dt_s: float, decay: Array, moved: int) -> tuple[float, float]:
    """How the state shows `dt_s` later, if nothing new is seen."""
    shown = np.zeros(2)
    for i in range(len(x)):
        later = x[i] * math.exp(-decay[i] * max(dt_s, 0.0))
        if moved <= i < moved + 2:
            later += x[i + 2] * dt_s
        shown[0] += rows[0, i] * later
        shown[1] += rows[1, i] * later
    return shown[0], shown[1]


@njit(cache=True)
def variances(P: Array, rows: Array) -> tuple[float, float]:
    """Of what shows: the diagonal of rows P rows^T."""
    shown = np.zeros(2)
    for axis in range(2):
        for i in range(len(P)):
            if rows[axis, i] != 0.0:
                for j in range(len(P)):
                    shown[axis] += rows[axis, i] * P[i, j] * rows[axis, j]
    return shown[0], shown[1]
