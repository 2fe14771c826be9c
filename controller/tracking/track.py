"""What is known of one target while it is tracked: estimate, last sight, offload. Pure: times in, states out."""

from __future__ import annotations

from controller.bus.topics import ZERO, CoarseState, Correction, Pair, PointingState
from controller.tracking import offload
from controller.tracking.coarse import CoarseEstimator, fits_field
from controller.tracking.eye import Sight
from controller.tracking.pairing import Array, Moment, Pairing
from controller.tracking.settings import TrackingSettings

NS = 1_000_000_000
SEEN_NS = NS // 5  # a detection is "now" for this long: a few missed frames are not a lost beacon
TURN_S = 0.09  # of the gimbal loop: how long a correction is in use
UNKNOWN: Pair = (1.0, 1.0)  # a sigma that fits no field


class Track:
    """One target. Times are UTC nanoseconds, angles (cross-elevation, elevation) rad."""

    def __init__(self, settings: TrackingSettings) -> None:
        self._settings = settings
        self._estimator = CoarseEstimator(settings.disturbances)
        self._pairing = Pairing()
        self._moment: Moment | None = None
        self._seen_utc_ns: int | None = None
        self._error: Pair | None = None  # of the latest frame
        self._misalignment: Pair = ZERO  # camera's boresight minus quad cell's

    @property
    def offload_rad(self) -> Pair:
        """The camera's set-point, as the mirror's mean has moved it."""
        return offload.set_point(self._misalignment, self._settings.offload)

    def take(self, pointing: PointingState) -> None:
        """Note where the gimbal is."""
        self._pairing.take(pointing)

    def see(self, t_utc_ns: int, sight: Sight) -> None:
        """Note a camera frame of mid-exposure `t_utc_ns`, with or without a spot."""
        if self._pairing.state is None:
            return
        self._moment = self._pairing.at(t_utc_ns)
        self._error = sight.error_rad
        if sight.error_rad is None and self._seen_utc_ns is None:
            return  # nothing to coast on: the uncertainty is the scan's, not the filter's
        self._estimator.observe(self._moment, sight.error_rad, sight.sigma_rad)
        if sight.error_rad is not None:
            self._seen_utc_ns = t_utc_ns

    def hand_over(self, mirror_mean_rad: Pair | None, dt_s: float) -> None:
        """Note the mirror's mean on the sky over the last `dt_s`, or None while its loop is open."""
        error, self._error = self._error, None  # no frame is used twice
        if mirror_mean_rad is not None and error is not None:
            self._misalignment = offload.learn(self._misalignment, mirror_mean_rad, error, dt_s, self._settings.offload)

    def seen(self, now_utc_ns: int) -> bool:
        """The beacon is in view."""
        return self._seen_utc_ns is not None and now_utc_ns - self._seen_utc_ns < SEEN_NS

    def coasted(self) -> Array | None:
        """What is left of the uncertainty, (2, 2) rad^2, when the target has been seen before."""
        if self._seen_utc_ns is None or self._moment is None:
            return None
        return self._estimator.covariance(self._moment)

    def estimate(self) -> tuple[Pair, Pair]:
        """Coarse error against the set-point, and one sigma of everything that moves the spot."""
        if self._moment is None or self._seen_utc_ns is None:
            return ZERO, UNKNOWN
        (x, y), (ox, oy) = self._estimator.error(self._moment), self.offload_rad
        return (x + ox, y + oy), self._estimator.total_sigma(self._moment)

    def fits(self, now_utc_ns: int) -> bool:
        """Handover: seen, and three sigma fit the quad cell's field."""
        return self.seen(now_utc_ns) and fits_field(*self.estimate(), self._settings.quad_half_field_rad)

    def centred(self, now_utc_ns: int) -> bool:
        """Seen, and well inside the narrow region."""
        error, _ = self.estimate()
        return self.seen(now_utc_ns) and max(map(abs, error)) < self._settings.narrow_half_extent_rad / 2

    def correction(self, now_utc_ns: int, pointing: PointingState) -> Correction:
        """For the gimbal loop: true from when it can obey until its next turn."""
        if self._seen_utc_ns is None:
            return no_correction(now_utc_ns)
        obeyed_ns = now_utc_ns + round(pointing.command_latency_s * NS)
        over_ns = obeyed_ns + round(TURN_S * NS)
        estimate = self._estimator.estimate(self._pairing.at(obeyed_ns), self._pairing.at(over_ns))
        (x, y), (ox, oy) = estimate.offset_rad, self.offload_rad
        source = "coarse" if self.seen(now_utc_ns) else "coast"
        return Correction(over_ns, (x + ox, y + oy), estimate.rate_rad_s, estimate.sigma_rad, source)

    def coarse_state(self, t_utc_ns: int, sight: Sight, age_s: float) -> CoarseState:
        """What is published of a frame."""
        estimate, sigma = self.estimate()
        spot = sight.spot
        return CoarseState(
            t_utc_ns=t_utc_ns,
            detected=spot is not None,
            error_rad=sight.error_rad or ZERO,
            flux_e=spot.flux if spot is not None else 0.0,
            snr=spot.snr if spot is not None else 0.0,
            estimate_rad=estimate,
            sigma_rad=sigma,
            frame_age_s=age_s,
            frames_dropped=sight.dropped,
        )


def no_correction(now_utc_ns: int) -> Correction:
    """The gimbal follows the prediction alone."""
    return Correction(now_utc_ns, ZERO, ZERO, UNKNOWN, "none")
