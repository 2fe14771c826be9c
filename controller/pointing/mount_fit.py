"""Fitting the mount model to stars seen by the camera.

Each observation says: with the encoders at these angles, reached in these directions, the camera saw this star that
far from the boresight. The residual is (star minus boresight) as the model has it, minus what the camera measured.
Gauss-Newton with Huber weights; the covariance comes from the noise that the residuals themselves show.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from controller.geometry.timescales import Floats
from controller.pointing.mount import TERMS, MountModel, MountModelError, Signs

Pair = tuple[float, float]
HUBER = 1.5  # residuals beyond this many sigma count linearly
STEP_RAD = 1e-6
ITERATIONS = 30
STARS_MIN = 8


@dataclass(frozen=True, slots=True)
class Observation:
    """A star seen: its observed place, the encoders, their directions of motion, and the camera's offset.

    `offset_rad` is star minus boresight as (cross-elevation, elevation).
    """

    star: str
    azimuth_rad: float
    elevation_rad: float
    azimuth_encoder_rad: float
    elevation_encoder_rad: float
    motion: Signs
    offset_rad: Pair


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted model, its covariance (terms in the order of `terms`), and residuals per axis in radians."""

    model: MountModel
    terms: tuple[str, ...]
    covariance: Floats
    residual_rms_rad: Pair
    residuals_rad: Floats  # (n, 2)
    rejected: int

    def sigma_rad(self, term: str) -> float:
        """One sigma of a term."""
        index = self.terms.index(term)
        return float(np.sqrt(self.covariance[index, index]))

    def pointing_sigma_rad(self, azimuth_rad: float, elevation_rad: float) -> Pair:
        """One sigma of the boresight that the terms' uncertainty makes at a direction, both axes."""
        encoder = self.model.encoder(azimuth_rad, elevation_rad)
        probe = Observation("", azimuth_rad, elevation_rad, *encoder, (0.0, 0.0), (0.0, 0.0))
        slope = _slopes(self.model, self.terms, [probe])
        sigma = np.sqrt(np.diag(slope @ self.covariance @ slope.T))
        return float(sigma[0]), float(sigma[1])


def fit(observations: Sequence[Observation], start: MountModel | None = None) -> Fit:
    """Fit all terms; backlash only for axes that were approached from both sides.

    Raises MountModelError with fewer than eight stars, or when they do not determine the terms.
    """
    stars = {o.star for o in observations}
    if len(stars) < STARS_MIN:
        raise MountModelError(f"Calibration saw {len(stars)} stars and needs {STARS_MIN}; check focus, cloud and mask.")
    terms = tuple(t for t in TERMS if not t.startswith("B") or _both_ways(observations, ["BA", "BE"].index(t)))
    model = start or MountModel()
    weights = np.ones(2 * len(observations))
    for _ in range(ITERATIONS):
        residual = _residuals(model, observations)
        slope = _slopes(model, terms, observations)
        weights = _huber(residual)
        normal = slope.T @ (weights[:, None] * slope)
        scale = np.sqrt(np.diag(normal))
        if np.any(scale == 0) or np.linalg.cond(normal / np.outer(scale, scale)) > 1e8:
            raise MountModelError("The stars do not determine the mount model; spread them in azimuth and elevation.")
        step = np.linalg.solve(normal, slope.T @ (weights * residual))
        model = model.changed(**{t: getattr(model, t) - float(s) for t, s in zip(terms, step, strict=True)})
        if np.abs(step).max() < 1e-10:
            break
    residual = _residuals(model, observations)
    freedom = max(1.0, float(weights.sum()) - len(terms))
    variance = float((weights * residual**2).sum()) / freedom
    pairs = residual.reshape(-1, 2)
    rms = np.sqrt((pairs**2).mean(axis=0))
    return Fit(
        model,
        terms,
        np.asarray(variance * np.linalg.inv(normal), dtype=np.float64),
        (float(rms[0]), float(rms[1])),
        pairs,
        int(np.count_nonzero(weights < 0.5)),
    )


def sky_offset(from_: Pair, to: Pair) -> Pair:
    """(cross-elevation, elevation) from one direction to another near it."""
    middle = (from_[1] + to[1]) / 2
    return math.remainder(to[0] - from_[0], math.tau) * math.cos(middle), to[1] - from_[1]


def _residuals(model: MountModel, observations: Sequence[Observation]) -> Floats:
    rows = []
    for o in observations:
        boresight = model.direction(o.azimuth_encoder_rad, o.elevation_encoder_rad, o.motion)
        x, y = sky_offset(boresight, (o.azimuth_rad, o.elevation_rad))
        rows += [x - o.offset_rad[0], y - o.offset_rad[1]]
    return np.array(rows)


def _slopes(model: MountModel, terms: Sequence[str], observations: Sequence[Observation]) -> Floats:
    columns = []
    for term in terms:
        value = getattr(model, term)
        up = _residuals(model.changed(**{term: value + STEP_RAD}), observations)
        down = _residuals(model.changed(**{term: value - STEP_RAD}), observations)
        columns.append((up - down) / (2 * STEP_RAD))
    return np.array(columns).T


def _huber(residual: Floats) -> Floats:
    spread = 1.4826 * float(np.median(np.abs(residual)))  # sigma of a Gaussian from its median
    limit = HUBER * max(spread, 1e-9)
    result: Floats = np.minimum(1.0, limit / np.maximum(np.abs(residual), 1e-12))
    return result


def _both_ways(observations: Sequence[Observation], axis: int) -> bool:
    signs = [o.motion[axis] for o in observations]
    return min(signs) < -0.5 and max(signs) > 0.5
