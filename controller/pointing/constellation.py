"""Passes of whole constellations over several sites: an analytic cull, Newton for what is left, a scan for the rest.

The cull needs no SGP4: once a revolution the satellite's mean argument of latitude meets that of the site's projection
on the orbit's plane, and the plane is near enough to the site or not. What is near enough is refined by compiled
SGP4 (`constellation_block`); eccentric, long-period and deep-space orbits, and the few that do not settle,
go to the coarse scan (`scan`). Elevations are geometric, as in `passes`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sgp4.api import WGS72, Satrec

from controller.geometry.earth import EarthOrientation
from controller.geometry.frames import Site
from controller.geometry.timescales import Floats, Times
from controller.pointing.constellation_block import (
    COEFFICIENTS,
    DOUBTFUL,
    FOUND,
    initialise,
    propagate,
    search,
)
from controller.pointing.elements import ElementsError, Sgp4Orbit
from controller.pointing.ephemeris.ephemeris import Ephemeris
from controller.pointing.passes import Pass
from controller.pointing.scan import scan
from controller.pointing.turning import KNOT_MINUTES, NS_PER_MINUTE, Turning

ECCENTRICITY_MAX, PERIOD_MAX_MINUTES = 0.05, 130.0  # beyond, elevation may have several maxima between rise and set
CHUNK = 4096  # satellites searched between two reports of progress, times sites
EPOCH_1950_MJD = 33281.0  # where sgp4init counts days from
MJD_1970 = 40587.0

Indices = NDArray[np.int64]
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class PassTable:
    """Passes in order of culmination, one an index: which satellite over which site, UTC nanoseconds, radians.

    `ended` are satellites whose orbit ends (SGP4 gives up) where a pass was looked for: theirs may be missing. `cut`
    says why a pass ends where its ephemeris does; empty where none is cut.
    """

    satellite: Indices
    site: Indices
    rise_utc_ns: Times
    culmination_utc_ns: Times
    set_utc_ns: Times
    elevation_max_rad: Floats
    ended: Indices
    cut: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.satellite)

    def one(self, row: int, sets: Sequence[Ephemeris]) -> Pass:
        """A row by itself; `sets` are those that were searched."""
        rise, top, fall = (int(t[row]) for t in (self.rise_utc_ns, self.culmination_utc_ns, self.set_utc_ns))
        cut = self.cut[row] if self.cut else ""
        return Pass(sets[int(self.satellite[row])], rise, top, fall, float(self.elevation_max_rad[row]), cut)


class Constellation:
    """Mean elements of many satellites, ready to be searched.

    Args:
        elements: (n, 7) inclination, node, eccentricity, argument of perigee, mean anomaly (radians), mean motion as
            element sets have it (radians a minute), drag term B* (per earth radius).
        epoch_utc_ns: (n) epochs.

    `coefficients` (n, COEFFICIENTS) are what `constellation_block` computes with.
    """

    def __init__(self, elements: Floats, epoch_utc_ns: Times) -> None:
        if not len(elements):
            raise ElementsError("No element set is given; give at least one.")
        self.elements = np.ascontiguousarray(elements, dtype=np.float64)
        self.epoch_utc_ns = np.asarray(epoch_utc_ns, dtype=np.int64)
        eccentric = self.elements[:, 2] > ECCENTRICITY_MAX
        self._scanned = eccentric | (2 * np.pi / self.elements[:, 5] > PERIOD_MAX_MINUTES)
        self.coefficients = np.empty((len(self.elements), COEFFICIENTS))
        initialise(self.elements, self.coefficients)

    @classmethod
    def of(cls, sets: Sequence[Sgp4Orbit]) -> Constellation:
        """From element sets. Raises ElementsError when SGP4 refuses one."""
        elements = np.array(
            [(r.inclo, r.nodeo, r.ecco, r.argpo, r.mo, r.no_kozai, r.bstar) for r in (s.satrec for s in sets)]
        ).reshape(-1, 7)
        return cls(elements, np.array([s.epoch_utc_ns for s in sets], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.elements)

    def teme(self, satellite: Indices, t_utc_ns: Times) -> Floats:
        """States (m, 6) of satellites (m) at times (m): km and km/s in TEME; NaN where the orbit has ended."""
        satellite = np.asarray(satellite, dtype=np.int64)
        minutes = (np.asarray(t_utc_ns, dtype=np.int64) - self.epoch_utc_ns[satellite]) / NS_PER_MINUTE
        states = np.empty((len(satellite), 6))
        scanned = self._scanned[satellite]
        if not np.all(scanned):
            states[~scanned] = self.near_earth_teme(satellite[~scanned], minutes[~scanned])
        for row in np.nonzero(scanned)[0]:
            propagator = self.satrec(int(satellite[row]))
            error, position, velocity = propagator.sgp4_tsince(minutes[row])
            states[row] = np.nan if error else (*position, *velocity)
        return states

    def find(
        self,
        sites: Sequence[Site],
        earth: EarthOrientation,
        start_utc_ns: int | Times,
        span_ns: int,
        mask_rad: float | Sequence[float],
        progress: Progress | None = None,
    ) -> PassTable:
        """Passes whose highest culmination lies in a span; rise and set may lie outside it.

        Args:
            sites: where to look from.
            earth: orientation table; must cover the span and half a day on either side.
            start_utc_ns: start of the span, one for all or one for each satellite.
            span_ns: its length.
            mask_rad: elevation mask, one for all sites or one for each.
            progress: called with how many satellites have been searched.

        What stays above the mask for half a day has no pass. Raises EarthOrientationError outside the table.
        """
        starts_ns = np.broadcast_to(np.asarray(start_utc_ns, dtype=np.int64), len(self))
        turning = Turning.around(sites, earth, int(starts_ns.min()), int(starts_ns.max()) + span_ns)
        sin_masks = np.sin(np.broadcast_to(np.asarray(mask_rad, dtype=np.float64), len(sites)))
        starts, epochs, span = turning.minutes(starts_ns), turning.minutes(self.epoch_utc_ns), span_ns / NS_PER_MINUTE
        parts, again = self._newton(turning, sin_masks, epochs, starts, span, progress)
        ended = np.zeros(0, dtype=np.int64)
        for site, sin_mask in enumerate(sin_masks):
            who = np.union1d(np.nonzero(self._scanned)[0], again[again[:, 1] == site, 0])
            satellites = [self.satrec(int(i)) for i in who]
            report = _after(progress, len(self) - len(who)) if site == 0 else None
            rows, bad = scan(satellites, epochs[who], starts[who], span, turning, site, float(sin_mask), report)
            index = who[rows[:, 0].astype(np.int64)]
            parts.append(np.column_stack([index, np.full(len(rows), site), rows[:, 1:]]))
            ended = np.union1d(ended, who[bad])
        return _table(parts, ended, turning)

    def satrec(self, satellite: int) -> Satrec:
        """The sgp4 package's propagator of one satellite."""
        inclination, node, eccentricity, perigee, anomaly, motion, drag = self.elements[satellite].tolist()
        day = int(self.epoch_utc_ns[satellite]) / (1440 * NS_PER_MINUTE) + MJD_1970 - EPOCH_1950_MJD
        result = Satrec()
        result.sgp4init(
            WGS72, "i", 0, day, drag, 0.0, 0.0, eccentricity, perigee, inclination, anomaly, motion, node
        )  # fmt: skip
        return result

    def near_earth_teme(self, satellite: Indices, minutes: Floats) -> Floats:
        """States (m, 6) of near-Earth satellites (m) at minutes (m) from their epochs, as `teme` has them."""
        states = np.empty((len(satellite), 6))
        propagate(self.coefficients, np.ascontiguousarray(satellite), np.ascontiguousarray(minutes), states)
        return states

    def _newton(
        self,
        turning: Turning,
        sin_masks: Floats,
        epochs: Floats,
        starts: Floats,
        span: float,
        progress: Progress | None,
    ) -> tuple[list[Floats], Indices]:
        """Rows of passes, and (satellite, site) of what did not settle, without rows."""
        near = np.nonzero(~self._scanned)[0]
        arrays = [np.ascontiguousarray(a[near]) for a in (self.coefficients, epochs, starts)]
        room = max(CHUNK, 64 * len(sin_masks) * int(span / 60.0 + 2.0))
        parts: list[Floats] = []
        again = [np.zeros((0, 2), dtype=np.int64)]
        done, found = 0, np.empty((8 * room, 7))
        while done < len(near):
            coefficients, epoch, start = arrays
            done, count = search(
                coefficients, done, epoch, start, span, turning.gmst, KNOT_MINUTES, turning.sites, sin_masks, found
            )  # fmt: skip
            rows = found[:count].copy()
            rows[:, 0] = near[rows[:, 0].astype(np.int64)]
            begin = starts[rows[:, 0].astype(np.int64)]
            inside = (rows[:, 3] >= begin) & (rows[:, 3] <= begin + span)
            parts.append(rows[(rows[:, 6] == FOUND) & inside, :6])
            again.append(rows[rows[:, 6] == DOUBTFUL, :2].astype(np.int64))
            if progress:
                progress(done)
        # The scan finds all passes of what is left to it.
        left = np.concatenate(again)
        if len(left):
            pairs = left[:, 0] * len(sin_masks) + left[:, 1]
            parts = [
                p[~np.isin(p[:, 0].astype(np.int64) * len(sin_masks) + p[:, 1].astype(np.int64), pairs)] for p in parts
            ]
        return parts, left


def _after(progress: Progress | None, count: int) -> Progress | None:
    """The same report for what comes after `count` others."""
    return progress and (lambda done: progress(count + done))


def _in_order(values: Floats) -> Indices:
    """Indices that sort, equal ones as they come; the sort that keeps these takes three times as long."""
    order = np.argsort(values)
    ordered = values[order]
    return order if np.all(ordered[1:] != ordered[:-1]) else np.argsort(values, kind="stable")


def _table(parts: Sequence[Floats], ended: Indices, turning: Turning) -> PassTable:
    rows = np.concatenate(parts)
    rows = rows[_in_order(rows[:, 3])]
    whole = rows[:, :2].astype(np.int64)
    rise, top, fall = (turning.utc_ns(rows[:, k]) for k in (2, 3, 4))
    return PassTable(whole[:, 0], whole[:, 1], rise, top, fall, np.arcsin(rows[:, 5]), ended)
