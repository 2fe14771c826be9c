"""Seeded noise: one named stream for each disturbance, and the first- and second-order Gauss-Markov shapes."""

from __future__ import annotations

import math
import zlib

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def stream(seed: int, name: str) -> np.random.Generator:
    """A generator of its own for `name`: what one disturbance draws never depends on another."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(name.encode())])))


@njit(cache=True)
def _first_order(white: Floats, a: float, state: Floats, out: Floats) -> None:
    b = math.sqrt(1.0 - a * a)
    for axis in range(white.shape[1]):
        x = state[0, axis]
        for i in range(white.shape[0]):
            x = a * x + b * white[i, axis]
            out[i, axis] = x
        state[0, axis] = x


@njit(cache=True)
def _second_order(white: Floats, a: float, state: Floats, out: Floats) -> None:
    drive = math.sqrt(1.0 - a * a)
    b = 1.0 - a
    # Variance of the second stage when the first has unit variance (both poles at a).
    variance = (2.0 * a * a * b / (1.0 + a) + b * b) / (1.0 - a * a)
    gain = 1.0 / math.sqrt(variance)
    for axis in range(white.shape[1]):
        x = state[0, axis]
        y = state[1, axis]
        for i in range(white.shape[0]):
            x = a * x + drive * white[i, axis]
            y = a * y + b * x
            out[i, axis] = gain * y
        state[0, axis] = x
        state[1, axis] = y


class GaussMarkov:
    """Unit-variance noise with one or two poles at a corner frequency, `axes` columns, drawn in chunks.

    One pole: one-sided density 2/(pi f_c) / (1 + (f/f_c)^2), falling as f^-2. Two poles: 4/(pi f_c) /
    (1 + (f/f_c)^2)^2, falling as f^-4, whose root-mean-square rate is 2 pi f_c.
    """

    def __init__(self, rng: np.random.Generator, axes: int, sample_s: float, poles: int) -> None:
        self._rng = rng
        self._axes = axes
        self._sample_s = sample_s
        self._shape = _first_order if poles == 1 else _second_order
        self._state = np.zeros((2, axes))
        self._state[0] = rng.standard_normal(axes)
        self._state[1] = self._state[0] * math.sqrt(0.5)

    def draw(self, samples: int, corner_hz: float) -> Floats:
        """The next `samples` values, shape (samples, axes); the corner may change from chunk to chunk."""
        out = np.empty((samples, self._axes))
        pole = math.exp(-2.0 * math.pi * corner_hz * self._sample_s)
        self._shape(self._rng.standard_normal((samples, self._axes)), pole, self._state, out)
        return out
