"""What the tracking service takes from the rig file, in SI."""

from __future__ import annotations

from dataclasses import dataclass, field

from controller.tracking.coarse import Disturbances
from controller.tracking.commission import Expectation
from controller.tracking.fine_poke import QuadOptics
from controller.tracking.offload import OffloadSettings
from hal.rig import Terminal


@dataclass(frozen=True, slots=True)
class TrackingSettings:
    """Angles in rad, times in s."""

    pixel_scale_rad: float = 17e-6
    exposure_s: float = 0.005
    frame_rate_hz: float = 50.0
    wide_frame_rate_hz: float = 25.0  # while scanning: a larger region, and the enable heartbeat within its 80 ms
    narrow_half_extent_rad: float = 500e-6
    quad_half_field_rad: float = 100e-6
    mirror_range_rad: float = 2e-3
    disturbances: Disturbances = field(default_factory=Disturbances)
    expectation: Expectation = field(default_factory=Expectation)
    optics: QuadOptics = field(default_factory=QuadOptics)
    offload: OffloadSettings = field(default_factory=OffloadSettings)

    @classmethod
    def from_rig(cls, rig: Terminal) -> TrackingSettings:
        """Of a checked rig file."""
        half_field_rad = rig.optics.quad_half_field_urad * 1e-6
        return cls(
            pixel_scale_rad=rig.camera.pixel_scale_urad * 1e-6,
            exposure_s=rig.camera.exposure_s,
            frame_rate_hz=rig.camera.frame_rate_hz,
            wide_frame_rate_hz=rig.camera.frame_rate_hz / 2,
            quad_half_field_rad=half_field_rad,
            mirror_range_rad=rig.optics.mirror_range_urad * 1e-6,
            disturbances=Disturbances(
                along_track_m=rig.acquisition.ephemeris_along_track_m,
                cross_track_m=rig.acquisition.ephemeris_cross_track_m,
            ),
            optics=QuadOptics(half_field_rad=half_field_rad),
        )
