"""Cones around Sun and Moon that the boresight must stay out of: the Sun's for the optics, both for emission."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from controller.geometry.bodies import Place, separation_rad, sun_and_moon
from controller.geometry.earth import EarthOrientation
from controller.geometry.frames import Site, azel_to_enu
from controller.geometry.timescales import Floats, Times
from controller.geometry.trajectory import Trajectory
from controller.pointing.course import Course, along
from controller.pointing.keyhole import NS, STEP_NS, Way

MARGIN_RAD = math.radians(1.0)  # the vote looks ahead along the path; a plan must not graze the cone
STEPS = 40
KNOT_NS = 300 * NS  # between two of these a body goes straight to 0.003 degrees
SUN_DOWN_RAD = math.radians(-1.0)  # its upper limb, with refraction


class SunGuard:
    """The Sun's cone for motion with emission off: asked about a course, and while the telescope moves.

    Counts while any of the Sun is up. A telescope inside the cone may leave it, by any way that leads outwards.
    """

    def __init__(self, cone_rad: float, site: Site, earth: EarthOrientation) -> None:
        self._cone_rad = cone_rad
        self._site = site
        self._earth = earth
        self._before_rad = math.inf

    def distance_rad(self, t_utc_ns: int, azimuth_rad: float, elevation_rad: float) -> float:
        """Angle to the Sun; infinite while it is down or no cone is set."""
        if self._cone_rad <= 0:
            return math.inf
        sun, _ = sun_and_moon(t_utc_ns, self._site, self._earth)
        return math.inf if sun.elevation_rad < SUN_DOWN_RAD else separation_rad(Place(azimuth_rad, elevation_rad), sun)

    def refusal(self, course: Course) -> str:
        """Why a target may not be looked at, or not by this course, as a sentence; else nothing.

        Where the boresight is off the target the course is foreseen less well, and must not graze the cone.
        """
        if self._cone_rad <= 0:
            return ""
        sun, _ = _bodies(course.t_utc_ns, self._site, self._earth)
        up = sun[:, 2] >= math.sin(SUN_DOWN_RAD)
        seen, looked = (np.where(up, _between(sun, way), math.pi) for way in (course.target, course.boresight))
        if seen.min() < self._cone_rad:
            return f"that is {self._sentence(float(seen.min()))}"
        inside = looked < self._cone_rad + MARGIN_RAD * course.left
        outwards = np.logical_and.accumulate(inside & (np.diff(looked, prepend=-math.inf) >= 0.0))
        grazed = inside & ~outwards
        if not grazed.any():
            return ""
        return f"on its way the telescope would be {self._sentence(float(looked[grazed].min()))}"

    def entering(self, t_utc_ns: int, azimuth_rad: float, elevation_rad: float) -> str:
        """Why motion must end now, or nothing: inside the cone and nearer than when it was asked last."""
        distance, before = self.distance_rad(t_utc_ns, azimuth_rad, elevation_rad), self._before_rad
        self._before_rad = distance
        return self._sentence(distance) if distance < min(self._cone_rad, before) else ""

    def _sentence(self, distance_rad: float) -> str:
        return (
            f"{math.degrees(distance_rad):.1f} deg from the Sun, inside its cone of "
            f"{math.degrees(self._cone_rad):g} deg; go round it or wait"
        )


@dataclass(frozen=True, slots=True)
class KeepOut:
    """Half angles in radians; zero keeps out of nothing."""

    sun_cone_rad: float = math.radians(30.0)
    moon_cone_rad: float = math.radians(2.0)

    def refusal(self, path: Trajectory, site: Site, earth: EarthOrientation, way: Way | None = None) -> str:
        """Why a path may not be flown with emission, or not this way; bodies below the horizon count, too."""
        span_ns = path.end_utc_ns - path.start_utc_ns
        times = path.start_utc_ns + span_ns * np.arange(STEPS + 1) // STEPS
        if way is not None:
            times = np.concatenate([times, np.arange(way.start_utc_ns, way.end_utc_ns + 1, STEP_NS, dtype=np.int64)])
        flown = along(path, way, np.unique(times))
        bodies = _bodies(flown.t_utc_ns, site, earth)
        for what, seen in (("it", flown.target), ("the mount, away from it in the keyhole,", flown.boresight)):
            for name, body, cone_rad in zip(
                ("Sun", "Moon"), bodies, (self.sun_cone_rad, self.moon_cone_rad), strict=True
            ):
                nearest = float(_between(body, seen).min())
                if cone_rad > 0 and nearest < cone_rad + MARGIN_RAD:
                    return (
                        f"{what} passes {math.degrees(nearest):.1f} deg from the {name}, and the rig keeps "
                        f"{math.degrees(cone_rad):g} deg away"
                    )
        return ""


NO_CONES = KeepOut(0.0, 0.0)


def _bodies(t_utc_ns: Times, site: Site, earth: EarthOrientation) -> tuple[Floats, Floats]:
    """Unit vectors (n, 3) east, north, up to Sun and Moon at times (n) in order."""
    first, last = int(t_utc_ns[0]), int(t_utc_ns[-1])
    knots = np.linspace(0.0, last - first, 2 + (last - first) // KNOT_NS)
    places = np.array([sun_and_moon(first + round(knot), site, earth) for knot in knots])  # (knots, 2, 2)
    after = (t_utc_ns - first).astype(float)
    bodies = []
    for which in (0, 1):
        vectors = azel_to_enu(places[:, which, 0], places[:, which, 1])
        between = np.stack([np.interp(after, knots, vectors[:, axis]) for axis in range(3)], axis=-1)
        bodies.append(between / np.linalg.norm(between, axis=1)[:, None])
    return bodies[0], bodies[1]


def _between(a: Floats, b: Floats) -> Floats:
    """Angles (n) between unit vectors (n, 3)."""
    result: Floats = 2 * np.arcsin(np.minimum(1.0, np.linalg.norm(a - b, axis=1) / 2))
    return result
