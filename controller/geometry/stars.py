"""Bright stars: the catalogue, and where they stand in the sky of a site.

Places go from ICRS to observed with ERFA's astrometry (IAU 2006/2000A, aberration, light deflection, diurnal
aberration, polar motion, refraction for the camera's wavelength).
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import erfa
import numpy as np

from controller.geometry.earth import EarthOrientation
from controller.geometry.frames import Site
from controller.geometry.timescales import Floats, tai_jd

MAS = np.pi / 648_000_000.0


@dataclass(frozen=True, slots=True)
class Star:
    """A catalogue star: ICRS at J2000.0, proper motion (right ascension's with cos declination)."""

    name: str
    right_ascension_deg: float
    declination_deg: float
    motion_ra_mas_yr: float
    motion_dec_mas_yr: float
    magnitude: float


@lru_cache(maxsize=1)
def bright_stars() -> tuple[Star, ...]:
    """The stars that the project carries, brightest first."""
    text = (files("controller") / "data" / "stars.toml").read_text(encoding="utf-8")
    return tuple(sorted((Star(**row) for row in tomllib.loads(text)["star"]), key=lambda s: s.magnitude))


def observed(
    stars: Sequence[Star], t_utc_ns: int, site: Site, earth: EarthOrientation, wavelength_um: float
) -> tuple[Floats, Floats]:
    """Observed azimuth (0..2 pi) and elevation in radians, one of each a star, refraction included."""
    astrom = _astrometry(t_utc_ns, site, earth, wavelength_um)
    ra, dec, motion_ra, motion_dec = (
        np.array(
            [
                (
                    np.radians(s.right_ascension_deg),
                    np.radians(s.declination_deg),
                    s.motion_ra_mas_yr,
                    s.motion_dec_mas_yr,
                )
                for s in stars
            ]
        )
        .reshape(-1, 4)
        .T
    )
    ri, di = erfa.atciq(ra, dec, motion_ra * MAS / np.cos(dec), motion_dec * MAS, 0.0, 0.0, astrom)
    azimuth, zenith, *_ = erfa.atioq(ri, di, astrom)
    return azimuth, np.pi / 2 - zenith


def _astrometry(t_utc_ns: int, site: Site, earth: EarthOrientation, wavelength_um: float) -> Floats:
    t = np.asarray(t_utc_ns, dtype=np.int64)
    orientation = earth.at(t)
    tai = tai_jd(t)
    utc = erfa.taiutc(*tai)
    ut1_minus_utc_s = ((orientation.ut1.days - utc[0]) + (orientation.ut1.fraction - utc[1])) * 86400.0
    astrom, _ = erfa.apco13(
        utc[0],
        utc[1],
        ut1_minus_utc_s,
        np.radians(site.longitude_deg),
        np.radians(site.latitude_deg),
        site.height_m,
        orientation.pole_x_rad,
        orientation.pole_y_rad,
        site.pressure_hpa,
        site.temperature_c,
        site.relative_humidity,
        wavelength_um,
    )
    result: Floats = astrom
    return result
