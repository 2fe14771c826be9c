"""Which pass to fly: what it asks of the mount, whether that is too much, and the outage if it is flown anyway."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from controller.geometry.frames import Site
from controller.geometry.trajectory import Trajectory
from controller.pointing.catalogue import highest_passes
from controller.pointing.elements import ElementSet, Sgp4Orbit
from controller.pointing.ephemeris.ephemeris import Ephemeris
from controller.pointing.ephemeris_passes import search_window
from controller.pointing.keepout import KeepOut
from controller.pointing.keyhole import Way, ways_through
from controller.pointing.mount_frame import ALT_AZ, MountFrame
from controller.pointing.mount_sky import path_in_axes
from controller.pointing.passes import NS, Pass, PassError, find_passes
from controller.pointing.prediction import Observer, predict

if TYPE_CHECKING:
    from hal.rig import Rig

MARGIN = 0.8  # share of the gimbal's limits that a plan may use; the rest is for corrections
LEAD_NS = 20 * NS  # a trajectory begins before the mask, so that the mount moves when the pass starts
CATCH_UP_NS = 300 * NS  # half a turn at 0.6 deg/s
SMALL_CATALOGUE = 50  # up to here every pass is refined


@dataclass(frozen=True, slots=True)
class AxisLimits:
    """What a gimbal can do, each axis, and how far elevation goes: beyond 90 degrees is over the top.

    `frame` says how it stands: azimuth and elevation are the angles of its own axes.
    """

    rate_max_rad_s: float
    acceleration_max_rad_s2: float
    elevation_max_rad: float = math.pi / 2
    frame: MountFrame = ALT_AZ
    elevation_min_rad: float = -math.pi / 2

    @classmethod
    def of(cls, rig: Rig) -> AxisLimits:
        """What a rig's gimbal can do."""
        gimbal, frame = rig.gimbal, MountFrame.of(rig)
        low, high = gimbal.elevation_rad
        return cls(gimbal.rate_max_rad_s, gimbal.acceleration_max_rad_s2, high, frame, low)


