"""The scan that finds the satellite: pitch, speed, radius and time computed from the uncertainty.

The satellite answers our beam, so the beam is swept over the uncertainty ellipse on a spiral that is stretched to the
ellipse and sweeps area at a constant rate. For a Gaussian uncertainty with principal sigmas s1, s2 the swept share is
then 1 - exp(-t/tau) with tau = 2 pi s1 s2 / (area rate): the time to reach the target is exactly exponential
(reference: Archimedean spiral, t = pi r^2 / (d v)). Three things make a real scan differ from it, and all three are in
the prediction: tracks overlap, so that a target is often seen one turn early; a crossing can be too short for the
satellite's detector; jitter moves the track while it passes.

Everything here is pure. Angles are (cross-elevation, elevation) in radians, times in seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from controller.acquisition.crossing import Detector, miss_probability
from hal.errors import HalError

Matrix = NDArray[np.float64]
LIGHT_M_S = 299_792_458.0
# Neighbouring turns near the middle follow each other faster than jitter forgets; simulated scans (tests) succeed as
# often as predicted when jitter is taken a quarter larger.
CORRELATION_ALLOWANCE = 1.25
PITCHES = np.linspace(0.2, 2.0, 13)  # capture radii
HALVINGS = 9


class ScanError(HalError, ValueError):
    """The uncertainty cannot be scanned with this beam and this mirror."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the mirror that carries the scan can do, as line-of-sight angle."""

    range_rad: float
    speed_rad_s: float


@dataclass(frozen=True, slots=True)
class Latency:
    """What passes between the beam's arrival and our knowing of it, each part in seconds."""

    light_s: float  # up and down
    response_s: float  # the satellite's, from detection to beacon
    detection_s: float  # ours: until the sweep begins, and until a detection is believed

    @property
    def total_s(self) -> float:
        """Sum of the parts."""
        return self.light_s + self.response_s + self.detection_s


@dataclass(frozen=True, slots=True)
class Spiral:
    """A stretched Archimedean spiral with its predicted outcome; `position` is all that the mirror needs.

    In units of sigma along the principal axes the spiral is q = turn_sigma * theta / 2 pi, with pi s1 s2 q^2 growing at
    `area_rate_rad2_s`. It starts with a stare of two detector frames at theta = 1 rad: the middle is inside the beam.
    """

    center_rad: tuple[float, float]
    sigma_rad: tuple[float, float]  # principal, larger first
    axes: tuple[tuple[float, float], tuple[float, float]]  # unit vectors (xel, el) of the principal axes
    turn_sigma: float
    area_rate_rad2_s: float
    radius_sigma: float
    detector: Detector
    latency: Latency
    predicted_success: float = 0.0
    predicted_mean_s: float = 0.0  # of a successful sweep, latency included

    @property
    def tau_s(self) -> float:
        """Time constant of the exponential law, without overlap, dwell and latency."""
        return 2 * math.pi * self.sigma_rad[0] * self.sigma_rad[1] / self.area_rate_rad2_s

    @property
    def start_sigma(self) -> float:
        """Radius at time zero (theta = 1 rad)."""
        return self.turn_sigma / (2 * math.pi)

    @property
    def duration_s(self) -> float:
        """One sweep, from the middle to the edge."""
        return float(self.reached_s(self.radius_sigma))

    @property
    def pitch_rad(self) -> float:
        """Widest distance between neighbouring tracks: on the major axis."""
        return self.turn_sigma * self.sigma_rad[0]

    @property
    def speed_rad_s(self) -> float:
        """Fastest along-track speed: where the ellipse is flattest, tracks are closest there."""
        return self.area_rate_rad2_s / (self.turn_sigma * self.sigma_rad[1])

    @property
    def stare_s(self) -> float:
        """Time spent at the start."""
        return 2 * self.detector.frame_s

    @property
    def half_extent_rad(self) -> float:
        """Radius of the circle around the boresight that holds the whole scan."""
        return self.radius_sigma * self.sigma_rad[0] + math.hypot(*self.center_rad)

    def reached_s(self, q: Matrix | float) -> Matrix | float:
        """When the spiral comes to radius q, in sigmas."""
        return self.stare_s + (q**2 - self.start_sigma**2) * self.tau_s / 2

    def position(self, t_s: float) -> tuple[float, float]:
        """Where the beam is `t_s` after the start of the sweep, (cross-elevation, elevation); held at the edge."""
        t_s = min(max(t_s, 0.0), self.duration_s)
        q = math.sqrt(self.start_sigma**2 + 2 * max(t_s - self.stare_s, 0.0) / self.tau_s)
        theta = 2 * math.pi * q / self.turn_sigma
        u = self.sigma_rad[0] * q * math.cos(theta)
        w = self.sigma_rad[1] * q * math.sin(theta)
        (a_x, a_y), (b_x, b_y) = self.axes
        return self.center_rad[0] + u * a_x + w * b_x, self.center_rad[1] + u * a_y + w * b_y


