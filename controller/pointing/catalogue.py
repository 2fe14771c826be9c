"""The promising passes of a whole catalogue, found without refining them all.

Ten thousand satellites over a day: SGP4 on a grid of a minute (several million a second), and for each peak a
straight line through the grid point tells how high the pass goes (to about half a degree) and how fast azimuth will
turn. Only what an order of preference reaches is refined.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from sgp4.api import SatrecArray

from controller.geometry.earth import EarthOrientation
from controller.geometry.frames import EARTH_RATE_RAD_S, Site, apply, teme_to_itrf
from controller.geometry.timescales import utc_jd
from controller.pointing.elements import ElementSet
from controller.pointing.passes import DAY_NS, GRID_NS, NS, Pass, find_passes, peaks

BLOCK = 200  # satellites propagated at once: 7 MB of positions


def highest_passes(
    sets: Sequence[ElementSet],
    site: Site,
    earth: EarthOrientation,
    mask_rad: float,
    azimuth_rate_max_rad_s: float = np.inf,
) -> Iterator[Pass]:
    """Passes within the day after each set's epoch, about highest first (to half a degree).

    Passes whose azimuth would clearly turn faster than `azimuth_rate_max_rad_s` are left out unrefined. Deep-space
    and eccentric orbits (period above 225 min, eccentricity above 0.05) are not searched.
    """
    rough: list[tuple[float, int, int]] = []  # elevation, index into near, time
    near = sorted((s for s in sets if s.satrec.method == "n" and s.satrec.ecco < 0.05), key=lambda s: s.epoch_utc_ns)
    at = 0
    while at < len(near):  # one grid for all whose epochs lie within an hour
        first = near[at].epoch_utc_ns
        end = at + 1
        while end < min(len(near), at + BLOCK) and near[end].epoch_utc_ns < first + 3600 * NS:
            end += 1
        rough += [
            (elevation, at + index, t)
            for elevation, rate, index, t in _peaks(near[at:end], first, site, earth, mask_rad)
            if elevation > mask_rad - 0.01 and rate < 1.1 * azimuth_rate_max_rad_s
        ]
        at = end
    rough.sort(reverse=True)
    for _, index, t in rough:
        epoch = near[index].epoch_utc_ns
        start, end_ns = max(t - 2 * GRID_NS, epoch), min(t + 2 * GRID_NS, epoch + DAY_NS)
        if start < end_ns:
            yield from find_passes(near[index], site, earth, start, end_ns, mask_rad)


def _peaks(
    sets: Sequence[ElementSet], start_utc_ns: int, site: Site, earth: EarthOrientation, mask_rad: float
) -> Iterator[tuple[float, float, int, int]]:
    """Rough elevation, rough azimuth rate, index and time of each peak of some satellites."""
    t = start_utc_ns + np.arange(-1, DAY_NS // GRID_NS + 62, dtype=np.int64) * GRID_NS
    error, position_km, velocity_km_s = SatrecArray([s.satrec for s in sets]).sgp4(*utc_jd(t))
    to_itrf = teme_to_itrf(t, earth)  # turn the site instead of every satellite
    to_teme = np.swapaxes(to_itrf, -1, -2)
    away = position_km * 1e3 - apply(to_teme, np.broadcast_to(site.itrf_m, (len(t), 3)))
    up = apply(to_teme, np.broadcast_to(site.itrf_to_enu[2], (len(t), 3)))
    sine = np.einsum("stk,tk->st", away, up) / np.linalg.norm(away, axis=-1)
    elevation = np.where(error == 0, np.arcsin(sine), -np.pi / 2)
    for index in range(len(sets)):
        for i in peaks(elevation[index], mask_rad):
            turn = site.itrf_to_enu @ to_itrf[i]
            spin = np.array([-position_km[index, i, 1], position_km[index, i, 0], 0.0]) * EARTH_RATE_RAD_S
            place, speed = turn @ away[index, i], turn @ ((velocity_km_s[index, i] - spin) * 1e3)
            ground, ground_speed = np.hypot(*place[:2]), np.hypot(*speed[:2])
            miss = abs(place[0] * speed[1] - place[1] * speed[0]) / ground_speed
            along = np.sqrt(max(ground**2 - miss**2, 0.0))
            height = place[2] + along**2 / 2 / 6.9e6  # the orbit bends down by this over the way to the top
            yield float(np.arctan2(height, miss)), float(ground_speed / max(miss, 1.0)), index, int(t[i])
