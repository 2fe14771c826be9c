"""Passes of one satellite over a site, without anything compiled; `constellation` finds those of many.

Elevations here are geometric: refraction lifts a satellite over a mask of 20 degrees by 0.04 degrees, half a second
earlier.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.errors import BoresightError
from controller.geometry.earth import EarthOrientation
from controller.geometry.frames import Site
from controller.pointing.elements import ElementsError, ElementSet
from controller.pointing.scan import scan
from controller.pointing.turning import NS_PER_MINUTE, Turning

NS = 1_000_000_000
DAY_NS = 86_400 * NS


class PassError(BoresightError, ValueError):
    """There is no pass to fly; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass above a mask; times in UTC nanoseconds, the highest geometric elevation in radians."""

    elements: ElementSet
    rise_utc_ns: int
    culmination_utc_ns: int
    set_utc_ns: int
    elevation_max_rad: float

    @property
    def duration_s(self) -> float:
        """Rise to set."""
        return (self.set_utc_ns - self.rise_utc_ns) / NS


def find_passes(
    elements: ElementSet,
    site: Site,
    earth: EarthOrientation,
    start_utc_ns: int,
    end_utc_ns: int,
    mask_rad: float,
) -> list[Pass]:
    """Passes whose highest culmination lies in a span, in order of time; rise and set may lie outside it.

    Raises ElementsError where SGP4 gives up. A satellite that stays above the mask for half a day has no pass.
    """
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
