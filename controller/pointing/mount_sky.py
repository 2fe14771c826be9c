"""Between the sky, which everybody else speaks of, and the axes of a mount, in which it is planned and driven."""

from __future__ import annotations

import math

import msgspec

from controller.bus.topics import PointingState
from controller.geometry.trajectory import Trajectory
from controller.pointing.axis import near
from controller.pointing.live_target import LiveTarget
from controller.pointing.mount_frame import MountFrame
from controller.pointing.targets import Fixed, Target

LEVEL_MIN = 1e-9  # cosine of elevation: straight up azimuth turns at any rate


def in_axes(target: Target, frame: MountFrame) -> Target:
    """A target as the loop of a mount that stands like this follows it; its azimuth and elevation are axis angles."""
    if frame.level:
        return target
    if isinstance(target, Trajectory):
        return path_in_axes(target, frame)
    if isinstance(target, Fixed):
        return Fixed(*frame.axes(target.azimuth_rad, target.elevation_rad), target.approach, target.unwound)
    if isinstance(target, LiveTarget):
        return target.about(frame)
    raise TypeError(f"{type(target).__name__} is no target that can be turned")


def path_in_axes(path: Trajectory, frame: MountFrame) -> Trajectory:
    """A path over a site as angles of a mount's axes: what it asks of them, and where its keyhole is."""
    return path if frame.level else path.turned(frame.rotation)


def on_sky(state: PointingState, frame: MountFrame) -> PointingState:
    """What the loop says, with directions and rates of the sky; deviations stay along the axes, as all pairs do."""
    if frame.level:
        return state
    azimuth, elevation = frame.sky(state.azimuth_rad, state.elevation_rad)
    target_azimuth, target_elevation = frame.sky(state.target_azimuth_rad, state.target_elevation_rad)
    target_azimuth = near(target_azimuth, azimuth)
    axes, rates = (state.azimuth_rad, state.elevation_rad), (state.azimuth_rate_rad_s, state.elevation_rate_rad_s)
    turns = _rates(frame, (azimuth, elevation), axes[1], rates)
    moves = (state.target_azimuth_rate_rad_s, state.target_elevation_rate_rad_s)
    target_turns = _rates(frame, (target_azimuth, target_elevation), state.target_elevation_rad, moves)
    return msgspec.structs.replace(
        state,
        azimuth_rad=azimuth,
        elevation_rad=elevation,
        azimuth_rate_rad_s=turns[0],
        elevation_rate_rad_s=turns[1],
        target_azimuth_rad=target_azimuth,
        target_elevation_rad=target_elevation,
        target_azimuth_rate_rad_s=target_turns[0],
        target_elevation_rate_rad_s=target_turns[1],
        axis_rad=axes,
        axis_rate_rad_s=rates,
        way_ahead_rad=tuple(frame.sky(*place) for place in state.way_ahead_rad),
        field_rotation_rad=frame.field_rotation_rad(target_azimuth, target_elevation),
    )


def _rates(
    frame: MountFrame, place: tuple[float, float], secondary_rad: float, rates: tuple[float, float]
) -> tuple[float, float]:
    """Rates of two axes as those of azimuth and elevation at a place of the sky."""
    across, along = frame.on_sky(*place, (rates[0] * math.cos(secondary_rad), rates[1]))
    return across / max(LEVEL_MIN, math.cos(place[1])), along
