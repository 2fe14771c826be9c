"""How the mount was set up: what turns axis angles into a place on the sky."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

import numpy as np

from sim_hw.scenarios import Misalignment
from sim_hw.scene.noise import Floats


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
