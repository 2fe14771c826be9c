"""How the mirror's frame lies against the quad cell, from one injected sine an axis."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.tracking.fine_response import Complex, channel
from hal.errors import DeviceError
from hal.traits import Capture

Matrix = NDArray[np.float64]
SEGMENTS = 8
COHERENCE_MIN = 0.9
ROTATION_MAX_RAD = math.radians(60)
GAIN_RANGE = (0.5, 2.0)


@dataclass(frozen=True, slots=True)
class Poke:
    """Measured coupling. `quad_per_mirror` (2, 2): quad signal per radian of mirror (position sensor's radians)."""

    quad_per_mirror: Matrix
    quad_scale_rad: float  # radians on the sky per unit of quad signal, from the optics
    coherence: tuple[float, float]  # share of what the quad saw that followed each axis

    @property
    def mirror_per_quad(self) -> Matrix:
        """(2, 2) rad: what the mirror must do for one unit of quad signal; the board's matrix."""
        return np.asarray(-np.linalg.inv(self.quad_per_mirror), dtype=np.float64)

    @property
    def mirror_to_sky(self) -> Matrix:
        """(2, 2): line of sight on the sky per mirror radian; the quad sees target minus line of sight."""
        return -self.quad_scale_rad * self.quad_per_mirror


@dataclass(frozen=True, slots=True)
class QuadOptics:
    """A Gaussian spot of 1/e^2 radius w on four cells of finite field F; both from the rig file."""

    spot_radius_rad: float = 100e-6
    half_field_rad: float = 100e-6

    @property
    def scale_rad(self) -> float:
        """Radians per unit of normalised signal at the null.

        A wide cell has w sqrt(pi/8). The finite field cuts both wings: the sum becomes erf(k F), the slope of the
        difference 2k/sqrt(pi) (1 - exp(-k^2 F^2)), with k = sqrt(2)/w.
        """
        k = math.sqrt(2) / self.spot_radius_rad
        edge = k * self.half_field_rad
        return math.erf(edge) * math.sqrt(math.pi) / (2 * k * (1 - math.exp(-edge * edge)))

    def angle_rad(self, signal: NDArray[np.float64]) -> NDArray[np.float64]:
        """Angle for a normalised signal (any shape): the inverse of the cell's curve, which separates by axis."""
        x = np.linspace(-0.9, 0.9, 721) * self.half_field_rad
        k, field = math.sqrt(2) / self.spot_radius_rad, self.half_field_rad
        right = np.array([math.erf(k * (field - at)) + math.erf(k * at) for at in x])
        return np.interp(signal, (right - right[::-1]) / (right + right[::-1]), x)


def _phasors(samples: NDArray[np.float64], frequency_hz: float, rate_hz: float) -> Complex:
    """Amplitude and phase at one frequency in each of SEGMENTS windows."""
    length = len(samples) // SEGMENTS
    rows = np.diff(samples, prepend=samples[0])[: length * SEGMENTS].reshape(SEGMENTS, length)
    carrier = np.exp(-2j * np.pi * frequency_hz / rate_hz * np.arange(length)) * np.hanning(length)
    return np.asarray(rows @ carrier)


def measure_poke(captures: tuple[Capture, Capture], frequency_hz: float, optics: QuadOptics) -> Poke:
    """From captures of injection, quad_x, quad_y, mirror_x and mirror_y, the first with axis 0 driven, then axis 1.

    Quad and position sensor are read in the same tick, so their ratio is free of delay and of the mirror's resonance.
    Both are taken relative to the injected sine (an instrumental variable), so that noise which a closed loop feeds
    back to the mirror does not bias it. Raises DeviceError when the light does not follow the mirror, or follows it the
    wrong way round: closing the loop would run away.
    """
    columns, coherences = [], []
    for axis, capture in zip("xy", captures, strict=True):
        driven, moved = (
            _phasors(channel(capture, name), frequency_hz, capture.rate_hz) for name in ("injection", f"mirror_{axis}")
        )
        seen = np.stack(
            [
                _phasors(optics.angle_rad(channel(capture, f"quad_{q}")), frequency_hz, capture.rate_hz)
                / optics.scale_rad
                for q in "xy"
            ]
        )
        power, energy = float(np.sum(np.abs(driven) ** 2)), float(np.sum(np.abs(seen) ** 2))
        cross = seen @ np.conj(driven)
        explained = float(np.sum(np.abs(cross) ** 2)) / (power * energy) if power > 0 and energy > 0 else 0.0
        response = complex(np.vdot(driven, moved))
        if not explained > COHERENCE_MIN or response == 0:
            raise DeviceError(
                f"beam board: the quad cell does not follow mirror axis {axis} (coherence {explained:.2f}); check that "
                "the beacon is on the quad cell and that the mirror moves."
            )
        columns.append((cross / response).real)
        coherences.append(explained)
    poke = Poke(np.stack(columns, axis=1), optics.scale_rad, (coherences[0], coherences[1]))
    _refuse_wrong_way(poke.mirror_to_sky)
    return poke


def _refuse_wrong_way(mirror_to_sky: Matrix) -> None:
    """Raises DeviceError unless the map is a rotation within reach of upright, and a plausible gain."""
    determinant = float(np.linalg.det(mirror_to_sky))
    rotation = math.atan2(mirror_to_sky[1, 0] - mirror_to_sky[0, 1], mirror_to_sky[0, 0] + mirror_to_sky[1, 1])
    gain = math.sqrt(abs(determinant))
    if determinant <= 0:
        raise DeviceError(
            "beam board: one mirror axis moves the light the wrong way round; swap the sign of that axis' drive or "
            "quad cell wiring before the loop is closed."
        )
    if abs(rotation) > ROTATION_MAX_RAD:
        raise DeviceError(
            f"beam board: the mirror's frame is turned by {math.degrees(rotation):.0f} degrees against the quad cell; "
            "check signs and order of both axes before the loop is closed."
        )
    if not GAIN_RANGE[0] <= gain <= GAIN_RANGE[1]:
        raise DeviceError(
            f"beam board: the light moves {gain:.2f} times as far as the mirror says; check the optics' magnification "
            "and the spot size in the rig file."
        )
