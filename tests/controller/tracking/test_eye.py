"""The camera behind its settings: one that has refused them is asked again, and stands no longer than that takes."""

from __future__ import annotations

import numpy as np
import pytest

from controller.tracking.eye import Eye
from controller.tracking.settings import TrackingSettings
from hal.errors import DeviceError
from hal.traits import Frame, Region


class Camera:
    """Streams dark frames while it is started; `refuses` so many settings."""

    sensor = Region(0, 0, 256, 256)

    def __init__(self) -> None:
        self.refuses, self.streams = 0, False
        self.region = self.sensor

    def configure(self, exposure_s: float, frame_rate_hz: float, region: Region) -> None:
        if self.refuses:
            self.refuses -= 1
            raise DeviceError("camera: refuses AcquisitionFrameRate")
        self.region = region

    def start(self) -> None:
        self.streams = True

    def stop(self) -> None:
        self.streams = False

    def read(self, timeout_s: float) -> Frame:
        if not self.streams:
            raise DeviceError("camera: does not stream; start it before reading a frame")
        return Frame(0, 0.005, self.region, np.zeros((self.region.height, self.region.width), np.uint16), 1)

    def close(self) -> None: ...


def test_a_camera_that_refused_its_settings_is_given_them_again_and_sees() -> None:
    camera = Camera()
    eye = Eye(lambda: camera, TrackingSettings(), None)  # type: ignore[arg-type,return-value]
    eye.open()
    assert eye.read() is not None
    camera.refuses = 2
    with pytest.raises(DeviceError, match="refuses"):
        eye.look(1e-3, 10.0)
    with pytest.raises(DeviceError, match="refuses"):
        eye.read()
    assert eye.read() is not None
    assert eye.period_s == pytest.approx(0.1), "with the settings that were wanted"
