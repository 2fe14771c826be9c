"""The worm-driven gimbal: what its motors do, what its encoders show, and where its axes really are.

Stepped at 1 kHz. Each axis: the motor follows the commanded rate within its acceleration limit and carries the
encoder; behind it come the worm's periodic error, the backlash (a play operator) and the telescope on the stiffness
of its stage, with Stribeck friction. Sticking is exact: friction of a step never does more than stop the axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim_hw.plant.coarse_block import (
    AXIS_STATES,
    COMMAND,
    LOAD,
    MOTOR,
    MOTOR_BEFORE,
    MOTOR_RATE,
    PLAY,
    STEP_S,
)
from sim_hw.scenarios import Gimbal as GimbalScenario
from sim_hw.scene.noise import Floats
from sim_hw.timeline import NS, Timeline


@dataclass(frozen=True, slots=True)
class GimbalParameters:
    """SI units, both axes alike except the worms' phases."""

    rate_max_rad_s: float
    acceleration_max_rad_s2: float
    encoder_rms_rad: float
    worm_period_rad: float
    worm_amplitude_rad: float
    worm_second_amplitude_rad: float
    worm_phase_rad: tuple[float, float]
    worm_second_phase_rad: tuple[float, float]
    backlash_rad: float
    friction_static_rad: float
    friction_coulomb_rad: float
    stribeck_rate_rad_s: float
    stage_rad_s: float
    stage_damping: float

    @classmethod
    def draw(cls, g: GimbalScenario, rng: np.random.Generator) -> GimbalParameters:
        """From a scenario; the worms' phases are drawn."""
        phases = rng.uniform(0.0, 2.0 * math.pi, 4)
        return cls(
            rate_max_rad_s=math.radians(g.rate_max_deg_s),
            acceleration_max_rad_s2=math.radians(g.acceleration_max_deg_s2),
            encoder_rms_rad=1e-6 * g.encoder_rms_urad,
            worm_period_rad=math.radians(g.worm_period_deg),
            worm_amplitude_rad=0.5e-6 * g.worm_fundamental_pp_urad,
            worm_second_amplitude_rad=0.5e-6 * g.worm_second_harmonic_pp_urad,
            worm_phase_rad=(float(phases[0]), float(phases[1])),
            worm_second_phase_rad=(float(phases[2]), float(phases[3])),
            backlash_rad=1e-6 * g.backlash_urad,
            friction_static_rad=1e-6 * g.friction_static_urad,
            friction_coulomb_rad=1e-6 * g.friction_coulomb_urad,
            stribeck_rate_rad_s=math.radians(g.stribeck_rate_deg_s),
            stage_rad_s=2.0 * math.pi * g.stage_resonance_hz,
            stage_damping=g.stage_damping,
        )

    @property
    def array(self) -> Floats:
        """One row an axis, in the order of sim_hw.plant.coarse_block."""
        return np.array(
            [
                [
                    self.rate_max_rad_s,
                    self.acceleration_max_rad_s2,
                    2.0 * math.pi / self.worm_period_rad,
                    self.worm_amplitude_rad,
                    self.worm_phase_rad[axis],
                    self.worm_second_amplitude_rad,
                    self.worm_second_phase_rad[axis],
                    0.5 * self.backlash_rad,
                    self.friction_static_rad,
                    self.friction_coulomb_rad,
                    self.stribeck_rate_rad_s,
                    self.stage_rad_s,
                    self.stage_damping,
                ]
                for axis in (0, 1)
            ]
        )


class Gimbal:
    """The axes as an emulator sees them: encoders out, rates in."""

    def __init__(
        self,
        parameters: GimbalParameters,
        start_rad: tuple[float, float],
        timeline: Timeline,
        rng: np.random.Generator,
        catch_up: Callable[[], None] = lambda: None,
    ) -> None:
        self.parameters = parameters
        self._timeline = timeline
        self._rng = rng
        self._catch_up = catch_up  # runs the plant up to now
        self.rows = parameters.array
        self.state: Floats = np.zeros((2, AXIS_STATES))
        for axis, angle_rad in enumerate(start_rad):
            self.state[axis, [MOTOR, PLAY, LOAD, MOTOR_BEFORE]] = angle_rad
        self.stepped_ns = 0  # the time that `state` is for; the plant keeps it

    def set_rate(self, axis: int, rate_rad_s: float) -> None:
        """Command axis 0 (azimuth) or 1 (elevation); felt from the next step, within 1 ms."""
        self._catch_up()
        self.state[axis, COMMAND] = rate_rad_s

    def motor_rad(self) -> tuple[float, float]:
        """Motor-side axis angles now, without the encoder's noise."""
        self._catch_up()
        ahead_s = (self._timeline.now_ns - self.stepped_ns) / NS
        if ahead_s >= 0.0:
            az, el = (float(s[MOTOR] + ahead_s * s[MOTOR_RATE]) for s in self.state)
        else:
            part = ahead_s / STEP_S
            az, el = (float(s[MOTOR] + part * (s[MOTOR] - s[MOTOR_BEFORE])) for s in self.state)
        return az, el

    def encoder_rad(self) -> tuple[float, float]:
        """What the encoders show now; each reading has noise of its own."""
        noise = self._rng.standard_normal(2) * self.parameters.encoder_rms_rad
        az, el = self.motor_rad()
        return az + float(noise[0]), el + float(noise[1])

    def drawn(self) -> dict[str, Any]:
        """For summaries."""
        return {
            "worm_phase_rad": list(self.parameters.worm_phase_rad),
            "worm_second_phase_rad": list(self.parameters.worm_second_phase_rad),
        }