def uncertainty(
    along_cross_on_sky: Matrix,
    along_track_m: float,
    cross_track_m: float,
    mount_covariance_rad2: Matrix,
    sky_rate_rad_s: tuple[float, float] = (0.0, 0.0),
    clock_sigma_s: float = 0.0,
) -> Matrix:
    """Covariance of the target on the sky about where we point, shape (2, 2), rad^2.

    `along_cross_on_sky` is geometry.trackframe's matrix in rad/m; a clock error moves the target along its path.
    """
    metres = np.diag([along_track_m**2, cross_track_m**2])
    rate = np.asarray(sky_rate_rad_s, dtype=np.float64)
    covariance: Matrix = (
        along_cross_on_sky @ metres @ along_cross_on_sky.T
        + np.asarray(mount_covariance_rad2)
        + np.outer(rate, rate) * clock_sigma_s**2
    )
    return covariance


def plan(
    covariance_rad2: Matrix,
    detector: Detector,
    jitter_rad: float,
    success: float,
    limits: Limits,
    latency: Latency,
    center_rad: tuple[float, float] = (0.0, 0.0),
) -> Spiral:
    """The fastest spiral that succeeds with probability `success`, within the mirror's limits.

    One part in five of the allowed failure goes to crossings missed inside the ellipse, the rest to its edge: the
    optimum is flat there. `jitter_rad` is one axis. Raises ScanError when the ellipse does not fit the mirror or jitter
    swamps the beam.
    """
    if not 0.0 < success < 1.0:
        raise ScanError(f"scan: success_probability {success:g} is not between 0 and 1; correct it in [acquisition].")
    if jitter_rad > detector.capture_rad:
        raise ScanError(
            f"scan: pointing jitter of {jitter_rad * 1e6:.0f} µrad is larger than the capture radius of "
            f"{detector.capture_rad * 1e6:.0f} µrad; widen the beam or steady the mount."
        )
    design_rad = jitter_rad * CORRELATION_ALLOWANCE
    variances, vectors = np.linalg.eigh(np.asarray(covariance_rad2, dtype=np.float64))
    s1, s2 = math.sqrt(max(float(variances[1]), 1e-18)), math.sqrt(max(float(variances[0]), 1e-18))
    s2 = max(s2, s1 / 20)  # a needle is scanned as a narrow ellipse
    miss = 0.2 * (1 - success)
    turn_sigma, area_rate = _fastest(
        s2 / s1, s1 / detector.capture_rad, detector, design_rad / detector.capture_rad, miss
    )
    area_rate *= detector.capture_rad**2
    fastest_rad_s = area_rate / (turn_sigma * s2)
    if fastest_rad_s > limits.speed_rad_s:  # slower never lowers the success
        area_rate *= limits.speed_rad_s / fastest_rad_s
    axes = ((float(vectors[0, 1]), float(vectors[1, 1])), (float(vectors[0, 0]), float(vectors[1, 0])))
    radius = math.sqrt(-2 * math.log(1 - success / (1 - miss)))
    spiral = Spiral(center_rad, (s1, s2), axes, turn_sigma, area_rate, radius, detector, latency)
    for _ in range(8):  # the outermost turn covers half a pitch less than it encloses
        found, _ = outcome(spiral, design_rad)
        if found >= success:
            break
        spiral = replace(spiral, radius_sigma=spiral.radius_sigma + turn_sigma / 4)
    extent = np.sqrt(vectors**2 @ np.array([s2**2, s1**2])) * spiral.radius_sigma + np.abs(center_rad)
    if float(extent.max()) > limits.range_rad:
        raise ScanError(
            f"scan: {success:g} success needs ±{float(extent.max()) * 1e6:.0f} µrad but the mirror reaches "
            f"±{limits.range_rad * 1e6:.0f}; use a newer element set or calibrate the mount."
        )
    return replace(spiral, predicted_success=found, predicted_mean_s=outcome(spiral, jitter_rad)[1])


