"""Stars where they really are: skyfield's apparent places, bent by the bench's own air."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from skyfield.api import Star, wgs84

from sim_hw.scene.earth import NS, Site, horizontal, kernel, times
from sim_hw.scene.noise import Floats
from sim_hw.scene.refraction import refract

_SEGMENT_S = 64
_NODES = 5  # 64 s turn the sky by 5 mrad: the polynomial is exact to 1e-13 rad


@dataclass(frozen=True, slots=True)
class CatalogueStar:
    """A star in the ICRS at J2000.0; proper motion in right ascension includes cos(declination)."""

    right_ascension_deg: float
    declination_deg: float
    motion_ra_mas_yr: float
    motion_dec_mas_yr: float
    magnitude: float


class Sky:
    """Apparent horizontal places of a list of stars."""

    def __init__(self, stars: Sequence[CatalogueStar], site: Site, utc0_ns: int, wavelength_m: float) -> None:
        self.magnitude = np.array([s.magnitude for s in stars], dtype=np.float64)
        self._star = Star(
            ra_hours=np.array([s.right_ascension_deg / 15.0 for s in stars]),
            dec_degrees=np.array([s.declination_deg for s in stars]),
            ra_mas_per_year=np.array([s.motion_ra_mas_yr for s in stars]),
            dec_mas_per_year=np.array([s.motion_dec_mas_yr for s in stars]),
        )
        self._place = wgs84.latlon(site.latitude_deg, site.longitude_deg, site.height_m)
        self._air = site.air
        self._utc0_ns = utc0_ns
        self._wavelength_m = wavelength_m
        self._segments: dict[int, Floats] = {}

    def north_east_up(self, t_s: float) -> Floats:
        """Unit vectors (3, stars) at seconds since the bench started."""
        coefficients, x = self._segment(t_s)
        return np.asarray(chebyshev.chebval(x, coefficients))

    def star(self, index: int, t_s: float) -> tuple[float, float, float]:
        """As `north_east_up`, of one star."""
        coefficients, x = self._segment(t_s)
        weights = np.array([1.0, x, 2.0 * x * x - 1.0, (4.0 * x * x - 3.0) * x, (8.0 * x * x - 8.0) * x * x + 1.0])
        north, east, up = weights @ coefficients[:, :, index]
        return float(north), float(east), float(up)

    def _segment(self, t_s: float) -> tuple[Floats, float]:
        """Chebyshev coefficients (nodes, 3, stars) of the span of time around `t_s`, and its place there, -1 to 1."""
        index = int(t_s // _SEGMENT_S)
        if index not in self._segments:
            self._segments = {index: self._fit(index)}
        return self._segments[index], (t_s / _SEGMENT_S - index) * 2.0 - 1.0

    def _fit(self, index: int) -> Floats:
        angle = (np.arange(_NODES) + 0.5) * np.pi / _NODES
        t_s = (index + 0.5 + 0.5 * np.cos(angle)) * _SEGMENT_S
        values = np.stack([self._compute(float(t)) for t in t_s])
        nodes = np.cos(np.outer(np.arange(_NODES), angle))
        weights = np.full(_NODES, 2.0 / _NODES)
        weights[0] = 1.0 / _NODES
        return np.asarray(np.einsum("kn,nij->kij", weights[:, None] * nodes, values))

    def _compute(self, t_s: float) -> Floats:
        t = times(self._utc0_ns + round(t_s * NS))
        apparent = (kernel()["earth"] + self._place).at(t).observe(self._star).apparent().position.au
        turned = self._place.rotation_at(t) @ (apparent / np.linalg.norm(apparent, axis=0))
        azimuth, elevation = horizontal(turned)
        bent = refract(self._air, self._wavelength_m, elevation)
        return np.array([np.cos(bent) * np.cos(azimuth), np.cos(bent) * np.sin(azimuth), np.sin(bent)])
