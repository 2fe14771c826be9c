"""How Moon and Mars are turned: from a place on them to ICRF axes.

Poles and prime meridians of the IAU Working Group on Cartographic Coordinates and Rotational Elements (Archinal et al.,
Celestial Mechanics and Dynamical Astronomy 130:22, 2018; the Moon's series as in the report of 2009): good to 150 m on
the Moon (0.4 µrad from the Earth) and metres on Mars. Radii are theirs, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import erfa
import numpy as np

from controller.geometry.solar_system import MOON
from controller.geometry.timescales import Floats, Times, tdb_jd

MARS = 499
J2000 = 2451545.0
DAYS_PER_CENTURY = 36525.0


@dataclass(frozen=True, slots=True)
class Spheroid:
    """A body's figure: equatorial radius in metres and flattening."""

    radius_m: float
    flattening: float


FIGURES = {MOON: Spheroid(1_737_400.0, 0.0), MARS: Spheroid(3_396_190.0, 1 - 3376.20 / 3396.19)}


def place_m(body: int, latitude_deg: float, longitude_deg: float, height_m: float) -> Floats:
    """Body-fixed position (3,) in metres of a planetographic latitude, east longitude and height."""
    figure = FIGURES[body]
    position: Floats = erfa.gd2gce(
        figure.radius_m, figure.flattening, np.radians(longitude_deg), np.radians(latitude_deg), height_m
    )
    return position


def to_icrf(body: int, t_utc_ns: Times) -> Floats:
    """Matrices (n, 3, 3) from body-fixed to ICRF axes."""
    tdb = tdb_jd(np.atleast_1d(np.asarray(t_utc_ns, dtype=np.int64)))
    days = (tdb.days - J2000) + tdb.fraction
    right_ascension, declination, meridian = (np.radians(angle) for angle in _ORIENTATIONS[body](days))
    zero = np.zeros_like(days)
    fixed = erfa.rx(np.pi / 2 - declination, erfa.rz(np.pi / 2 + right_ascension, np.eye(3) + zero[:, None, None]))
    turned: Floats = np.swapaxes(erfa.rz(meridian, fixed), -1, -2)
    return turned


def _moon(d: Floats) -> tuple[Floats, Floats, Floats]:
    t = d / DAYS_PER_CENTURY
    # E1 ... E13 of the report: degrees, degrees a day.
    e = np.radians(np.array(_MOON_ANGLES)[:, :1] + np.array(_MOON_ANGLES)[:, 1:] * d)
    sine, cosine = np.sin(e), np.cos(e)

    def series(terms: dict[int, float], of: Floats) -> Floats:
        total: Floats = sum((factor * of[number - 1] for number, factor in terms.items()), np.zeros_like(d))
        return total

    right_ascension = (
        269.9949
        + 0.0031 * t
        + series({1: -3.8787, 2: -0.1204, 3: 0.0700, 4: -0.0172, 6: 0.0072, 10: -0.0052, 13: 0.0043}, sine)
    )
    declination = (
        66.5392
        + 0.0130 * t
        + series({1: 1.5419, 2: 0.0239, 3: -0.0278, 4: 0.0068, 6: -0.0029, 7: 0.0009, 10: 0.0008, 13: -0.0009}, cosine)
    )
    meridian = 38.3213 + 13.17635815 * d - 1.4e-12 * d**2 + series(
        {
            1: 3.5610, 2: 0.1208, 3: -0.0642, 4: 0.0158, 5: 0.0252, 6: -0.0066, 7: -0.0047, 8: -0.0046, 9: 0.0028,
            10: 0.0052, 11: 0.0040, 12: 0.0019, 13: -0.0044,
        },
        sine,
    )  # fmt: skip
    return right_ascension, declination, meridian


_MOON_ANGLES = (
    (125.045, -0.0529921), (250.089, -0.1059842), (260.008, 13.0120009), (176.625, 13.3407154), (357.529, 0.9856003),
    (311.589, 26.4057084), (134.963, 13.0649930), (276.617, 0.3287146), (34.226, 1.7484877), (15.134, -0.1589763),
    (119.743, 0.0036096), (239.961, 0.1643573), (25.053, 12.9590088),
)  # fmt: skip


def _mars(d: Floats) -> tuple[Floats, Floats, Floats]:
    """The linear part of the report of 2009: within 0.01 degrees of the series of 2015 this century."""
    t = d / DAYS_PER_CENTURY
    return 317.68143 - 0.1061 * t, 52.88650 - 0.0609 * t, 176.630 + 350.89198226 * d


_ORIENTATIONS: dict[int, Callable[[Floats], tuple[Floats, Floats, Floats]]] = {MOON: _moon, MARS: _mars}