@lru_cache(maxsize=64)
def _fastest(flattening: float, sigma: float, detector: Detector, jitter: float, miss: float) -> tuple[float, float]:
    """(turn_sigma, area rate in capture_rad^2/s) of the fastest spiral whose crossings are missed at most `miss`.

    All lengths in capture radii. For each pitch the largest rate is found by bisection; pitches on a fixed grid.
    """
    best = (0.0, 0.0)
    for pitch in PITCHES:
        slow, fast = 0.0, 16.0 * pitch / detector.frame_s  # an eighth of a frame on the diameter
        if miss_probability(flattening, float(pitch), 1e-6, detector, jitter) > miss:
            break
        for _ in range(HALVINGS):
            rate = (slow + fast) / 2
            missed = miss_probability(flattening, float(pitch), rate, detector, jitter)
            slow, fast = (rate, fast) if missed <= miss else (slow, rate)
        if slow > best[1]:
            best = (float(pitch) / sigma, slow)
    return best


def outcome(spiral: Spiral, jitter_rad: float, angles: int = 10, targets: int = 120) -> tuple[float, float]:
    """(probability that one sweep finds the target, mean time of the successful ones in s, latency included).

    A sum, not a simulation: over targets on Gaussian quantiles (radius) and equal angles, over the tracks that pass
    them in order, each seen with its crossing's probability if no earlier one was.
    """
    s1, s2 = spiral.sigma_rad
    shares = (np.arange(targets) + 0.5) / targets
    target_q = np.sqrt(-2 * np.log(1 - shares))
    start_u, start_w = s1 * spiral.start_sigma * math.cos(1.0), s2 * spiral.start_sigma * math.sin(1.0)
    turns = np.arange(math.ceil(spiral.radius_sigma / spiral.turn_sigma) + 1)
    found = mean = 0.0
    for number in range(angles):
        angle = (number + 0.5) * 2 * math.pi / angles
        stretch = math.hypot(s1 * math.sin(angle), s2 * math.cos(angle))
        across = s1 * s2 / stretch  # rad on the sky, at right angles to the track, per unit of q
        track_q = spiral.turn_sigma * (angle / (2 * math.pi) + turns)
        track_q = track_q[(track_q >= spiral.start_sigma) & (track_q <= spiral.radius_sigma)]
        offset = (target_q[:, None] - track_q[None, :]) * across
        speed = spiral.area_rate_rad2_s / (spiral.turn_sigma * across)
        stare = np.hypot(s1 * target_q * math.cos(angle) - start_u, s2 * target_q * math.sin(angle) - start_w)
        seen = np.hstack(
            [
                spiral.detector.seen(stare[:, None], 0.0, jitter_rad),
                spiral.detector.seen(offset, speed, jitter_rad),
            ]
        )
        unseen_before = np.cumprod(np.hstack([np.ones((len(seen), 1)), 1 - seen[:, :-1]]), axis=1)
        first = seen * unseen_before
        t_s = np.concatenate([[0.0], np.asarray(spiral.reached_s(np.asarray(track_q, dtype=np.float64)))])
        found += float(first.sum()) / (angles * targets)
        mean += float((first * t_s).sum()) / (angles * targets)
    return found, mean / max(found, 1e-12) + spiral.detector.frame_s + spiral.latency.total_s
