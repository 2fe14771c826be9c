"""The cooperative terminal on the satellite, as numbers for the plant's compiled block (sim_hw.plant.light_block)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim_hw.plant.light_block import LEFT, ON_UNTIL
from sim_hw.scenarios import Satellite
from sim_hw.scene.noise import Floats


@dataclass(frozen=True, slots=True)
class Terminal:
    """State and parameters; see the block for their order."""

    state: Floats
    parameters: Floats

    @classmethod
    def create(cls, scenario: Satellite, tick_s: float, rng: np.random.Generator) -> Terminal:
        """A terminal that is dark; the phase of its detector's frames is drawn."""
        frame = max(1, round(scenario.dwell_s / tick_s))
        radius_rad = 1e-6 * scenario.capture_radius_urad
        state = np.zeros(5)
        state[ON_UNTIL] = -1.0
        state[LEFT] = float(rng.integers(1, frame + 1))
        return cls(
            state, np.array([2.0 / radius_rad**2, frame, scenario.response_s / tick_s, scenario.hold_s / tick_s])
        )

    @property
    def light(self) -> Floats:
        """When beacon and downlink arrive here: (from, until) in ticks; a view of the state."""
        return self.state[:2]
