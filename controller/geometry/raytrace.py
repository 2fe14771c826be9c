"""Bending of starlight by a standard atmosphere over a site, by tracing the ray.

Where layers of air are spherical, n r sin(psi) is the same along a ray (Bouguer), psi being its angle from the local
vertical. The bend is the integral of q / (1 + q) over psi with q = d ln n / d ln r, which is well-behaved down to the
horizon (L. H. Auer and E. M. Standish, Astronomical Journal 119, 2472 (2000)).

The air is in hydrostatic equilibrium and begins with what the site measures: temperature falls by 6.5 K/km up to 11 km
above the sea and stays there (ICAO standard atmosphere), vapour pressure falls with the 18th power of temperature as in
C. Y. Hohenkerk and A. T. Sinclair, NAO Technical Note 63 (1985). Refractivity is Ciddor's at the site and follows the
densities of dry air and of vapour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from controller.geometry.air import refractive_index, vapour_pressure_hpa
from controller.geometry.timescales import Floats

GAS: Final = 8.314462618  # J/(mol K), CODATA 2018
DRY_KG_MOL: Final = 0.0289644
VAPOUR_KG_MOL: Final = 0.01801528
GRAVITY_M_S2: Final = 9.80665
LAPSE_K_M: Final = 0.0065
TROPOPAUSE_M: Final = 11_000.0
TOP_M: Final = 120_000.0  # above, less than a nanoradian is left
VAPOUR_POWER: Final = 18.0
NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)
NEWTON_STEPS: Final = 12


@dataclass(frozen=True, slots=True)
class Atmosphere:
    """Air above a site at one wavelength; heights are metres above the site."""

    dry: float  # refractivity n - 1 of the dry air at the site
    wet: float  # of its vapour
    pressure_hpa: float
    vapour_hpa: float
    kelvin: float
    tropopause_m: float
    radius_m: float  # of the site, from the Earth's centre

    @classmethod
    def of(
        cls,
        pressure_hpa: float,
        temperature_c: float,
        relative_humidity: float,
        wavelength_um: float,
        height_m: float,
        radius_m: float,
    ) -> Atmosphere:
        """What a site at `height_m` above the sea, `radius_m` from the Earth's centre, has above it."""
        vapour = vapour_pressure_hpa(pressure_hpa, temperature_c, relative_humidity)
        whole = refractive_index(pressure_hpa, temperature_c, relative_humidity, wavelength_um) - 1
        dry = refractive_index(pressure_hpa - vapour, temperature_c, 0.0, wavelength_um) - 1
        kelvin = temperature_c + 273.15
        tropopause_m = max(TROPOPAUSE_M - height_m, 100.0)
        return cls(dry, whole - dry, pressure_hpa, vapour, kelvin, tropopause_m, radius_m)

    @property
    def index(self) -> float:
        """Refractive index at the site."""
        return 1 + self.dry + self.wet

    def refractivity(self, height_m: Floats) -> tuple[Floats, Floats]:
        """n - 1 and its slope in 1/m."""
        low = np.minimum(height_m, self.tropopause_m)
        x = 1 - LAPSE_K_M * low / self.kelvin  # temperature, of the site's
        dry, dry_slope = self._dry(x)
        moist = self.dry * self.vapour_hpa / (self.pressure_hpa - self.vapour_hpa) * x ** (VAPOUR_POWER - 1)
        wet = self.wet * x ** (VAPOUR_POWER - 1)
        wet_slope = (VAPOUR_POWER - 1) * wet / x
        fall = -GRAVITY_M_S2 * DRY_KG_MOL / (GAS * self.kelvin * x)
        above = (dry + moist) * np.exp(fall * (height_m - low))  # the pressure goes on, and is dry air's
        stratosphere = height_m > self.tropopause_m
        value = np.where(stratosphere, above, dry + wet)
        slope = np.where(stratosphere, above * fall, -(dry_slope + wet_slope) * LAPSE_K_M / self.kelvin)
        return value, slope

    def _dry(self, x: Floats) -> tuple[Floats, Floats]:
        """Refractivity of dry air at a fraction of the site's temperature, and its slope by that fraction."""
        power = GRAVITY_M_S2 * DRY_KG_MOL / (GAS * LAPSE_K_M)
        lighter = self.vapour_hpa * (1 - VAPOUR_KG_MOL / DRY_KG_MOL) * power / (VAPOUR_POWER - power)
        ground = self.pressure_hpa - self.vapour_hpa
        a, b = (self.pressure_hpa + lighter) / ground, (self.vapour_hpa + lighter) / ground
        value = self.dry * (a * x ** (power - 1) - b * x ** (VAPOUR_POWER - 1))
        slope = self.dry * (a * (power - 1) * x ** (power - 2) - b * (VAPOUR_POWER - 1) * x ** (VAPOUR_POWER - 2))
        return value, slope

    def bend_rad(self, apparent_rad: Floats) -> Floats:
        """Apparent minus geometric elevation of a star, for apparent elevations of 0 and above, shape (n,)."""
        zenith = np.pi / 2 - np.asarray(apparent_rad, dtype=np.float64)[:, None]
        invariant = self.index * self.radius_m * np.sin(zenith)
        tropopause, top = (self._angle(invariant, height) for height in (self.tropopause_m, TOP_M))
        low = self._integral(invariant, tropopause, zenith, 0.0, self.tropopause_m)
        return low + self._integral(invariant, top, tropopause, np.nextafter(self.tropopause_m, TOP_M), TOP_M)

    def _angle(self, invariant: Floats, height_m: float) -> Floats:
        value, _ = self.refractivity(np.array(height_m))
        angle: Floats = np.arcsin(invariant / ((1 + value) * (self.radius_m + height_m)))
        return angle

    def _integral(self, invariant: Floats, start: Floats, end: Floats, low_m: float, high_m: float) -> Floats:
        """Over the angle between two heights, by Gauss and Legendre; the height at an angle is found by Newton."""
        half = (end - start) / 2
        nr = invariant / np.sin(np.maximum((end + start) / 2 + half * NODES, 1e-12))
        height = np.full_like(nr, low_m + 5000.0)
        for _ in range(NEWTON_STEPS):
            value, slope = self.refractivity(height)
            r = self.radius_m + height
            height = np.clip(height - ((1 + value) * r - nr) / (1 + value + slope * r), low_m, high_m)
        value, slope = self.refractivity(height)
        q = slope * (self.radius_m + height) / (1 + value)
        result: Floats = -(half * WEIGHTS * q / (1 + q)).sum(axis=1)
        return result
