"""Refraction of a target at finite range.

A star's refraction is A tan z + B tan^3 z (ERFA `refco`, good to 0.2 µrad above 15 degrees). A satellite is nearer
than infinity and above the air: the bent ray passes beside the straight line by a lateral shift, so its refraction
is smaller, by 14 µrad at 20 degrees for 550 km. Outside the air the ray is a straight line with the star's direction
z0 + R and the invariant n0 r0 sin z0 as distance from the Earth's centre; where it crosses the target's radius is
the target (Bouguer's law).
"""

from __future__ import annotations

from dataclasses import dataclass

import erfa
import numpy as np

from controller.geometry.air import refractive_index
from controller.geometry.frames import Site
from controller.geometry.timescales import Floats

LOWEST_RAD = np.radians(5.0)  # A tan z + B tan^3 z means nothing below; the refraction of this elevation is kept
STEPS = 6


@dataclass(frozen=True, slots=True)
class Refraction:
    """Air above a site at one wavelength."""

    a: float
    b: float
    index: float
    radius_m: float

    @classmethod
    def of(cls, site: Site, wavelength_um: float) -> Refraction:
        """The constants for a site's pressure, temperature and humidity; no air when the pressure is 0."""
        radius_m = float(np.linalg.norm(site.itrf_m))
        if site.pressure_hpa <= 0:
            return cls(0.0, 0.0, 1.0, radius_m)
        air = (site.pressure_hpa, site.temperature_c, site.relative_humidity, wavelength_um)
        a, b = erfa.refco(*air)
        return cls(float(a), float(b), refractive_index(*air), radius_m)

    def bend_rad(self, apparent_rad: Floats, range_m: Floats) -> Floats:
        """Apparent minus geometric elevation at an apparent elevation, for a target whose path is `range_m` long."""
        apparent = np.maximum(apparent_rad, LOWEST_RAD)
        zenith = np.pi / 2 - apparent
        tangent = np.tan(zenith)
        bend = self.a * tangent + self.b * tangent**3
        r0 = self.radius_m
        distance = np.minimum(range_m, 1e13)  # beyond, a target is a star to a nanoradian and squares lose digits
        target = np.sqrt(r0**2 + distance**2 + 2 * r0 * distance * np.sin(apparent - bend))
        theta = zenith + bend - np.arcsin(self.index * r0 * np.sin(zenith) / target)
        geometric = np.arctan2(target * np.cos(theta) - r0, target * np.sin(theta))
        result: Floats = apparent - geometric
        return result

    def apparent_rad(self, geometric_rad: Floats, range_m: Floats) -> Floats:
        """Apparent elevation of a target at a geometric elevation and range."""
        geometric = np.asarray(geometric_rad, dtype=np.float64)
        apparent = geometric
        for _ in range(STEPS):
            apparent = geometric + self.bend_rad(apparent, range_m)
        return apparent
