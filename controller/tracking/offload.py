"""Offload: the steering mirror's mean, handed slowly to the gimbal.

The coarse loop already removes everything the camera sees. What is left in the mirror's mean is what the camera cannot
see: the angle between the camera's boresight and the quad cell. Mirror and camera see the same line of sight at the
same time, so their difference is that angle alone: free of jitter, of wind, and of what the gimbal is still working
off. Its running mean becomes the camera's set-point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from controller.bus.topics import Pair


@dataclass(frozen=True, slots=True)
class OffloadSettings:
    """Time constants in s, angles in rad."""

    time_constant_s: float = 8.0  # a frame and a board status are not of the same 20 ms: that much jitter averages out
    limit_rad: float = 500e-6


def step(
    offset_rad: Pair, mirror_mean_rad: Pair, camera_error_rad: Pair, dt_s: float, settings: OffloadSettings
) -> Pair:
    """The set-point after `dt_s` of closed fine loop, (cross-elevation, elevation).

    Args:
        offset_rad: the set-point so far: the camera's error plus this is what the gimbal nulls.
        mirror_mean_rad: target minus quad cell's boresight on the sky, as the mirror bears it.
        camera_error_rad: target minus camera's boresight, of the latest frame.
        dt_s: what the mirror's mean is the mean of.
        settings: time constant and limit.
    """
    share = 1 - math.exp(-dt_s / settings.time_constant_s)
    x, y = (
        min(max(o + share * (m - c - o), -settings.limit_rad), settings.limit_rad)
        for o, m, c in zip(offset_rad, mirror_mean_rad, camera_error_rad, strict=True)
    )
    return x, y
