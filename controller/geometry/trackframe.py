"""How a displacement along and across a satellite's track looks on the sky of a site.

Needed twice, for the same reason: an element set's error is nearly constant in metres along and across the track, and
nearly nothing is constant about its angle on the sky.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EARTH_RADIUS_M = 6_371_000.0  # mean sphere; the track's direction moves 0.1 deg if 20 km are added


def along_cross_on_sky(
    elevation_rad: float, azimuth_rate_rad_s: float, elevation_rate_rad_s: float, range_m: float
) -> NDArray[np.float64]:
    """Angle (cross-elevation, elevation) per metre of displacement (along track, cross track), shape (2, 2), rad/m.

    Works from what a gimbal knows of its target. The line-of-sight part of the velocity follows from a circular orbit
    (velocity at right angles to the local vertical of the satellite). Earth's rotation, which turns the track by up to
    3.5 degrees, is left out: it exchanges a sixteenth of along for cross. Cross track is along x radial.
    """
    sin_el, cos_el = np.sin(elevation_rad), np.cos(elevation_rad)
    # Axes: cross-elevation, elevation, line of sight. (azimuth grows to the east, so the triad is left-handed: only the
    # sign of "cross" depends on it.)
    vertical_at_site = np.array([0.0, cos_el, sin_el])
    radial = np.array([0.0, 0.0, range_m]) + EARTH_RADIUS_M * vertical_at_site
    radial /= np.linalg.norm(radial)
    velocity = range_m * np.array([azimuth_rate_rad_s * cos_el, elevation_rate_rad_s, 0.0])
    velocity[2] = -(velocity[0] * radial[0] + velocity[1] * radial[1]) / radial[2]
    speed = float(np.linalg.norm(velocity))
    if speed == 0.0:
        return np.zeros((2, 2))
    along = velocity / speed
    cross = np.cross(along, radial)
    return np.stack([along[:2], cross[:2]], axis=1) / range_m
