"""What a scan is planned from on this station: rig figures and the gimbal's state in, a spiral out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.acquisition.crossing import Detector
from controller.acquisition.plan import LIGHT_M_S, Latency, Limits, Matrix, Spiral, plan, uncertainty
from controller.bus.topics import PointingState
from controller.geometry.trackframe import about_axes, along_cross_on_sky

SPIN = np.array([[0.0, -1.0], [1.0, 0.0]])


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans scans; every figure is one sigma in rad, m or s unless it says otherwise."""

    along_track_m: float
    cross_track_m: float
    capture_rad: float  # half the transmit divergence, 1/e^2
    frame_s: float
    response_s: float
    success: float
    mirror_range_rad: float
    mirror_speed_rad_s: float = 0.5
    mount_rad: float = 30e-6  # one axis: worm and wind, and what the calibration leaves
    jitter_rad: float = 17e-6  # line of sight and tilt, one axis
    clock_s: float = 1e-3
    detection_s: float = 0.28  # enable line up and first set-point 0.11, camera frame and the station's belief 0.17
    frame_rotation_rad: float = 0.17  # of the mirror against the sky before the poke
    frame_gain: float = 0.06
    widening: float = 1.5  # of the uncertainty after each sweep without success

    def __call__(self, pointing: PointingState, coasted_rad2: Matrix | None, sweep: int, mirror_known: bool) -> Spiral:
        """The scan for where we point now.

        `coasted_rad2` replaces the ephemeris and mount figures when the target has been seen before. While the mirror's
        frame is not known, the ellipse is blurred by what rotation and gain may do to it. Raises ScanError.
        """
        if coasted_rad2 is None:
            level = np.cos(pointing.target_elevation_rad)
            rates = np.array([pointing.target_azimuth_rate_rad_s * level, pointing.target_elevation_rate_rad_s])
            rates = about_axes(rates, pointing.field_rotation_rad)
            project = along_cross_on_sky(
                pointing.target_elevation_rad,
                pointing.target_azimuth_rate_rad_s,
                pointing.target_elevation_rate_rad_s,
                pointing.range_m,
            )
            project = about_axes(project, pointing.field_rotation_rad)
            mount = np.eye(2) * self.mount_rad**2
            track_m = self.along_track_m, self.cross_track_m
            if pointing.state_utc_ns:  # a live target says how well it is known
                mount, track_m = mount + np.diag(np.square(pointing.target_sigma_rad)), (0.0, 0.0)
            moves = float(rates[0]), float(rates[1])
            covariance = uncertainty(project, *track_m, mount, moves, self.clock_s)
        else:
            covariance = coasted_rad2
        covariance = covariance * self.widening ** (2 * sweep)
        if not mirror_known:
            turned = SPIN @ covariance @ SPIN.T
            covariance = covariance + self.frame_rotation_rad**2 * turned + self.frame_gain**2 * covariance
        return plan(
            covariance,
            Detector(self.capture_rad, self.frame_s),
            self.jitter_rad,
            self.success,
            Limits(self.mirror_range_rad, self.mirror_speed_rad_s),
            Latency(2 * pointing.range_m / LIGHT_M_S, self.response_s, self.detection_s),
        )
