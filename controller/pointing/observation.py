"""A star seen by the camera while the encoders stood somewhere: what mount models are fitted to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from controller.pointing.mount import Signs
from controller.pointing.mount_frame import MountFrame

Pair = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Observation:
    """A star seen: its observed place, the encoders, their directions of motion, and the camera's offset.

    `offset_rad` is star minus boresight along the mount's own axes: (cross-elevation, elevation) where these are those.
    """

    star: str
    azimuth_rad: float
    elevation_rad: float
    azimuth_encoder_rad: float
    elevation_encoder_rad: float
    motion: Signs
    offset_rad: Pair


def about_axes(observations: Sequence[Observation], frame: MountFrame) -> list[Observation]:
    """The same with each place as angles about the axes of a mount that stands like this, which its model is about."""
    places = (frame.axes(o.azimuth_rad, o.elevation_rad) for o in observations)
    return [
        replace(o, azimuth_rad=primary_rad, elevation_rad=secondary_rad)
        for o, (primary_rad, secondary_rad) in zip(observations, places, strict=True)
    ]


def sky_offset(from_: Pair, to: Pair) -> Pair:
    """(cross-elevation, elevation) from one direction to another near it."""
    middle = (from_[1] + to[1]) / 2
    return math.remainder(to[0] - from_[0], math.tau) * math.cos(middle), to[1] - from_[1]
