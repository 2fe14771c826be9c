"""What is known of each aircraft: where it was last, and how far it may have gone since.

A report is never extended along its course: the place is a ball that grows with the report's age at the aircraft's
speed, whichever way it turned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import erfa
import numpy as np

from controller.geometry.frames import WGS84, Site
from controller.safety.path import Vector
from hal.traits import AircraftReport

SPEED_UNKNOWN_M_S = 350.0  # faster than any airliner over ground
SPEED_LEAST_M_S = 60.0  # a helicopter that hovered may set off
SPEED_MARGIN = 1.1  # ground speed is not all of it: climb and acceleration
FORGOTTEN_S = 120.0  # after its last message


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Of a reported place. Pressure altitude differs from height by the day's weather, some hundreds of metres."""

    position_m: float = 200.0
    altitude_m: float = 600.0

    @property
    def radius_m(self) -> float:
        """Of a ball that holds the place at the time of the report."""
        return math.hypot(self.position_m, self.altitude_m)


@dataclass(slots=True)
class Track:
    """One aircraft."""

    address: str
    heard_ns: int
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    altitude_m: float | None = None
    speed_m_s: float | None = None
    on_ground: bool = False
    placed_ns: int = 0  # time of the oldest part of what the place is made of
    position_ns: int = 0
    altitude_ns: int = 0
    towards: Vector = (0.0, 0.0, 0.0)  # north, east, up
    range_m: float = 0.0

    @property
    def placed(self) -> bool:
        """True once latitude, longitude and altitude have been heard."""
        return self.placed_ns > 0

    def speed_bound_m_s(self) -> float:
        """The fastest that it may go."""
        if self.speed_m_s is None:
            return SPEED_UNKNOWN_M_S
        return max(SPEED_LEAST_M_S, SPEED_MARGIN * self.speed_m_s)

    def radius_m(self, now_ns: int, uncertainty: Uncertainty) -> float:
        """How far from its last place it may be."""
        return uncertainty.radius_m + self.speed_bound_m_s() * max(0.0, (now_ns - self.placed_ns) * 1e-9)

    def hear(self, report: AircraftReport, site: Site) -> None:
        """Take in what a report says."""
        self.heard_ns = max(self.heard_ns, report.t_ns)
        if report.on_ground is not None:
            self.on_ground = report.on_ground
        if report.speed_m_s is not None:
            self.speed_m_s = report.speed_m_s
        if report.altitude_m is not None:
            self.altitude_m, self.altitude_ns = report.altitude_m, report.t_ns
        if report.latitude_deg is not None and report.longitude_deg is not None:
            self.latitude_deg, self.longitude_deg = report.latitude_deg, report.longitude_deg
            self.position_ns = report.t_ns
        elif report.altitude_m is None:
            return
        if self.latitude_deg is not None and self.longitude_deg is not None and self.altitude_m is not None:
            self._place(self.latitude_deg, self.longitude_deg, self.altitude_m, site)

    def _place(self, latitude_deg: float, longitude_deg: float, altitude_m: float, site: Site) -> None:
        there = erfa.gd2gc(WGS84, math.radians(longitude_deg), math.radians(latitude_deg), altitude_m)
        east, north, up = (float(v) for v in site.itrf_to_enu @ (np.asarray(there) - site.itrf_m))
        self.range_m = math.sqrt(east * east + north * north + up * up)
        scale = 1.0 / self.range_m if self.range_m else 0.0
        self.towards = (north * scale, east * scale, up * scale)
        # An old altitude makes the place old: it may have climbed since.
        self.placed_ns = min(self.position_ns, self.altitude_ns)
