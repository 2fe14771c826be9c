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

from controller.bus.topics import Pair
from controller.tracking.pairing import Moment

Array = NDArray[np.float64]

# State: 0-1 along and cross track (m), 2-3 offset, 4-5 drift, 6-9 worm of azimuth (sin, cos, sin 2, cos 2), 10-13 worm
# of elevation, 14-15 wind, 16-17 jitter.
OFFSET, DRIFT, WORM, WIND, JITTER, STATES = 2, 4, 6, 14, 16, 18
GATE_SIGMA = 5.0
GATE_PATIENCE_S = 0.5
RATE_STEP_S = 0.05


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
        self._square = np.zeros(2)  # running mean square of the camera's error
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
        error = np.array(error_rad)
        self._remember(error)
        rows = self._rows(moment) + self._jitter_rows
        seen = rows @ self._P
        variance = seen @ rows.T
        variance.flat[::3] += self._d.tilt**2 + centroid_sigma_rad**2
        inverse = _inverse(variance)
        innovation = error + moment.deviation_rad - rows @ self._x
        if self._outlier(moment.t_utc_ns, innovation, inverse):
            return
        gain = seen.T @ inverse
        self._x += gain @ innovation
        P = self._P - gain @ seen
        self._P = (P + P.T) / 2

    def estimate(self, now: Moment, ahead: Moment) -> Estimate:
        """The correction for the moment `ahead`; `now` and `ahead` differ by what the mount needs to obey."""
        dt_s = (ahead.t_utc_ns - (self._t_ns or ahead.t_utc_ns)) * 1e-9
        rows = self._rows(ahead)
        offset = rows @ self._state_after(dt_s)
        span_s = max((ahead.t_utc_ns - now.t_utc_ns) * 1e-9, 1e-3)
        rate = (offset - self._value(now, dt_s - span_s)) / span_s
        sigma = np.sqrt(_variances(rows, self._P))
        return Estimate(ahead.t_utc_ns, _pair(offset), _pair(rate), _pair(sigma))

    def error(self, moment: Moment) -> Pair:
        """Estimated target minus boresight at a moment, jitter and tilt left out."""
        dt_s = (moment.t_utc_ns - (self._t_ns or moment.t_utc_ns)) * 1e-9
        return _pair(self._value(moment, dt_s) - np.array(moment.deviation_rad))

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
        model = _variances(self._rows(moment), self._P) + self._d.jitter**2 + self._d.tilt**2
        seen = self._square / max(self._square_weight, 1e-3)
        return _pair(np.sqrt(np.maximum(model, seen)))

    # Inside

    def _propagate(self, t_ns: int) -> None:
        if self._t_ns is None:
            self._t_ns = t_ns
        dt_s = (t_ns - self._t_ns) * 1e-9
        if dt_s <= 0:
            return
        self._t_ns = t_ns
        keep = np.exp(-self._decay * dt_s)
        x, P = self._x, self._P
        x[OFFSET:DRIFT] += dt_s * x[DRIFT:WORM]  # drift moves the offset, then everything decays
        x *= keep
        P[OFFSET:DRIFT] += dt_s * P[DRIFT:WORM]
        P[:, OFFSET:DRIFT] += dt_s * P[:, DRIFT:WORM]
        P *= keep
        P *= keep[:, None]
        P.flat[:: STATES + 1] += self._wander * dt_s + self._stationary * (1 - keep * keep)
        keep_square = math.exp(-dt_s)
        self._square *= keep_square
        self._square_weight *= keep_square

    def _remember(self, error: Array) -> None:
        self._square += error**2
        self._square_weight += 1.0

    def _note_reversal(self, moment: Moment) -> None:
        """A reversal of elevation crosses the backlash, of which the mount model removes all but `reversal`."""
        direction = math.copysign(1.0, moment.elevation_rate_rad_s)
        if self._direction and direction != self._direction:
            self._P[OFFSET + 1, OFFSET + 1] += self._d.reversal**2
        self._direction = direction

    def _outlier(self, t_ns: int, innovation: Array, inverse: Array) -> bool:
        """True while a frame is too far off to be believed; what lasts longer than a blink is believed after all."""
        if float(innovation @ inverse @ innovation) < GATE_SIGMA**2:
            self._outlier_since_ns = None
            return False
        if self._outlier_since_ns is None:
            self._outlier_since_ns = t_ns
        if (t_ns - self._outlier_since_ns) * 1e-9 < GATE_PATIENCE_S:
            return True
        self._outlier_since_ns = None
        self._P[OFFSET, OFFSET] += innovation[0] ** 2
        self._P[OFFSET + 1, OFFSET + 1] += innovation[1] ** 2
        return True  # the next frame is taken with the wider uncertainty

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

    def _value(self, moment: Moment, dt_s: float) -> Array:
        """b at a moment that is `dt_s` after the last frame."""
        result: Array = self._rows(moment) @ self._state_after(dt_s)
        return result

    def _state_after(self, dt_s: float) -> Array:
        x: Array = self._x * np.exp(-self._decay * max(dt_s, 0.0))
        x[OFFSET:DRIFT] += self._x[DRIFT:WORM] * dt_s
        return x


def _inverse(matrix: Array) -> Array:
    """Of a (2, 2) matrix; numpy's needs ten times as long."""
    (a, b), (c, d) = matrix.tolist()
    result: Array = np.array([[d, -b], [-c, a]]) / (a * d - b * c)
    return result


def _variances(rows: Array, P: Array) -> Array:
    """Diagonal of rows P rows^T."""
    result: Array = ((rows @ P) * rows).sum(axis=1)
    return result


def _pair(values: Array) -> Pair:
    return float(values[0]), float(values[1])


def fits_field(estimate_rad: Pair, sigma_rad: Pair, half_field_rad: float) -> bool:
    """Handover: the coarse error and three sigma of everything around it fit the quad cell's field on both axes."""
    return all(abs(e) + 3 * s <= half_field_rad for e, s in zip(estimate_rad, sigma_rad, strict=True))
