"""Camera frames as a sensor would give them: pixel-integrated spots, background, shot and read noise, saturation.

A spot is a Gaussian that does not move within its exposure (the caller gives its mean place over it). Photo-electrons
of a pixel are Poisson; above 50 expected electrons they are drawn as a normal of the same mean and variance, whose
skewness (at most 0.14) is then below what a centroid can feel. Read noise is normal and enters the same draw.

Normals come from a deck that is drawn once: every row of every frame reads it from a place of its own, drawn anew. A
draw a pixel would be nine tenths of a large frame's cost, and nobody can tell rows of 2^18 starting places apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

NORMAL_ABOVE_E = 50.0
DECK = 1 << 18
REACH_SIGMA = 6.0  # a spot's light beyond this is less than 1e-8 of it


@dataclass(frozen=True, slots=True)
class Sensor:
    """A monochrome sensor behind a lens; angles are line of sight, electrons are photo-electrons."""

    width_px: int = 1024
    height_px: int = 1024
    pixel_scale_rad: float = math.radians(1.0) / 1024  # a field of one degree
    spot_sigma_px: float = 1.5
    background_e_s: float = 20_000.0  # sky, stray light and dark current of a pixel: 100 e in a frame of 5 ms
    read_noise_e: float = 3.0
    gain_e_count: float = 1.0
    pedestal_counts: float = 100.0
    full_well_e: float = 60_000.0

    def pixel(self, x_rad: float, y_rad: float) -> tuple[float, float]:
        """Pixel coordinates of a direction; the optical axis is the middle of the sensor, pixel centres are whole."""
        return (
            (self.width_px - 1) / 2 + x_rad / self.pixel_scale_rad,
            (self.height_px - 1) / 2 + y_rad / self.pixel_scale_rad,
        )


class FrameRenderer:
    """Renders regions of one sensor; the noise depends on `rng` and the order of frames alone, never on the time."""

    def __init__(self, sensor: Sensor, rng: np.random.Generator) -> None:
        self.sensor = sensor
        self._rng = rng
        self._deck = rng.standard_normal(DECK + sensor.width_px, dtype=np.float32)

    @staticmethod
    def warm_up() -> None:
        """Compile what rendering needs; a bench in real time does so before its time begins."""
        spare = FrameRenderer(Sensor(), np.random.default_rng(0))
        for exposure_s in (1e-6, 5e-3):  # dim and bright
            spare.render(0, 0, 16, 16, exposure_s, [(0.0, 0.0, 1e6)])

    def render(
        self,
        x_px: int,
        y_px: int,
        width_px: int,
        height_px: int,
        exposure_s: float,
        spots: Iterable[tuple[float, ...]],
    ) -> NDArray[np.uint16]:
        """Counts of shape (height_px, width_px); `spots` are (x_rad, y_rad, electrons a second).

        What is wider than a point has its sigma in pixels as a fourth number.
        """
        sensor = self.sensor
        light = [
            (*sensor.pixel(x_rad, y_rad), electrons_s * exposure_s, *(wide or (sensor.spot_sigma_px,)))
            for x_rad, y_rad, electrons_s, *wide in spots
        ]
        table = np.array(light, dtype=np.float64).reshape(len(light), 4)
        table[:, 0] -= x_px
        table[:, 1] -= y_px
        places = self._rng.integers(0, DECK, height_px)
        background_e = sensor.background_e_s * exposure_s
        mean = _light(height_px, width_px, background_e, table)
        image = np.empty((height_px, width_px), dtype=np.uint16)
        converter = (sensor.full_well_e, sensor.gain_e_count, sensor.pedestal_counts)
        if background_e > NORMAL_ABOVE_E:  # handing a generator to compiled code costs more than a small frame
            _bright(image, mean, self._deck, places, sensor.read_noise_e, converter)
        else:
            _dim(image, mean, self._deck, places, sensor.read_noise_e, converter, self._rng)
        return image


@njit(cache=True)
def _light(height, width, background_e, spots):  # type: ignore[no-untyped-def]  # numba
    """Expected electrons of every pixel: background and each spot's."""
    mean = np.full((height, width), background_e)
    along_x = np.empty(width)
    along_y = np.empty(height)
    for k in range(spots.shape[0]):
        x, y, electrons, sigma_px = spots[k, 0], spots[k, 1], spots[k, 2], spots[k, 3]
        reach = REACH_SIGMA * sigma_px
        x0, x1 = max(0, math.ceil(x - reach)), min(width, math.floor(x + reach) + 1)
        y0, y1 = max(0, math.ceil(y - reach)), min(height, math.floor(y + reach) + 1)
        _share(along_x, x0, x1, x, sigma_px)
        _share(along_y, y0, y1, y, sigma_px)
        for row in range(y0, y1):
            for column in range(x0, x1):
                mean[row, column] += electrons * along_y[row] * along_x[column]
    return mean


@njit(cache=True)
def _bright(image, mean, deck, places, read_noise_e, converter):  # type: ignore[no-untyped-def]  # numba
    """Expose where every pixel expects enough for a normal."""
    for row in range(mean.shape[0]):
        place = places[row]
        for column in range(mean.shape[1]):
            image[row, column] = _counts(_normal(mean[row, column], deck[place + column], read_noise_e), converter)


@njit(cache=True)
def _dim(image, mean, deck, places, read_noise_e, converter, rng):  # type: ignore[no-untyped-def]  # numba
    """Expose where pixels of few electrons are Poisson's."""
    for row in range(mean.shape[0]):
        place = places[row]
        for column in range(mean.shape[1]):
            expected = mean[row, column]
            if expected > NORMAL_ABOVE_E:
                electrons = _normal(expected, deck[place + column], read_noise_e)
            else:
                electrons = rng.poisson(expected) + read_noise_e * deck[place + column]
            image[row, column] = _counts(electrons, converter)


@njit(cache=True)
def _normal(expected, noise, read_noise_e):  # type: ignore[no-untyped-def]  # numba
    return expected + math.sqrt(expected + read_noise_e * read_noise_e) * noise


@njit(cache=True)
def _counts(electrons, converter):  # type: ignore[no-untyped-def]  # numba
    """What the converter (full well, electrons a count, pedestal) makes of electrons."""
    full_well_e, gain_e_count, pedestal = converter
    counts = min(electrons, full_well_e) / gain_e_count + pedestal
    return int(min(max(counts + 0.5, 0.0), 65535.0))


@njit(cache=True)
def _share(shares, first, last, centre, sigma_px):  # type: ignore[no-untyped-def]  # numba
    """Share of a Gaussian's light in each pixel along one axis."""
    scale = 1.0 / (math.sqrt(2.0) * sigma_px)
    left = math.erf((first - 0.5 - centre) * scale)
    for i in range(first, last):
        right = math.erf((i + 0.5 - centre) * scale)
        shares[i] = 0.5 * (right - left)
        left = right
