"""How the mount stands and was set up: what turns axis angles into a place on the sky."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields

import numpy as np

from sim_hw.scenarios import Misalignment
from sim_hw.scene.earth import horizontal
from sim_hw.scene.noise import Floats


class Standing:
    """Where the first axis points. Upright its angle is azimuth; else it is zero where the tube passes the zenith.

    Looking along the axis from its tip, angles grow clockwise. Vectors are north, east, up; angles in radians.
    """

    def __init__(
        self, upright: bool = True, axis_azimuth_rad: float = 0.0, axis_elevation_rad: float = math.pi / 2
    ) -> None:
        self.upright = upright
        # First turned about the vertical, so that the axis leans to what was north; then tipped over, half a turn on.
        sin_a, cos_a = math.sin(axis_azimuth_rad), math.cos(axis_azimuth_rad)
        about_vertical = np.array([[cos_a, sin_a, 0.0], [-sin_a, cos_a, 0.0], [0.0, 0.0, 1.0]])
        sin_e, cos_e = math.sin(axis_elevation_rad), math.cos(axis_elevation_rad)
        tipped = np.array([[-sin_e, 0.0, cos_e], [0.0, -1.0, 0.0], [cos_e, 0.0, sin_e]])
        self.turn: Floats = np.eye(3) if upright else tipped @ about_vertical

    def axes(self, azimuth_rad: Floats, elevation_rad: Floats) -> tuple[Floats, Floats]:
        """Angles of both axes for directions of the sky, (n) each."""
        if self.upright:
            return azimuth_rad, elevation_rad
        return horizontal(self.turn @ _vectors(azimuth_rad, elevation_rad))

    def along(self, azimuth_rad: Floats, elevation_rad: Floats, pairs: Floats) -> Floats:
        """Small pairs (n, 2) of (cross-elevation, elevation) at directions, across and along the second axis."""
        if self.upright:
            return pairs
        zero = np.zeros_like(azimuth_rad)
        across = np.stack([-np.sin(azimuth_rad), np.cos(azimuth_rad), zero])
        above = _vectors(azimuth_rad + math.pi, math.pi / 2 - elevation_rad)
        moved = self.turn @ (across * pairs[:, 0] + above * pairs[:, 1])
        first, second = self.axes(azimuth_rad, elevation_rad)
        right = np.stack([-np.sin(first), np.cos(first), zero])
        upwards = _vectors(first + math.pi, math.pi / 2 - second)
        return np.stack([np.sum(moved * right, axis=0), np.sum(moved * upwards, axis=0)], axis=-1)


def _vectors(azimuth_rad: Floats, elevation_rad: Floats) -> Floats:
    level = np.cos(elevation_rad)
    return np.stack([level * np.cos(azimuth_rad), level * np.sin(azimuth_rad), np.sin(elevation_rad)])


@dataclass(frozen=True, slots=True)
class MountTerms:
    """Indices, collimation, tilt of the azimuth axis toward north and toward west; order of the compiled code."""

    index_azimuth_rad: float = 0.0
    index_elevation_rad: float = 0.0
    collimation_rad: float = 0.0
    axis_north_rad: float = 0.0
    axis_west_rad: float = 0.0

    @classmethod
    def draw(cls, sigma: Misalignment, rng: np.random.Generator) -> MountTerms:
        """Each term from a normal distribution."""
        sigmas_urad = (getattr(sigma, field.name.replace("_rad", "_urad")) for field in fields(cls))
        return cls(*(float(rng.standard_normal()) * 1e-6 * float(s) for s in sigmas_urad))

    @property
    def array(self) -> Floats:
        """For sim_hw.plant.coarse_block."""
        return np.array(list(asdict(self).values()), dtype=np.float64)

    def as_dict(self) -> dict[str, float]:
        """For summaries."""
        return dict(asdict(self))
