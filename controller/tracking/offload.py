"""Offload: the steering mirror's mean, handed slowly to the gimbal.

The coarse loop already removes everything the camera sees. What is left in the mirror's mean is what the camera cannot
see: the angle between the camera's boresight and the quad cell. So the offload moves the camera's set-point, it is slow
enough to leave jitter to the mirror, and it works only beyond a threshold, so that the gimbal is not kept creeping.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from controller.bus.topics import ZERO, Pair


@dataclass(frozen=True, slots=True)
class OffloadSettings:
    """Time constants in s, angles in rad."""

    time_constant_s: float = 8.0
    average_s: float = 4.0  # jitter and wind average out to about 6 urad
    engage_rad: float = 25e-6  # a quarter of the quad cell's field: less costs the mirror nothing
    release_rad: float = 8e-6
    limit_rad: float = 500e-6


@dataclass(frozen=True, slots=True)
class Offload:
    """State: the set-point for the camera's error, the mirror's running mean, and whether a transfer is under way."""

    offset_rad: Pair = ZERO
    mean_rad: Pair = ZERO
    active: bool = False


def step(state: Offload, mirror_mean_rad: Pair, dt_s: float, settings: OffloadSettings) -> Offload:
    """One status of the closed fine loop, `mirror_mean_rad` on the sky (target minus gimbal as the mirror bears it)."""
    share = 1 - math.exp(-dt_s / settings.average_s)
    mean = (
        state.mean_rad[0] + share * (mirror_mean_rad[0] - state.mean_rad[0]),
        state.mean_rad[1] + share * (mirror_mean_rad[1] - state.mean_rad[1]),
    )
    size = math.hypot(*mean)
    active = size > (settings.release_rad if state.active else settings.engage_rad)
    if not active:
        return Offload(state.offset_rad, mean, False)
    move = dt_s / settings.time_constant_s
    limit = settings.limit_rad
    offset = (
        min(max(state.offset_rad[0] + move * mean[0], -limit), limit),
        min(max(state.offset_rad[1] + move * mean[1], -limit), limit),
    )
    return Offload(offset, mean, True)


def rest(state: Offload) -> Offload:
    """The fine loop is open: keep what has been learned, forget the mirror's mean."""
    return Offload(state.offset_rad, ZERO, False)
