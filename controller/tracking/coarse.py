"""Where the target is, relative to where we predict it: the estimator behind the coarse loop.

Each frame gives b = camera error + gimbal deviation: what must be added to the prediction so that a gimbal that follows
it points at the target. It does not depend on how well the gimbal follows, so there is no loop gain to tune: b is
estimated, predicted ahead by the mount's latency, and handed to the gimbal loop as offset and rate.

What b is made of is known, its size is not, so it is learned by a Kalman filter: the element set's error (in metres,
constant along and across the track, projected on the sky), the mount model's residual and its drift, the worm's error
(sine and cosine of the axis angle at the worm's period and half of it), wind. The camera also sees line-of-sight jitter
and turbulence tilt, which a 10 Hz gimbal must not follow: jitter is a state that is estimated and left out, tilt is
noise.

Angles are (cross-elevation, elevation), rad.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.bus.topics import ZERO, Pair
from controller.tracking import kalman
from controller.tracking.pairing import Moment

Array = NDArray[np.float64]

# State: 0-1 along and cross track (m), 2-3 offset, 4-5 drift, 6-9 worm of azimuth (sin, cos, sin 2, cos 2), 10-13 worm
# of elevation, 14-15 wind, 16-17 jitter.
OFFSET, DRIFT, WORM, WIND, JITTER, STATES = 2, 4, 6, 14, 16, 18
GATE_SIGMA = 5.0
GATE_PATIENCE_S = 0.5


@dataclass(frozen=True, slots=True)
class Disturbances:
    """One sigma of everything, as far as it is known before the pass; rad unless the name says otherwise."""

    along_track_m: float = 300.0
    cross_track_m: float = 100.0
    mount: float = 50e-6  # residual of the calibration
    mount_drift_per_s: float = 0.8e-6
    mount_drift_time_s: float = 20.0
    worm: tuple[float, float] = (24e-6, 7.5e-6)  # amplitude of the fundamental and of the second harmonic
    worm_period_rad: float = math.radians(2.0)
    wind: float = 10e-6
    wind_corner_hz: float = 0.3
    jitter: float = 15.85e-6  # 160/(1+f^2) urad^2/Hz, one-sided
    jitter_corner_hz: float = 1.0
    tilt: float = 5e-6  # turbulence, per frame
    reversal: float = 30e-6  # what a reversal leaves of the backlash after the mount model


@dataclass(frozen=True, slots=True)
class Estimate:
    """What to add to the prediction at `t_utc_ns`, its rate, and one sigma of it."""

    t_utc_ns: int
    offset_rad: Pair
    rate_rad_s: Pair
    sigma_rad: Pair


class CoarseEstimator:
    """The filter. `observe` once a frame in time order, `estimate` whenever a correction is due."""

    def __init__(self, disturbances: Disturbances | None = None) -> None:
        self._d = disturbances or Disturbances()
        self._t_ns: int | None = None
        self._outlier_since_ns: int | None = None
        self._direction = 0.0
        self._square: Pair = ZERO  # running mean square of the camera's error
        self._square_weight = 0.0
        d = self._d
        sigma = np.empty(STATES)
        sigma[:2] = d.along_track_m, d.cross_track_m
        sigma[OFFSET:DRIFT] = d.mount
        sigma[DRIFT:WORM] = d.mount_drift_per_s
        sigma[WORM:WIND] = np.array([d.worm[0], d.worm[0], d.worm[1], d.worm[1]] * 2) / math.sqrt(2)
        sigma[WIND:JITTER] = d.wind
        sigma[JITTER:] = d.jitter
        self._x = np.zeros(STATES)
        self._P = np.diag(sigma**2)
        # Slow wandering of what is called constant, variance per second: 1 m, 0.5 urad, 0.2 urad of worm amplitude.
        self._wander = np.zeros(STATES)
        self._wander[:2] = 1.0
        self._wander[OFFSET:DRIFT] = (0.5e-6) ** 2
        self._wander[WORM:WIND] = (0.2e-6) ** 2
        # First-order processes: e-folding rate and stationary variance.
        self._decay = np.zeros(STATES)
        self._decay[DRIFT:WORM] = 1 / d.mount_drift_time_s
        self._decay[WIND:JITTER] = 2 * math.pi * d.wind_corner_hz
        self._decay[JITTER:] = 2 * math.pi * d.jitter_corner_hz
        self._stationary = np.where(self._decay > 0, sigma**2, 0.0)
        # What of `_rows` never changes, what a camera sees beside, and the rows of the latest moment.
        self._steady_rows, self._jitter_rows = np.zeros((2, STATES)), np.zeros((2, STATES))
        for axis in range(2):
            self._steady_rows[axis, [OFFSET + axis, WIND + axis]] = 1.0
            self._jitter_rows[axis, JITTER + axis] = 1.0
        self._shown: Moment | None = None
        self._shown_rows = self._steady_rows

    def observe(self, moment: Moment, error_rad: Pair | None, centroid_sigma_rad: float = 0.0) -> None:
        """Take one frame: camera error at the moment's time, or None when the beacon was not seen (then coast)."""
        self._propagate(moment.t_utc_ns)
        self._note_reversal(moment)
        if error_rad is None:
            return
        self._remember(error_rad)
        (x, y), (dx, dy) = error_rad, moment.deviation_rad
        variance = self._d.tilt**2 + centroid_sigma_rad**2
        rows, innovation = self._rows(moment) + self._jitter_rows, np.empty(2)
        if kalman.correct(self._x, self._P, rows, np.array((x + dx, y + dy)), variance, GATE_SIGMA, innovation):
            self._outlier_since_ns = None
        else:
            self._doubt(moment.t_utc_ns, innovation)

    def estimate(self, now: Moment, ahead: Moment) -> Estimate:
        """The correction for the moment `ahead`; `now` and `ahead` differ by what the mount needs to obey."""
        dt_s = (ahead.t_utc_ns - (self._t_ns or ahead.t_utc_ns)) * 1e-9
        x, y = self._value(ahead, dt_s)
        span_s = max((ahead.t_utc_ns - now.t_utc_ns) * 1e-9, 1e-3)
        before_x, before_y = self._value(now, dt_s - span_s)
        sigma_x, sigma_y = kalman.variances(self._P, self._rows(ahead))
        return Estimate(
            ahead.t_utc_ns,
            (x, y),
            ((x - before_x) / span_s, (y - before_y) / span_s),
            (math.sqrt(sigma_x), math.sqrt(sigma_y)),
        )

    def error(self, moment: Moment) -> Pair:
        """Estimated target minus boresight at a moment, jitter and tilt left out."""
        dt_s = (moment.t_utc_ns - (self._t_ns or moment.t_utc_ns)) * 1e-9
        (x, y), (dx, dy) = self._value(moment, dt_s), moment.deviation_rad
        return x - dx, y - dy

    def covariance(self, moment: Moment) -> Array:
        """Covariance of b on the sky, jitter left out, (2, 2) rad^2: before the first frame, what is to be scanned."""
        rows = self._rows(moment)
        result: Array = rows @ self._P @ rows.T
        return result

    def total_sigma(self, moment: Moment) -> Pair:
        """One sigma of everything that moves the spot on the quad cell: estimate, jitter and tilt.

        The larger of what the model says and the camera's error itself, rms of the last second or so: the model is
        not trusted alone.
        """
        others = self._d.jitter**2 + self._d.tilt**2
        weight = max(self._square_weight, 1e-3)
        x, y = (
            math.sqrt(max(model + others, seen / weight))
            for model, seen in zip(kalman.variances(self._P, self._rows(moment)), self._square, strict=True)
        )
        return x, y

    # Inside

    def _propagate(self, t_ns: int) -> None:
        if self._t_ns is None:
            self._t_ns = t_ns
        dt_s = (t_ns - self._t_ns) * 1e-9
        if dt_s <= 0:
            return
        self._t_ns = t_ns
        kalman.propagate(self._x, self._P, dt_s, self._decay, self._wander, self._stationary, moved=OFFSET)
        keep = math.exp(-dt_s)
        self._square = (self._square[0] * keep, self._square[1] * keep)
        self._square_weight *= keep

    def _remember(self, error_rad: Pair) -> None:
        (x, y), (xx, yy) = error_rad, self._square
        self._square = (xx + x * x, yy + y * y)
        self._square_weight += 1.0

    def _note_reversal(self, moment: Moment) -> None:
        """A reversal of elevation crosses the backlash, of which the mount model removes all but `reversal`."""
        if moment.elevation_rate_rad_s == 0.0:  # it stands, or is in its play
            return
        direction = math.copysign(1.0, moment.elevation_rate_rad_s)
        if self._direction and direction != self._direction:
            self._P[OFFSET + 1, OFFSET + 1] += self._d.reversal**2
        self._direction = direction

    def _doubt(self, t_ns: int, innovation: Array) -> None:
        """A frame was too far off to be believed; what lasts longer than a blink is believed after all."""
        if self._outlier_since_ns is None:
            self._outlier_since_ns = t_ns
        if (t_ns - self._outlier_since_ns) * 1e-9 < GATE_PATIENCE_S:
            return
        self._outlier_since_ns = None  # the next frame is taken with the wider uncertainty
        self._P[OFFSET, OFFSET] += innovation[0] ** 2
        self._P[OFFSET + 1, OFFSET + 1] += innovation[1] ** 2

    def _rows(self, moment: Moment) -> Array:
        """How the state shows on the sky at a moment, jitter left out, shape (2, STATES)."""
        if moment is self._shown:
            return self._shown_rows
        rows = self._steady_rows.copy()
        rows[:, :2] = moment.along_cross
        scale = 2 * math.pi / self._d.worm_period_rad
        azimuth, elevation = moment.axis_rad[0] * scale, moment.axis_rad[1] * scale
        c = moment.cos_elevation
        rows[0, WORM : WORM + 4] = (
            c * math.sin(azimuth),
            c * math.cos(azimuth),
            c * math.sin(2 * azimuth),
            c * math.cos(2 * azimuth),
        )
        rows[1, WORM + 4 : WIND] = (
            math.sin(elevation),
            math.cos(elevation),
            math.sin(2 * elevation),
            math.cos(2 * elevation),
        )
        self._shown, self._shown_rows = moment, rows
        return rows

    def _value(self, moment: Moment, dt_s: float) -> Pair:
        """b at a moment that is `dt_s` after the last frame."""
        x, y = kalman.value(self._x, self._rows(moment), dt_s, self._decay, OFFSET)
        return x, y


def fits_field(estimate_rad: Pair, sigma_rad: Pair, half_field_rad: float) -> bool:
    """Handover: the coarse error and three sigma of everything around it fit the quad cell's field on both axes."""
    return all(abs(e) + 3 * s <= half_field_rad for e, s in zip(estimate_rad, sigma_rad, strict=True))
