"""What the optical train does to angles and to power: camera plane, link budget, laser."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim_hw.scenarios import Camera, Laser, Link
from sim_hw.scene.noise import Floats


@dataclass(frozen=True, slots=True)
class CameraMount:
    """How the camera sits on the tube: plane = offset + scale * rotation * (cross-elevation, elevation)."""

    matrix: Floats
    offset_rad: Floats

    @classmethod
    def draw(cls, camera: Camera, rng: np.random.Generator) -> CameraMount:
        """Rotation, scale error and offset from normal distributions."""
        draws = rng.standard_normal(4)
        angle = math.radians(camera.rotation_deg) * float(draws[0])
        scale = 1.0 + camera.scale_error * float(draws[1])
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        return cls(scale * turn, 1e-6 * camera.offset_urad * draws[2:4])

    def plane(self, error_rad: Floats) -> tuple[float, float]:
        """Camera-plane angles (x, y) of something at (cross-elevation, elevation) from the boresight."""
        x, y = self.matrix @ error_rad + self.offset_rad
        return float(x), float(y)

    def drawn(self) -> dict[str, Any]:
        """For summaries."""
        return {
            "camera_rotation_rad": math.atan2(self.matrix[1, 0], self.matrix[0, 0]),
            "camera_scale": math.hypot(self.matrix[0, 0], self.matrix[1, 0]),
            "camera_offset_rad": [float(v) for v in self.offset_rad],
        }


def reference_power_w(link: Link) -> float:
    """Power at the meter with the satellite at zenith and reference range, no pointing error, no scintillation.

    Axis intensity of a Gaussian beam, 2 P/(pi w^2) with w the 1/e^2 radius, over the aperture, with losses.
    """
    radius_m = 0.5e-6 * link.downlink_divergence_urad * link.reference_range_m
    intensity = 2.0 * link.downlink_power_w / (math.pi * radius_m**2)
    area_m2 = 0.25 * math.pi * link.aperture_m**2
    return float(intensity * area_m2 * link.zenith_transmission * 10.0 ** (-0.1 * link.downlink_loss_db))


def laser_power_w(laser: Laser, current_a: float) -> float:
    """Emitted power at a pump current: a threshold and a slope."""
    return max(0.0, laser.slope_w_per_a * (current_a - laser.threshold_a))


def star_electrons_per_s(camera: Camera, magnitude: float) -> float:
    """Flux of a star (Pogson's ratio)."""
    return float(camera.star_electrons_per_s * 10.0 ** (-0.4 * magnitude))
