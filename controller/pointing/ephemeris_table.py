"""The passes of targets that are no element sets, as the table that `constellation` makes of those that are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from controller.geometry.earth import EarthOrientation
from controller.geometry.frames import Site, apply, teme_to_itrf
from controller.geometry.timescales import Floats, Times
from controller.pointing.constellation import Indices, PassTable
from controller.pointing.ephemeris.ephemeris import NS, Ephemeris
from controller.pointing.ephemeris_passes import find_intervals
from controller.pointing.prediction import itrf_m

STEP_NS = NS // 2  # either side of a velocity: 3e-7 km/s of error in low orbit


@dataclass(frozen=True, slots=True)
class KnownTargets:
    """Targets that are known as positions."""

    targets: Sequence[Ephemeris]
    earth: EarthOrientation

    def teme(self, satellite: Indices, t_utc_ns: Times) -> Floats:
        """States (m, 6) of targets (m) at times (m): km and km/s in TEME. Raises EphemerisError where not known."""
        states = np.empty((len(satellite), 6))
        for index in np.unique(satellite):
            rows = satellite == index
            states[rows] = self._states(self.targets[int(index)], np.asarray(t_utc_ns)[rows])
        return states

    def find(self, sites: Sequence[Site], start_utc_ns: Times, span_ns: int, mask_rad: Sequence[float]) -> PassTable:
        """Passes whose culmination lies in a span, which starts for each target at its own time; a mask a site."""
        found = [
            (interval.culmination_utc_ns, number, where, interval)
            for number, (target, start) in enumerate(zip(self.targets, start_utc_ns.tolist(), strict=True))
            for where, (site, mask) in enumerate(zip(sites, mask_rad, strict=True))
            for interval in find_intervals(target, site, self.earth, start, start + span_ns, mask)
        ]
        found.sort()
        whole = np.array([(number, where, *i[:3]) for _, number, where, i in found], dtype=np.int64).reshape(-1, 5)
        highest = np.array([i.elevation_max_rad for *_, i in found])
        index, place, rise, top, fall = whole.T
        cut = tuple(interval.cut for *_, interval in found)
        return PassTable(index, place, rise, top, fall, highest, np.zeros(0, dtype=np.int64), cut)

    def _states(self, target: Ephemeris, t: Times) -> Floats:
        before, after = (t + step * target.known(t + step) for step in (-STEP_NS, STEP_NS))
        first, here, last = (self._place_km(target, times) for times in (before, t, after))
        seconds = np.maximum(after - before, 1) / NS
        return np.hstack([here, (last - first) / seconds[:, None]])

    def _place_km(self, target: Ephemeris, t: Times) -> Floats:
        return apply(np.swapaxes(teme_to_itrf(t, self.earth), -1, -2), itrf_m(target, t, self.earth)) / 1e3
