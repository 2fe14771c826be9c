"""Steering mirror: one full sample of delay, hysteresis, two lightly damped modes, exact between ticks.

The constants are computed here; the step itself is compiled with the rest of the block (fine_block.py).

Hysteresis is a Prandtl-Ishlinskii sum of play operators (Kuhnen, Eur. J. Control 9 (2003) 407), the usual model of
piezo stacks. Each mode is x'' = w^2 (u - x) - 2 zeta w x', advanced by its exact zero-order-hold transition.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PLAYS = 3
PLAY_RADII = (0.05, 0.2, 0.5)  # of the range
# State of one axis: 2 x (position, velocity), plays, the command that waits.
AXIS_STATE = 4 + PLAYS + 1
MODE_CONSTANTS = 7  # transition 2x2, input 2, share of the deflection


def mode_constants(frequency_hz: float, damping: float, share: float, dt_s: float) -> list[float]:
    """Transition and input of one mode over `dt_s` (see any text on sampled systems, e.g. Astrom & Wittenmark 3.2)."""
    w = 2 * math.pi * frequency_hz
    wd = w * math.sqrt(1 - damping**2)
    decay = math.exp(-damping * w * dt_s)
    c, s = math.cos(wd * dt_s) * decay, math.sin(wd * dt_s) * decay
    p00 = c + damping * w / wd * s
    p01 = s / wd
    p10 = -w * w / wd * s
    p11 = c - damping * w / wd * s
    return [p00, p01, p10, p11, 1 - p00, -p10, share]


def axis_constants(
    frequencies_hz: tuple[float, float], dampings: tuple[float, float], second_share: float,
    range_rad: float, hysteresis: float, dt_s: float,
) -> Array:  # fmt: skip
    """Constants of one axis for `axis_step`; `hysteresis` is the loop's opening as a fraction of the stroke."""
    radii = [share * range_rad for share in PLAY_RADII]
    weight = hysteresis * 2 * range_rad / (2 * sum(radii))
    first = mode_constants(frequencies_hz[0], dampings[0], 1 - second_share, dt_s)
    second = mode_constants(frequencies_hz[1], dampings[1], second_share, dt_s)
    return np.array([*first, *second, *radii, weight, range_rad])
