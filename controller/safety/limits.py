"""The limits that the votes hold their inputs against, from the rig file."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from controller.geometry.horizon import HorizonMask
from controller.safety.traffic.live import SILENCE_MAX_S

if TYPE_CHECKING:
    from hal.rig import Terminal

DAY_S = 86_400.0
POWER_MARGIN = 1.2
POWER_FLOOR = 0.1  # of what is expected: losses of the optics, a calibration that has drifted, but no open photodiode


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the votes; angles in radians, ages in seconds."""

    laser_emulated: bool
    current_a: float
    current_limit_a: float
    power_cap_w: float
    power_floor_w: float  # a laser that is on is measured to give more
    elevation_mask_rad: float
    sun_cone_rad: float
    moon_cone_rad: float
    horizon: HorizonMask | None = None  # on top of the elevation mask
    enclosed_bench: bool = False
    alignment_current_a: float = 0.0  # 0: the rig has no alignment mode
    alignment_power_max_w: float = 0.0
    reads_back: frozenset[str] = frozenset()  # what the rig declares of key and divergence
    shutter: bool = False  # the rig has one
    shutter_emulated: bool = False
    divergence_rad: float = 0.0  # full angle, 1/e2, as the zones were computed with
    divergence_tolerance: float = 0.1
    rate_max_rad_s: float = math.radians(3.0)
    # Gimbal from prediction: holds a mount that is not yet calibrated and the scan, not a wrong direction.
    pointing_cone_rad: float = 5e-3
    elevation_min_rad: float = 0.0
    elevation_max_rad: float = math.radians(90.0)
    look_ahead_s: float = 10.0
    current_tolerance: float = 0.05
    power_noise: float = 0.01  # of the cap: what a dark photodiode may read below zero
    # From a command to what must follow it: enable line, interlock, laser output, and a status that shows it.
    settle_s: float = 0.3
    mode_age_max_s: float = 0.5
    pointing_age_max_s: float = 0.5
    frame_age_max_s: float = 0.5
    board_age_max_s: float = 0.3  # the board's own watchdog is 0.25 s
    laser_age_max_s: float = 0.35
    shutter_age_max_s: float = 0.35  # three questions at 9600 baud take a tenth of a second
    heartbeat_age_max_s: float = 0.5
    lease_age_max_s: float = 1.25  # told twice a second, and at once when one ends
    traffic_age_max_s: float = SILENCE_MAX_S
    time_age_max_s: float = 5.0
    time_error_max_s: float = 1e-3  # 13.8 µrad at the 0.79 deg/s of a 550 km pass overhead
    ephemeris_age_max_s: float = 3 * DAY_S
    state_age_max_s: float = 30.0  # of a live target's newest state, whatever its stream is allowed
    state_ahead_max_s: float = 1.0
    services: tuple[str, ...] = ("station", "pointing", "tracking")

    def mask_rad(self, azimuth_rad: float) -> float:
        """Lowest elevation for emission in a direction."""
        if self.horizon is None:
            return self.elevation_mask_rad
        return max(self.elevation_mask_rad, self.horizon.at(azimuth_rad))

    @property
    def alignment_refusal(self) -> str:
        """Why the laser may not be switched on for alignment, without the sky's votes; empty when it may."""
        if not self.alignment_current_a:
            return "the rig gives no alignment_current_a"
        return "" if self.enclosed_bench else "the rig is no enclosed bench, and alignment asks no vote of the sky"

    def for_alignment(self) -> Limits:
        """The same with the current and the bounds on power of alignment."""
        cap_w = self.alignment_power_max_w
        return replace(self, current_a=self.alignment_current_a, power_cap_w=cap_w, power_floor_w=POWER_FLOOR * cap_w)

    @classmethod
    def from_rig(cls, rig: Terminal, laser_emulated: bool, horizon: HorizonMask | None = None) -> Limits:
        """Limits of a rig file; without a power cap the measured power may exceed the stated one by a fifth.

        A cap below the stated power says that the measurement is made before an amplifier: no more is expected then.
        """
        safety, stated_w = rig.safety, rig.optics.transmit_power_w
        cap_w = POWER_MARGIN * stated_w if safety.power_cap_w is None else safety.power_cap_w
        limits = cls(
            laser_emulated=laser_emulated,
            current_a=rig.laser.current_a,
            current_limit_a=rig.laser.current_limit_a,
            power_cap_w=cap_w,
            power_floor_w=POWER_FLOOR * min(stated_w, cap_w),
            elevation_mask_rad=math.radians(rig.station.elevation_mask_deg),
            sun_cone_rad=math.radians(safety.sun_cone_deg),
            moon_cone_rad=math.radians(safety.moon_cone_deg),
            horizon=horizon,
            enclosed_bench=safety.enclosed_bench,
            alignment_current_a=rig.laser.alignment_current_a or 0.0,
            alignment_power_max_w=rig.laser.alignment_power_max_w or 0.0,
            reads_back=frozenset(rig.laser.reads_back),
            shutter=rig.shutter is not None,
            shutter_emulated="shutter" in rig.emulated,
            divergence_rad=rig.optics.transmit_divergence_urad * 1e-6,
            rate_max_rad_s=rig.gimbal.rate_max_rad_s,
        )
        if rig.gimbal.mount == "alt-az":
            return limits
        low, high = rig.gimbal.elevation_rad  # of its second axis, which is another than elevation
        return replace(limits, elevation_min_rad=low, elevation_max_rad=high)
