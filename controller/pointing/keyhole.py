"""The keyhole: how the axes take a pass near the zenith, where azimuth would have to turn faster than it can.

Planned for the whole pass before it starts. Azimuth leaves the target's early, turns at its limit, and meets it again
as long after the culmination as it left it before: then it is never further from the target than it has to be. A mount
that just follows falls behind, and is furthest away when the target is long past. Where elevation goes beyond 90
degrees the mount may go over the top instead: azimuth hardly moves, elevation passes the zenith, and the target is
missed by no more than it misses the zenith. Elevation always goes where the target is nearest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from controller.geometry.frames import azel_to_enu
from controller.geometry.timescales import Floats, Times
from controller.geometry.trajectory import Trajectory

NS = 1_000_000_000
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

    def covered(self, t_s: float) -> float:
        """How far it has come after a time."""
        up = math.copysign(self.acceleration_rad_s2, self.even_rad_s - self.first_rad_s)
        down = math.copysign(self.acceleration_rad_s2, self.last_rad_s - self.even_rad_s)
        rise, fall = self.ramps_s
        begin, last = min(t_s, rise), max(0.0, t_s - (self.duration_s - fall))
        even = max(0.0, t_s - rise)
        return self.first_rad_s * begin + up * begin**2 / 2 + self.even_rad_s * even + down * last**2 / 2

    @property
    def ramps_s(self) -> tuple[float, float]:
        """How long both ramps take."""
        first, last = (abs(self.even_rad_s - rate) for rate in (self.first_rad_s, self.last_rad_s))
        return first / self.acceleration_rad_s2, last / self.acceleration_rad_s2

    @classmethod
    def over(
        cls, distance_rad: float, first: float, last: float, duration_s: float, rate: float, acceleration: float
    ) -> Turn | None:
        """The turn that covers a distance, or None where rate and acceleration (rad/s, rad/s2) do not allow it."""
        low, high = -rate, rate
        for _ in range(60):
            even = (low + high) / 2
            turn = cls(first, even, last, acceleration, duration_s)
            if turn.covered(duration_s) < distance_rad:
                low = even
            else:
                high = even
        fits = sum(turn.ramps_s) <= duration_s and abs(turn.covered(duration_s) - distance_rad) < 1e-9
        return turn if fits else None


@dataclass(frozen=True, slots=True)
class Way:
    """How the axes take a path: between `start` and `end` by a turn of azimuth, afterwards beyond the zenith or not."""

    path: Trajectory
    start_utc_ns: int
    end_utc_ns: int
    turn: Turn
    swing_rad: float  # of the target's azimuth in that time
    over_rad: float  # half a turn where the mount goes over the top: azimuth is less by this afterwards; else 0

    def axes(self, t_utc_ns: int, azimuth_rad: float, elevation_rad: float) -> tuple[float, float]:
        """Where the axes should be (elevation 0 to 180 degrees) for the target's direction at a time."""
        if t_utc_ns <= self.start_utc_ns:
            return azimuth_rad, elevation_rad
        if t_utc_ns >= self.end_utc_ns:
            beyond = math.pi - elevation_rad if self.over_rad else elevation_rad
            return azimuth_rad - self.over_rad, beyond
        begun, here = (self.path.receive(t).azimuth_rad for t in (self.start_utc_ns, t_utc_ns))
        middle = self.swing_rad / 2
        gone = middle + math.remainder(here - begun - middle, math.tau)
        ahead = self.turn.covered((t_utc_ns - self.start_utc_ns) / NS) - gone
        elevation = math.atan2(math.sin(elevation_rad), math.cos(elevation_rad) * math.cos(ahead))
        return azimuth_rad + ahead, elevation if self.over_rad else min(elevation, math.pi / 2)

    def turned_over(self, t_utc_ns: int) -> bool:
        """Whether elevation counts beyond the zenith at a time."""
        return bool(self.over_rad) and t_utc_ns >= (self.start_utc_ns + self.end_utc_ns) // 2

    def error_rad(self, t_utc_ns: Times) -> Floats:
        """How far from the target the boresight is meant to be, (n)."""
        looks = self.path.sample(t_utc_ns)[:, :2]
        planned = np.array([self.axes(int(t), *look) for t, look in zip(t_utc_ns, looks.tolist(), strict=True)])
        gap = azel_to_enu(looks[:, 0], looks[:, 1]) - azel_to_enu(planned[:, 0], planned[:, 1])
        result: Floats = 2 * np.arcsin(np.minimum(1.0, np.linalg.norm(gap, axis=1) / 2))
        return result

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
        if self.all_over:
            return "the whole pass is flown over the top, or azimuth would have to unwind in the middle of it"
        what = "goes over the top" if self.over_rad else "turns azimuth early"
        lasts_s = (self.end_utc_ns - self.start_utc_ns) / NS
        culmination = np.datetime64((self.start_utc_ns + self.end_utc_ns) // 2 // NS, "s")
        return (
            f"the pass goes through the keyhole at {str(culmination)[11:]} UTC: the mount {what}, for {lasts_s:.0f} s, "
            f"and is off the target by up to {math.degrees(self.error_max_rad):.1f} deg"
        )

    def _times(self, step_ns: int) -> Times:
        return np.arange(self.start_utc_ns, self.end_utc_ns + 1, step_ns, dtype=np.int64)


def way_over(path: Trajectory) -> Way:
    """The whole path over the top: azimuth by half a turn elsewhere, where it may fit between the stops."""
    start = path.start_utc_ns - 1
    return Way(path, start, start, Turn(0.0, 0.0, 0.0, 1.0, 0.0), 0.0, math.pi)


def way_through(path: Trajectory, rate_max: float, acceleration_max: float, elevation_max_rad: float) -> Way | None:
    """The way with the smallest error through the keyhole of a path; None when there is none, or none helps.

    Limits of azimuth in rad/s and rad/s2; `elevation_max_rad` says whether the mount can go over the top.
    """
    times = np.arange(path.start_utc_ns, path.end_utc_ns, STEP_NS, dtype=np.int64)
    if len(times) < 3:
        return None
    looks = path.sample(times)
    rates = looks[:, 3]
    accelerations = np.gradient(rates, STEP_NS / NS)
    limits = SHARE * rate_max, SHARE * acceleration_max
    hard = np.nonzero((np.abs(rates) > limits[0]) | (np.abs(accelerations) > limits[1]))[0]
    if not len(hard):
        return None
    top = int(np.argmax(looks[:, 1]))
    least = max(top - int(hard[0]), int(hard[-1]) - top) + 1
    half_turn = math.copysign(math.pi, rates[top])
    over = half_turn if math.pi - float(looks[-1, 1]) <= elevation_max_rad else 0.0
    ways = [_shortest(path, times, looks, top, least, limits, side) for side in {0.0, over}]
    return min((way for way in ways if way is not None), key=lambda way: way.error_max_rad, default=None)


def _shortest(
    path: Trajectory, times: Times, looks: Floats, top: int, least: int, limits: tuple[float, float], over_rad: float
) -> Way | None:
    """The way that leaves the path for the shortest time, by as much before the culmination as after it."""
    for half in range(least, min(top, len(times) - 1 - top) + 1):
        first, last = top - half, top + half
        swing = float(looks[last, 0] - looks[first, 0])
        duration_s = float(times[last] - times[first]) / NS
        turn = Turn.over(swing - over_rad, float(looks[first, 3]), float(looks[last, 3]), duration_s, *limits)
        if turn is not None:
            return Way(path, int(times[first]), int(times[last]), turn, swing, over_rad)
    return None
