"""The camera as the tracking loop uses it: which region at which rate, and the spot of each frame as an angle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from controller.bus.topics import Pair
from controller.tracking.camera_model import CameraModel, nominal
from controller.tracking.centroid import Centroid, centroid
from controller.tracking.frames import Correction
from controller.tracking.settings import TrackingSettings
from hal.errors import WireTimeout
from hal.traits import Camera, Frame, Identity, Region

DARK_PX = 32
PATIENCE_S = 0.15  # the beam board needs its heartbeat every 0.25 s


@dataclass(frozen=True, slots=True)
class Sight:
    """One frame: monotonic mid-exposure time, and what was seen (None: nothing but noise)."""

    t_mid_ns: int
    spot: Centroid | None
    error_rad: Pair | None
    sigma_rad: float
    dropped: int


class Eye:
    """Owns the camera. Raises what the camera raises."""

    def __init__(
        self,
        open_camera: Callable[[], Camera],
        settings: TrackingSettings,
        model: CameraModel | None,
        correction: Correction | None = None,
    ) -> None:
        self._open = open_camera
        self._settings = settings
        self._camera: Camera | None = None
        self._view: tuple[Region, float] | None = None
        self._wanted = settings.narrow_half_extent_rad, settings.frame_rate_hz
        self._given = model
        self._correction = correction
        self.model = model or CameraModel(((1.0, 0.0), (0.0, 1.0)), (0.0, 0.0))

    @property
    def period_s(self) -> float:
        """From one frame to the next."""
        return 1 / (self._view[1] if self._view is not None else self._settings.frame_rate_hz)

    @property
    def identity(self) -> Identity:
        """What the camera says of itself."""
        return self._opened().identity

    def open(self) -> None:
        """Open the camera and look through the region last wanted, the narrow one at first."""
        dark = np.zeros((DARK_PX, DARK_PX), dtype=np.uint16)
        centroid(dark, Region(0, 0, DARK_PX, DARK_PX))  # loads what is compiled, before a watchdog waits for us
        camera = self._camera = self._open()
        self.model = self._given or nominal(camera.sensor, self._settings.pixel_scale_rad)
        self._view = None
        self.look(*self._wanted)

    def look(self, half_extent_rad: float, frame_rate_hz: float) -> None:
        """Use the region that shows errors up to `half_extent_rad`; costs nothing when it is in use already."""
        self._wanted = half_extent_rad, frame_rate_hz
        camera = self._opened()
        view = (self.model.region(half_extent_rad, camera.sensor), frame_rate_hz)
        if view == self._view:
            return
        if self._view is not None:
            self._view = None  # whatever fails from here on: it does not look through that any more
            camera.stop()
        camera.configure(self._settings.exposure_s, frame_rate_hz, view[0])
        camera.start()
        self._view = view

    def use(self, model: CameraModel) -> None:
        """Take a measured model; it outlives a lost camera."""
        self._given = self.model = model

    def read(self) -> Sight | None:
        """The next frame, or None when none came in the time of two, at most PATIENCE_S.

        A camera that has refused its settings, and stands, is given them again first.
        """
        if self._view is None:
            self.look(*self._wanted)
        try:
            frame = self._opened().read(min(2 * self.period_s, PATIENCE_S))
        except WireTimeout:
            return None
        return self._judge(frame)

    def close(self) -> None:
        """Release the camera."""
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()

    def _opened(self) -> Camera:
        if self._camera is None:
            raise RuntimeError("the camera is not open")
        return self._camera

    def _judge(self, frame: Frame) -> Sight:
        image = frame.image if self._correction is None else self._correction.apply(frame)
        spot = centroid(image, frame.region)
        if spot is None:
            return Sight(frame.t_mid_ns, None, None, 0.0, frame.dropped)
        error = self.model.error(spot.x_px, spot.y_px)
        return Sight(frame.t_mid_ns, spot, error, spot.sigma_px * self.model.scale_rad, frame.dropped)
