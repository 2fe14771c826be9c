"""A target's path over a site as polynomials: what the gimbal loop evaluates, and what travels on the bus.

Chebyshev series are fitted to the apparent east-north-up position (never to azimuth and elevation, which have a pole
at the zenith); one or two segments serve a pass. For evaluation they become powers of x in [-1, 1], and those, for who
follows, powers over a sixteenth of the segment, which are few: plain Python Horner sums give direction and analytic
rates in a few microseconds, with a loss of digits (about 1e-10 of the range at degree 16) that does not matter here.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial import chebyshev

from controller.geometry.timescales import Floats, Times
from hal.clock import NS

Poly = tuple[float, ...]
Triples = tuple[tuple[float, float, float], ...]
NODES = 20
COEFFICIENTS_MAX = 64  # of an axis, in what comes from outside
SEGMENT_MAX_S = 900.0
MIN_NS = 1_000_000_000  # of a segment that is the half of another
SEGMENTS_MAX = 40  # all of which fit into a command
SPAN_NS = NS // 2, 2 * 86_400 * NS  # of what comes from outside: some samples, and no more than fit into memory
DISTANCE_MAX_M = 1e16  # a light-year; larger numbers overflow when they are squared often enough
OVERHEAD_M = 1e-150  # stands for no distance at all from the point below the target
PIECES = 16  # of a segment, for evaluation one by one
TINY_M = 1e-7  # what is left out there
CHECKS = (np.arange(24) + 0.5) / 24  # of a segment: where its fit is compared with the path
MISS_MAX_RAD = 0.5e-9  # 1e-9 is asked for; between these moments it may be a little more
WORST_FIRST = 1e3  # a segment is left alone while another misses this many times as much

Path = Callable[[Times], tuple[Floats, Floats]]
"""Apparent receive and transmit positions, east-north-up in metres (n, 3) each, for UTC nanoseconds (n,)."""


class Look(NamedTuple):
    """Apparent direction of the target, range along the light path, and their rates."""

    azimuth_rad: float
    elevation_rad: float
    range_m: float
    azimuth_rate_rad_s: float
    elevation_rate_rad_s: float
    range_rate_m_s: float


@dataclass(frozen=True, slots=True)
class Segment:
    """One stretch of time: Chebyshev coefficients of east, north, up in metres, receive and transmit."""

    start_utc_ns: int
    end_utc_ns: int
    receive: tuple[Poly, Poly, Poly]
    transmit: tuple[Poly, Poly, Poly]
    _powers: tuple[tuple[tuple[float, float, float], ...], tuple[tuple[float, float, float], ...]] = field(
        init=False, repr=False, compare=False
    )
    _pieces: tuple[list[Triples | None], list[Triples | None]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_powers", (_powers(self.receive), _powers(self.transmit)))
        object.__setattr__(self, "_pieces", ([None] * PIECES, [None] * PIECES))

    def piece(self, which: int, index: int) -> Triples:
        """Powers of y in [-1, 1] over one of PIECES, the highest first; 0 receives, 1 transmits."""
        found = self._pieces[which][index]
        if found is None:
            powers = np.array(self._powers[which][::-1])  # (k, 3), the lowest first
            powers = _to_piece(len(powers), index) @ powers
            matters = np.flatnonzero(np.abs(powers).max(axis=1) > TINY_M)
            last = int(matters[-1]) if len(matters) else 0
            found = self._pieces[which][index] = tuple((e, n, u) for e, n, u in powers[last::-1].tolist())
        return found


@dataclass(frozen=True)
class Trajectory:
    """Consecutive segments; outside them the nearest end is held, with no rate."""

    segments: tuple[Segment, ...]

    def __post_init__(self) -> None:
        if not self.segments:
            raise ValueError("A trajectory needs at least one segment.")
        object.__setattr__(self, "_ends", [s.end_utc_ns for s in self.segments[:-1]])

    @property
    def start_utc_ns(self) -> int:
        """First moment that is covered."""
        return self.segments[0].start_utc_ns

    @property
    def end_utc_ns(self) -> int:
        """Last moment that is covered."""
        return self.segments[-1].end_utc_ns

    def receive(self, t_utc_ns: int) -> Look:
        """Where the target's light comes from."""
        return self._look(t_utc_ns, 0)

    def transmit(self, t_utc_ns: int) -> Look:
        """Where to send ours."""
        return self._look(t_utc_ns, 1)

    def point_ahead(self, t_utc_ns: int) -> tuple[float, float]:
        """Transmit minus receive direction as (cross-elevation, elevation) in radians."""
        receive, transmit = self._look(t_utc_ns, 0), self._look(t_utc_ns, 1)
        turn = math.remainder(transmit.azimuth_rad - receive.azimuth_rad, math.tau)
        return turn * math.cos(receive.elevation_rad), transmit.elevation_rad - receive.elevation_rad

    def _look(self, t_utc_ns: int, which: int) -> Look:
        segment = self.segments[bisect_right(self._ends, t_utc_ns)]  # type: ignore[attr-defined]
        half_ns = (segment.end_utc_ns - segment.start_utc_ns) / 2
        x = (t_utc_ns - segment.start_utc_ns) / half_ns - 1.0
        scale = PIECES * 1e9 / half_ns
        if not -1.0 <= x <= 1.0:
            x, scale = math.copysign(1.0, x), 0.0
        y = (x + 1.0) * PIECES
        index = min(PIECES - 1, int(y * 0.5))
        y -= 2 * index + 1
        e = n = u = de = dn = du = 0.0
        for ce, cn, cu in segment._pieces[which][index] or segment.piece(which, index):
            de = de * y + e
            dn = dn * y + n
            du = du * y + u
            e = e * y + ce
            n = n * y + cn
            u = u * y + cu
        de *= scale
        dn *= scale
        du *= scale
        ground2 = e * e + n * n or OVERHEAD_M * OVERHEAD_M
        ground = math.sqrt(ground2)
        range2 = ground2 + u * u
        range_m = math.sqrt(range2)
        out = (e * de + n * dn) / ground
        return Look(
            math.atan2(e, n),
            math.atan2(u, ground),
            range_m,
            (n * de - e * dn) / ground2,
            (ground * du - u * out) / range2,
            (ground * out + u * du) / range_m,
        )

    def sample(self, t_utc_ns: Times) -> Floats:
        """`receive` at many times: array (n, 6) in the order of Look, azimuth unwrapped."""
        t = np.asarray(t_utc_ns, dtype=np.int64)
        ends = np.array([s.end_utc_ns for s in self.segments[:-1]], dtype=np.int64)
        where = np.searchsorted(ends, t, side="right")
        edges = [*np.flatnonzero(np.diff(where, prepend=-1)).tolist(), len(t)]  # of runs within one segment
        looks = np.empty((len(t), 6))
        for a, b in itertools.pairwise(edges):
            looks[a:b] = _looks(self.segments[where[a]], t[a:b])
        looks[:, 0] = np.unwrap(looks[:, 0])
        return looks

    def turned(self, rotation: Sequence[Sequence[float]]) -> Trajectory:
        """The same path in other axes: a rotation (3, 3) from east, north, up, in whose place are then the others."""
        return Trajectory(
            tuple(
                Segment(s.start_utc_ns, s.end_utc_ns, *(_turn(leg, rotation) for leg in (s.receive, s.transmit)))
                for s in self.segments
            )
        )

    def to_body(self) -> list[dict[str, Any]]:
        """The segments as plain data for the bus and for files."""
        return [
            {
                "start_utc_ns": s.start_utc_ns,
                "end_utc_ns": s.end_utc_ns,
                "receive": [list(c) for c in s.receive],
                "transmit": [list(c) for c in s.transmit],
            }
            for s in self.segments
        ]

    @classmethod
    def from_body(cls, body: Sequence[dict[str, Any]]) -> Trajectory:
        """The inverse of `to_body`. Raises ValueError when a segment lacks a field, is empty, long or out of order."""
        segments: list[Segment] = []
        for row in body:
            try:
                start, end = int(row["start_utc_ns"]), int(row["end_utc_ns"])
                receive, transmit = ([tuple(map(float, c)) for c in row[k]] for k in ("receive", "transmit"))
            except (KeyError, TypeError, OverflowError) as error:
                raise ValueError(f"A trajectory segment lacks or garbles {error}.") from None
            late = segments and start != segments[-1].end_utc_ns
            if end <= start or late or len(receive) != 3 or len(transmit) != 3 or not all((*receive, *transmit)):
                raise ValueError("Trajectory segments must follow each other in time and have three axes each.")
            if not all(abs(c) <= DISTANCE_MAX_M for axis in (*receive, *transmit) for c in axis):
                raise ValueError(f"A trajectory segment has a coefficient not finite, or over {DISTANCE_MAX_M:g} m.")
            if max(len(axis) for axis in (*receive, *transmit)) > COEFFICIENTS_MAX:
                raise ValueError(f"A trajectory segment holds more than {COEFFICIENTS_MAX} coefficients of an axis.")
            segments.append(Segment(start, end, _three(receive), _three(transmit)))
        least_ns, most_ns = SPAN_NS
        if segments and not least_ns <= segments[-1].end_utc_ns - segments[0].start_utc_ns <= most_ns:
            raise ValueError(f"A trajectory lasts from {least_ns / NS:g} s to {most_ns / NS:g} s.")
        return cls(tuple(segments))


