"""Offload: the steering mirror's mean, handed slowly to the gimbal.

The coarse loop already removes everything the camera sees. What is left in the mirror's mean is what the camera cannot
see: the angle between the camera's boresight and the quad cell. Mirror and camera see the same line of sight at the
same time, so their difference is that angle alone: free of jitter, of wind, and of what the gimbal is still working
off. What of its running mean is more than the mirror bears at no cost becomes the camera's set-point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from controller.bus.topics import Pair


@dataclass(frozen=True, slots=True)
class OffloadSettings:
    """Time constants in s, angles in rad."""

    time_constant_s: float = 8.0  # a frame and a board status are not of the same 20 ms: that much jitter averages out
    borne_rad: float = 20e-6  # a fifth of the quad cell's field: so much costs the mirror nothing
    limit_rad: float = 500e-6


def learn(
    misalignment_rad: Pair, mirror_mean_rad: Pair, camera_error_rad: Pair, dt_s: float, settings: OffloadSettings
) -> Pair:
    """The running mean of camera's boresight minus quad cell's after `dt_s` of closed fine loop.

    Args:
        misalignment_rad: the mean so far; every pair is (cross-elevation, elevation) on the sky.
        mirror_mean_rad: target minus quad cell's boresight, as the mirror bears it.
        camera_error_rad: target minus camera's boresight, of the latest frame.
        dt_s: what the mirror's mean is the mean of.
        settings: the time constant.
    """
    share = 1 - math.exp(-dt_s / settings.time_constant_s)
    x, y = (
        known + share * (mirror - camera - known)
        for known, mirror, camera in zip(misalignment_rad, mirror_mean_rad, camera_error_rad, strict=True)
    )
    return x, y


def set_point(misalignment_rad: Pair, settings: OffloadSettings) -> Pair:
    """What the gimbal takes over: camera's error plus this is what it nulls, rad on the sky."""
    size = math.hypot(*misalignment_rad)
    taken = min(max(size - settings.borne_rad, 0.0), settings.limit_rad)
    return (misalignment_rad[0] * taken / size, misalignment_rad[1] * taken / size) if taken else (0.0, 0.0)
