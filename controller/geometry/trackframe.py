"""How a displacement along and across a satellite's track looks on the sky of a site.

Needed twice, for the same reason: an element set's error is nearly constant in metres along and across the track, and
nearly nothing is constant about its angle on the sky.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

EARTH_RADIUS_M = 6_371_000.0  # mean sphere; the track's direction moves 0.1 deg if 20 km are added


def about_axes(on_sky: NDArray[np.float64], field_rotation_rad: float) -> NDArray[np.float64]:
    """The same (2,) or (2, n) as instruments have it whose upwards is that far to the right of upwards on the sky."""
    if field_rotation_rad == 0.0:
        return on_sky
    s, c = math.sin(field_rotation_rad), math.cos(field_rotation_rad)
    turned: NDArray[np.float64] = np.array([[c, -s], [s, c]]) @ on_sky
    return turned


def along_cross_on_sky(
    elevation_rad: float, azimuth_rate_rad_s: float, elevation_rate_rad_s: float, range_m: float
) -> NDArray[np.float64]:
    """Angle (cross-elevation, elevation) per metre of displacement (along track, cross track), shape (2, 2), rad/m.

    Works from what a gimbal knows of its target. The line-of-sight part of the velocity follows from a circular orbit
    (velocity at right angles to the local vertical of the satellite). Earth's rotation, which turns the track by up to
    3.5 degrees, is left out: it exchanges a sixteenth of along for cross. Cross track is along x radial.
    """
    sin_el, cos_el = math.sin(elevation_rad), math.cos(elevation_rad)
    # Axes: cross-elevation, elevation, line of sight. (azimuth grows to the east, so the triad is left-handed: only the
    # sign of "cross" depends on it.)
    above_m, ahead_m = EARTH_RADIUS_M * cos_el, range_m + EARTH_RADIUS_M * sin_el
    radius_m = math.hypot(above_m, ahead_m)
    radial_y, radial_z = above_m / radius_m, ahead_m / radius_m  # and nothing across
    x, y = range_m * azimuth_rate_rad_s * cos_el, range_m * elevation_rate_rad_s
    z = -y * radial_y / radial_z
    speed = math.sqrt(x * x + y * y + z * z)
    if speed == 0.0:
        return np.zeros((2, 2))
    x, y, z = x / speed, y / speed, z / speed
    cross_x, cross_y = y * radial_z - z * radial_y, -x * radial_z
    return np.array([[x, cross_x], [y, cross_y]]) / range_m
