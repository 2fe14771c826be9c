"""Passes of any orbit by a coarse scan: eccentric, long-period and deep-space ones, through the sgp4 package.

The grid catches every culmination because it has eight points to the shortest half turn between two turning points
of elevation: that at perigee, with the Earth turning the other way. What the grid brackets is refined by regula
falsi (Illinois variant: Dowell & Jarratt, BIT 11, 1971).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from sgp4.api import Satrec

from controller.geometry.timescales import Floats
from controller.pointing.turning import LONGEST_MINUTES, Turning

GRIDS_MINUTES = (5.0, 10.0, 20.0, 40.0)
BLOCK = 400  # satellites on one grid: 20 MB of states
EARTH_RATE_RAD_MINUTE = 7.292115e-5 * 60.0
_SETTLED_MINUTES = 1e-8
_DAY_MINUTES = 1440.0

Indices = NDArray[np.int64]


def scan(
    satellites: Sequence[Satrec],
    epochs: Floats,
    starts: Floats,
    span: float,
    turning: Turning,
    site: int,
    sin_mask: float,
    progress: Callable[[int], None] | None = None,
) -> tuple[Floats, Indices]:
    """Passes whose highest culmination lies in a span, and which satellites cannot be propagated all along.

    Args:
        satellites: n propagators.
        epochs: (n) their epochs, minutes of `turning`.
        starts: (n) where each one's span begins, same scale.
        span: length of the spans, minutes.
        turning: the sites; must cover LONGEST_MINUTES around the spans.
        site: which of them.
        sin_mask: sine of the elevation mask.
        progress: called with how many satellites have been searched.

    Returns:
        (p, 5): satellite, rise, culmination, set (minutes), sine of the highest elevation; and indices.
    """
    view = _View(satellites, epochs, turning, site, sin_mask)
    steps = np.array([_step(s) for s in satellites])
    rows: list[Floats] = [np.zeros((0, 5))]
    done = 0
    for step in GRIDS_MINUTES:
        same = np.nonzero(steps == step)[0]
        for begin in range(0, len(same), BLOCK):
            who = same[begin : begin + BLOCK]
            found, cut = _passes(view, who, starts[who], span, step, 0.0)
            again, _ = _passes(view, cut, starts[cut], span, step, LONGEST_MINUTES)
            rows += [found[~np.isin(found[:, 0], cut)], again]
            done += len(who)
            if progress:
                progress(done)
    return np.concatenate(rows), np.array(sorted(view.ended), dtype=np.int64)


def _step(satellite: Satrec) -> float:
    """The grid that is fine enough for one satellite, minutes."""
    e = satellite.ecco
    fastest = satellite.no_kozai * (1 + e) ** 2 / (1 - e * e) ** 1.5 + EARTH_RATE_RAD_MINUTE
    return max((g for g in GRIDS_MINUTES if g <= np.pi / fastest / 8), default=GRIDS_MINUTES[0])


class _View:
    """Several satellites from one site."""

    def __init__(
        self, satellites: Sequence[Satrec], epochs: Floats, turning: Turning, site: int, sin_mask: float
    ) -> None:
        self._satellites, self._epochs = satellites, epochs
        self._turning, self._site, self.sin_mask = turning, site, sin_mask
        self.ended: set[int] = set()

    def look(self, who: Indices, minutes: Floats) -> tuple[Floats, Floats]:
        """Sine of elevation and its rate per minute of satellites (n) at minutes (n, k); NaN where the orbit ended."""
        states = self._states(who, minutes)
        place, up, rate = self._turning.teme(minutes, self._site)
        away = states[..., :3] - place
        speed = states[..., 3:] * 60.0
        speed[..., 0] += rate * states[..., 1]
        speed[..., 1] -= rate * states[..., 0]
        distance = np.sqrt(_dot(away, away))
        sine = _dot(away, up) / distance
        return sine, (_dot(speed, up) - sine * _dot(away, speed) / distance) / distance

    def _states(self, who: Indices, minutes: Floats) -> Floats:
        states = np.empty((*minutes.shape, 6))
        ages = minutes - self._epochs[who][:, None]
        for row, index in enumerate(who.tolist()):
            satellite = self._satellites[index]
            if ages.shape[1] == 1:  # without arrays, three times faster
                error, position, velocity = satellite.sgp4_tsince(float(ages[row, 0]))
                states[row, 0] = (*position, *velocity) if not error else np.nan
                ended = bool(error)
            else:
                fraction = satellite.jdsatepochF + ages[row] / _DAY_MINUTES
                errors, places, speeds = satellite.sgp4_array(np.full(len(fraction), satellite.jdsatepoch), fraction)
                states[row, :, :3], states[row, :, 3:] = places, speeds
                ended = bool(errors.any())
                if ended:
                    states[row, errors != 0] = np.nan
            if ended:
                self.ended.add(index)
        return states


def _dot(a: Floats, b: Floats) -> Floats:
    result: Floats = np.einsum("...i,...i->...", a, b)
    return result


def _passes(view: _View, who: Indices, starts: Floats, span: float, step: float, pad: float) -> tuple[Floats, Indices]:
    """Rows of passes of some satellites, and those of whose passes one runs over the edge of the grid."""
    grid = starts[:, None] - pad - step + step * np.arange(np.ceil((span + 2 * pad) / step) + 3)
    sine, rate = view.look(who, grid)
    sat, k = np.nonzero((rate[:, :-1] > 0) & (rate[:, 1:] <= 0))

    def climbing(rows: Indices, t: Floats) -> Floats:
        return view.look(who[rows], t[:, None])[1][:, 0]

    def above(rows: Indices, t: Floats) -> Floats:
        return view.look(who[rows], t[:, None])[0][:, 0] - view.sin_mask

    top = illinois(climbing, sat, grid[sat, k], grid[sat, k + 1])
    height = above(sat, top) + view.sin_mask
    up = height > view.sin_mask
    sat, k, top, height = sat[up], k[up], top[up], height[up]
    # The grid points below the mask on either side of each culmination.
    below = sine < view.sin_mask
    count = grid.shape[1]
    numbers = np.arange(count)
    before = np.maximum.accumulate(np.where(below, numbers, -1), axis=1)[sat, k]
    after = np.minimum.accumulate(np.where(below, numbers, count)[:, ::-1], axis=1)[:, ::-1][sat, k + 1]
    open_ended = (before < 0) | (after >= count)
    # Of several culminations of one pass the highest; it must lie in the span.
    order = np.lexsort((-height, before, sat))
    order = order[~open_ended[order]]
    _, first = np.unique(np.stack([sat[order], before[order]]), axis=1, return_index=True)
    best = order[first]
    best = best[(top[best] >= starts[sat[best]]) & (top[best] <= starts[sat[best]] + span)]
    sats, tops, last, next_ = sat[best], top[best], before[best], after[best]
    rise = illinois(above, sats, grid[sats, last], np.minimum(grid[sats, last + 1], tops))
    fall = illinois(above, sats, np.maximum(grid[sats, next_ - 1], tops), grid[sats, next_])
    rows = np.column_stack([who[sats], rise, tops, fall, height[best]]).astype(np.float64)
    return rows, who[np.unique(sat[open_ended])]


def illinois(f: Callable[[Indices, Floats], Floats], rows: Indices, a: Floats, b: Floats) -> Floats:
    """A root of `f(row, t)` in each bracket from `a` to `b`, (n), of opposite signs, to 1e-8 of their unit."""
    low, high = a.copy(), b.copy()
    f_low, f_high = f(rows, low), f(rows, high)
    root, left = high.copy(), np.arange(len(rows))
    for _ in range(60):
        if not len(left):
            break
        fall = f_high[left] - f_low[left]
        fall[fall == 0] = 1.0
        root[left] = (low[left] * f_high[left] - high[left] * f_low[left]) / fall
        value = f(rows[left], root[left])
        moved = np.abs(root[left] - high[left])
        crossed = np.sign(value) != np.sign(f_high[left])
        low[left] = np.where(crossed, high[left], low[left])
        f_low[left] = np.where(crossed, f_high[left], 0.5 * f_low[left])
        high[left], f_high[left] = root[left], value
        left = left[(moved > _SETTLED_MINUTES) & (value != 0)]
    return root
