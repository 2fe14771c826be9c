"""Fitting the mount model to stars seen by the camera.

Each observation says: with the encoders at these angles, reached in these directions, the camera saw this star that
far from the boresight. The residual is (star minus boresight) as the model has it, minus what the camera measured.

Robust: Gauss-Newton, first with Huber's weights, then with Tukey's, which give a star that was mistaken for another
no weight at all (Huber, "Robust Statistics", 1981). A star's weight goes by the length of its residual.

Terms beyond the common ones are taken one by one, as long as the best of them improves the fit by more than the
extended Bayesian information criterion asks (Chen and Chen, Biometrika 95, 2008): ln(numbers) for one more term, and
2 ln(candidates) for having chosen it among many. Without the second, every other fit to twelve stars takes a term that
is not there, and is worse for it.

Two sightings of one star are not two stars: they share what its place and the worm are off by. All sightings count for
as much less as the stars differ more among each other than sightings do (the design effect: Kish, "Survey Sampling",
1965, 5.4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from controller.geometry.timescales import Floats
from controller.pointing.mount import FLEXURE, LEANING, TERMS, MountModel, MountModelError
from controller.pointing.mount_frame import ALT_AZ, MountFrame
from controller.pointing.mount_place import placed
from controller.pointing.observation import Observation, Pair, about_axes, sky_offset

HUBER = 1.5  # a residual longer than this many sigma counts linearly
TUKEY = 5.0  # one longer than this counts nothing; 95 % of the efficiency of least squares on clean stars
REJECTED = 0.1  # a star with less weight than this
RAYLEIGH_MEDIAN = 1.1774  # of the length of a residual, in sigma of one axis
STEP_RAD = 1e-6
HUBER_ROUNDS = 15
TUKEY_ROUNDS = 25
ROUNDS = 10
CONDITION_MAX = 1e4
STARS_MIN = 8
NEAR_AXIS_RAD = math.radians(82.0)


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted model, its covariance (terms in the order of `terms`), and what is left, per axis in radians.

    `noise_rad` is one sigma of one axis of a sighting, as the stars that were believed show it.
    """

    model: MountModel
    terms: tuple[str, ...]
    covariance: Floats
    residuals_rad: Floats  # (n, 2)
    weights: Floats  # (n)
    noise_rad: float

    @property
    def residual_rms_rad(self) -> Pair:
        """Of the stars that were believed."""
        x, y = np.sqrt((self.residuals_rad[self.weights >= REJECTED] ** 2).mean(axis=0))
        return float(x), float(y)

    @property
    def rejected(self) -> int:
        """How many sightings were not believed."""
        return int(np.count_nonzero(self.weights < REJECTED))

    def sigma_rad(self, term: str) -> float:
        """One sigma of a term."""
        index = self.terms.index(term)
        return float(np.sqrt(self.covariance[index, index]))

    def sky_sigma_rad(self) -> float:
        """One sigma of one axis that the terms' uncertainty makes, rms over the sky from 20 to 80 degrees.

        Where the first axis points to itself is left out.
        """
        places = [(a, e) for e in np.radians([20.0, 40.0, 60.0, 80.0]) for a in np.arange(0.0, 6.2, math.tau / 6)]
        places = [place for place in places if abs(self.model.frame.axes(*place)[1]) < NEAR_AXIS_RAD]
        return float(np.sqrt(np.mean(np.square([self.pointing_sigma_rad(*place) for place in places]))))

    def pointing_sigma_rad(self, azimuth_rad: float, elevation_rad: float) -> Pair:
        """One sigma of the boresight that the terms' uncertainty makes at a direction of the sky, both axes."""
        axes = self.model.frame.axes(azimuth_rad, elevation_rad)
        probe = Observation("", *axes, *self.model.encoder(*axes), (0.0, 0.0), (0.0, 0.0))
        slope = _slopes(self.model, self.terms, [probe])
        sigma = np.sqrt(np.diag(slope @ self.covariance @ slope.T))
        return float(sigma[0]), float(sigma[1])


@dataclass(frozen=True, slots=True)
class _Solution:
    model: MountModel
    terms: tuple[str, ...]
    residual: Floats  # (n, 2)
    slope: Floats  # (2 n, terms)
    sigma: float


