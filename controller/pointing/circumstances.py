"""What a pass looks like: azimuths, range, how fast azimuth turns, whether the satellite is lit and the sky dark.

For as many passes as there are, at once. The Sun is ERFA's (`epv00`) on an hourly grid; the Earth's shadow is a
cylinder, which misplaces a satellite's entry by ten seconds at most in low orbit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import erfa
import numpy as np
from numpy.typing import NDArray

from controller.geometry.earth import EarthOrientation
from controller.geometry.frames import EARTH_RATE_RAD_S, Site, apply, teme_to_itrf
from controller.geometry.timescales import Floats, Times, tt_jd
from controller.pointing.constellation import Indices, PassTable

EARTH_RADIUS_KM = 6378.137
TWILIGHT_RAD = np.radians(-6.0)  # civil: a star camera sees a lit satellite from here on
_HOUR_NS = 3_600_000_000_000


class States(Protocol):
    """Where the targets of a table are."""

    def teme(self, satellite: Indices, t_utc_ns: Times) -> Floats:
        """States (m, 6) of targets (m) at times (m): km and km/s in TEME."""
        ...


@dataclass(frozen=True, slots=True)
class Circumstances:
    """One entry a pass; azimuths north through east, 0 to 2 pi; at culmination unless the name says otherwise."""

    azimuth_rise_rad: Floats
    azimuth_culmination_rad: Floats
    azimuth_set_rad: Floats
    range_m: Floats
    azimuth_rate_max_rad_s: Floats
    sunlit: NDArray[np.bool_]
    dark: NDArray[np.bool_]


def circumstances(states: States, table: PassTable, sites: Sequence[Site], earth: EarthOrientation) -> Circumstances:
    """The circumstances of every pass of a table, found over `sites`."""
    azimuths = []
    top = None
    for t in (table.rise_utc_ns, table.set_utc_ns, table.culmination_utc_ns):
        teme = states.teme(table.satellite, t)
        turn = teme_to_itrf(t, earth)
        top = _enu(teme, turn, table, sites)
        azimuths.append(np.mod(np.arctan2(top[0][:, 0], top[0][:, 1]), 2 * np.pi))
    assert top is not None  # three times were looked at
    enu, rate = top
    ground = np.hypot(enu[:, 0], enu[:, 1])
    sun = _sun(table.culmination_utc_ns)
    sun_itrf = apply(turn, sun)
    return Circumstances(
        azimuths[0],
        azimuths[2],
        azimuths[1],
        1e3 * np.linalg.norm(enu, axis=1),
        np.abs(enu[:, 0] * rate[:, 1] - enu[:, 1] * rate[:, 0]) / ground**2,
        _lit(teme[:, :3], sun),
        np.einsum("ij,ij->i", sun_itrf, _axes(table, sites)[:, 2]) < np.sin(TWILIGHT_RAD),
    )


def _axes(table: PassTable, sites: Sequence[Site]) -> Floats:
    result: Floats = np.stack([s.itrf_to_enu for s in sites])[table.site]
    return result


def _enu(teme: Floats, turn: Floats, table: PassTable, sites: Sequence[Site]) -> tuple[Floats, Floats]:
    """East, north, up (km) and their rates (km/s)."""
    axes = _axes(table, sites)
    place = apply(turn, teme[:, :3])
    spin = EARTH_RATE_RAD_S * np.stack([-place[:, 1], place[:, 0], np.zeros(len(place))], axis=-1)
    away = place - np.stack([s.itrf_m / 1e3 for s in sites])[table.site]
    return apply(axes, away), apply(axes, apply(turn, teme[:, 3:]) - spin)


def _sun(t_utc_ns: Times) -> Floats:
    """Unit vectors (n, 3) to the Sun in TEME: true equator and equinox of date, which differ by an arcsecond."""
    if not len(t_utc_ns):
        return np.zeros((0, 3))
    before = t_utc_ns // _HOUR_NS
    hours = np.union1d(before, before + 1)  # of weeks of epochs only those that a pass needs
    tt = tt_jd(hours * _HOUR_NS)
    heliocentric, _ = erfa.epv00(*tt)
    sun = apply(erfa.pnm06a(*tt), -heliocentric["p"])
    sun /= np.linalg.norm(sun, axis=1)[:, None]
    here = (t_utc_ns - hours[0] * _HOUR_NS) / _HOUR_NS
    result: Floats = np.stack([np.interp(here, hours - hours[0], sun[:, k]) for k in range(3)], axis=-1)
    return result


def _lit(teme_km: Floats, sun: Floats) -> NDArray[np.bool_]:
    """Not behind the Earth as the Sun sees it."""
    along = np.einsum("ij,ij->i", teme_km, sun)
    aside2 = np.einsum("ij,ij->i", teme_km, teme_km) - along**2
    result: NDArray[np.bool_] = (along > 0) | (aside2 > EARTH_RADIUS_KM**2)
    return result
