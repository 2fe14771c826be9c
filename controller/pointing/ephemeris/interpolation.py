"""Between the rows of a table: Lagrange and Hermite, and where rows do not fit together.

Both take the rows nearest to a time. Positions of a low orbit each minute give 1 mm with eight points.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from controller.geometry.timescales import Floats, Times

JUMP_MAX_M = 1000.0
JUMP_MAX_RAD = 10e-6  # of the distance from the centre, where that is less: 70 m in a low orbit
NOISE_FACTOR = 20.0
SURE = 0.3  # share of a jump that the quadratures may disagree by


class Method(StrEnum):
    """How to interpolate: through positions only, or through positions and velocities."""

    LAGRANGE = "LAGRANGE"
    HERMITE = "HERMITE"


@dataclass(frozen=True)
class Part:
    """Rows without a break: TAI nanoseconds (n,), positions (n, 3) in metres, velocities (n, 3) in m/s or None."""

    tai_ns: Times
    position_m: Floats
    velocity_m_s: Floats | None
    method: Method
    points: int
    usable_start_tai_ns: int
    usable_end_tai_ns: int

    def at(self, t_tai_ns: Times) -> Floats:
        """Positions (n, 3) in metres."""
        return interpolate(self, t_tai_ns, self.points)

    def error_m(self) -> float:
        """How far positions half-way between rows move when fewer rows are used: an estimate from above."""
        middle = self.tai_ns[:-1] + np.diff(self.tai_ns) // 2
        fewer = self.points - (2 if self.points > 3 else 1)
        if not len(middle) or fewer < 1 or (fewer < 2 and self.method is Method.LAGRANGE):
            return 0.0
        change = self.at(middle) - interpolate(self, middle, fewer)
        return float(np.linalg.norm(change, axis=-1).max())


def interpolate(part: Part, t_tai_ns: Times, points: int) -> Floats:
    """Positions (n, 3) in metres through the `points` rows around each time."""
    t = np.asarray(t_tai_ns, dtype=np.int64)
    points = min(points, len(part.tai_ns))
    first = np.clip(np.searchsorted(part.tai_ns, t, side="right") - points // 2, 0, len(part.tai_ns) - points)
    rows = first[:, None] + np.arange(points)
    x = (part.tai_ns[rows] - t[:, None]) * 1e-9  # (n, points): seconds from the time that is asked for
    gaps = x[:, :, None] - x[:, None, :]
    same = np.eye(points, dtype=bool)
    gaps = np.where(same, 1.0, gaps)
    basis = np.prod(np.where(same, 1.0, -x[:, None, :] / gaps), axis=2)
    if part.method is Method.LAGRANGE or part.velocity_m_s is None:
        result: Floats = np.einsum("nk,nkj->nj", basis, part.position_m[rows])
        return result
    slope = np.sum(np.where(same, 0.0, 1.0 / gaps), axis=2)
    square = basis**2
    by_position = np.einsum("nk,nkj->nj", (1.0 + 2.0 * x * slope) * square, part.position_m[rows])
    both: Floats = by_position + np.einsum("nk,nkj->nj", -x * square, part.velocity_m_s[rows])
    return both


def jumps(tai_ns: Times, position_m: Floats, velocity_m_s: Floats) -> list[tuple[int, float]]:
    """Where positions do not continue by their own velocities: indices i of (i, i+1), and sizes in metres.

    The step of the position is compared with the integral of the velocity through 2, 4 and 6 rows. A break shows in
    all three alike; rows that are too far apart, and velocities that break next door, do not.
    """
    if len(tai_ns) < 6:
        return []
    misses = [np.diff(position_m, axis=0) - _travelled(tai_ns, velocity_m_s, rows) for rows in (2, 4, 6)]
    sizes = np.linalg.norm(misses, axis=-1)
    spread = np.linalg.norm(np.diff(misses, axis=0), axis=-1).max(axis=0)
    smallest = sizes.min(axis=0)
    radius = np.linalg.norm(position_m, axis=-1)
    limit = np.minimum(JUMP_MAX_M, JUMP_MAX_RAD * np.minimum(radius[1:], radius[:-1]))
    limit = np.maximum(limit, NOISE_FACTOR * float(np.median(smallest)))
    found = np.nonzero((smallest > limit) & (spread < SURE * smallest))[0]
    return [(int(i), float(smallest[i])) for i in found]


def _travelled(tai_ns: Times, velocity_m_s: Floats, points: int) -> Floats:
    """Integral of the velocity from each row to the next, (n-1, 3) metres, by the polynomial through `points` rows."""
    count = len(tai_ns) - 1
    first = np.clip(np.arange(count) - (points // 2 - 1), 0, len(tai_ns) - points)
    rows = first[:, None] + np.arange(points)
    step_s = np.diff(tai_ns) * 1e-9
    x = (tai_ns[rows] - tai_ns[:-1, None]) * 1e-9 / step_s[:, None]  # in steps, so that powers stay near 1
    powers = x[:, :, None] ** np.arange(points)
    coefficients = np.linalg.solve(powers, velocity_m_s[rows])
    integral: Floats = np.einsum("k,nkj->nj", 1.0 / np.arange(1, points + 1), coefficients)
    return step_s[:, None] * integral
