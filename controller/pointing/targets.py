"""What the gimbal loop can be told to look at: a trajectory, or a fixed direction reached from a chosen side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from controller.geometry.trajectory import Look
from controller.pointing.mount import Signs


class Target(Protocol):
    """A direction that may move."""

    def receive(self, t_utc_ns: int) -> Look:
        """Where to look, and how fast that moves."""
        ...

    def point_ahead(self, t_utc_ns: int) -> tuple[float, float]:
        """Transmit minus receive direction, (cross-elevation, elevation) in radians."""
        ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """A direction that stands still; `approach` is the side from which each axis must arrive (0: any).

    With `unwound` azimuth goes there by the turn in which the cables of a mount without stops hang freely.
    """

    azimuth_rad: float
    elevation_rad: float
    approach: Signs = (0.0, 0.0)
    unwound: bool = False

    def receive(self, t_utc_ns: int) -> Look:
        """The same direction at any time, at no particular range."""
        return Look(self.azimuth_rad, self.elevation_rad, 0.0, 0.0, 0.0, 0.0)

    def point_ahead(self, t_utc_ns: int) -> tuple[float, float]:
        """Nothing moves, so nothing to point ahead at."""
        return 0.0, 0.0

    def before(self, distance_rad: float) -> Fixed:
        """The way-point from which a straight move arrives from the chosen side."""
        return Fixed(
            self.azimuth_rad - self.approach[0] * distance_rad,
            self.elevation_rad - self.approach[1] * distance_rad,
            unwound=self.unwound,
        )