def _looks(segment: Segment, t_utc_ns: Times) -> Floats:
    """`Trajectory._look` of one segment for an array of times, (n, 6)."""
    half_ns = (segment.end_utc_ns - segment.start_utc_ns) / 2
    x = (t_utc_ns - segment.start_utc_ns) / half_ns - 1.0
    scale = np.where(np.abs(x) <= 1.0, 1e9 / half_ns, 0.0)
    x = np.clip(x, -1.0, 1.0)
    coefficients = np.array(segment._powers[0][::-1]).T  # (3, k) of x^0, x^1, ...
    powers = np.ones((coefficients.shape[1], len(x)))
    for k in range(1, len(powers)):  # `accumulate` takes four times as long for thousands of times
        np.multiply(powers[k - 1], x, out=powers[k])
    slopes = coefficients[:, 1:] * np.arange(1, coefficients.shape[1])
    (e, n, u), (de, dn, du) = coefficients @ powers, slopes @ powers[:-1] * scale
    ground = np.maximum(np.hypot(e, n), OVERHEAD_M)
    range_m = np.hypot(ground, u)
    out = (e * de + n * dn) / ground
    return np.stack(
        [
            np.arctan2(e, n),
            np.arctan2(u, ground),
            range_m,
            (n * de - e * dn) / ground**2,
            (ground * du - u * out) / range_m**2,
            (ground * out + u * du) / range_m,
        ],
        axis=-1,
    )


