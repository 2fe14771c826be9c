"""The one place where a camera frame meets the gimbal's position: everything is carried to the frame's mid-exposure.

The gimbal loop reports about eleven times a second, the camera fifty. Between two reports the gimbal moves at commanded
rates, so the newest report is extrapolated with its own rates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.bus.topics import Pair, PointingState
from controller.geometry.trackframe import about_axes, along_cross_on_sky

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Moment:
    """The gimbal and the geometry at one time."""

    t_utc_ns: int
    deviation_rad: Pair  # encoder through mount model minus prediction, on the sky
    axis_rad: Pair  # azimuth and elevation axis, or whatever the mount has instead
    elevation_rate_rad_s: float  # of the second
    cos_elevation: float
    along_cross: Array  # (2, 2), sky angle per metre along and across the track


class Pairing:
    """Remembers the two newest pointing states; gives the gimbal's moment at any time near them."""

    def __init__(self) -> None:
        self._state: PointingState | None = None
        self._project = np.zeros((2, 2))
        self._project_rate = np.zeros((2, 2))  # per second

    @property
    def state(self) -> PointingState | None:
        """The newest pointing state seen."""
        return self._state

    def take(self, state: PointingState) -> None:
        """Remember a pointing state; one that is not newer than the last is ignored."""
        before = self._state
        if before is not None and state.t_utc_ns <= before.t_utc_ns:
            return
        project = np.zeros((2, 2))  # a star, or nothing, is at no range
        if state.range_m > 0.0:
            project = along_cross_on_sky(
                state.target_elevation_rad,
                state.target_azimuth_rate_rad_s,
                state.target_elevation_rate_rad_s,
                state.range_m,
            )
            project = about_axes(project, state.field_rotation_rad)
        if before is not None and (dt_s := (state.t_utc_ns - before.t_utc_ns) * 1e-9) < 1.0:
            self._project_rate = (project - self._project) / dt_s
        else:
            self._project_rate = np.zeros((2, 2))
        self._state, self._project = state, project

    def at(self, t_utc_ns: int) -> Moment:
        """The moment at a time. Raises LookupError before the first pointing state."""
        state = self._state
        if state is None:
            raise LookupError("no pointing state has been seen")
        dt_s = (t_utc_ns - state.t_utc_ns) * 1e-9
        (dx, dy), (rx, ry) = state.deviation_rad, state.deviation_rate_rad_s
        (first, second), (first_rate, second_rate) = state.axes_rad, state.axes_rate_rad_s
        second += second_rate * dt_s
        return Moment(
            t_utc_ns,
            (dx + rx * dt_s, dy + ry * dt_s),
            (first + first_rate * dt_s, second),
            second_rate,
            math.cos(second),
            self._project + self._project_rate * dt_s,
        )
