"""How close the path to come passes to something that must be kept away from."""

from __future__ import annotations

import math
from typing import NamedTuple

Vector = tuple[float, float, float]

#: Refraction lifts the limb of a body that is geometrically this far down (half a degree of air, a quarter of disc).
SET_BELOW_RAD = math.radians(-1.0)


def direction(azimuth_rad: float, elevation_rad: float) -> Vector:
    """Unit vector (north, east, up)."""
    horizontal = math.cos(elevation_rad)
    return horizontal * math.cos(azimuth_rad), horizontal * math.sin(azimuth_rad), math.sin(elevation_rad)


class Circle(NamedTuple):
    """The great circle that a direction follows, seen from a fixed one: cos(angle) = along cos a + across sin a."""

    along: float
    across: float
    rate_rad_s: float


def circle(
    azimuth_rad: float, elevation_rad: float, azimuth_rate_rad_s: float, elevation_rate_rad_s: float, to: Vector
) -> Circle:
    """On the circle p(a) = u cos a + v sin a, with v the direction of motion, seen from the unit vector `to`."""
    u = direction(azimuth_rad, elevation_rad)
    ca, sa, ce, se = math.cos(azimuth_rad), math.sin(azimuth_rad), math.cos(elevation_rad), math.sin(elevation_rad)
    motion = (
        -ce * sa * azimuth_rate_rad_s - se * ca * elevation_rate_rad_s,
        ce * ca * azimuth_rate_rad_s - se * sa * elevation_rate_rad_s,
        ce * elevation_rate_rad_s,
    )
    rate_rad_s = math.sqrt(dot(motion, motion))
    return Circle(dot(u, to), dot(motion, to) / rate_rad_s if rate_rad_s else 0.0, rate_rad_s)


def closest_rad(path: Circle, look_ahead_s: float) -> float:
    """Smallest angle along the path within `look_ahead_s`: where the arc reaches its largest cosine, else at an end."""
    along, across, rate_rad_s = path
    if not math.isfinite(rate_rad_s):
        return 0.0  # nobody knows where it goes
    arc_rad = min(rate_rad_s * look_ahead_s, math.tau)
    if arc_rad == 0.0:
        return _acos(along)
    peak_rad = math.atan2(across, along) % math.tau
    if peak_rad <= arc_rad:
        return _acos(math.hypot(along, across))
    return _acos(max(along, along * math.cos(arc_rad) + across * math.sin(arc_rad)))


def crosses_s(path: Circle, cone_rad: float) -> float | None:
    """Time until the path enters a cone from outside, or leaves it from inside; None when it does not."""
    largest = math.hypot(path.along, path.across)
    if not 0.0 < path.rate_rad_s < math.inf or not largest > abs(math.cos(cone_rad)):
        return None
    peak_rad, half_rad = math.atan2(path.across, path.along), math.acos(math.cos(cone_rad) / largest)
    inside = path.along >= math.cos(cone_rad)
    return (peak_rad + (half_rad if inside else -half_rad)) % math.tau / path.rate_rad_s


def angle(a: Vector, b: Vector) -> float:
    """Between unit vectors; no number is as near as can be."""
    cosine = dot(a, b)
    return _acos(cosine) if math.isfinite(cosine) else 0.0


def dot(a: Vector, b: Vector) -> float:
    """Scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _acos(cosine: float) -> float:
    return math.acos(max(-1.0, min(1.0, cosine)))
