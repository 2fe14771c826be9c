"""The course of the boresight: the way to a target from where the axes stand, and along its path as the axes take it.

What must be kept away from counts along all of it: the slew, the wait at its end, and a keyhole or an azimuth that
unwinds, where the boresight is far from the target. Both axes go at once, each as fast as it can; how they speed up and
brake is the same for both and bends the course little. What the axes do is reckoned in their own angles, however the
mount stands; where the boresight then looks is told of the sky.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.ma  # np.unique asks for it: by itself numpy would load it with the first slew

from controller.bus.topics import Pair
from controller.geometry.frames import azel_to_enu
from controller.geometry.timescales import Floats, Times
from controller.geometry.trajectory import Trajectory
from controller.pointing.axis import near
from controller.pointing.ground import OPEN, Ground
from controller.pointing.keyhole import Way
from controller.pointing.mount_frame import ALT_AZ, MountFrame
from controller.pointing.targets import Fixed, Target

NS = 1_000_000_000
STEP_RAD = math.radians(1.0)  # that an axis goes from one look to the next
STEPS_MAX = 20_000
WAIT_STEP_NS = 60 * NS
LEFT_RAD = math.radians(1.0)  # further off than this the boresight is on a way of its own


@dataclass(frozen=True, slots=True)
class Course:
    """Where the boresight is going to look: unit vectors east, north, up (n, 3) at times (n)."""

    t_utc_ns: Times
    boresight: Floats
    target: Floats  # where the target is then, likewise

    @property
    def left(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Whether the boresight is off the target, each time."""
        gap = np.linalg.norm(self.boresight - self.target, axis=1)
        result: np.ndarray[tuple[int], np.dtype[np.bool_]] = gap > LEFT_RAD
        return result


@dataclass(frozen=True, slots=True)
class Axes:
    """Where two axes are (None: on the target), how fast, stops of azimuth, if any, how they stand, and on what."""

    stands: Pair | None
    rate_rad_s: float
    azimuth_stops_rad: Pair | None = None
    frame: MountFrame = ALT_AZ
    ground: Ground = OPEN


def along(path: Trajectory, way: Way | None, t_utc_ns: Times) -> Course:
    """The course on a path over a site alone, at some of its times; the way is the one for it."""
    target = _units(path.sample(t_utc_ns), ALT_AZ)
    if way is None:
        return Course(t_utc_ns, target, target)
    looks = way.path.sample(t_utc_ns)[:, :2]
    return Course(t_utc_ns, _units(way.planned(t_utc_ns, looks, looks[:, 0]), way.frame), target)


def course(target: Target, way: Way | None, azimuth_rad: float, axes: Axes, now_utc_ns: int) -> Course:
    """The whole course to a target and with it, when the turn of its azimuth begins near `azimuth_rad`.

    The target's azimuth and elevation are the angles of the axes.
    """
    step_ns = round(max(0.25, STEP_RAD / axes.rate_rad_s) * NS)
    slew_ns = round(2 * math.tau / axes.rate_rad_s * NS)
    times = _times(target, now_utc_ns, slew_ns, step_ns)
    if isinstance(target, Trajectory):
        looks = target.sample(times)[:, :2]
        looks[:, 0] += near(looks[0, 0], azimuth_rad) - looks[0, 0]
        aims = looks if way is None else way.planned(times, looks, looks[:, 0])
    else:
        look = target.receive(now_utc_ns)
        looks = np.tile(
            [azimuth_rad if isinstance(target, Fixed) else look.azimuth_rad, look.elevation_rad], (len(times), 1)
        )
        aims = looks
    taken = _followed(times, aims, axes)
    return Course(times, _units(taken, axes.frame), _units(looks, axes.frame))


def _units(angles: Floats, frame: MountFrame) -> Floats:
    """Unit vectors (n, 3) east, north, up for angles (n, 2 or more) of a mount's two axes."""
    units = azel_to_enu(angles[:, 0], angles[:, 1])
    return units if frame.level else units @ np.asarray(frame.rotation)


def _times(target: Target, now_utc_ns: int, slew_ns: int, step_ns: int) -> Times:
    """Steps while the mount may slew and while the path lasts, minutes while it waits between the two."""
    if not isinstance(target, Trajectory):
        return np.arange(now_utc_ns, now_utc_ns + slew_ns, step_ns, dtype=np.int64)
    start, end = max(now_utc_ns, target.start_utc_ns), max(now_utc_ns + NS, target.end_utc_ns)
    on_path_ns = max(step_ns, (end - start) // STEPS_MAX)
    parts = (
        np.arange(now_utc_ns, min(end, now_utc_ns + slew_ns), step_ns, dtype=np.int64),
        np.arange(now_utc_ns, start, WAIT_STEP_NS, dtype=np.int64),
        np.arange(start, end, on_path_ns, dtype=np.int64),
        np.array([end], dtype=np.int64),
    )
    return np.unique(np.concatenate(parts))


def _followed(times: Times, aims: Floats, axes: Axes) -> Floats:
    """Azimuth and elevation (n, 2) of axes that follow aims (n, 2) as fast as they can."""
    azimuth, elevation = axes.stands or aims[0].tolist()
    low, high = axes.azimuth_stops_rad or (-math.inf, math.inf)
    turn = 0.0
    taken = np.empty_like(aims)
    reaches = axes.rate_rad_s * np.diff(times, prepend=times[0]) / NS
    # Number by number: lists of these thousands would make the process's memory grow by megabytes, and keep them.
    steps = zip(*(np.ascontiguousarray(column).data for column in (*aims.T, reaches)), strict=True)
    for i, (to_azimuth, to_elevation, reach) in enumerate(steps):
        if to_azimuth + turn > high and to_azimuth + turn - math.tau >= low:
            turn -= math.tau
        elif to_azimuth + turn < low and to_azimuth + turn + math.tau <= high:
            turn += math.tau
        goal = to_azimuth + turn, to_elevation
        (to_azimuth, to_elevation), _ = axes.ground.aim((azimuth, elevation), goal, axes.frame)
        azimuth += min(reach, max(-reach, to_azimuth - azimuth))
        elevation += min(reach, max(-reach, to_elevation - elevation))
        taken[i] = azimuth, elevation
    return taken