def fit(
    observations: Sequence[Observation],
    start: MountModel | None = None,
    candidates: Sequence[str] | None = None,
    frame: MountFrame = ALT_AZ,
) -> Fit:
    """Fit the common terms, backlash only for axes approached from both sides, and those `candidates` that are there.

    From `start`, or from a mount that stands in about this `frame`, as the stars say. Candidates are all that a mount
    of that kind may have, unless they are named. Raises MountModelError with fewer than eight stars, or
    when they do not determine the terms.
    """
    stars = {o.star for o in observations}
    if len(stars) < STARS_MIN:
        raise MountModelError(f"Calibration saw {len(stars)} stars and needs {STARS_MIN}; check focus, cloud and mask.")
    frame = start.frame if start is not None else frame
    observations = about_axes(observations, frame)
    if candidates is None:
        candidates = FLEXURE if frame.level else LEANING
    common = tuple(t for t in TERMS if not t.startswith("B") or _both_ways(observations, ["BA", "BE"].index(t)))
    best = _solve(start or placed(observations).standing(frame), common, observations)
    while (trial := _one_more(best, candidates, observations)) is not None:
        best = trial
    for term in best.terms[len(common) :]:  # what was taken first was chosen while others were missing
        fewer = tuple(t for t in best.terms if t != term)
        again = _one_more(_solve(best.model.changed(**{term: 0.0}), fewer, observations), candidates, observations)
        best = again or best
    return _fitted(best, observations)


def _one_more(best: _Solution, candidates: Sequence[str], observations: Sequence[Observation]) -> _Solution | None:
    """The same with the best of the candidates, when that is worth a term more."""
    open_ = [t for t in candidates if t not in best.terms]
    if not open_ or 2 * len(observations) <= len(best.terms) + 2:
        return None
    columns = _slopes(best.model, open_, observations)
    gains = {}
    for index, term in enumerate(open_):
        try:
            left = _robust(np.column_stack([best.slope, columns[:, index]]), best.residual)[1]
        except MountModelError:
            continue  # these stars cannot tell it from the others
        noise, effect = _noise(left, len(best.terms) + 1), _design_effect(left, (*best.terms, term), observations)
        freedom = max(1.0, 2 * len(observations) / effect - len(best.terms) - 1)
        better = max(0.0, _misfit(best.residual, noise) - _misfit(left, noise)) / effect
        # Of a likelihood whose variance is estimated, too: with few stars a term looks better than it is.
        gains[term] = freedom * math.log1p(better / freedom) - math.log(2 * len(observations) / effect)
    if not gains:
        return None
    first = max(gains, key=lambda term: gains[term])
    if gains[first] <= 2 * math.log(len(candidates)):
        return None
    return _solve(best.model, (*best.terms, first), observations)


def _solve(model: MountModel, terms: tuple[str, ...], observations: Sequence[Observation]) -> _Solution:
    for _ in range(ROUNDS):
        residual, slope = _residuals(model, observations), _slopes(model, terms, observations)
        step, _ = _robust(slope, residual)
        model = model.changed(**{t: getattr(model, t) + float(s) for t, s in zip(terms, step, strict=True)})
        if np.abs(step).max() < 1e-9:
            break
    residual = _residuals(model, observations)
    return _Solution(model, terms, residual, slope, _sigma(residual, len(terms)))


def _robust(slope: Floats, residual: Floats) -> tuple[Floats, Floats]:
    """The change of the terms that is best where the slopes are straight, and the residuals (n, 2) that it leaves."""
    scale = np.sqrt((slope**2).sum(axis=0))
    if np.any(scale == 0) or np.linalg.cond(slope / scale) > CONDITION_MAX:
        raise MountModelError("The stars do not determine the mount model; spread them in azimuth and elevation.")
    columns = slope / scale
    step = np.zeros(len(scale))
    left = residual
    for round_ in range(HUBER_ROUNDS + TUKEY_ROUNDS):
        sigma = _sigma(left, len(scale))
        weights = _huber(left, sigma) if round_ < HUBER_ROUNDS else _tukey(left, sigma)
        root = np.repeat(np.sqrt(weights), 2)
        last, step = step, np.linalg.lstsq(columns * root[:, None], -residual.ravel() * root, rcond=None)[0]
        left = residual + (columns @ step).reshape(-1, 2)
        if round_ > HUBER_ROUNDS and np.abs(step - last).max() < 1e-10:
            break
    return step / scale, left


