"""A star seen by the camera while the encoders stood somewhere: what mount models are fitted to."""

from __future__ import annotations

import math
from dataclasses import dataclass

from controller.pointing.mount import Signs

Pair = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Observation:
    """A star seen: its observed place, the encoders, their directions of motion, and the camera's offset.

    `offset_rad` is star minus boresight as (cross-elevation, elevation).
    """

    star: str
    azimuth_rad: float
    elevation_rad: float
    azimuth_encoder_rad: float
    elevation_encoder_rad: float
    motion: Signs
    offset_rad: Pair


def sky_offset(from_: Pair, to: Pair) -> Pair:
    """(cross-elevation, elevation) from one direction to another near it."""
    middle = (from_[1] + to[1]) / 2
    return math.remainder(to[0] - from_[0], math.tau) * math.cos(middle), to[1] - from_[1]
