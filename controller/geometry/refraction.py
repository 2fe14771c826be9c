"""Refraction of a target at finite range.

A star's refraction is that of a ray traced through a standard atmosphere (`raytrace`). A satellite is nearer than
infinity and above the air: the bent ray passes beside the straight line by a lateral shift, so its refraction is
smaller, by 14 µrad at 20 degrees for 550 km. Outside the air the ray is a straight line with the star's direction
z0 + R and the invariant n0 r0 sin z0 as distance from the Earth's centre; where it crosses the target's radius is
the target (Bouguer's law).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from controller.geometry.frames import Site
from controller.geometry.raytrace import Atmosphere
from controller.geometry.timescales import Floats

STEPS: Final = 12  # each brings a fifth of the error at the horizon, and a thousandth at 30 degrees
# A star's bend over cos e / sqrt(sin^2 e + FLATNESS) is as good as straight in 1 / (sin e + SHIFT): 19 coefficients
# follow the traced ray to 0.0001 µrad, from the horizon to the zenith.
FLATNESS: Final = 0.002
SHIFT: Final = 0.06
COEFFICIENTS: Final = 19


@dataclass(frozen=True, slots=True)
class Refraction:
    """Air above a site at one wavelength. Below the horizon the bend of the horizon is kept."""

    coefficients: tuple[float, ...]
    index: float
    radius_m: float

    @classmethod
    def of(cls, site: Site, wavelength_um: float) -> Refraction:
        """For a site's pressure, temperature and humidity; no air when the pressure is 0."""
        radius_m = float(np.linalg.norm(site.itrf_m))
        if site.pressure_hpa <= 0:
            return cls((0.0,), 1.0, radius_m)
        measured = (site.pressure_hpa, site.temperature_c, site.relative_humidity)
        return _over(Atmosphere.of(*measured, wavelength_um, site.height_m, radius_m))

    def star_rad(self, apparent_rad: Floats) -> Floats:
        """Apparent minus geometric elevation of a star at an apparent elevation."""
        apparent = np.maximum(apparent_rad, 0.0)
        bend: Floats = _form(apparent) * np.polynomial.chebyshev.chebval(_abscissa(apparent), self.coefficients)
        return bend

    def bend_rad(self, apparent_rad: Floats, range_m: Floats) -> Floats:
        """Apparent minus geometric elevation at an apparent elevation, for a target whose path is `range_m` long."""
        apparent = np.maximum(apparent_rad, 0.0)
        zenith = np.pi / 2 - apparent
        bend = self.star_rad(apparent)
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


@lru_cache(maxsize=64)
def _over(air: Atmosphere) -> Refraction:
    """Traced once; milliseconds."""
    knots = np.polynomial.chebyshev.chebpts1(COEFFICIENTS)
    low, high = 1 / (1 + SHIFT), 1 / SHIFT
    elevation = np.arcsin(2 / ((1 + knots) * (high - low) + 2 * low) - SHIFT)
    ratio = air.bend_rad(elevation) / _form(elevation)
    fitted = np.polynomial.chebyshev.chebfit(knots, ratio, COEFFICIENTS - 1)
    return Refraction(tuple(map(float, fitted)), air.index, air.radius_m)


def _form(elevation_rad: Floats) -> Floats:
    form: Floats = np.cos(elevation_rad) / np.sqrt(np.sin(elevation_rad) ** 2 + FLATNESS)
    return form


def _abscissa(elevation_rad: Floats) -> Floats:
    low, high = 1 / (1 + SHIFT), 1 / SHIFT
    result: Floats = (2 / (np.sin(elevation_rad) + SHIFT) - low - high) / (high - low)
    return result
