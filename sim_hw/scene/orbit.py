"""Where the satellite is about the geocentre: by an element set (skyfield's SGP4) or by a table of positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skyfield.api import EarthSatellite
from skyfield.framelib import itrs
from skyfield.sgp4lib import TEME

from sim_hw.scene.earth import NS, times, timescale
from sim_hw.scene.noise import Floats

_ROWS = 8
_STEP_NS = NS // 2  # of the difference that makes a velocity


@dataclass(frozen=True, slots=True)
class Target:
    """An element set."""

    name: str
    line1: str
    line2: str


@dataclass(frozen=True, slots=True)
class TabledTarget:
    """Positions (n, 3) in metres at evenly spaced UTC nanoseconds (n,), in GCRF, ITRF or TEME axes."""

    name: str
    frame: str
    t_utc_ns: NDArray[np.int64]
    position_m: Floats


class ElementOrbit:
    """SGP4 as skyfield runs it."""

    def __init__(self, target: Target) -> None:
        self._satellite = EarthSatellite(target.line1, target.line2, target.name, timescale())

    def state_m(self, t_utc_ns: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """GCRS positions in metres and velocities in m/s, (3, n) each."""
        orbit = self._satellite.at(times(t_utc_ns))
        return orbit.position.m, orbit.velocity.m_per_s

    def elevation_rad(self, t_utc_ns: NDArray[np.int64], place: Any) -> Floats:
        """Geometric elevation over a place of skyfield's."""
        return np.asarray((self._satellite - place).at(times(t_utc_ns)).altaz()[0].radians)


class TabledOrbit:
    """A polynomial through the nearest rows; before the first and after the last row it stands still."""

    def __init__(self, target: TabledTarget) -> None:
        self._table = target

    def state_m(self, t_utc_ns: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """GCRS positions in metres and velocities in m/s, (3, n) each."""
        before, now, after = (self._gcrs_m(t_utc_ns + step) for step in (-_STEP_NS, 0, _STEP_NS))
        return now, (after - before) * (NS / (2 * _STEP_NS))

    def elevation_rad(self, t_utc_ns: NDArray[np.int64], place: Any) -> Floats:
        """Geometric elevation over a place of skyfield's."""
        t = times(t_utc_ns)
        away_m = self._gcrs_m(t_utc_ns) - place.at(t).position.m
        up = np.einsum("ijn,jn->in", place.rotation_at(t), away_m)[2]
        return np.asarray(np.arcsin(up / np.linalg.norm(away_m, axis=0)))

    def _gcrs_m(self, t_utc_ns: NDArray[np.int64]) -> Floats:
        table = self._table.t_utc_ns
        t = np.clip(t_utc_ns, table[0], table[-1])
        first = np.clip(np.searchsorted(table, t) - _ROWS // 2, 0, max(len(table) - _ROWS, 0))
        rows = first[:, None] + np.arange(min(_ROWS, len(table)))
        step_s = float(table[1] - table[0]) / NS
        x = (t[:, None] - table[rows]) / NS / step_s
        weights = np.ones_like(x)
        for i in range(x.shape[1]):
            for j in range(x.shape[1]):
                if i != j:
                    weights[:, i] *= x[:, j] / (i - j)
        position: Floats = np.einsum("nk,nkj->jn", weights, self._table.position_m[rows])
        frame = {"ITRF": itrs, "TEME": TEME}.get(self._table.frame)
        if frame is None:
            return position
        turned: Floats = np.einsum("jin,jn->in", frame.rotation_at(times(t)), position)
        return turned