def fit(path: Path, start_utc_ns: int, end_utc_ns: int, nodes: int = NODES) -> Trajectory:
    """Fit a path over a span: one segment for each quarter of an hour or part of it.

    Raises ValueError when the span is empty.
    """
    if end_utc_ns <= start_utc_ns:
        raise ValueError("A trajectory must end after it starts.")
    count = math.ceil((end_utc_ns - start_utc_ns) / (SEGMENT_MAX_S * 1e9))
    return fit_between(path, [start_utc_ns + (end_utc_ns - start_utc_ns) * i // count for i in range(count + 1)], nodes)


def fit_between(path: Path, edges: Sequence[int], nodes: int = NODES) -> Trajectory:
    """Fit a path with a segment from each edge (UTC nanoseconds, in order) to the next."""
    return Trajectory(tuple(_fitted(path, list(itertools.pairwise(edges)), nodes)))


def fit_closely(path: Path, start_utc_ns: int, end_utc_ns: int, nodes: int = NODES) -> Trajectory:
    """Fit a path, and halve segments until each is close: a miss below MISS_MAX_RAD of the range, on both legs.

    The light time of what passes near by, and its refraction, bend more than one polynomial follows; a table of
    positions has kinks, as where a rocket drops a stage. Where not all can be close the worst are halved first: no
    segment becomes shorter than a second, and there are no more than SEGMENTS_MAX. Raises ValueError when the
    span is empty.
    """
    parts = _compared(fit(path, start_utc_ns, end_utc_ns, nodes).segments, path)
    while True:
        coarse = sorted((part for part in parts if part.miss_rad > MISS_MAX_RAD and part.can_be_halved), reverse=True)
        coarse = coarse[: max(SEGMENTS_MAX - len(parts), 0)]
        coarse = [part for part in coarse if part.miss_rad > coarse[0].miss_rad / WORST_FIRST]
        if not coarse:
            return Trajectory(tuple(part.segment for part in sorted(parts, key=lambda part: part.start_utc_ns)))
        spans = [half for part in coarse for half in part.halves]
        parts = [part for part in parts if part not in coarse] + _compared(_fitted(path, spans, nodes), path)


class _Part(NamedTuple):
    """A segment and how far it misses its path, in rad of the range and on the worse leg."""

    miss_rad: float
    start_utc_ns: int
    segment: Segment

    @property
    def can_be_halved(self) -> bool:
        return self.segment.end_utc_ns - self.start_utc_ns >= 2 * MIN_NS

    @property
    def halves(self) -> tuple[tuple[int, int], tuple[int, int]]:
        middle = (self.start_utc_ns + self.segment.end_utc_ns) // 2
        return (self.start_utc_ns, middle), (middle, self.segment.end_utc_ns)


def _compared(segments: Sequence[Segment], path: Path) -> list[_Part]:
    """Segments with how far each misses its path at the moments of CHECKS."""
    times = [s.start_utc_ns + np.round(CHECKS * (s.end_utc_ns - s.start_utc_ns)).astype(np.int64) for s in segments]
    legs = [np.split(leg, len(segments)) for leg in path(np.concatenate(times))]
    parts = []
    for segment, *truth in zip(segments, *legs, strict=True):
        fitted = (chebyshev.chebval(2 * CHECKS - 1, np.array(leg).T) for leg in (segment.receive, segment.transmit))
        miss_rad = max(float(np.max(_miss_rad(f.T, t))) for f, t in zip(fitted, truth, strict=True))
        parts.append(_Part(miss_rad, segment.start_utc_ns, segment))
    return parts


def _miss_rad(fitted: Floats, truth: Floats) -> Floats:
    result: Floats = np.linalg.norm(fitted - truth, axis=1) / np.linalg.norm(truth, axis=1)
    return result


def _fitted(path: Path, spans: Sequence[tuple[int, int]], nodes: int) -> list[Segment]:
    """A segment for each span of UTC nanoseconds, from one call of the path."""
    x = chebyshev.chebpts1(nodes)
    times = [start + np.round((x + 1) * ((end - start) / 2)).astype(np.int64) for start, end in spans]
    receive, transmit = (np.split(leg, len(spans)) for leg in path(np.concatenate(times)))
    return [
        _fit(start, end, t, down, up, nodes)
        for (start, end), t, down, up in zip(spans, times, receive, transmit, strict=True)
    ]


def _fit(start_utc_ns: int, end_utc_ns: int, t: Times, receive: Floats, transmit: Floats, nodes: int) -> Segment:
    x = (t - start_utc_ns) / ((end_utc_ns - start_utc_ns) / 2) - 1
    down, up = (chebyshev.chebfit(x, p, nodes - 1).T.tolist() for p in (receive, transmit))
    return Segment(start_utc_ns, end_utc_ns, _three(down), _three(up))


def _three(axes: Sequence[Sequence[float]]) -> tuple[Poly, Poly, Poly]:
    east, north, up = (tuple(axis) for axis in axes)
    return east, north, up


def _turn(axes: tuple[Poly, Poly, Poly], rotation: Sequence[Sequence[float]]) -> tuple[Poly, Poly, Poly]:
    length = max(len(axis) for axis in axes)
    padded = np.array([[*axis, *(0.0,) * (length - len(axis))] for axis in axes])
    return _three((np.asarray(rotation) @ padded).tolist())


def _powers(axes: tuple[Poly, Poly, Poly]) -> tuple[tuple[float, float, float], ...]:
    """Coefficients of x^n ... x^0 of the three axes, highest first."""
    length = max(len(axis) for axis in axes)
    padded = np.array([[*axis, *(0.0,) * (length - len(axis))] for axis in axes])
    east, north, up = (padded @ _to_powers(length))[:, ::-1].tolist()
    return tuple(zip(east, north, up, strict=True))


@lru_cache
def _to_piece(length: int, index: int) -> Floats:
    """Matrix (length, length) from powers of x in [-1, 1] to those of y in [-1, 1] over one of PIECES."""
    middle, half = (2 * index + 1) / PIECES - 1.0, 1.0 / PIECES
    return np.array(
        [
            [math.comb(k, j) * middle ** (k - j) * half**j if k >= j else 0.0 for k in range(length)]
            for j in range(length)
        ]
    )


@lru_cache
def _to_powers(length: int) -> Floats:
    """Row k has the coefficients of the k-th Chebyshev polynomial in powers of x."""
    rows = [chebyshev.cheb2poly(row) for row in np.eye(length)]
    return np.array([np.pad(row, (0, length - len(row))) for row in rows])
