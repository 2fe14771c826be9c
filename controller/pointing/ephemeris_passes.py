"""Passes of a target that is known as positions: any ephemeris that is no element set.

Elevation on a grid of a minute; each local maximum is refined to its culmination and each crossing of the mask to
rise and set, by grids that shrink to microseconds. Elevations are geometric, as in `passes`. A target that is known
for a while only is below the mask elsewhere: its pass is cut, and says so.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from controller.geometry.earth import EarthOrientation
from controller.geometry.frames import Site
from controller.geometry.light import LIGHT_M_S
from controller.geometry.timescales import NS_PER_DAY, Floats, Times
from controller.pointing.ephemeris.ephemeris import NS, Ephemeris, Frame, iso
from controller.pointing.prediction import geometric_enu_m

GRID_NS = 60 * NS
EDGE_NS = 1_000_000  # wider than a crossing is uncertain
SLACK_RAD = 0.25  # a low satellite rises by less between two points of the grid when it culminates below 40 degrees


class Interval(NamedTuple):
    """Above the mask: UTC nanoseconds, the highest elevation in radians, and why an end is not the target's own."""

    rise_utc_ns: int
    culmination_utc_ns: int
    set_utc_ns: int
    elevation_max_rad: float
    cut: str = ""


def find_intervals(
    target: Ephemeris,
    site: Site,
    earth: EarthOrientation,
    start_utc_ns: int,
    end_utc_ns: int,
    mask_rad: float,
) -> list[Interval]:
    """Where a target is above a mask, in order of time, with its culmination in a span.

    A target that stays above the mask for half a day has none.
    """
    grid = np.arange(start_utc_ns - GRID_NS, end_utc_ns + 2 * GRID_NS, GRID_NS, dtype=np.int64)
    found = []
    for index in peaks(_elevation(target, grid, site, earth), mask_rad):
        culmination, highest = _culminate(target, site, earth, int(grid[index]))
        if highest <= mask_rad or not start_utc_ns <= culmination <= end_utc_ns:
            continue
        rise = _cross(target, site, earth, culmination, mask_rad, -1)
        fall = _cross(target, site, earth, culmination, mask_rad, +1)
        if rise is not None and fall is not None:
            found.append(_cut(Interval(rise, culmination, fall, highest), target, site, earth))
    return found


def search_window(target: Ephemeris, now_utc_ns: int | None = None) -> tuple[int, int]:
    """The day in which to look for passes: from the epoch of an element set, else from now or the first position."""
    start = target.epoch_utc_ns if target.frame is Frame.TEME else target.start_utc_ns
    if (
        target.frame is not Frame.TEME
        and now_utc_ns is not None
        and target.start_utc_ns < now_utc_ns < target.end_utc_ns
    ):
        start = now_utc_ns
    return start, min(start + NS_PER_DAY, target.end_utc_ns)


def peaks(elevation: Floats, mask_rad: float) -> list[int]:
    """Indices of local maxima that may rise above the mask between the points of a minute's grid."""
    inner = elevation[1:-1]
    top = (inner >= elevation[:-2]) & (inner > elevation[2:]) & (inner > mask_rad - SLACK_RAD)
    return [int(i) + 1 for i in np.nonzero(top)[0]]


def _elevation(target: Ephemeris, t: Times, site: Site, earth: EarthOrientation) -> Floats:
    known = target.known(t)
    elevation = np.full(len(t), -np.pi / 2)
    if known.any():
        enu = geometric_enu_m(target, t[known], site, earth)
        elevation[known] = np.arctan2(enu[:, 2], np.hypot(enu[:, 0], enu[:, 1]))
    return elevation


def _cut(whole: Interval, target: Ephemeris, site: Site, earth: EarthOrientation) -> Interval:
    """What ends where the ephemeris does, drawn in by the light time, with a sentence; others as they are."""
    edges = np.array([whole.rise_utc_ns - EDGE_NS, whole.set_utc_ns + EDGE_NS])
    early, late = (not known for known in target.known(edges).tolist())
    if not early and not late:
        return whole
    enu = geometric_enu_m(target, np.array([whole.culmination_utc_ns]), site, earth)
    margin_ns = round(1.5e9 * float(np.linalg.norm(enu)) / LIGHT_M_S) + EDGE_NS
    rise, fall = whole.rise_utc_ns + early * margin_ns, whole.set_utc_ns - late * margin_ns
    ends = [f"begins at {iso(rise)}"] * early + [f"ends at {iso(fall)}"] * late
    sentence = f"{target.source}: what is known of {target.name} {' and '.join(ends)}, above the mask."
    return whole._replace(rise_utc_ns=rise, set_utc_ns=fall, cut=sentence)


def _culminate(target: Ephemeris, site: Site, earth: EarthOrientation, near_utc_ns: int) -> tuple[int, float]:
    centre, half = near_utc_ns, GRID_NS
    highest = -np.pi / 2
    for _ in range(5):  # each step narrows 10 times: 60 s to 6 ms
        t = centre + np.linspace(-half, half, 41).astype(np.int64)
        elevation = _elevation(target, t, site, earth)
        best = int(np.argmax(elevation))
        centre, highest, half = int(t[best]), float(elevation[best]), half // 10
    return centre, highest


def _cross(
    target: Ephemeris, site: Site, earth: EarthOrientation, culmination: int, mask_rad: float, sign: int
) -> int | None:
    """The moment at which elevation passes the mask on one side of a culmination; None within half a day."""
    inside, stride = culmination, 2 * GRID_NS
    while abs(inside - culmination) < NS_PER_DAY // 2:
        outside = inside + sign * stride
        for _ in range(5):  # each step narrows 24 times: 120 s to 15 µs
            t = np.linspace(inside, outside, 25).astype(np.int64)
            below = np.nonzero(_elevation(target, t, site, earth) < mask_rad)[0]
            if not len(below):
                break
            inside, outside = int(t[max(int(below[0]) - 1, 0)]), int(t[below[0]])
        else:
            return (inside + outside) // 2
        inside = outside
    return None
