"""A target that a file gives as rows of positions: OEM, CPF, SP3, a list of states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from controller.geometry.solar_system import EARTH, SolarSystem, built_in
from controller.geometry.timescales import Floats, Times, tai_ns, utc_ns_of_tai
from controller.pointing.ephemeris.ephemeris import NS, EphemerisError, Flags, Frame, check_span, iso
from controller.pointing.ephemeris.interpolation import Method, Part, jumps

ERROR_NOTE_M, HOPELESS_M = 10.0, 1e6
FEW_ROWS = 4


@dataclass(frozen=True)
class Covariance:
    """Of positions, (3, 3) m2 in the table's frame, from a TAI time until the next."""

    tai_ns: int
    matrix_m2: Floats


@dataclass(frozen=True)
class Table:
    """Rows of positions about a centre, in parts that do not run into each other."""

    name: str
    source: str
    format: str
    axes: Frame
    parts: tuple[Part, ...]
    epoch_utc_ns: int = 0
    age_max_days: float = 3.0
    notes: tuple[str, ...] = ()
    centre: int = EARTH
    covariances: tuple[Covariance, ...] = field(default=(), repr=False)

    @property
    def frame(self) -> Frame:
        """The barycentric one when the centre is not the Earth."""
        return self.axes if self.centre == EARTH else Frame.BCRF

    @property
    def solar_system(self) -> SolarSystem | None:
        """Where the centre is, when it is not the Earth."""
        return None if self.centre == EARTH else built_in()

    @property
    def start_utc_ns(self) -> int:
        """First usable moment."""
        return int(utc_ns_of_tai(np.array(min(p.usable_start_tai_ns for p in self.parts))))

    @property
    def end_utc_ns(self) -> int:
        """Last usable moment."""
        return int(utc_ns_of_tai(np.array(max(p.usable_end_tai_ns for p in self.parts))))

    def known(self, t_utc_ns: Times) -> Flags:
        """Whether each time, of (n,), lies in a part."""
        t = tai_ns(t_utc_ns)
        inside = [(t >= part.usable_start_tai_ns) & (t <= part.usable_end_tai_ns) for part in self.parts]
        covered: Flags = np.logical_or.reduce(inside)
        return covered

    def position_m(self, t_utc_ns: Times) -> Floats:
        """Positions (n, 3) in metres. Raises EphemerisError outside the span and between parts."""
        t_utc = np.atleast_1d(np.asarray(t_utc_ns, dtype=np.int64))
        check_span(self, t_utc)
        t = tai_ns(t_utc)
        position = np.full((len(t), 3), np.nan)
        undone = np.ones(len(t), dtype=bool)
        for part in self.parts:
            inside = undone & (t >= part.usable_start_tai_ns) & (t <= part.usable_end_tai_ns)
            if inside.any():
                position[inside] = part.at(t[inside])
                undone &= ~inside
        if undone.any():
            raise EphemerisError(self._gap(int(t[undone][0])))
        if self.centre != EARTH:
            position += built_in().position_m(self.centre, t_utc)
        return position

    def covariance_m2(self, t_utc_ns: int) -> Floats | None:
        """The one that was last said; the first before it."""
        if not self.covariances:
            return None
        now = int(tai_ns(np.array(t_utc_ns)))
        said = [c for c in self.covariances if c.tai_ns <= now]
        return (said[-1] if said else self.covariances[0]).matrix_m2

    def _gap(self, t_tai_ns: int) -> str:
        before = max(p.usable_end_tai_ns for p in self.parts if p.usable_end_tai_ns < t_tai_ns)
        after = min(p.usable_start_tai_ns for p in self.parts if p.usable_start_tai_ns > t_tai_ns)
        edges = utc_ns_of_tai(np.array([before, t_tai_ns, after]))
        first, asked, last = (iso(int(edge)) for edge in edges)
        return (
            f"{self.source}: {self.name} is not known at {asked}, which is between parts that end at {first} and "
            f"begin at {last}; choose a time in one of them."
        )


def split(
    name: str,
    tai: Times,
    position_m: Floats,
    velocity_m_s: Floats | None,
    method: Method,
    points: int,
    usable_tai_ns: tuple[int, int] | None = None,
) -> tuple[list[Part], list[str]]:
    """Rows as parts, cut where positions jump against their velocities, and a sentence for each cut."""
    cuts: list[int] = []
    notes: list[str] = []
    if velocity_m_s is not None:
        for index, size_m in jumps(tai, position_m, velocity_m_s):
            cuts.append(index + 1)
            edges = utc_ns_of_tai(tai[index : index + 2])
            notes.append(
                f"{name} jumps by {size_m / 1e3:.3f} km against its own velocity between {iso(int(edges[0]))} and "
                f"{iso(int(edges[1]))}; nothing is interpolated across."
            )
    low, high = usable_tai_ns or (int(tai[0]), int(tai[-1]))
    parts = []
    for a, b in zip([0, *cuts], [*cuts, len(tai)], strict=True):
        velocity = None if velocity_m_s is None else velocity_m_s[a:b]
        start, end = max(low, int(tai[a])), min(high, int(tai[b - 1]))
        if start <= end:
            parts.append(Part(tai[a:b], position_m[a:b], velocity, method, min(points, b - a), start, end))
    return parts, notes


def error_notes(parts: Sequence[Part], name: str) -> list[str]:
    """A sentence when rows are too far apart for their interpolation."""
    few = [p for p in parts if len(p.tai_ns) < FEW_ROWS]
    if few and few[0].velocity_m_s is None:
        return [f"{name} has a part of {len(few[0].tai_ns)} rows, too few for a curve through them."]
    worst = max((part.error_m() for part in parts), default=0.0)
    if worst <= ERROR_NOTE_M:
        return []
    step_s = max(float(np.diff(p.tai_ns).max()) / NS for p in parts if len(p.tai_ns) > 1)
    if worst > HOPELESS_M:
        return [f"{name} has rows up to {step_s:,.0f} s apart, too far to say anything between them."]
    return [f"{name} is known between its rows to about {worst:,.0f} m only; they are up to {step_s:,.0f} s apart."]
