"""Where Sun, Moon, planets and spacecraft are: JPL kernels, read with jplephem.

A kernel of one's own may lack the Earth or the Sun (a spacecraft's usually does); what it lacks is looked up in DE421,
which the package skyfield-data carries. Positions are in ICRF axes about the barycentre of the solar system.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from controller.errors import BoresightError
from controller.geometry.timescales import Floats, Times, tdb_jd

SUN, MOON, EARTH = 10, 301, 399
NAMES = {
    0: "SOLAR SYSTEM BARYCENTER", 1: "MERCURY BARYCENTER", 2: "VENUS BARYCENTER", 3: "EARTH BARYCENTER",
    4: "MARS BARYCENTER", 5: "JUPITER BARYCENTER", 6: "SATURN BARYCENTER", 7: "URANUS BARYCENTER",
    8: "NEPTUNE BARYCENTER", 9: "PLUTO BARYCENTER", 10: "SUN", 199: "MERCURY", 299: "VENUS", 301: "MOON",
    399: "EARTH", 401: "PHOBOS", 402: "DEIMOS", 499: "MARS", 501: "IO", 502: "EUROPA", 503: "GANYMEDE",
    504: "CALLISTO", 599: "JUPITER", 699: "SATURN", 799: "URANUS", 899: "NEPTUNE", 999: "PLUTO",
}  # fmt: skip
READABLE = (2, 3)  # Chebyshev position, and position with velocity: what jplephem evaluates
NEVER = 1 << 62


class KernelError(BoresightError, ValueError):
    """A kernel cannot be read, or has no way from the barycentre to a body at that time."""


@dataclass(frozen=True)
class SolarSystem:
    """A kernel, and the one that is asked for what it lacks."""

    source: str
    segments: tuple[Any, ...]
    fallback: SolarSystem | None = None
    _chains: dict[int, tuple[Any, ...]] = field(default_factory=dict, repr=False)

    def state_m(self, body: int, t_utc_ns: Times) -> tuple[Floats, Floats]:
        """Positions (n, 3) in metres and velocities (n, 3) in m/s of a NAIF body. Raises KernelError."""
        t = np.atleast_1d(np.asarray(t_utc_ns, dtype=np.int64))
        tdb = tdb_jd(t)
        position, velocity = np.zeros((len(t), 3)), np.zeros((len(t), 3))
        while body != 0:
            segments, owner = self._owned(body)
            undone = np.ones(len(t), dtype=bool)
            for segment in segments:
                date = tdb.days + tdb.fraction
                inside = undone & (date >= segment.start_jd) & (date <= segment.end_jd)
                if inside.any():
                    r, v = segment.compute_and_differentiate(tdb.days[inside], tdb.fraction[inside])
                    position[inside] += r.T * 1e3
                    velocity[inside] += v.T * (1e3 / 86400.0)
                    undone &= ~inside
            if undone.any():
                raise KernelError(
                    f"{owner.source}: {body_name(body)} is not known on Julian date "
                    f"{float((tdb.days + tdb.fraction)[undone][0]):.2f} (TDB); it covers "
                    f"{min(s.start_jd for s in segments):.1f} to {max(s.end_jd for s in segments):.1f}."
                )
            body = int(segments[0].center)
        return position, velocity

    def position_m(self, body: int, t_utc_ns: Times) -> Floats:
        """Positions (n, 3) in metres."""
        return self.state_m(body, t_utc_ns)[0]

    def span_jd(self, body: int) -> tuple[float, float]:
        """First and last TDB Julian date on which a body and all that it is measured from are known."""
        start, end = -np.inf, np.inf
        while body != 0:
            segments, _ = self._owned(body)
            start = max(start, min(s.start_jd for s in segments))
            end = min(end, max(s.end_jd for s in segments))
            body = int(segments[0].center)
        return float(start), float(end)

    def bodies(self) -> list[int]:
        """NAIF numbers that this kernel has itself."""
        return sorted({int(s.target) for s in self.segments})

    def _owned(self, body: int) -> tuple[tuple[Any, ...], SolarSystem]:
        """A body's segments, all about one centre, and the kernel that has them."""
        found = self._chains.get(body)
        if found is None:
            found = tuple(s for s in self.segments if s.target == body)
            found = tuple(s for s in found if s.center == found[0].center)
            self._chains[body] = found
        if found:
            return found, self
        if self.fallback is not None:
            return self.fallback._owned(body)
        raise KernelError(f"{self.source} has no {body_name(body)}, and neither has DE421; give a kernel that has it.")


@lru_cache(maxsize=1)
def built_in() -> SolarSystem:
    """DE421 (1900 to 2050), from the package skyfield-data."""
    return _read(str(files("skyfield_data") / "data" / "de421.bsp"), None)


@lru_cache(maxsize=8)
def load_kernel(path: str | Path) -> SolarSystem:
    """A kernel file (SPK). Raises KernelError."""
    return _read(str(path), built_in())


def body_name(body: int) -> str:
    """A NAIF number as people say it."""
    return NAMES.get(body, f"body {body}")


def _read(path: str, fallback: SolarSystem | None) -> SolarSystem:
    from jplephem.spk import SPK  # 20 ms, for those who look beyond the Earth

    try:
        kernel = SPK.open(path)
    except (OSError, ValueError) as error:
        raise KernelError(f"{path} cannot be read as a JPL kernel ({error}); give an SPK file (.bsp).") from None
    wrong = sorted({int(s.data_type) for s in kernel.segments} - set(READABLE))
    good = tuple(s for s in kernel.segments if s.data_type in READABLE)
    if not good:
        kernel.close()
        raise KernelError(
            f"{path} holds segments of type {', '.join(map(str, wrong)) or 'none'} only; types 2 and 3 can be read: "
            "convert it, or write an OEM from it."
        )
    return SolarSystem(path, good, fallback)
