"""How close the path to come passes to something that must be kept away from."""

from __future__ import annotations

import math

Vector = tuple[float, float, float]

#: Refraction lifts the limb of a body that is geometrically this far down (half a degree of air, a quarter of disc).
SET_BELOW_RAD = math.radians(-1.0)


def direction(azimuth_rad: float, elevation_rad: float) -> Vector:
    """Unit vector (north, east, up)."""
    horizontal = math.cos(elevation_rad)
    return horizontal * math.cos(azimuth_rad), horizontal * math.sin(azimuth_rad), math.sin(elevation_rad)


def closest_rad(
    azimuth_rad: float,
    elevation_rad: float,
    azimuth_rate_rad_s: float,
    elevation_rate_rad_s: float,
    look_ahead_s: float,
    to: Vector,
) -> float:
    """Smallest angle to the unit vector `to` along the great circle that these rates follow for `look_ahead_s`.

    On the circle p(a) = u cos a + v sin a, with v the direction of motion, the cosine of the angle to `to` is
    A cos a + B sin a: largest at a = atan2(B, A) where the arc reaches it, else at an end.
    """
    u = direction(azimuth_rad, elevation_rad)
    ca, sa, ce, se = math.cos(azimuth_rad), math.sin(azimuth_rad), math.cos(elevation_rad), math.sin(elevation_rad)
    motion = (
        -ce * sa * azimuth_rate_rad_s - se * ca * elevation_rate_rad_s,
        ce * ca * azimuth_rate_rad_s - se * sa * elevation_rate_rad_s,
        ce * elevation_rate_rad_s,
    )
    along = _dot(u, to)
    rate_rad_s = math.sqrt(_dot(motion, motion))
    if not math.isfinite(rate_rad_s):
        return 0.0  # nobody knows where it goes
    arc_rad = min(rate_rad_s * look_ahead_s, math.tau)
    if arc_rad == 0.0:
        return _acos(along)
    across = _dot(motion, to) / rate_rad_s
    peak_rad = math.atan2(across, along) % math.tau
    if peak_rad <= arc_rad:
        return _acos(math.hypot(along, across))
    return _acos(max(along, along * math.cos(arc_rad) + across * math.sin(arc_rad)))


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _acos(cosine: float) -> float:
    return math.acos(max(-1.0, min(1.0, cosine)))
