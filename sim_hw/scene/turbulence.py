"""Turbulence on a slant path: what Hufnagel-Valley 5/7 and a moving line of sight do to tilt and power.

Every quantity is one-axis and in radians. Integrals run over altitude above the site, 0 to 30 km.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sim_hw.scenarios import Turbulence
from sim_hw.scene.noise import Floats

_ALTITUDE_M = np.concatenate([np.linspace(0.0, 2000.0, 401)[:-1], np.linspace(2000.0, 30_000.0, 1401)])
_ELEVATION_MIN_RAD = math.radians(5.0)  # the slant formulas end somewhere; nothing is tracked below


@dataclass(frozen=True, slots=True)
class Seeing:
    """Turbulence along one direction."""

    tilt_rms_rad: float  # gradient tilt, one axis
    tilt_corner_hz: float
    anisoplanatic_rms_rad: float  # tilt between receive and transmit directions, one axis
    log_amplitude_rms: float  # of aperture-averaged power: exp(2 chi - 2 sigma^2)
    scintillation_corner_hz: float


class Atmosphere:
    """Cn2 and wind with height, and the integrals of them."""

    def __init__(self, profile: Turbulence, aperture_m: float) -> None:
        self._profile = profile
        self._aperture_m = aperture_m
        self._cn2 = profile.scale * hufnagel_valley(_ALTITUDE_M, profile.high_wind_m_s, profile.ground_cn2)
        self._wind_m_s = profile.bufton_ground_m_s + profile.bufton_tropopause_m_s * np.exp(
            -(((_ALTITUDE_M - 9400.0) / 4800.0) ** 2)
        )

    def coherence_length_m(self, wavelength_m: float, zenith_rad: float = 0.0) -> float:
        """Fried's r0 = (0.423 k^2 sec z integral Cn2)^(-3/5)."""
        k = 2.0 * math.pi / wavelength_m
        return float((0.423 * k * k * self._integral(self._cn2) / math.cos(zenith_rad)) ** -0.6)

    def seeing(self, elevation_rad: float, slew_rad_s: float, point_ahead_rad: float) -> Seeing:
        """Tilt and scintillation at an elevation for a line of sight that turns at `slew_rad_s`.

        Tilt: one-axis gradient tilt, 0.170 (lambda/D)^2 (D/r0)^(5/3), independent of wavelength. Its density is
        flat, then f^-4 (for the theory's f^(-11/3)) from a corner chosen so that the rms rate is that of Tyler's
        tracking frequency, f_TG = 0.331 D^(-1/6)/lambda [integral Cn2 V^2 dz]^(1/2) (JOSA A 11, 358, 1994).
        Anisoplanatism: the same rate integral with V replaced by angle times distance, each layer limited to twice
        its variance. Scintillation: 17.34 D^(-7/3) sec^3 z integral Cn2 h^2 for apertures beyond the Fresnel size
        (Andrews and Phillips 2005, ch. 12), with the corner V/(pi D) of the layers that cause it.
        """
        if self._profile.scale == 0.0:
            return Seeing(0.0, 10.0, 0.0, 0.0, 10.0)
        d = self._aperture_m
        sec = 1.0 / math.sin(max(elevation_rad, _ELEVATION_MIN_RAD))
        slant_m = _ALTITUDE_M * sec
        across_m_s = self._wind_m_s + slew_rad_s * slant_m
        # (lambda/D)^2 (D/r0)^(5/3) without the wavelength: r0^(-5/3) = 0.423 (2 pi/lambda)^2 sec z integral Cn2.
        variance = 0.170 * 0.423 * (2 * math.pi) ** 2 * d ** (-1 / 3) * sec * self._cn2
        rate_factor = (2 * math.pi * 0.331) ** 2 * d ** (-7 / 3) * sec * self._cn2
        rms_rad = math.sqrt(self._integral(variance))
        rate_rad_s = math.sqrt(self._integral(rate_factor * across_m_s**2))
        moved = rate_factor * (point_ahead_rad * slant_m) ** 2
        decorrelated = moved / (1.0 + moved / np.maximum(2.0 * variance, 1e-300))
        h2 = self._cn2 * _ALTITUDE_M**2
        intensity_variance = 17.34 * d ** (-7 / 3) * sec**3 * self._integral(h2)
        scintillation_m_s = math.sqrt(self._integral(h2 * across_m_s**2) / self._integral(h2))
        tilt = 1.0 if self._profile.tilt else 0.0
        flicker = 1.0 if self._profile.scintillation else 0.0
        return Seeing(
            tilt_rms_rad=tilt * rms_rad,
            tilt_corner_hz=rate_rad_s / (2 * math.pi * rms_rad),
            anisoplanatic_rms_rad=tilt * math.sqrt(self._integral(decorrelated)),
            log_amplitude_rms=flicker * 0.5 * math.sqrt(math.log1p(intensity_variance)),
            scintillation_corner_hz=scintillation_m_s / (math.pi * d),
        )

    @staticmethod
    def _integral(values: Floats) -> float:
        return float(np.trapezoid(values, _ALTITUDE_M))


def hufnagel_valley(altitude_m: Floats, high_wind_m_s: float, ground_cn2: float) -> Floats:
    """Cn2 in m^(-2/3); HV5/7 has 21 m/s and 1.7e-14."""
    h = altitude_m
    return np.asarray(
        0.00594 * (high_wind_m_s / 27.0) ** 2 * (1e-5 * h) ** 10 * np.exp(-h / 1000.0)
        + 2.7e-16 * np.exp(-h / 1500.0)
        + ground_cn2 * np.exp(-h / 100.0)
    )
