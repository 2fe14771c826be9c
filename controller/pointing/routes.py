"""How the axes get to a target: by which turn, through a keyhole or not, and round the Sun.

Both axes go at once, so a straight way crosses the sky aslant. Where every one leads through the Sun's cone there is a
detour: at most two way-points, both at one elevation: there, along it, and on to the target. Angles of way-points are
those of the mount's axes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from controller.bus.topics import Pair
from controller.geometry.trajectory import Trajectory
from controller.pointing.commands import CommandError
from controller.pointing.course import Axes, Course, course
from controller.pointing.keepout import KeepOut, SunGuard
from controller.pointing.keyhole import Way
from controller.pointing.live_target import LiveTarget
from controller.pointing.loop import GimbalLoop, Option
from controller.pointing.plan import AxisLimits, ways
from controller.pointing.prediction import Observer
from controller.pointing.targets import Fixed, Target

ELEVATIONS_RAD = tuple(math.radians(angle) for angle in (85.0, 65.0, 45.0, 25.0))
UPRIGHT_RAD = (-math.pi / 2, math.pi / 2)
HERE_RAD = math.radians(0.5)  # a way-point as near as that is reached: inside of what a way keeps from the cone


@dataclass(frozen=True, slots=True)
class Detour:
    """The way-points that are left, and what is followed after them."""

    legs: tuple[Fixed, ...]
    target: Target
    name: str


class Routes:
    """Looks for a way from where a loop's axes stand, at a UTC in nanoseconds.

    A target comes twice: as it is in the sky, and `turned`, as angles of the mount's axes. `ends_rad` are the soft
    limits of the second axis, which end a motion there without a word.
    """

    def __init__(self, observer: Observer, cones: KeepOut, sun: SunGuard, ends_rad: Pair = UPRIGHT_RAD) -> None:
        self._observer, self._cones, self._sun, self._ends_rad = observer, cones, sun, ends_rad

    def straight(self, loop: GimbalLoop, target: Target, turned: Target, utc_ns: int) -> Option:
        """How the axes take a target without looking at the Sun, and out of emission's cones where that can be.

        Raises CommandError where every way leads into the Sun's cone.
        """
        refused, dark = "", None
        for option, taken in self._courses(loop, target, turned, loop.axes, utc_ns):
            why = self._sun.refusal(taken)
            if not why and (option.way is None or not self.dark(target, option.way)):
                return option
            if not why:
                dark = dark or option
            refused = refused or why
        if dark is None:
            raise CommandError("LIMIT", refused)
        return dark

    def round(self, loop: GimbalLoop, target: Target, turned: Target, utc_ns: int) -> tuple[Fixed, ...]:
        """Way-points of the shortest detour to a target; none where there is no way, or the target is in the cone."""
        axes = loop.axes
        if axes.stands is None:
            return ()
        elevation = turned.receive(utc_ns).elevation_rad
        goals = [
            (option.azimuth_rad, elevation)
            for option, taken in self._courses(loop, target, turned, axes, utc_ns)
            if not self._sun.refusal(replace(taken, boresight=taken.target))
        ]
        for legs in detours(axes.stands, goals):
            if self._is_clear(loop, legs, target, turned, utc_ns):
                return tuple(legs)
        return ()

    def check(self, loop: GimbalLoop, leg: Fixed, utc_ns: int) -> None:
        """Raises CommandError when the way to a way-point leads into the Sun's cone after all."""
        if why := self._sun.refusal(course(leg, None, leg.azimuth_rad, loop.axes, utc_ns)):
            raise CommandError("LIMIT", why)

    def dark(self, target: Target, way: Way | None) -> str:
        """Why there will be no emission somewhere on a path, taken this way, or nothing."""
        if not isinstance(target, Trajectory):
            return ""
        return self._cones.refusal(target, self._observer.site, self._observer.earth, way)

    def _is_clear(self, loop: GimbalLoop, legs: Sequence[Fixed], target: Target, turned: Target, utc_ns: int) -> bool:
        axes = loop.axes
        for leg in legs:
            stands = leg.azimuth_rad, leg.elevation_rad
            azimuth, elevation = axes.frame.sky(*stands)
            lowest = loop.ground.at(azimuth) + loop.ground.margin_rad
            if elevation < lowest or not self._ends_rad[0] <= stands[1] <= self._ends_rad[1]:
                return False
            if self._sun.refusal(course(leg, None, leg.azimuth_rad, axes, utc_ns)):
                return False
            axes = replace(axes, stands=stands)
        return any(not self._sun.refusal(taken) for _, taken in self._courses(loop, target, turned, axes, utc_ns))

    def _courses(
        self, loop: GimbalLoop, target: Target, turned: Target, axes: Axes, utc_ns: int
    ) -> Iterator[tuple[Option, Course]]:
        """How the axes can take a target, and where the boresight then looks, from where `axes` stand."""
        seen = turned.receive(utc_ns)
        known = Fixed(seen.azimuth_rad, seen.elevation_rad) if isinstance(turned, LiveTarget) else turned
        through = list(ways(target, reach(loop))) if isinstance(target, Trajectory) else []
        for option in loop.options(turned, through):
            yield option, course(known, option.way, option.azimuth_rad, axes, utc_ns)


def reach(loop: GimbalLoop) -> AxisLimits:
    """What the axes of a loop can do."""
    limits = loop.capabilities
    low, high = limits.travel_rad[1] if limits.travel_rad is not None else (-math.pi / 2, math.pi / 2)
    return AxisLimits(limits.rate_max_rad_s, limits.acceleration_max_rad_s2, high, loop.model.frame, low)


def detours(stands: Pair, goals: Sequence[Pair]) -> list[list[Fixed]]:
    """Way-points from where the axes stand to a target's direction (one a turn of azimuth), the shortest way first."""
    found = []
    for goal in goals:
        for elevation in (stands[1], goal[1], *ELEVATIONS_RAD):
            places = [(stands[0], elevation), (goal[0], elevation)]
            legs = [b for a, b in zip([stands, *places], places, strict=False) if _apart_rad(a, b) > HERE_RAD]
            if legs and _apart_rad(legs[-1], goal) <= HERE_RAD:
                legs.pop()
            if legs:
                length = sum(_apart_rad(a, b) for a, b in zip([stands, *legs], [*legs, goal], strict=True))
                found.append((length, legs))
    return [[Fixed(*leg) for leg in legs] for _, legs in sorted(found)]


def _apart_rad(a: Pair, b: Pair) -> float:
    """How far the slower of two axes of equal rate has to go."""
    return max(abs(a[0] - b[0]), abs(a[1] - b[1]))
