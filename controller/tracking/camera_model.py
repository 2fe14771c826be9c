"""From pixels to the sky and back: a 2x2 matrix and the pixel of the boresight, measured by a gimbal poke.

The boresight is by definition the direction of the origin pixel: what it lacks to the mechanical axis is a term of the
mount model (collimation, index errors), so a poke measures scale and rotation and leaves the origin alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from controller.bus.topics import Pair
from hal.errors import HalError
from hal.traits import Region

ROTATION_MAX_RAD = math.radians(30)
SCALE_TOLERANCE = 0.1


class PokeError(HalError, ValueError):
    """A poke did not show what the rig file promises: a sign, a rotation, a scale, or nothing but noise."""


class UnsteadyPokeError(PokeError):
    """The star did not follow the gimbal to a pixel: noise, or a stand that ended on the other side of the play."""


@dataclass(frozen=True, slots=True)
class CameraModel:
    """`matrix` turns pixels from `origin_px` into target minus boresight (cross-elevation, elevation), rad a pixel."""

    matrix: tuple[Pair, Pair]
    origin_px: Pair
    residual_rad: float = 0.0

    @property
    def scale_rad(self) -> float:
        """Angle of a pixel, geometric mean of the axes."""
        (a, b), (c, d) = self.matrix
        return math.sqrt(abs(a * d - b * c))

    @property
    def rotation_rad(self) -> float:
        """Rotation of the image on the sky."""
        (a, b), (c, d) = self.matrix
        return math.atan2(c - b, a + d)

    def to_body(self) -> dict[str, Any]:
        """As a message."""
        return {"matrix": self.matrix, "origin_px": self.origin_px}

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> CameraModel:
        """From a message. Raises KeyError, TypeError or ValueError."""
        (a, b), (c, d) = body["matrix"]
        x, y = body["origin_px"]
        if not abs(float(a) * float(d) - float(b) * float(c)) > 0.0:
            raise ValueError("matrix")
        return cls(((float(a), float(b)), (float(c), float(d))), (float(x), float(y)))

    def error(self, x_px: float, y_px: float) -> Pair:
        """Target minus boresight of a spot at a sensor pixel."""
        u, v = x_px - self.origin_px[0], y_px - self.origin_px[1]
        (a, b), (c, d) = self.matrix
        return a * u + b * v, c * u + d * v

    def pixel(self, error_rad: Pair) -> Pair:
        """Sensor pixel at which a target with this error appears."""
        (a, b), (c, d) = self.matrix
        det = a * d - b * c
        x, y = error_rad
        return self.origin_px[0] + (d * x - b * y) / det, self.origin_px[1] + (a * y - c * x) / det

    def region(self, half_extent_rad: float, sensor: Region, step_px: int = 16) -> Region:
        """The square around the boresight that shows errors up to `half_extent_rad`, on a grid, inside the sensor."""
        size = 2 * math.ceil(half_extent_rad / self.scale_rad / step_px) * step_px
        width, height = min(size, sensor.width), min(size, sensor.height)
        x = round((self.origin_px[0] - width / 2) / step_px) * step_px
        y = round((self.origin_px[1] - height / 2) / step_px) * step_px
        x = min(max(x, sensor.x), sensor.x + sensor.width - width)
        y = min(max(y, sensor.y), sensor.y + sensor.height - height)
        return Region(x, y, width, height)


def nominal(sensor: Region, pixel_scale_rad: float) -> CameraModel:
    """What the rig file says, before a poke: no rotation, boresight in the middle of the sensor."""
    middle = (sensor.x + (sensor.width - 1) / 2, sensor.y + (sensor.height - 1) / 2)
    return CameraModel(((pixel_scale_rad, 0.0), (0.0, pixel_scale_rad)), middle)


def poke_offsets(step_rad: float) -> tuple[Pair, ...]:
    """Gimbal offsets of a poke: middle, both ways on both axes, middle again."""
    return (0.0, 0.0), (step_rad, 0.0), (-step_rad, 0.0), (0.0, step_rad), (0.0, -step_rad), (0.0, 0.0)


def fit(gimbal_offsets_rad: Sequence[Pair], pixels: Sequence[Pair], expected: CameraModel) -> CameraModel:
    """Least squares over a poke: where a fixed target appeared when the gimbal stood off by known angles.

    The target's own place is a free constant. Raises PokeError with what to check when the image is mirrored, turned by
    more than 30 degrees, scaled otherwise than the rig file says by more than a tenth, or does not follow the gimbal.
    """
    if len(gimbal_offsets_rad) < 4 or len(gimbal_offsets_rad) != len(pixels):
        raise PokeError(f"camera: a poke needs four or more paired points, not {len(pixels)}; repeat it.")
    places = np.column_stack([np.asarray(pixels, dtype=np.float64), np.ones(len(pixels))])
    # The target stands still, so the error moves against the gimbal.
    errors = -np.asarray(gimbal_offsets_rad, dtype=np.float64)
    if np.linalg.matrix_rank(places - places.mean(axis=0), tol=1.0) < 2:
        raise PokeError(
            "camera: the spot did not move in two directions; check that the gimbal moves and a star is seen."
        )
    solution = np.linalg.lstsq(places, errors, rcond=None)[0]
    residual = float(np.sqrt(np.mean((places @ solution - errors) ** 2)))
    (a, c), (b, d) = solution[0], solution[1]
    model = CameraModel(((float(a), float(b)), (float(c), float(d))), expected.origin_px, residual)
    if residual > expected.scale_rad:
        raise UnsteadyPokeError(
            f"camera: the poke fits to {residual * 1e6:.0f} µrad only, more than a pixel; wait for calmer air or a "
            "brighter star and repeat it."
        )
    if a * d - b * c <= 0:
        raise PokeError("camera: the image is mirrored; check the readout direction and the axis signs.")
    turned = math.remainder(model.rotation_rad - expected.rotation_rad, 2 * math.pi)
    if abs(turned) > ROTATION_MAX_RAD:
        raise PokeError(
            f"camera: the image is turned by {math.degrees(turned):.0f} degrees; turn the camera or correct a sign."
        )
    if abs(model.scale_rad / expected.scale_rad - 1) > SCALE_TOLERANCE:
        raise PokeError(
            f"camera: a pixel is {model.scale_rad * 1e6:.2f} µrad, the rig file says {expected.scale_rad * 1e6:.2f}; "
            "correct [camera] pixel_scale_urad."
        )
    return model
