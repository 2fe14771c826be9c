"""The sky of a soak: one satellite after the other, each a real one; and where the Sun is, by skyfield."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.soak.watch import Bounds
from controller.cli.demo import DEFAULT_RIG
from controller.cli.factories import observer_of
from controller.cli.rig import emulated_devices
from controller.pointing.elements import ElementSet, load_elements
from controller.pointing.ephemeris.ephemeris import Frame
from controller.pointing.passes import Pass, find_passes
from controller.pointing.plan import AxisLimits, Plan, plan
from controller.safety.limits import Limits
from hal.rig import Rig, load_rig

NS = 1_000_000_000
# CelesTrak, active.txt of 2025-10-03: for each half hour of a day over the rig's site one satellite that is flyable.
SATELLITES = Path(__file__).with_name("satellites.tle")
BEGIN_NS = int(datetime(2025, 10, 3, 12, tzinfo=UTC).timestamp()) * NS
SLOT_NS = 1800 * NS
EARLIEST_NS, LATEST_NS = 390 * NS, 1310 * NS  # of a rise in its half hour
SUN_STEP_NS = 120 * NS


def rig_of(path: Path = DEFAULT_RIG) -> Rig:
    return load_rig(path, dict.fromkeys(emulated_devices(path), ""))


def passes(rig: Rig, count: int, begin_ns: int = BEGIN_NS) -> list[Plan]:
    """A pass for each half hour, at most one per satellite."""
    observer = observer_of(rig)
    limits = AxisLimits(rig.gimbal.rate_max_rad_s, rig.gimbal.acceleration_max_rad_s2)
    plans = []
    for number, elements in zip(range(count), load_elements(SATELLITES), strict=False):
        slot_ns = begin_ns + number * SLOT_NS
        mask_rad = math.radians(rig.station.elevation_mask_deg)
        found = find_passes(elements, observer.site, observer.earth, slot_ns, slot_ns + SLOT_NS, mask_rad)
        chosen = next(p for p in found if EARLIEST_NS <= p.rise_utc_ns - slot_ns <= LATEST_NS)
        plans.append(plan(chosen, observer, limits))
    return plans


@dataclass(frozen=True)
class Sky:
    """An ephemeris for the emulated world: until half-way to the next rise, the satellite of this pass.

    The world sees one satellite at a time; where one follows the other, both are below the horizon.
    """

    targets: Sequence[Pass]
    name: str = "one satellite after the other"
    source: str = str(SATELLITES)
    format: str = "element sets"
    frame: Frame = Frame.TEME
    epoch_utc_ns: int = 0
    age_max_days: float = 14.0
    notes: tuple[str, ...] = ()
    solar_system: None = None

    @property
    def start_utc_ns(self) -> int:
        return max(_elements(target).start_utc_ns for target in self.targets)

    @property
    def end_utc_ns(self) -> int:
        return min(_elements(target).end_utc_ns for target in self.targets)

    def known(self, t_utc_ns: Any) -> Any:
        t = np.asarray(t_utc_ns)
        return (t >= self.start_utc_ns) & (t <= self.end_utc_ns)

    def position_m(self, t_utc_ns: Any) -> Any:
        t = np.atleast_1d(np.asarray(t_utc_ns, dtype=np.int64))
        turns = [(a.set_utc_ns + b.rise_utc_ns) // 2 for a, b in zip(self.targets, self.targets[1:], strict=False)]
        which = np.searchsorted(np.array(turns, dtype=np.int64), t, side="right")
        position = np.empty((len(t), 3))
        for number in np.unique(which):
            inside = which == number
            position[inside] = _elements(self.targets[int(number)]).position_m(t[inside])
        return position

    def covariance_m2(self, t_utc_ns: int) -> None:
        return None


def _elements(target: Pass) -> ElementSet:
    elements = target.elements
    if not isinstance(elements, ElementSet):
        raise TypeError(f"{elements.name} has no element set")
    return elements


def bounds(rig: Rig, begin_ns: int, end_ns: int) -> Bounds:
    """What the rig allows, and the Sun over its site: skyfield's, which the station does not use."""
    from skyfield.api import wgs84

    from sim_hw.scene.earth import kernel, times

    station, bodies = rig.station, kernel()
    t_ns = np.arange(begin_ns, end_ns + 2 * SUN_STEP_NS, SUN_STEP_NS, dtype=np.int64)
    place = bodies["earth"] + wgs84.latlon(station.latitude_deg, station.longitude_deg, station.height_m)
    altitude, azimuth, _ = place.at(times(t_ns)).observe(bodies["sun"]).apparent().altaz()
    level = np.cos(altitude.radians)
    table = np.stack(
        [level * np.cos(azimuth.radians), level * np.sin(azimuth.radians), np.sin(altitude.radians)], axis=1
    )

    def sun(t_utc_ns: int) -> tuple[float, float, float]:
        place_in = min(max((t_utc_ns - begin_ns) / SUN_STEP_NS, 0.0), len(table) - 1.001)
        row, part = int(place_in), place_in % 1.0
        north, east, up = (1 - part) * table[row] + part * table[row + 1]
        return float(north), float(east), float(up)

    limits = Limits.from_rig(rig, True, None)
    return Bounds(limits.rate_max_rad_s, (limits.elevation_min_rad, limits.elevation_max_rad), limits.sun_cone_rad, sun)
