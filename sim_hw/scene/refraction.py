"""Bending of light by an exponential atmosphere, by ray tracing; for stars and for targets just above the air.

This is the bench's own truth, written independently of the controller's refraction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sim_hw.scene.noise import Floats

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)
_U = 0.5 * (_NODES + 1.0)  # u = exp(-h/H), 0 in space, 1 at the site
_W = 0.5 * _WEIGHTS
_APPARENT_MIN_RAD = math.radians(1.0)


@dataclass(frozen=True, slots=True)
class Air:
    """Air at the site."""

    pressure_hpa: float
    temperature_c: float
    relative_humidity: float
    radius_m: float  # of the site from the Earth's centre

    def refractivity(self, wavelength_m: float) -> float:
        """n - 1 at the site.

        Peck and Reeder, JOSA 62, 958 (1972), for dry air at 15 degrees C and 1013.25 hPa, scaled by density;
        water vapour by Owens as quoted by Ciddor (1996): about -3.7e-10 per pascal in the near infrared.
        """
        sigma2 = (1e-6 / wavelength_m) ** 2
        standard = 1e-8 * (8060.51 + 2480990.0 / (132.274 - sigma2) + 17455.7 / (39.32957 - sigma2))
        density = self.pressure_hpa / 1013.25 * 288.15 / (self.temperature_c + 273.15)
        return standard * density - 3.7e-10 * self._vapour_pa()

    def _vapour_pa(self) -> float:
        """Buck's saturation pressure (1981) times humidity."""
        t = self.temperature_c
        return self.relative_humidity * 611.21 * math.exp(17.502 * t / (240.97 + t))

    @property
    def scale_height_m(self) -> float:
        """Pressure divided by weight density, R T/(M g): fixes the air mass above the site."""
        return 8.314462618 * (self.temperature_c + 273.15) / (0.0289647 * 9.79)


def bending(air: Air, wavelength_m: float, apparent_rad: Floats) -> Floats:
    """Total bending of a ray that comes from space, at apparent elevations (radians); any shape.

    R = integral of tan(psi) dn/n along n r sin(psi) = constant (Auer and Standish, AJ 119, 2472, 2000).
    """
    excess = air.refractivity(wavelength_m)
    n = 1.0 + excess * _U
    r = air.radius_m - air.scale_height_m * np.log(_U)
    invariant = (1.0 + excess) * air.radius_m * np.cos(np.maximum(apparent_rad, _APPARENT_MIN_RAD))
    sine = invariant[..., None] / (n * r)
    return np.asarray(np.sum(_W * sine / np.sqrt(1.0 - sine * sine) * excess / n, axis=-1))


def refract(air: Air, wavelength_m: float, elevation_rad: Floats, range_m: Floats | None = None) -> Floats:
    """Apparent elevation of something whose geometric elevation is given, radians.

    With `range_m` the source is that near, and the ray reaches it before its bending is all seen as angle
    (parallax of refraction); without, it is a star. Below 1 degree the correction of 1 degree is kept.
    """
    elevation_rad = np.asarray(elevation_rad, dtype=np.float64)
    above = np.maximum(elevation_rad, _APPARENT_MIN_RAD)
    excess = air.refractivity(wavelength_m)
    apparent = above.copy()
    for _ in range(6):  # contracts by about the bending's slope, under 1e-2 a step
        turned = bending(air, wavelength_m, apparent)
        if range_m is not None:
            source_r = np.sqrt(air.radius_m**2 + range_m**2 + 2.0 * air.radius_m * range_m * np.sin(above))
            invariant = (1.0 + excess) * air.radius_m * np.cos(apparent)
            central = 0.5 * np.pi - apparent + turned - np.arcsin(np.minimum(invariant / source_r, 1.0))
            geometric = np.arctan2(source_r * np.cos(central) - air.radius_m, source_r * np.sin(central))
            turned = apparent - geometric
        apparent = above + turned
    return np.asarray(elevation_rad + apparent - above)
