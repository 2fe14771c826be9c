"""A predictive avoidance message (PAM) as data: whose it is, from where, towards where, and when it is open.

Windows are the times at which emission is allowed; all other time is closed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from controller.geometry.bodies import Place


@dataclass(frozen=True, slots=True)
class Window:
    """One open time."""

    open_utc_ns: int
    close_utc_ns: int


@dataclass(frozen=True, slots=True)
class FixedDirection:
    """One direction in the horizon frame."""

    azimuth_deg: float
    elevation_deg: float


@dataclass(frozen=True, slots=True)
class FieldOfView:
    """Ranges of azimuth (eastwards from the first to the second, also across north) and elevation."""

    azimuth_from_deg: float
    azimuth_to_deg: float
    elevation_from_deg: float
    elevation_to_deg: float

    def holds(self, place: Place) -> bool:
        """True where a direction is inside."""
        elevation_deg = math.degrees(place.elevation_rad)
        past_deg = (math.degrees(place.azimuth_rad) - self.azimuth_from_deg) % 360.0
        wide_deg = self.azimuth_to_deg - self.azimuth_from_deg
        wide_deg = wide_deg if 0.0 <= wide_deg <= 360.0 else wide_deg % 360.0
        return past_deg <= wide_deg and self.elevation_from_deg <= elevation_deg <= self.elevation_to_deg


@dataclass(frozen=True, slots=True)
class Celestial:
    """A direction among the stars, J2000."""

    right_ascension_deg: float
    declination_deg: float


Geometry = FixedDirection | FieldOfView | Celestial


@dataclass(frozen=True, slots=True)
class Source:
    """Where the laser stands, WGS 84; the height is above the ellipsoid."""

    latitude_deg: float
    longitude_deg: float
    height_m: float


@dataclass(frozen=True, slots=True)
class Target:
    """What the message says of one target."""

    number: int
    source: Source
    geometry: Geometry
    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One message."""

    mission_id: str
    operator: str
    comment: str
    kind_of_windows: str
    start_utc_ns: int
    stop_utc_ns: int
    targets_told: int
    targets: tuple[Target, ...]


def padded(windows: Iterable[Window], mission: Window, pad_ns: int) -> tuple[Window, ...]:
    """Windows cut to the mission and drawn in by `pad_ns` at both ends, in order, overlapping ones made one.

    The pad is taken from each window by itself: where two touch, nobody promised the moment between them.
    """
    joined: list[Window] = []
    for window in sorted(windows, key=lambda w: w.open_utc_ns):
        opens = max(window.open_utc_ns, mission.open_utc_ns) + pad_ns
        closes = min(window.close_utc_ns, mission.close_utc_ns) - pad_ns
        if opens >= closes:
            continue
        if joined and opens <= joined[-1].close_utc_ns:
            joined[-1] = Window(joined[-1].open_utc_ns, max(closes, joined[-1].close_utc_ns))
        else:
            joined.append(Window(opens, closes))
    return tuple(joined)


def at(windows: tuple[Window, ...], t_utc_ns: int) -> tuple[bool, float | None]:
    """Whether a moment is open, and the time until that changes (None: it stays closed).

    `windows` are in order and apart, as `padded` makes them; the moment of closing is closed.
    """
    for window in windows:
        if t_utc_ns < window.open_utc_ns:
            return False, (window.open_utc_ns - t_utc_ns) * 1e-9
        if t_utc_ns < window.close_utc_ns:
            return True, (window.close_utc_ns - t_utc_ns) * 1e-9
    return False, None
