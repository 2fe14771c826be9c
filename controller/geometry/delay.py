"""How much longer than in vacuum light is under way in the air: the group delay of optical ranging.

Mendes and Pavlis (Geophysical Research Letters 31, L14602, 2004; mapping function FCULa of 2002), as in the IERS
Conventions 2010, chapter 9: from 355 to 1064 nm, above 3 degrees, to a centimetre at 10 degrees.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from controller.geometry.frames import Site
from controller.geometry.timescales import Floats

CO2_PPM = 375.0
# Rows of the mapping function: constant, by degree Celsius, by cosine of latitude, by metre of height.
FCULA = (
    (12100.8e-7, 1729.5e-9, 319.1e-7, -1847.8e-11),
    (30496.5e-7, 234.6e-8, -103.5e-6, -185.6e-10),
    (68777.0e-6, 197.2e-7, -345.8e-5, 106.0e-9),
)
WATER = (295.235, 2.6422, -0.032380, 0.004028)


class ZenithDelay(NamedTuple):
    """One way, towards the zenith, metres."""

    hydrostatic_m: float
    wet_m: float


def zenith_delay_m(site: Site, wavelength_um: float, vapour_pressure_hpa: float) -> ZenithDelay:
    """Group delay of a site's pressure and water vapour."""
    s = wavelength_um**-2
    co2 = 1 + 0.534e-6 * (CO2_PPM - 450.0)
    dry = 1e-2 * co2 * _dispersion(s, 19990.975, 238.0185) + 1e-2 * co2 * _dispersion(s, 579.55174, 57.362)
    moist = 0.003101 * sum((2 * i + 1) * w * s**i for i, w in enumerate(WATER))
    gravity = 1 - 0.00266 * math.cos(2 * math.radians(site.latitude_deg)) - 0.00000028 * site.height_m
    hydrostatic = 0.002416579 * dry / gravity * site.pressure_hpa
    wet = 1e-4 * (5.316 * moist - 3.759 * dry) * vapour_pressure_hpa / gravity
    return ZenithDelay(hydrostatic, wet)


def slant_delay_m(zenith: ZenithDelay, elevation_rad: Floats | float, site: Site) -> Floats:
    """One way along the line of sight, metres, at elevations of any shape."""
    by = (1.0, site.temperature_c, math.cos(math.radians(site.latitude_deg)), site.height_m)
    a1, a2, a3 = (sum(c * b for c, b in zip(row, by, strict=True)) for row in FCULA)
    sine = np.sin(np.asarray(elevation_rad, dtype=np.float64))
    mapping: Floats = (1 + a1 / (1 + a2 / (1 + a3))) / (sine + a1 / (sine + a2 / (sine + a3)))
    return (zenith.hydrostatic_m + zenith.wet_m) * mapping


def vapour_pressure_hpa(relative_humidity: float, temperature_c: float) -> float:
    """Partial pressure of water vapour (Giacomo 1982 with the enhancement left out), humidity 0..1."""
    k = temperature_c + 273.15
    saturation_pa = math.exp(1.2378847e-5 * k**2 - 1.9121316e-2 * k + 33.93711047 - 6343.1645 / k)
    return relative_humidity * saturation_pa / 100.0


def _dispersion(s: float, k: float, resonance: float) -> float:
    return k * (resonance + s) / (resonance - s) ** 2
