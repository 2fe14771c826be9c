"""How low a telescope may look, by azimuth: a wall, a roof, a railing. It bounds motion, whether it emits or not.

The way to a target leads round what stands between: elevation rises first, azimuth waits until all between here and
there is below, and elevation comes down at the end. A target that is lower than what stands before it is waited for
above the edge. Of a mount that leans only the aim is raised; its way is watched, and ends where it would go too low.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from controller.bus.topics import Pair
from controller.geometry.horizon import AZIMUTHS, HorizonError, HorizonMask, load_horizon
from controller.geometry.trajectory import Trajectory
from controller.pointing.axis import near
from controller.pointing.mount_frame import MountFrame
from controller.pointing.targets import Fixed, Target
from hal.rig import MOTION
from hal.traits import GimbalCapabilities

if TYPE_CHECKING:
    from hal.rig import Rig

MARGIN_RAD = math.radians(0.5)  # above the edge; more for axes that go in steps
SURE = 0.25  # share of it above which azimuth goes on
TREMBLES_RAD = 1e-3
DIGITS = 6  # of degrees: the same by every turn
LOOKS = 240  # along a path


@dataclass(frozen=True, slots=True)
class Ground:
    """A mask, or none, and an elevation that counts everywhere; `margin_rad` is kept above and beside both."""

    mask: HorizonMask | None = None
    lowest_rad: float = -math.pi / 2
    margin_rad: float = MARGIN_RAD

    @classmethod
    def of(cls, rig: Rig) -> Ground:
        """What a rig says. Raises HorizonError for a mask that cannot be used, or that the mount is parked below."""
        gimbal, path = rig.gimbal, rig.companions.get(MOTION)
        level = MountFrame.of(rig).level  # elevation ends by itself
        mask = load_horizon(path) if path is not None else None
        ground = cls(mask, -math.pi / 2 if level else math.radians(gimbal.horizon_min_deg))
        why = ground.too_low(math.radians(gimbal.park_azimuth_deg), math.radians(gimbal.park_elevation_deg))
        if path is not None and why:
            raise HorizonError(f"{path.name}: the mount cannot be parked: that is {why}; change park_elevation_deg.")
        return ground

    def for_gimbal(self, able: GimbalCapabilities) -> Ground:
        """With room for what an axis may be off its aim when it rests; what turns in azimuth alone has no mask."""
        if not able.has_elevation:
            return Ground()
        grain_rad = max(able.resolution_rad, able.position_step_rad)
        return replace(self, margin_rad=max(MARGIN_RAD, grain_rad, 1.5 * able.dead_band_rad))

    def at(self, azimuth_rad: float) -> float:
        """Lowest elevation in a direction."""
        return max(self.lowest_rad, self.mask.at(azimuth_rad)) if self.mask is not None else self.lowest_rad

    def between(self, azimuth_rad: float, other_rad: float) -> float:
        """The highest of them from one azimuth to another, with their turns and the margin."""
        low, high = sorted((azimuth_rad, other_rad))
        first = math.floor(round(math.degrees(low - self.margin_rad), DIGITS))
        last = math.ceil(round(math.degrees(high + self.margin_rad), DIGITS))
        if self.mask is None:
            return self.lowest_rad
        edges = self.mask.elevations_rad
        return max(self.lowest_rad, *(edges[i % AZIMUTHS] for i in range(first, min(last, first + AZIMUTHS) + 1)))

    def aim(self, here: Pair, goal: Pair, frame: MountFrame) -> tuple[Pair, bool]:
        """Angles of the axes to go to now on the way from here to a goal, and whether azimuth waits."""
        if self.mask is None:
            return goal, False
        if not frame.level:
            return self._raised(goal, frame), False
        low, high = -math.inf, math.inf
        if min(here[1], goal[1]) <= math.pi / 2:
            low = self.between(here[0], goal[0]) + self.margin_rad
        if max(here[1], goal[1]) > math.pi / 2:  # over the top it looks the other way
            high = math.pi - self.between(here[0] + math.pi, goal[0] + math.pi) - self.margin_rad
        room = (1.0 - SURE) * self.margin_rad
        waits = not low - room <= here[1] <= high + room
        return (here[0] if waits else goal[0], min(max(goal[1], low), high)), waits

    def _raised(self, goal: Pair, frame: MountFrame) -> Pair:
        azimuth, elevation = frame.sky(*goal)
        edge = self.between(azimuth, azimuth) + self.margin_rad
        if elevation >= edge:
            return goal
        primary, secondary = frame.axes(azimuth, edge)
        if abs(goal[1]) > math.pi / 2:
            primary, secondary = primary + math.pi, math.copysign(math.pi, goal[1]) - secondary
        return near(primary, goal[0]), secondary

    def too_low(self, azimuth_rad: float, elevation_rad: float) -> str:
        """Why a direction of the sky may not be looked at, or nothing."""
        edge = self.between(azimuth_rad, azimuth_rad)
        if self.mask is None or elevation_rad >= edge + self.margin_rad:
            return ""
        return (
            f"{math.degrees(elevation_rad):.1f} deg high, and the telescope stays {math.degrees(self.margin_rad):.1f} "
            f"deg above the mask's {math.degrees(edge):.1f} deg at azimuth {math.degrees(azimuth_rad) % 360:.1f}"
        )

    def hides(self, target: Target) -> tuple[str, bool]:
        """What of a target is too low, as a sentence or nothing, and whether all of it is."""
        if isinstance(target, Fixed):
            why = self.too_low(target.azimuth_rad, target.elevation_rad)
            return f"that is {why}" if why else "", bool(why)
        if self.mask is None or not isinstance(target, Trajectory):
            return "", False
        times = np.linspace(target.start_utc_ns, target.end_utc_ns, LOOKS).astype(np.int64)
        low = np.array([bool(self.too_low(float(a), float(e))) for a, e in target.sample(times)[:, :2]])
        if not low.any():
            return "", False
        if low.all():
            return "all of that path is below the mask of the mount's motion", True
        hidden_s = low.mean() * (target.end_utc_ns - target.start_utc_ns) * 1e-9
        return f"{hidden_s:.0f} s of the path are below the mask of the mount's motion: it waits above its edge", False


OPEN = Ground()


class GroundGuard:
    """Watches where a telescope looks. What is too low may rise."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._depth_rad = math.inf  # the least since it went down last

    def entering(self, azimuth_rad: float, elevation_rad: float) -> str:
        """Why motion must end now, or nothing: too low, and lower than it has been by more than encoders tremble."""
        if elevation_rad > math.pi / 2:  # over the top it looks the other way
            azimuth_rad, elevation_rad = azimuth_rad + math.pi, math.pi - elevation_rad
        edge = self._ground.at(azimuth_rad)
        depth = edge - elevation_rad
        if depth <= max(0.0, self._depth_rad + TREMBLES_RAD):
            self._depth_rad = min(self._depth_rad, depth)
            return ""
        self._depth_rad = depth
        name = "horizon_min_deg" if edge == self._ground.lowest_rad else "the horizon_mask of [gimbal]"
        return (
            f"{math.degrees(elevation_rad):.1f} deg high and goes down, below {name} = {math.degrees(edge):g}; "
            "turn one axis after the other"
        )
