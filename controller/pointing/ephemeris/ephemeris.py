"""What a target with a place in space is to the rest of the controller: positions at times in a stated frame."""

from __future__ import annotations

from datetime import UTC, datetime
from difflib import get_close_matches
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from controller.errors import BoresightError
from controller.geometry.solar_system import SolarSystem
from controller.geometry.timescales import Floats, Times

NS = 1_000_000_000
Flags = NDArray[np.bool_]


class EphemerisError(BoresightError, ValueError):
    """A file of positions is wrong, ends too early, or does not hold what was asked for."""


class Frame(StrEnum):
    """Axes and origin of positions, metres each."""

    ITRF = "ITRF"  # the Earth's crust, from the geocentre
    TEME = "TEME"  # true equator, mean equinox: SGP4's own
    GCRF = "GCRF"  # ICRF axes, from the geocentre; EME2000 is taken as this (it agrees with Horizons to 0.1 m)
    BCRF = "BCRF"  # ICRF axes, from the barycentre of the solar system
    STAR = "STAR"  # as BCRF, but as seen: the light that arrives at t came from there
    HORIZON = "HORIZON"  # east, north, up of the site, as the mount points: no refraction is added


class Ephemeris(Protocol):
    """Positions of one target.

    Attributes:
        name: what the target is called.
        source: file (and line) that says so.
        format: the file's format in words.
        frame: of the positions.
        start_utc_ns, end_utc_ns: what is covered, UTC nanoseconds; outside, `position_m` refuses.
        epoch_utc_ns: when the positions were determined; 0 when nobody says.
        age_max_days: how far from the epoch the positions may be trusted without a warning.
        notes: what the reader found that an operator should know, a sentence each.
        solar_system: where Earth and Sun are (BCRF and STAR), from the same source as the target where it has them.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def source(self) -> str: ...  # noqa: D102
    @property
    def format(self) -> str: ...  # noqa: D102
    @property
    def frame(self) -> Frame: ...  # noqa: D102
    @property
    def start_utc_ns(self) -> int: ...  # noqa: D102
    @property
    def end_utc_ns(self) -> int: ...  # noqa: D102
    @property
    def epoch_utc_ns(self) -> int: ...  # noqa: D102
    @property
    def age_max_days(self) -> float: ...  # noqa: D102
    @property
    def notes(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def solar_system(self) -> SolarSystem | None: ...  # noqa: D102

    def known(self, t_utc_ns: Times) -> Flags:
        """Whether each time, of (n,), is covered."""
        ...

    def position_m(self, t_utc_ns: Times) -> Floats:
        """Positions (n, 3) in `frame` at UTC nanoseconds (n,). Raises EphemerisError outside the span."""
        ...

    def covariance_m2(self, t_utc_ns: int) -> Floats | None:
        """Covariance (3, 3) of the position in `frame`, or None when nobody says."""
        ...


def between(t_utc_ns: Times, start_utc_ns: int, end_utc_ns: int) -> Flags:
    """Whether each time, of (n,), lies in a span."""
    t = np.asarray(t_utc_ns, dtype=np.int64)
    inside: Flags = (t >= start_utc_ns) & (t <= end_utc_ns)
    return inside


def check_span(ephemeris: Ephemeris, t_utc_ns: Times) -> None:
    """Raises EphemerisError when a time lies outside what the ephemeris covers: nothing is extrapolated."""
    t = np.atleast_1d(np.asarray(t_utc_ns, dtype=np.int64))
    for wrong, edge, side in (
        (t[t < ephemeris.start_utc_ns], ephemeris.start_utc_ns, "before its first"),
        (t[t > ephemeris.end_utc_ns], ephemeris.end_utc_ns, "after its last"),
    ):
        if wrong.size:
            worst = int(wrong[np.argmax(np.abs(wrong - edge))])
            raise EphemerisError(
                f"{ephemeris.source}: {ephemeris.name} is known from {iso(ephemeris.start_utc_ns)} to "
                f"{iso(ephemeris.end_utc_ns)}, and {iso(worst)} is {abs(worst - edge) / NS:.1f} s {side} position; "
                "ask for a time inside, or get a file that covers it."
            )


def age_warning(ephemeris: Ephemeris, t_utc_ns: int) -> str:
    """A sentence when a time is further from the epoch than the positions are good for; empty otherwise."""
    if not ephemeris.epoch_utc_ns:
        return ""
    days = (t_utc_ns - ephemeris.epoch_utc_ns) / NS / 86400
    if abs(days) <= ephemeris.age_max_days:
        return ""
    side = "after" if days > 0 else "before"
    return (
        f"{ephemeris.source}: {iso(t_utc_ns)} is {abs(days):.1f} days {side} the epoch of {ephemeris.name}, more than "
        f"the {ephemeris.age_max_days:g} that a {ephemeris.format} is good for; get a newer file."
    )


def nearest(wrong: str, names: list[str]) -> str:
    """The end of a sentence about a wrong name: what may have been meant, or what there is."""
    by_upper = {name.upper(): name for name in names}
    if near := get_close_matches(wrong.upper(), list(by_upper), n=1, cutoff=0.5):
        return f"did you mean {by_upper[near[0]]}?"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"it may be {shown}."


def iso(t_utc_ns: int) -> str:
    """UTC to the millisecond, as people read it."""
    seconds, rest_ns = divmod(t_utc_ns, NS)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest_ns // 1_000_000:03d}Z"
