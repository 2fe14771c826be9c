"""Sun and Moon in the sky of a site, for the cones that keep away from them.

ERFA's analytic series (`epv00`, `moon98`) with parallax and without aberration or refraction: good to an arcminute
where a cone is degrees wide.
"""

from __future__ import annotations

from typing import NamedTuple

import erfa
import numpy as np

from controller.geometry.earth import EarthOrientation
from controller.geometry.frames import Site, enu_to_azel
from controller.geometry.timescales import Floats, tt_jd

AU_M = 149_597_870_700.0


class Place(NamedTuple):
    """Azimuth (north through east, -pi..pi) and elevation in radians."""

    azimuth_rad: float
    elevation_rad: float


def sun_and_moon(t_utc_ns: int, site: Site, earth: EarthOrientation) -> tuple[Place, Place]:
    """Airless topocentric places of the Sun and the Moon."""
    t = np.asarray(t_utc_ns, dtype=np.int64)
    tt = tt_jd(t)
    orientation = earth.at(t)
    to_itrf = erfa.c2t06a(*tt, *orientation.ut1, orientation.pole_x_rad, orientation.pole_y_rad)
    heliocentric, _ = erfa.epv00(*tt)
    sun = -heliocentric["p"] * AU_M
    moon = erfa.moon98(*tt)["p"] * AU_M
    return _place(to_itrf @ sun, site), _place(to_itrf @ moon, site)


def separation_rad(a: Place, b: Place) -> float:
    """Angle between two places on the sky."""
    return float(erfa.seps(a.azimuth_rad, a.elevation_rad, b.azimuth_rad, b.elevation_rad))


def _place(itrf_m: Floats, site: Site) -> Place:
    azimuth, elevation = enu_to_azel(site.itrf_to_enu @ (itrf_m - site.itrf_m))
    return Place(float(azimuth), float(elevation))
