"""Horizontal directions to equatorial ones of date, and back, for mounts that know only the latter.

Sidereal time is the apparent one: J. Meeus, Astronomical Algorithms (1998), eq. 12.4, and the two largest terms of
nutation (chapter 22), which leaves out half a second of arc. UTC stands for UT1 (14 arcsec at most, 2 in 2026), as in
drivers of INDI. No refraction either way. Degrees everywhere, but right ascension in hours.
"""

from __future__ import annotations

import math

Direction = tuple[float, float]  # azimuth (north over east) and elevation; or right ascension and declination
J2000_NS = 946_728_000 * 10**9  # 2000-01-01T12:00:00 UTC, JD 2451545.0
DAY_NS = 86_400 * 10**9
TURN_DEG = 360.98564736629  # of a day of UT
SIDEREAL_HOURS_S = TURN_DEG / 15.0 / 86_400  # by which sidereal time goes on in a second
OBLIQUITY_RAD = math.radians(23.44)


def sidereal_deg(utc_ns: int, longitude_deg: float) -> float:
    """Local apparent sidereal time, 0 to 360 degrees; longitude is positive to the east."""
    days = (utc_ns - J2000_NS) / DAY_NS
    node, sun = (math.radians(angle) for angle in (125.04452 - 0.0529538 * days, 280.4665 + 0.9856474 * days))
    nutation_deg = (-17.20 * math.sin(node) - 1.32 * math.sin(2 * sun)) / 3600
    mean_deg = 280.46061837 + TURN_DEG * days
    return (mean_deg + nutation_deg * math.cos(OBLIQUITY_RAD) + longitude_deg) % 360.0


def equatorial_of(horizontal: Direction, latitude_deg: float, lst_deg: float) -> Direction:
    """Right ascension (0 to 24 hours) and declination of an azimuth and an elevation."""
    hour_angle_deg, declination_deg = _turned(horizontal, latitude_deg)
    return (lst_deg - hour_angle_deg) % 360.0 / 15.0, declination_deg


def horizontal_of(equatorial: Direction, latitude_deg: float, lst_deg: float) -> Direction:
    """Azimuth (0 to 360) and elevation of a right ascension and a declination."""
    ra_hours, declination_deg = equatorial
    return _turned((lst_deg - 15.0 * ra_hours, declination_deg), latitude_deg)


def apart_deg(one: Direction, other: Direction) -> float:
    """Between two equatorial directions, 0 to 180."""
    turn = math.radians(15.0 * (one[0] - other[0]))
    first, second = math.radians(one[1]), math.radians(other[1])
    across = math.cos(first) * math.cos(second) * math.sin(turn / 2) ** 2
    return math.degrees(2 * math.asin(min(1.0, math.sqrt(math.sin((first - second) / 2) ** 2 + across))))


def _turned(direction: Direction, latitude_deg: float) -> Direction:
    """Azimuth and elevation of an hour angle and a declination, or the other way: the same half turn does both."""
    angle, height = (math.radians(value) for value in direction)
    latitude = math.radians(latitude_deg)
    x = math.sin(height) * math.cos(latitude) - math.cos(height) * math.cos(angle) * math.sin(latitude)
    y = -math.cos(height) * math.sin(angle)
    z = math.sin(height) * math.sin(latitude) + math.cos(height) * math.cos(angle) * math.cos(latitude)
    return math.degrees(math.atan2(y, x)) % 360.0, math.degrees(math.atan2(z, math.hypot(x, y)))
