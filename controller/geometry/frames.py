"""Frames: TEME (SGP4), GCRF (inertial), ITRF (the crust), and the horizon frame of a site (east, north, up).

Vectors are metres, arrays of shape (n, 3); matrices (n, 3, 3) act on column vectors. The vertical is the crust-fixed
geodetic one, with polar motion: the right one for a mount calibrated on stars at an ITRF site.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import erfa
import numpy as np

from controller.geometry.earth import EarthOrientation
from controller.geometry.timescales import Floats, Times, tt_jd

EARTH_RATE_RAD_S = 7.292115146706979e-5  # d(ERA)/dt, IERS Conventions 2010 eq. 5.15
WGS84 = 1


@dataclass(frozen=True)
class Site:
    """Where the telescope stands (WGS 84) and the air around it."""

    latitude_deg: float
    longitude_deg: float
    height_m: float
    pressure_hpa: float = 1013.25
    temperature_c: float = 15.0
    relative_humidity: float = 0.5
    name: str = "site"

    @cached_property
    def itrf_m(self) -> Floats:
        """Position in ITRF, shape (3,)."""
        position: Floats = erfa.gd2gc(
            WGS84, np.radians(self.longitude_deg), np.radians(self.latitude_deg), self.height_m
        )
        return position

    @cached_property
    def itrf_to_enu(self) -> Floats:
        """Matrix (3, 3) from ITRF to east, north, up."""
        lat, lon = np.radians(self.latitude_deg), np.radians(self.longitude_deg)
        (sp, cp), (sl, cl) = (np.sin(lat), np.cos(lat)), (np.sin(lon), np.cos(lon))
        return np.array([[-sl, cl, 0.0], [-sp * cl, -sp * sl, cp], [cp * cl, cp * sl, sp]])


def teme_to_itrf(t_utc_ns: Times, earth: EarthOrientation) -> Floats:
    """Matrices (n, 3, 3) from TEME to ITRF.

    TEME is the frame of SGP4: turned by GMST 1982 it is the pseudo-Earth-fixed frame, then polar motion follows
    (Vallado, Crawford, Hujsak, Kelso, AIAA 2006-6753, appendix C).
    """
    orientation = earth.at(t_utc_ns)
    gmst = erfa.gmst82(*orientation.ut1)
    pole = erfa.pom00(orientation.pole_x_rad, orientation.pole_y_rad, 0.0)
    result: Floats = pole @ about_z(gmst)
    return result


def gcrf_to_itrf(t_utc_ns: Times, earth: EarthOrientation) -> Floats:
    """Matrices (n, 3, 3) from GCRF to ITRF: IAU 2006/2000A without the celestial pole offsets (0.3 mas, 1.5 nrad)."""
    orientation = earth.at(t_utc_ns)
    result: Floats = erfa.c2t06a(*tt_jd(t_utc_ns), *orientation.ut1, orientation.pole_x_rad, orientation.pole_y_rad)
    return result


def about_z(angle_rad: Floats) -> Floats:
    """Matrices (n, 3, 3) that turn the axes by an angle about z."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    zero, one = np.zeros_like(c), np.ones_like(c)
    return np.moveaxis(np.array([[c, s, zero], [-s, c, zero], [zero, zero, one]]), (0, 1), (-2, -1))


def apply(matrices: Floats, vectors: Floats) -> Floats:
    """Matrix by vector, row by row: (n, 3, 3) and (n, 3) to (n, 3)."""
    result: Floats = np.einsum("...ij,...j->...i", matrices, vectors)
    return result


def enu_to_azel(enu: Floats) -> tuple[Floats, Floats]:
    """Azimuth (north through east, -pi..pi) and elevation in radians of vectors (..., 3)."""
    east, north, up = np.moveaxis(np.asarray(enu), -1, 0)
    return np.arctan2(east, north), np.arctan2(up, np.hypot(east, north))


def azel_to_enu(azimuth_rad: Floats | float, elevation_rad: Floats | float) -> Floats:
    """Unit vectors (..., 3)."""
    ce = np.cos(elevation_rad)
    return np.stack([np.sin(azimuth_rad) * ce, np.cos(azimuth_rad) * ce, np.sin(elevation_rad) + 0 * ce], axis=-1)
