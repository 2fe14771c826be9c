"""The lens of a star camera and how it was turned, from stars in one frame: pixels to directions and back.

A lens images gnomonically: a star at the tangents (X, Y) from its axis falls `focal_px` times as many pixels from the
middle of the sensor, stretched by a cubic distortion: (1 + k R²), R being the distance from the axis in half fields.
Fitted are the three angles of the camera, focal length and k; stars that were mistaken for another, or that are two,
are left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from controller.geometry.timescales import Floats

ROUNDS = 12
REJECT = 4.0  # times what the median residual says of one sigma
RAYLEIGH_MEDIAN = 1.1774  # of the length of a residual, in sigma of one axis
SIGMA_MIN_PX = 0.02
UNSTRETCH_ROUNDS = 8  # of a distortion of a few percent: 1e-12


@dataclass(frozen=True, slots=True)
class Lens:
    """`turn` (3, 3) takes unit vectors of the frame that stars were given in to camera axes: x, y of the image, ahead.

    Pixel centres are whole numbers from 0 at the first column and row. `mirrored` images have their x reversed.
    """

    turn: Floats
    focal_px: float
    distortion: float
    mirrored: bool
    size_px: tuple[int, int]  # width, height

    def pixel(self, unit: Floats) -> Floats:
        """Pixels (n, 2) of unit vectors (n, 3) before the camera."""
        across = self._stretched(_tangents(unit @ self.turn.T))
        return self._middle + self.focal_px * across * self._signs

    def unit(self, pixel: Floats) -> Floats:
        """Unit vectors (n, 3) of pixels (n, 2)."""
        seen = (np.asarray(pixel, dtype=np.float64) - self._middle) * self._signs / self.focal_px
        across = seen
        for _ in range(UNSTRETCH_ROUNDS):
            across = seen / (1.0 + self.distortion * (across**2).sum(axis=1) / self._half_field**2)[:, None]
        ahead = np.column_stack([across, np.ones(len(across))])
        result: Floats = ahead / np.linalg.norm(ahead, axis=1)[:, None] @ self.turn
        return result

    @property
    def field_rad(self) -> float:
        """Full field along a row of pixels."""
        return 2.0 * math.atan(self._half_field)

    @property
    def middle_px(self) -> tuple[float, float]:
        """The middle of the sensor, where the axis of the lens is."""
        return (self.size_px[0] - 1) / 2, (self.size_px[1] - 1) / 2

    @property
    def _middle(self) -> Floats:
        return np.array(self.middle_px)

    @property
    def _signs(self) -> Floats:
        return np.array([-1.0 if self.mirrored else 1.0, 1.0])

    @property
    def _half_field(self) -> float:
        return 0.5 * self.size_px[0] / self.focal_px

    def _stretched(self, across: Floats) -> Floats:
        stretch = 1.0 + self.distortion * (across**2).sum(axis=1) / self._half_field**2
        result: Floats = across * stretch[:, None]
        return result


@dataclass(frozen=True, slots=True)
class LensFit:
    """A lens, what it leaves of each star in pixels (n, 2), and which stars it was fitted to (n)."""

    lens: Lens
    left_px: Floats
    used: Floats

    @property
    def stars(self) -> int:
        """How many stars it was fitted to."""
        return int(np.count_nonzero(self.used))

    @property
    def noise_px(self) -> float:
        """One sigma of one coordinate of a star that was used."""
        freedom = max(1, 2 * self.stars - 5)
        return math.sqrt(float((self.left_px[self.used] ** 2).sum()) / freedom)

    @property
    def middle_sigma_rad(self) -> float:
        """One sigma of the direction of the middle, along one axis."""
        return self.noise_px / self.lens.focal_px / math.sqrt(max(1, self.stars))


def fit_lens(pixel: Floats, unit: Floats, focal_px: float, mirrored: bool, size_px: tuple[int, int]) -> LensFit:
    """Fit a lens to stars seen at pixels (n, 2) that stand at unit vectors (n, 3), from a focal length near the truth.

    With fewer than eight stars left it has no distortion.
    """
    lens = Lens(np.eye(3), focal_px, 0.0, mirrored, size_px)
    lens = _changed(lens, _kabsch(lens.unit(pixel), unit))
    used = np.ones(len(pixel), dtype=bool)
    for _ in range(ROUNDS):
        lens = _step(lens, pixel[used], unit[used])
        left = pixel - lens.pixel(unit)
        length = np.hypot(*left.T)
        sigma = max(SIGMA_MIN_PX, float(np.median(length[used])) / RAYLEIGH_MEDIAN)
        used = length < REJECT * sigma
    return LensFit(lens, pixel - lens.pixel(unit), used)


def _step(lens: Lens, pixel: Floats, unit: Floats) -> Lens:
    """One step of Gauss and Newton, from analytic slopes."""
    ahead = unit @ lens.turn.T
    x, y = _tangents(ahead).T
    square = (x * x + y * y) / lens._half_field**2
    residual = ((pixel - lens.pixel(unit)) * lens._signs / lens.focal_px).ravel()
    none = np.zeros_like(x)
    # Turning the camera frame by small angles about its three axes moves a star by w × v, seen as tangents.
    columns = [
        np.column_stack([-x * y, -1.0 - y * y]),
        np.column_stack([1.0 + x * x, x * y]),
        np.column_stack([-y, x]),
        np.column_stack([x, y]),
    ]
    columns += [np.column_stack([x * square, y * square])] if len(x) >= 8 else [np.column_stack([none, none])]
    slopes = np.column_stack([column.ravel() for column in columns])
    step = np.linalg.lstsq(slopes, residual, rcond=None)[0]
    turn = _about(step[:3]) @ lens.turn
    return Lens(turn, lens.focal_px * (1.0 + step[3]), lens.distortion + step[4], lens.mirrored, lens.size_px)


def _tangents(ahead: Floats) -> Floats:
    result: Floats = ahead[:, :2] / np.maximum(ahead[:, 2:], 1e-9)
    return result


def _changed(lens: Lens, turn: Floats) -> Lens:
    return Lens(turn, lens.focal_px, lens.distortion, lens.mirrored, lens.size_px)


def _kabsch(camera: Floats, unit: Floats) -> Floats:
    u, _, v = np.linalg.svd(camera.T @ unit)
    result: Floats = u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ v))]) @ v
    return result


def _about(angles: Floats) -> Floats:
    """The rotation by a small vector of angles (Rodrigues)."""
    angle = float(np.linalg.norm(angles))
    if angle < 1e-15:
        return np.eye(3)
    x, y, z = angles / angle
    k = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    result: Floats = np.eye(3) + math.sin(angle) * k + (1.0 - math.cos(angle)) * (k @ k)
    return result
