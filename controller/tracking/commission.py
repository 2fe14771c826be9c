"""From an unknown mirror to a closed fine loop, in steps that never block the service.

    dark     the mirror's resonances, by a sweep seen by its own position sensor; needs no light
    design   filters for them
    light    poke: sign, rotation and gain between mirror and quad cell; then the loop is closed, swept, its margins
             measured, and opened again

Each step is refused, not repaired: a wrong sign or thin margins end here, before the loop is ever used.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

import numpy as np

from controller.bus.topics import Pair
from controller.tracking.fine import identify_mirrors, load_loop, measure_loop, poke_mirror
from controller.tracking.fine_bound import Floats, jitter_psd, tilt_psd
from controller.tracking.fine_design import LoopDesign, design_steps
from controller.tracking.fine_poke import Poke, QuadOptics
from controller.tracking.fine_response import Margins
from hal.errors import DeviceError
from hal.traits import FineLoop

GAIN_MARGIN_MIN_DB = 6.0
PHASE_MARGIN_MIN_DEG = 35.0


@dataclass(frozen=True, slots=True)
class Expectation:
    """The disturbance that the loop is designed for, one axis; rad and Hz."""

    jitter_psd_rad2_hz: float = 160e-12
    jitter_corner_hz: float = 1.0
    tilt_rad: float = 4.5e-6
    tilt_corner_hz: float = 20.0
    sensor_noise_rad: float = 0.7e-6  # a tick

    def density(self, frequency_hz: Floats) -> Floats:
        """One-sided density, rad^2/Hz."""
        return np.asarray(
            jitter_psd(frequency_hz, self.jitter_psd_rad2_hz, self.jitter_corner_hz)
            + tilt_psd(frequency_hz, self.tilt_rad, self.tilt_corner_hz)
        )


@dataclass(slots=True)
class Commission:
    """What is known of the mirror so far."""

    optics: QuadOptics = field(default_factory=QuadOptics)
    expectation: Expectation = field(default_factory=Expectation)
    designs: tuple[LoopDesign, LoopDesign] | None = None
    poke: Poke | None = None
    margins: tuple[Margins, Margins] | None = None

    @property
    def done(self) -> bool:
        """The loop may be closed."""
        return self.poke is not None

    def told(self) -> str:
        """What has been found, for the operator."""
        if self.margins is None:
            return "mirror identified, loop designed" if self.designs is not None else ""
        found = ", ".join(f"{m.gain_db:.1f} dB {m.phase_deg:.0f} deg" for m in self.margins)
        return f"fine loop commissioned, measured margins {found}"

    def to_mirror(self, sky_rad: Pair) -> Pair:
        """A line-of-sight angle on the sky in the mirror's own frame; as it is, before the poke."""
        if self.poke is None:
            return sky_rad
        (a, b), (c, d) = self.poke.mirror_to_sky.tolist()
        x, y = sky_rad
        det = a * d - b * c
        return (d * x - b * y) / det, (a * y - c * x) / det

    def to_sky(self, mirror_rad: Pair) -> Pair:
        """A mirror angle on the sky."""
        if self.poke is None:
            return mirror_rad
        (a, b), (c, d) = self.poke.mirror_to_sky.tolist()
        x, y = mirror_rad
        return a * x + b * y, c * x + d * y

    def dark(self, board: FineLoop) -> Generator[None, None, None]:
        """Identify and design. Raises DeviceError for a mirror that we cannot work with."""
        board.set_mode("setpoint")
        models = yield from identify_mirrors(board)
        first = yield from design_steps(models[0], self.expectation.density, self.expectation.sensor_noise_rad)
        yield
        second = yield from design_steps(models[1], self.expectation.density, self.expectation.sensor_noise_rad)
        self.designs = first, second

    def light(self, board: FineLoop) -> Generator[None, None, None]:
        """Poke, close, measure, open. Raises DeviceError: no light, a wrong sign, margins too thin."""
        if self.designs is None:
            yield from self.dark(board)
        if self.designs is None:
            return
        board.set_mode("setpoint")
        yield
        poke = yield from poke_mirror(board, self.optics)
        load_loop(board, self.designs, poke)
        board.set_mode("track")
        try:
            found = yield from measure_loop(board)
        finally:
            board.set_mode("setpoint")
        self._refuse_thin(found)
        self.poke, self.margins = poke, found

    def _refuse_thin(self, found: tuple[Margins, Margins]) -> None:
        gain_db, phase_deg = min(m.gain_db for m in found), min(m.phase_deg for m in found)
        if gain_db < GAIN_MARGIN_MIN_DB or phase_deg < PHASE_MARGIN_MIN_DEG:
            raise DeviceError(
                f"beam board: the closed loop has {gain_db:.1f} dB and {phase_deg:.0f} degrees of margin, "
                f"{GAIN_MARGIN_MIN_DB:g} dB and {PHASE_MARGIN_MIN_DEG:g} are needed; look for a loose mirror or mount."
            )
