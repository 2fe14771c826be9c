"""Moon, planets and spacecraft of JPL kernels (SPK)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from controller.geometry.solar_system import NAMES, KernelError, SolarSystem, body_name, built_in, load_kernel
from controller.geometry.timescales import JD_1970, NS_PER_DAY, Floats, Times
from controller.pointing.ephemeris.ephemeris import EphemerisError, Flags, Frame, between, check_span, nearest

TDB_MINUS_UTC_MAX_NS = 80_000_000_000  # what a span in TDB loses at both ends when it is said in UTC


@dataclass(frozen=True)
class Body:
    """A body of a kernel, by its NAIF number."""

    number: int
    solar_system: SolarSystem
    format = "JPL kernel (SPK)"
    frame = Frame.BCRF
    epoch_utc_ns = 0
    age_max_days = np.inf
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As NAIF calls it."""
        return body_name(self.number)

    @property
    def source(self) -> str:
        """The kernel."""
        return self.solar_system.source

    @property
    def start_utc_ns(self) -> int:
        """First moment of the kernel."""
        return _utc_ns(self.solar_system.span_jd(self.number)[0]) + TDB_MINUS_UTC_MAX_NS

    @property
    def end_utc_ns(self) -> int:
        """Last moment of the kernel."""
        return _utc_ns(self.solar_system.span_jd(self.number)[1]) - TDB_MINUS_UTC_MAX_NS

    def position_m(self, t_utc_ns: Times) -> Floats:
        """Barycentric positions (n, 3) in metres, ICRF axes."""
        check_span(self, t_utc_ns)
        return self.solar_system.position_m(self.number, t_utc_ns)

    def known(self, t_utc_ns: Times) -> Flags:
        """Everywhere between the ends."""
        return between(t_utc_ns, self.start_utc_ns, self.end_utc_ns)

    def covariance_m2(self, t_utc_ns: int) -> Floats | None:
        """Nobody says."""
        return None


def body_named(name: str, solar_system: SolarSystem | None = None) -> Body:
    """A body by its name or NAIF number; of DE421 without a kernel. Raises EphemerisError naming the nearest."""
    kernel = solar_system or built_in()
    wanted = name.strip().upper()
    number = next((n for n, known in NAMES.items() if known == wanted), None)
    if number is None and wanted.lstrip("-").isdecimal():
        number = int(wanted)
    try:
        if number is None:
            raise KernelError(name)
        kernel.span_jd(number)
    except KernelError:
        known = [body_name(n) for n in sorted({*kernel.bodies(), *built_in().bodies()})]
        raise EphemerisError(f"{kernel.source} has no body {name}; {nearest(name, known)}") from None
    return Body(number, kernel)


def read_kernel(path: Path) -> list[Body]:
    """Every body of a kernel. Raises KernelError."""
    kernel = load_kernel(path)
    return [Body(n, kernel) for n in kernel.bodies()]


def _utc_ns(jd: float) -> int:
    limit = 2**62 / NS_PER_DAY
    return round(float(np.clip(jd - JD_1970, -limit, limit)) * NS_PER_DAY)