@dataclass(frozen=True, slots=True)
class Demand:
    """What a pass asks of the mount: largest rate and acceleration of its two axes, (azimuth, elevation)."""

    rate_max_rad_s: tuple[float, float]
    acceleration_max_rad_s2: tuple[float, float]
    secondary_rad: tuple[float, float] = (0.0, 0.0)  # lowest and highest angle of the second

    def refusal(self, limits: AxisLimits, margin: float = MARGIN) -> str:
        """Why a mount should not fly this, or nothing."""
        names = limits.frame.axis_names
        for what, unit, wanted, limit in (
            ("turn at", "deg/s", self.rate_max_rad_s, limits.rate_max_rad_s),
            ("accelerate at", "deg/s2", self.acceleration_max_rad_s2, limits.acceleration_max_rad_s2),
        ):
            for axis, value in zip(names, wanted, strict=True):
                if value > margin * limit:
                    return (
                        f"{axis} would have to {what} {np.degrees(value):.2f} {unit}, more than {margin:.0%} of the "
                        f"gimbal's {np.degrees(limit):.2f} {unit}"
                    )
        return "" if limits.frame.level else self._out_of_reach(limits)  # elevation ends where the mask begins

    def _out_of_reach(self, limits: AxisLimits) -> str:
        low, high = self.secondary_rad
        least, most = limits.elevation_min_rad, limits.elevation_max_rad
        if (least <= low and high <= most) or (least <= math.pi - high and math.pi - low <= most):
            return ""
        return (
            f"{limits.frame.axis_names[1]} would have to go from {np.degrees(low):.1f} to {np.degrees(high):.1f} deg, "
            f"and goes from {np.degrees(least):g} to {np.degrees(most):g} deg"
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """A pass that will be flown: its trajectory, its demand, and the outage to expect where limits are exceeded."""

    target: Pass
    trajectory: Trajectory
    demand: Demand
    outage_s: float
    way: Way | None = None  # through the keyhole


def plan(target: Pass, observer: Observer, limits: AxisLimits, cones: KeepOut | None = None) -> Plan:
    """The trajectory of a pass (with a lead on both sides) and what it asks of the mount.

    With `cones` the way through a keyhole is one that stays out of them, where there is one.
    """
    path = _path(target, observer)
    asked = demand(path, limits.frame)
    if max(asked.rate_max_rad_s) <= MARGIN * limits.rate_max_rad_s:
        return Plan(target, path, asked, 0.0)
    planned = way(path, limits) if cones is None else clear_way(path, observer, limits, cones)[0]
    return Plan(target, path, asked, _outage_s(path, limits, planned), planned)


def way(path: Trajectory, limits: AxisLimits) -> Way | None:
    """The way of the axes through the keyhole of a path with the smallest error, where it has one."""
    return next(ways(path, limits), None)


def ways(path: Trajectory, limits: AxisLimits) -> Iterator[Way]:
    """All of them, the best first, as angles of the mount's own axes."""
    frame, turned = limits.frame, path_in_axes(path, limits.frame)
    found = ways_through(turned, limits.rate_max_rad_s, limits.acceleration_max_rad_s2, limits.elevation_max_rad)
    return (replace(each, frame=frame) for each in found)


def clear_way(path: Trajectory, observer: Observer, limits: AxisLimits, cones: KeepOut) -> tuple[Way | None, str]:
    """The best way that stays out of the cones, else the best one and why it may not be flown with emission."""
    refused: tuple[Way | None, str] = (None, "")
    for through in ways(path, limits):
        why = cones.refusal(path, observer.site, observer.earth, through)
        if not why:
            return through, ""
        refused = refused if refused[1] else (through, why)
    return refused


def _path(target: Pass, observer: Observer) -> Trajectory:
    start = target.rise_utc_ns - _lead_ns(target, target.rise_utc_ns, -1)
    return predict(target.elements, observer, start, target.set_utc_ns + _lead_ns(target, target.set_utc_ns, +1))


def _lead_ns(target: Pass, edge_utc_ns: int, side: int) -> int:
    """As much of the lead as the target is known for; none where the pass is cut."""
    for lead in range(LEAD_NS, 0, -NS):
        if target.elements.known(edge_utc_ns + side * np.arange(0, lead + 2 * NS, NS, dtype=np.int64)).all():
            return lead
    return 0


def order(flown: Plan, end_utc_ns: int | None = None) -> dict[str, Any]:
    """Body of `station.track` and `pointing.track`: two lines where there are, else the trajectory itself."""
    target = flown.target
    body: dict[str, Any] = {
        "name": target.elements.name,
        "start_utc_ns": target.rise_utc_ns,
        "end_utc_ns": target.set_utc_ns if end_utc_ns is None else end_utc_ns,
        "above_limits": flown.outage_s > 0,
        "source": f"{target.elements.source}, {target.elements.format}",
    }
    if isinstance(target.elements, ElementSet):
        return body | {"line1": target.elements.line1, "line2": target.elements.line2}
    ages = math.isfinite(target.elements.age_max_days)
    epoch_utc_ns = target.elements.epoch_utc_ns if ages else target.rise_utc_ns  # a kernel is as good as new
    return body | {"segments": flown.trajectory.to_body(), "epoch_utc_ns": epoch_utc_ns}


def choose(
    sets: Sequence[Ephemeris],
    observer: Observer,
    limits: AxisLimits,
    mask_rad: float,
    above_limits: bool = False,
    keep_out: KeepOut | None = None,
    now_utc_ns: int | None = None,
) -> Plan:
    """The highest pass within a day (see `search_window`) that the mount can fly and that stays away from Sun and Moon.

    With `above_limits` the highest that stays away from them, with its predicted outage. `keep_out` has the cones of
    the rig (default: 30 and 2 degrees). Raises PassError when nothing rises, or when every pass is refused.
    """
    cones = keep_out or KeepOut()
    site, earth = observer.site, observer.earth
    candidates: Iterable[Pass]
    orbits = [s for s in sets if isinstance(s, Sgp4Orbit)]
    if len(sets) <= SMALL_CATALOGUE or len(orbits) < len(sets):
        found = [p for s in sets for p in find_passes(s, site, earth, *search_window(s, now_utc_ns), mask_rad)]
        candidates = sorted(found, key=lambda p: -p.elevation_max_rad)
    else:
        # Only of an alt-azimuth mount is the rate of the first axis that of azimuth, which the search knows.
        rate_max = np.inf if above_limits or not limits.frame.level else MARGIN * limits.rate_max_rad_s
        candidates = highest_passes(orbits, site, earth, mask_rad, rate_max)
    refusal = ""
    for candidate in candidates:
        path = _path(candidate, observer)
        asked = demand(path, limits.frame)
        why = ("" if above_limits else asked.refusal(limits)) or cones.refusal(path, site, earth)
        planned = None
        if not why:
            planned, why = clear_way(path, observer, limits, cones)
        if not why:
            return Plan(candidate, path, asked, _outage_s(path, limits, planned), planned)
        peak_deg = np.degrees(candidate.elevation_max_rad)
        refusal = refusal or f"{candidate.elements.name} peaks at {peak_deg:.1f} deg: {why}"
    if refusal:
        raise PassError(
            f"No pass over {site.name} within a day of the epoch can be flown ({refusal}); choose another target, or "
            "fly above the gimbal's limits with the predicted outage (--above-limits)."
        )
    raise PassError(never_rises(sets, site, mask_rad))


def never_rises(sets: Sequence[Ephemeris], site: Site, mask_rad: float) -> str:
    """The sentence for an operator when nothing comes above the mask."""
    who = f"{sets[0].name} never rises" if len(sets) == 1 else f"None of {len(sets)} satellites rises"
    return (
        f"{who} above {np.degrees(mask_rad):.0f} deg over {site.name} (latitude {site.latitude_deg:.2f}, longitude "
        f"{site.longitude_deg:.2f}) within a day; choose another target."
    )


def demand(path: Trajectory, frame: MountFrame = ALT_AZ) -> Demand:
    """Largest axis rates and accelerations, sampled each 0.2 s and differenced, of a mount that stands like this."""
    looks = path_in_axes(path, frame).sample(np.arange(path.start_utc_ns, path.end_utc_ns, NS // 5, dtype=np.int64))
    rates = looks[:, 3:5]
    accelerations = np.gradient(rates, 0.2, axis=0)
    rate, acceleration = (np.abs(a).max(axis=0).tolist() for a in (rates, accelerations))
    low, high = float(looks[:, 1].min()), float(looks[:, 1].max())
    return Demand((rate[0], rate[1]), (acceleration[0], acceleration[1]), (low, high))


def outage_s(path: Trajectory, limits: AxisLimits, error_max_rad: float = 1e-3) -> float:
    """How long a mount that does its best is further than `error_max_rad` from the target, on the sky.

    Through a keyhole as it is planned; where nothing is planned, azimuth falls behind and catches up afterwards.
    """
    return _outage_s(path, limits, way(path, limits), error_max_rad)


def _outage_s(path: Trajectory, limits: AxisLimits, planned: Way | None, error_max_rad: float = 1e-3) -> float:
    if planned is not None:
        return planned.outage_s
    from controller.pointing.lag import lag  # here: numba takes a while to load

    path = path_in_axes(path, limits.frame)
    step_s = 0.05
    seconds = np.arange(path.start_utc_ns, path.end_utc_ns, NS, dtype=np.int64)
    rates = np.abs(path.sample(seconds)[:, 3:5]).max(axis=1)
    hard = seconds[rates > 0.5 * limits.rate_max_rad_s]  # an axis that is not in a hurry keeps up
    if not len(hard):
        return 0.0
    begin, end = max(path.start_utc_ns, hard[0] - CATCH_UP_NS), min(path.end_utc_ns, hard[-1] + CATCH_UP_NS)
    looks = path.sample(np.arange(begin, end, round(step_s * NS), dtype=np.int64))
    bounds = (limits.rate_max_rad_s, limits.acceleration_max_rad_s2)
    behind = [lag(looks[:, axis], looks[:, 3 + axis], step_s, *bounds) for axis in (0, 1)]
    error = np.hypot(behind[0] * np.cos(looks[:, 1]), behind[1])
    return float(np.count_nonzero(error > error_max_rad) * step_s)
