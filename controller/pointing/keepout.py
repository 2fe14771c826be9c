"""Cones around Sun and Moon that a planned path must stay out of: into the Sun for the optics, both for emission."""

from __future__ import annotations

import math
from dataclasses import dataclass

from controller.geometry.bodies import Place, separation_rad, sun_and_moon
from controller.geometry.earth import EarthOrientation
from controller.geometry.frames import Site
from controller.geometry.trajectory import Trajectory
from controller.pointing.targets import Target

MARGIN_RAD = math.radians(1.0)  # the vote looks ahead along the path; a plan must not graze the cone
STEPS = 40
SUN_DOWN_RAD = math.radians(-1.0)  # its upper limb, with refraction


class SunGuard:
    """The Sun's cone for motion with emission off: asked about a target, and while the telescope moves.

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

    def refusal(self, target: Target, t_utc_ns: int) -> str:
        """Why a target may not be looked at from now on, or nothing."""
        if isinstance(target, Trajectory):
            span_ns = target.end_utc_ns - target.start_utc_ns
            times = [target.start_utc_ns + span_ns * step // STEPS for step in range(STEPS + 1)]
        else:
            times = [t_utc_ns]
        nearest = min(self.distance_rad(t, *target.receive(t)[:2]) for t in times)
        return "" if nearest >= self._cone_rad else self._sentence(nearest)

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

    def refusal(self, path: Trajectory, site: Site, earth: EarthOrientation) -> str:
        """Why a path may not be flown with emission, or nothing; bodies below the horizon count, too."""
        nearest = {"Sun": math.pi, "Moon": math.pi}
        span_ns = path.end_utc_ns - path.start_utc_ns
        for step in range(STEPS + 1):
            t_utc_ns = path.start_utc_ns + span_ns * step // STEPS
            look = path.receive(t_utc_ns)
            place = Place(look.azimuth_rad, look.elevation_rad)
            for name, body in zip(nearest, sun_and_moon(t_utc_ns, site, earth), strict=True):
                nearest[name] = min(nearest[name], separation_rad(place, body))
        for name, cone_rad in (("Sun", self.sun_cone_rad), ("Moon", self.moon_cone_rad)):
            if cone_rad > 0 and nearest[name] < cone_rad + MARGIN_RAD:
                return (
                    f"it passes {math.degrees(nearest[name]):.1f} deg from the {name}, and the rig keeps "
                    f"{math.degrees(cone_rad):g} deg away"
                )
        return ""
