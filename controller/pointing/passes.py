"""Passes of one target over a site, without anything compiled; `constellation` finds those of many satellites.

Elevations here are geometric: refraction lifts a satellite over a mask of 20 degrees by 0.04 degrees, half a second
earlier.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.errors import BoresightError
from controller.geometry.earth import EarthOrientation
from controller.geometry.frames import Site
from controller.pointing.elements import ElementsError, Sgp4Orbit
from controller.pointing.ephemeris.ephemeris import Ephemeris
from controller.pointing.ephemeris_passes import find_intervals
from controller.pointing.scan import scan
from controller.pointing.turning import NS_PER_MINUTE, Turning

NS = 1_000_000_000
DAY_NS = 86_400 * NS


class PassError(BoresightError, ValueError):
    """There is no pass to fly; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass above a mask; times in UTC nanoseconds, the highest geometric elevation in radians."""

    elements: Ephemeris
    rise_utc_ns: int
    culmination_utc_ns: int
    set_utc_ns: int
    elevation_max_rad: float
    cut: str = ""  # why rise or set is not that of the target, as a sentence

    @property
    def duration_s(self) -> float:
        """Rise to set."""
        return (self.set_utc_ns - self.rise_utc_ns) / NS


def find_passes(
    elements: Ephemeris,
    site: Site,
    earth: EarthOrientation,
    start_utc_ns: int,
    end_utc_ns: int,
    mask_rad: float,
) -> list[Pass]:
    """Passes whose highest culmination lies in a span, in order of time; rise and set may lie outside it.

    An element set goes through SGP4's own search, any other ephemeris through a grid. Raises ElementsError where SGP4
    gives up. What stays above the mask for half a day has no pass.
    """
    if not isinstance(elements, Sgp4Orbit):
        found = find_intervals(elements, site, earth, start_utc_ns, end_utc_ns, mask_rad)
        return [Pass(elements, *interval) for interval in found]
    start_utc_ns, end_utc_ns = max(start_utc_ns, elements.start_utc_ns), min(end_utc_ns, elements.end_utc_ns)
    if end_utc_ns <= start_utc_ns:
        return []
    turning = Turning.around([site], earth, start_utc_ns, end_utc_ns)
    epoch, start = (turning.minutes(np.array([t])) for t in (elements.epoch_utc_ns, start_utc_ns))
    span = (end_utc_ns - start_utc_ns) / NS_PER_MINUTE
    rows, ended = scan([elements.satrec], epoch, start, span, turning, 0, float(np.sin(mask_rad)))
    if len(ended):
        raise ElementsError(
            f"{elements.source}: {elements.name} cannot be propagated over that time: its orbit ends; "
            "fetch a newer element set."
        )
    rows = rows[np.argsort(rows[:, 2])]
    return [
        Pass(elements, rise, top, fall, float(np.arcsin(sine)))
        for (rise, top, fall), sine in zip(turning.utc_ns(rows[:, 1:4]).tolist(), rows[:, 4], strict=True)
    ]