def _fitted(found: _Solution, observations: Sequence[Observation]) -> Fit:
    """The covariance of an estimate with Tukey's weights (Huber 1981, 7.6), from the stars that count."""
    weights = _tukey(found.residual, found.sigma)
    noise_rad = _noise(found.residual, len(found.terms))
    slope = found.slope[np.repeat(weights >= REJECTED, 2)]
    variance = noise_rad**2 * _design_effect(found.residual, found.terms, observations)
    covariance = np.asarray(variance * np.linalg.inv(slope.T @ slope), dtype=np.float64)
    return Fit(found.model, found.terms, covariance, found.residual, weights, noise_rad)


def _noise(residual: Floats, terms: int) -> float:
    """Sigma of one axis of a sighting, from the stars that count."""
    sigma = _sigma(residual, terms)
    weights = _tukey(residual, sigma)
    good = weights >= REJECTED
    squares = (residual[good] ** 2).sum(axis=1)
    v = squares / (TUKEY * sigma) ** 2
    freedom = max(1.0, 2.0 * np.count_nonzero(good) - terms)
    return max(
        1e-9, math.sqrt(float((weights[good] ** 2 * squares).sum()) / freedom) / float(((1 - v) * (1 - 3 * v)).mean())
    )


def _design_effect(residual: Floats, terms: Sequence[str], observations: Sequence[Observation]) -> float:
    """How many sightings are worth one: the variance among stars over that among sightings, 1 at least."""
    good = _tukey(residual, _sigma(residual, len(terms))) >= REJECTED
    stars: dict[str, list[Floats]] = {}
    for observation, left, believed in zip(observations, residual, good, strict=True):
        if believed:
            stars.setdefault(observation.star, []).append(left)
    among = sum(len(seen) * float((np.mean(seen, axis=0) ** 2).sum()) for seen in stars.values())
    of_stars = max(1, 2 * len(stars) - sum(not term.startswith("B") for term in terms))  # backlash is within a star
    of_all = max(1, 2 * int(np.count_nonzero(good)) - len(terms))
    return max(1.0, among / of_stars / max(1e-30, float((residual[good] ** 2).sum()) / of_all))


def _misfit(residual: Floats, sigma: float) -> float:
    """Twice the negative logarithm of a likelihood in which one star may say only so much."""
    v = np.minimum(1.0, (residual**2).sum(axis=1) / (TUKEY * sigma) ** 2)
    return float((TUKEY**2 / 3 * (1 - (1 - v) ** 3)).sum())


def _residuals(model: MountModel, observations: Sequence[Observation]) -> Floats:
    rows = []
    for o in observations:
        boresight = model.direction(o.azimuth_encoder_rad, o.elevation_encoder_rad, o.motion)
        x, y = sky_offset(boresight, (o.azimuth_rad, o.elevation_rad))
        rows.append((x - o.offset_rad[0], y - o.offset_rad[1]))
    return np.array(rows)


def _slopes(model: MountModel, terms: Sequence[str], observations: Sequence[Observation]) -> Floats:
    columns = []
    for term in terms:
        value = getattr(model, term)
        up = _residuals(model.changed(**{term: value + STEP_RAD}), observations)
        down = _residuals(model.changed(**{term: value - STEP_RAD}), observations)
        columns.append(((up - down) / (2 * STEP_RAD)).ravel())
    return np.array(columns).T


def _sigma(residual: Floats, terms: int) -> float:
    """Of one axis, from the median length, which half the stars being wrong does not move far."""
    numbers = residual.size
    lengths = np.hypot(*residual.T)
    return max(1e-9, float(np.median(lengths)) / RAYLEIGH_MEDIAN * math.sqrt(numbers / max(1, numbers - terms)))


def _huber(residual: Floats, sigma: float) -> Floats:
    result: Floats = np.minimum(1.0, HUBER * sigma / np.maximum(np.hypot(*residual.T), 1e-12))
    return result


def _tukey(residual: Floats, sigma: float) -> Floats:
    result: Floats = np.maximum(0.0, 1 - (residual**2).sum(axis=1) / (TUKEY * sigma) ** 2) ** 2
    return result


def _both_ways(observations: Sequence[Observation], axis: int) -> bool:
    signs = [o.motion[axis] for o in observations]
    return min(signs) < -0.5 and max(signs) > 0.5
