"""Cones around Sun and Moon that a planned path must stay out of: into the Sun for the optics, both for emission."""

from __future__ import annotations

import math
from dataclasses import dataclass

from controller.geometry.bodies import Place, separation_rad, sun_and_moon
from controller.geometry.earth import EarthOrientation
from controller.geometry.frames import Site
from controller.geometry.trajectory import Trajectory

MARGIN_RAD = math.radians(1.0)  # the vote looks ahead along the path; a plan must not graze the cone
STEPS = 40


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
