"""Where a spot is in a camera frame: detection and sub-pixel centroid.

Detection is the largest sum of 3x3 pixels above a robust background, with a threshold from a false-alarm probability
per frame. The centroid starts there and iterates a weighted centroid, as SExtractor's windowed positions do (Bertin &
Arnouts 1996), with the weights that are best for the noise at hand: the derivative of a pixel-integrated Gaussian
over each pixel's variance. That is one step of Fisher scoring an iteration, and it reaches the Cramér-Rao bound
at every brightness, where a fixed Gaussian window loses a quarter of the precision of a bright spot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hal.traits import Region

WIDTH_PX = 1.5  # standard deviation of a spot, as the optics are focused
ELECTRONS_PER_COUNT = 1.0
FALSE_ALARM = 1e-6  # probability that a frame of pure noise shows a spot
SATURATED = 65535
SAMPLES = 256  # pixels that tell the background
STEPS = 12
CONVERGED_PX = 1e-3
STRAY_PX = 3.0  # a centroid farther than this from its brightest pixels is none
WINDOW = 4.0  # half width, in spot widths


@dataclass(frozen=True, slots=True)
class Centroid:
    """A spot: sensor pixels (pixel centres are whole numbers), counts, and how well they are known.

    `snr` is the flux over its standard deviation; `sigma_px` the standard deviation of x_px and of y_px.
    """

    x_px: float
    y_px: float
    flux: float
    snr: float
    sigma_px: float


def centroid(
    image: NDArray[np.uint16],
    region: Region | None = None,
    width_px: float = WIDTH_PX,
    electrons_per_count: float = ELECTRONS_PER_COUNT,
    false_alarm: float = FALSE_ALARM,
) -> Centroid | None:
    """The brightest spot of an image of shape (height, width), or None where there is only noise.

    `region` is the image's place on the sensor; without it, coordinates are the image's own.
    """
    image = np.require(image, np.uint16, ["C", "W"])  # one compiled form; copies only what is not of it
    found = _brightest(image, width_px, electrons_per_count, threshold(image.size, false_alarm))
    return _placed(found, region) if found[3] > 0.0 else None


def detect(
    image: NDArray[np.uint16],
    k: int,
    region: Region | None = None,
    width_px: float = WIDTH_PX,
    electrons_per_count: float = ELECTRONS_PER_COUNT,
    false_alarm: float = FALSE_ALARM,
) -> list[Centroid]:
    """At most `k` spots, brightest first; two spots are at least five spot widths apart."""
    image = np.require(image, np.uint16, ["C", "W"])
    table = _several(image, k, width_px, electrons_per_count, threshold(image.size, false_alarm))
    return [_placed(row, region) for row in table if row[3] > 0.0]


@lru_cache(maxsize=64)
def threshold(pixels: int, false_alarm: float) -> float:
    """Standard deviations that noise alone passes in one of `pixels` pixels with probability `false_alarm`."""
    return -NormalDist().inv_cdf(false_alarm / pixels)


def _placed(found: tuple[float, ...] | NDArray[np.float64], region: Region | None) -> Centroid:
    x, y, flux, snr, sigma = (float(value) for value in found)
    return Centroid(x + (region.x if region else 0), y + (region.y if region else 0), flux, snr, sigma)


@njit(cache=True)
def _brightest(image, width_px, gain, limit):  # type: ignore[no-untyped-def]  # numba
    background, variance = _background(image)
    height, width = image.shape
    best, best_row, best_column = -1, 0, 0
    columns = np.empty(width, dtype=np.int32)
    boxes = np.zeros(width, dtype=np.int32)
    for row in range(1, height - 1):
        above, here, below = image[row - 1], image[row], image[row + 1]
        for column in range(width):
            columns[column] = np.int32(above[column]) + np.int32(here[column]) + np.int32(below[column])
        highest = np.int32(0)
        for column in range(1, width - 1):
            boxes[column] = columns[column - 1] + columns[column] + columns[column + 1]
            highest = max(highest, boxes[column])
        if highest > best:
            best, best_row, best_column = int(highest), row, int(np.argmax(boxes))
    if best - 9.0 * background < limit * 3.0 * math.sqrt(variance):
        return 0.0, 0.0, 0.0, 0.0, 0.0
    return _refine(image, best_column, best_row, background, variance, width_px, gain)


@njit(cache=True)
def _several(image, k, width_px, gain, limit):  # type: ignore[no-untyped-def]  # numba
    background, variance = _background(image)
    height, width = image.shape
    found = np.zeros((k, 5))
    boxes = np.zeros((height, width), dtype=np.float32)
    for row in range(1, height - 1):
        for column in range(1, width - 1):
            box = 0.0
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    box += image[row + dy, column + dx]
            boxes[row, column] = box
    apart = math.ceil(5.0 * width_px)
    least = 9.0 * background + limit * 3.0 * math.sqrt(variance)
    n = 0
    for _ in range(4 * k):  # some of the maxima may turn out not to be spots
        at = np.argmax(boxes)
        row, column = at // width, at % width
        if n == k or boxes[row, column] < least:
            break
        found[n] = _refine(image, column, row, background, variance, width_px, gain)
        n += found[n, 3] > 0.0
        boxes[max(0, row - apart) : row + apart + 1, max(0, column - apart) : column + apart + 1] = 0.0
    if n < k:
        found[n:] = 0.0
    return found


@njit(cache=True)
def _background(image):  # type: ignore[no-untyped-def]  # numba
    """Mean and variance of the background, in counts: median and MAD of a sample, then the mean of what is near."""
    height, width = image.shape
    step = max(1, math.ceil(math.sqrt(height * width / SAMPLES)))
    rows, columns = (height + step - 1) // step, (width + step - 1) // step
    sample = np.empty(rows * columns)
    for i in range(rows):
        for j in range(columns):
            sample[i * columns + j] = image[i * step, j * step]
    middle = np.median(sample)
    spread = 1.4826 * np.median(np.abs(sample - middle))
    total, squares, n = 0.0, 0.0, 0
    reach = 3.0 * max(spread, 0.5)
    for value in sample:
        if abs(value - middle) <= reach:
            total += value - middle
            squares += (value - middle) ** 2
            n += 1
    mean = total / n
    return middle + mean, max(squares / n - mean * mean, 1.0 / 12.0)


@njit(cache=True)
def _refine(image, column, row, background, variance, width_px, gain):  # type: ignore[no-untyped-def]  # numba
    """Fisher scoring of x, y and flux; by symmetry they do not disturb each other, so each has its own step."""
    half = math.ceil(WINDOW * width_px)
    x0, x1 = max(0, column - half), min(image.shape[1], column + half + 1)
    y0, y1 = max(0, row - half), min(image.shape[0], row + half + 1)
    nx, ny = x1 - x0, y1 - y0
    px, dpx = np.empty(nx), np.empty(nx)
    py, dpy = np.empty(ny), np.empty(ny)
    x, y = float(column), float(row)
    flux = 0.0
    for i in range(max(0, row - 1), min(image.shape[0], row + 2)):
        for j in range(max(0, column - 1), min(image.shape[1], column + 2)):
            flux += image[i, j] - background
    flux = max(2.0 * flux, 1.0)
    for _ in range(STEPS):
        _profile(px, dpx, x0, x, width_px)
        _profile(py, dpy, y0, y, width_px)
        gx = gy = gf = fx = fy = ff = 0.0
        for i in range(ny):
            for j in range(nx):
                value = image[y0 + i, x0 + j]
                if value >= SATURATED:
                    continue
                shape = py[i] * px[j]
                mean = flux * shape
                weight = 1.0 / (variance + mean / gain)
                rest = (value - background - mean) * weight
                sx, sy = flux * py[i] * dpx[j], flux * dpy[i] * px[j]
                gx += sx * rest
                gy += sy * rest
                gf += shape * rest
                fx += sx * sx * weight
                fy += sy * sy * weight
                ff += shape * shape * weight
        if not (fx > 0.0 and fy > 0.0 and ff > 0.0):
            return 0.0, 0.0, 0.0, 0.0, 0.0
        step_x = min(max(gx / fx, -1.0), 1.0)
        step_y = min(max(gy / fy, -1.0), 1.0)
        x += step_x
        y += step_y
        flux = max(flux + gf / ff, 0.25 * flux)
        if abs(x - column) > STRAY_PX or abs(y - row) > STRAY_PX:
            return 0.0, 0.0, 0.0, 0.0, 0.0
        if abs(step_x) < CONVERGED_PX and abs(step_y) < CONVERGED_PX:
            break
    return x, y, flux, flux * math.sqrt(ff), math.sqrt(0.5 / fx + 0.5 / fy)


@njit(cache=True)
def _profile(share, slope, first, centre, width_px):  # type: ignore[no-untyped-def]  # numba
    """Share of a spot's light in each pixel along one axis, and its derivative with the spot's place."""
    scale = 1.0 / (math.sqrt(2.0) * width_px)
    density = 1.0 / (math.sqrt(2.0 * math.pi) * width_px)
    u = (first - 0.5 - centre) * scale
    left, left_density = math.erf(u), density * math.exp(-u * u)
    for i in range(share.size):
        u = (first + i + 0.5 - centre) * scale
        right, right_density = math.erf(u), density * math.exp(-u * u)
        share[i] = 0.5 * (right - left)
        slope[i] = left_density - right_density
        left, left_density = right, right_density
