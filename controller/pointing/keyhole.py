"""The keyhole: how the axes take a pass near the zenith, where azimuth would have to turn faster than it can.

Planned for the whole pass before it starts. Azimuth leaves the target's early, turns at its limit, and meets it again
as long after the culmination as it left it before: then it is never further from the target than it has to be. A mount
that just follows falls behind, and is furthest away when the target is long past. Where elevation goes beyond 90
degrees the mount may go over the top instead: azimuth hardly moves, elevation passes the zenith, and the target is
missed by no more than it misses the zenith. Azimuth may also turn the other way round, across the other side of the
zenith. Elevation always goes where the target is nearest.

Of a mount that does not stand upright all these are the angles of its own two axes, and so is the path.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from controller.geometry.frames import azel_to_enu
from controller.geometry.timescales import Floats, Times
from controller.geometry.trajectory import Trajectory
from controller.pointing.mount_frame import ALT_AZ, MountFrame

NS = 1_000_000_000
AHEAD_S = 10  # as far as the votes of Sun and Moon look
SHARE = 0.95  # of the limits that a plan uses, so that the loop can still mend
STEP_NS = NS // 4
LOST_RAD = 1e-3  # further off than this is an outage


@dataclass(frozen=True, slots=True)
class Turn:
    """An axis that goes from one rate to another over a time, and covers a distance meanwhile: ramp, even, ramp."""

    first_rad_s: float
    even_rad_s: float
    last_rad_s: float
    acceleration_rad_s2: float
    duration_s: float

    def covered(self, t_s: Floats) -> Floats:
        """How far it has come after each of some times."""
        rise, fall = (abs(self.even_rad_s - rate) / self.acceleration_rad_s2 for rate in self._ends)
        up = math.copysign(self.acceleration_rad_s2, self.even_rad_s - self.first_rad_s)
        down = math.copysign(self.acceleration_rad_s2, self.last_rad_s - self.even_rad_s)
        begin, last = np.minimum(t_s, rise), np.maximum(0.0, t_s - (self.duration_s - fall))
        even = np.maximum(0.0, t_s - rise)
        result: Floats = self.first_rad_s * begin + up * begin**2 / 2 + self.even_rad_s * even + down * last**2 / 2
        return result

    @property
    def _ends(self) -> tuple[float, float]:
        return self.first_rad_s, self.last_rad_s


@dataclass(frozen=True, slots=True)
class Way:
    """How the axes take a path: between `start` and `end` by a turn of azimuth, afterwards beyond the zenith or not."""

    path: Trajectory
    start_utc_ns: int
    end_utc_ns: int
    turn: Turn
    swing_rad: float  # of the target's azimuth in that time
    less_rad: float  # azimuth is less by this afterwards: half a turn over the top, a whole one the other way round
    frame: MountFrame = ALT_AZ  # whose axes these are

    def axes(self, t_utc_ns: int, azimuth_rad: float, elevation_rad: float) -> tuple[float, float]:
        """Where the axes should be (elevation 0 to 180 degrees) for the target's direction at a time."""
        if t_utc_ns <= self.start_utc_ns:
            return azimuth_rad, elevation_rad
        times, looks = np.array([t_utc_ns]), np.array([[azimuth_rad, elevation_rad]])
        azimuth, elevation = self.planned(times, looks, self.path.sample(times)[:, 0])[0].tolist()
        return azimuth, elevation

    def planned(self, t_utc_ns: Times, looks: Floats, on_path_rad: Floats) -> Floats:
        """The axes (n, 2) for directions (n, 2) at some times, when the path's azimuth (n) is that."""
        azimuth, elevation = looks.T
        beyond = np.stack([azimuth - self.less_rad, math.pi - elevation if self.over else elevation], axis=-1)
        begun = self.path.receive(self.start_utc_ns).azimuth_rad
        middle = self.swing_rad / 2
        gone = on_path_rad - begun - middle
        gone = middle + gone - math.tau * np.round(gone / math.tau)
        ahead = self.turn.covered((t_utc_ns - self.start_utc_ns) / NS) - gone
        meant = np.arctan2(np.sin(elevation), np.cos(elevation) * np.cos(ahead))
        turning = np.stack([azimuth + ahead, meant if self.over else np.minimum(meant, math.pi / 2)], axis=-1)
        result = np.where((t_utc_ns >= self.end_utc_ns)[:, None], beyond, turning)
        return np.where((t_utc_ns <= self.start_utc_ns)[:, None], looks, result)

    def turned_over(self, t_utc_ns: int) -> bool:
        """Whether elevation counts beyond the zenith at a time."""
        return self.over and t_utc_ns >= (self.start_utc_ns + self.end_utc_ns) // 2

    def rounded_rad(self, t_utc_ns: int) -> float:
        """By how much the azimuth that counts is less at a time: a whole turn once it went the other way round."""
        return self.less_rad if not self.over and t_utc_ns >= (self.start_utc_ns + self.end_utc_ns) // 2 else 0.0

    def ahead(self, t_utc_ns: int) -> tuple[tuple[float, float], ...]:
        """Azimuth and elevation of the boresight in each of the next seconds; none where it stays on the target."""
        if self.all_over or not self.start_utc_ns - AHEAD_S * NS < t_utc_ns < self.end_utc_ns:
            return ()
        times = t_utc_ns + np.arange(1, AHEAD_S + 1, dtype=np.int64) * NS
        looks = self.path.sample(times)[:, :2]
        azimuth, elevation = self.planned(times, looks, looks[:, 0]).T
        beyond = elevation > math.pi / 2
        upright = np.where(beyond, azimuth + math.pi, azimuth), np.where(beyond, math.pi - elevation, elevation)
        return tuple(zip(*(axis.tolist() for axis in upright), strict=True))

    def error_rad(self, t_utc_ns: Times) -> Floats:
        """How far from the target the boresight is meant to be, (n)."""
        looks = self.path.sample(t_utc_ns)[:, :2]
        planned = self.planned(t_utc_ns, looks, looks[:, 0])
        gap = azel_to_enu(looks[:, 0], looks[:, 1]) - azel_to_enu(planned[:, 0], planned[:, 1])
        result: Floats = 2 * np.arcsin(np.minimum(1.0, np.linalg.norm(gap, axis=1) / 2))
        return result

    @property
    def over(self) -> bool:
        """Whether elevation goes beyond the zenith."""
        return abs(self.less_rad) == math.pi

    @property
    def all_over(self) -> bool:
        """Whether the whole path is flown beyond the zenith, which no keyhole asks for."""
        return self.start_utc_ns == self.end_utc_ns

    @property
    def error_max_rad(self) -> float:
        """The most that the boresight is meant to be off."""
        return float(self.error_rad(self._times(STEP_NS)).max())

    @property
    def outage_s(self) -> float:
        """How long it is meant to be off by more than LOST_RAD."""
        step_ns = NS // 20
        return float(np.count_nonzero(self.error_rad(self._times(step_ns)) > LOST_RAD) * step_ns / NS)

    @property
    def sentence(self) -> str:
        """For the operator, before the pass."""
        axis = self.frame.axis_names[0]
        if self.all_over:
            return f"the whole pass is flown over the top, or {axis} would have to unwind in the middle of it"
        what = f"turns {axis} early the other way round" if self.less_rad else f"turns {axis} early"
        what = "goes over the top" if self.over else what
        lasts_s = (self.end_utc_ns - self.start_utc_ns) / NS
        culmination = np.datetime64((self.start_utc_ns + self.end_utc_ns) // 2 // NS, "s")
        return (
            f"the pass goes through the keyhole at {str(culmination)[11:]} UTC: the mount {what}, for {lasts_s:.0f} s, "
            f"and is off the target by up to {math.degrees(self.error_max_rad):.1f} deg"
        )

    def _times(self, step_ns: int) -> Times:
        return np.arange(self.start_utc_ns, self.end_utc_ns + 1, step_ns, dtype=np.int64)


def way_over(path: Trajectory, frame: MountFrame = ALT_AZ) -> Way:
    """The whole path over the top: azimuth by half a turn elsewhere, where it may fit between the stops."""
    start = path.start_utc_ns - 1
    return Way(path, start, start, Turn(0.0, 0.0, 0.0, 1.0, 0.0), 0.0, math.pi, frame)


def ways_through(path: Trajectory, rate_max: float, acceleration_max: float, elevation_max_rad: float) -> Iterator[Way]:
    """The ways through the keyhole of a path, the smallest error first and the other way round last.

    None when there is no keyhole or nothing helps. Limits of azimuth in rad/s and rad/s2; `elevation_max_rad` says
    whether the mount can go over the top.
    """
    times = np.arange(path.start_utc_ns, path.end_utc_ns, STEP_NS, dtype=np.int64)
    if len(times) < 3:
        return
    looks = path.sample(times)
    rates = looks[:, 3]
    accelerations = np.gradient(rates, STEP_NS / NS)
    limits = SHARE * rate_max, SHARE * acceleration_max
    hard = np.nonzero((np.abs(rates) > limits[0]) | (np.abs(accelerations) > limits[1]))[0]
    if not len(hard):
        return
    top = int(np.argmax(looks[:, 1]))
    least = max(top - int(hard[0]), int(hard[-1]) - top) + 1
    half_turn = math.copysign(math.pi, rates[top])
    over = half_turn if math.pi - float(looks[-1, 1]) <= elevation_max_rad else 0.0
    for each in ({0.0, over}, {2 * half_turn}):
        ways = [_shortest(path, times, looks, top, least, limits, less) for less in each]
        yield from sorted((way for way in ways if way is not None), key=lambda way: way.error_max_rad)


def _shortest(
    path: Trajectory, times: Times, looks: Floats, top: int, least: int, limits: tuple[float, float], less_rad: float
) -> Way | None:
    """The way that leaves the path for the shortest time, by as much before the culmination as after it."""
    halves = np.arange(least, min(top, len(times) - 1 - top) + 1)
    first, last = top - halves, top + halves
    swing = looks[last, 0] - looks[first, 0]
    duration_s = (times[last] - times[first]) / NS
    even = even_rates(swing - less_rad, looks[first, 3], looks[last, 3], duration_s, *limits)
    fits = np.nonzero(np.isfinite(even))[0]
    if not len(fits):
        return None
    i = int(fits[0])
    ends = float(looks[first[i], 3]), float(looks[last[i], 3])
    turn = Turn(ends[0], float(even[i]), ends[1], limits[1], float(duration_s[i]))
    return Way(path, int(times[first[i]]), int(times[last[i]]), turn, float(swing[i]), less_rad)


def even_rates(
    distance_rad: Floats, first: Floats, last: Floats, duration_s: Floats, rate: float, acceleration: float
) -> Floats:
    """The even rate (n) of the turn that covers each distance; NaN where rate and acceleration do not allow it.

    Against a turn at the even rate all the time, each ramp lacks half of (rates' difference)^2 / acceleration.
    """

    def lacks(even: Floats, end: Floats) -> Floats:
        result: Floats = (even - end) * np.abs(even - end) / (2 * acceleration)
        return result

    low, high = np.full(len(distance_rad), -rate), np.full(len(distance_rad), rate)
    for _ in range(60):
        even = (low + high) / 2
        short = even * duration_s - lacks(even, first) - lacks(even, last) < distance_rad
        low, high = np.where(short, even, low), np.where(short, high, even)
    even = (low + high) / 2
    ramps_s = (np.abs(even - first) + np.abs(even - last)) / acceleration
    missed = np.abs(even * duration_s - lacks(even, first) - lacks(even, last) - distance_rad)
    return np.where((ramps_s <= duration_s) & (missed < 1e-9), even, np.nan)
