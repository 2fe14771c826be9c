"""Frames of the emulated star camera without a wire: the same scene, lens and sensor as on a bench."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
from numpy.typing import NDArray

from controller.geometry import frames
from sim_hw.scenarios import load_scenario
from sim_hw.scene.earth import Site
from sim_hw.scene.frame import FrameRenderer, Sensor
from sim_hw.scene.mount import MountTerms
from sim_hw.scene.star_camera import Catalogue, StarCameraView, WideSky
from sim_hw.scene.tape import Tape

PLACE = (28.2995, -16.5118, 2393.0, 770.0, 12.0, 0.3)  # the optical ground station on Tenerife
SITE = frames.Site(*PLACE, "ogs")
UTC_NS = int(dt.datetime(2026, 3, 1, 21, 0, 7, tzinfo=dt.UTC).timestamp()) * 1_000_000_000
EXPOSURE_NS = 500_000_000
MID_UTC_NS = UTC_NS + EXPOSURE_NS // 2
FIELD_DEG = 10.0


class Parked(Tape):
    """A tape of a telescope that stands still."""

    def stand(self, azimuth_rad: float, elevation_rad: float) -> None:
        self.boresight_rad[:] = azimuth_rad, elevation_rad


class StarFrames:
    """A camera on a tube that looks wherever it is told; `seed` draws how it sits there."""

    def __init__(self, seed: int = 1, mount: MountTerms | None = None, utc_ns: int = UTC_NS, **camera: object) -> None:
        scenario = load_scenario(overrides={"star_camera": dict(camera)}).star_camera
        self.tape = Parked()
        sky = WideSky(Catalogue.hipparcos(scenario.magnitude_max), Site(*PLACE), utc_ns, 1e-9 * scenario.wavelength_nm)
        rng = np.random.default_rng(seed)
        clouds = (((100.0, 200.0),), 0.001)
        field_rad = math.radians(FIELD_DEG)
        self.view = StarCameraView(scenario, field_rad, self.tape, sky, mount or MountTerms(), clouds, rng)
        sensor = Sensor(
            scenario.width_px,
            scenario.height_px,
            self.view.pixel_scale_rad,
            scenario.spot_sigma_px,
            scenario.background_electrons_per_s,
        )
        self.mid_utc_ns = utc_ns + EXPOSURE_NS // 2
        self._renderer = FrameRenderer(sensor, np.random.default_rng(seed + 1))
        self.sensor = sensor

    def take(self, azimuth_rad: float, elevation_rad: float, t_s: float = 0.0) -> NDArray[np.uint16]:
        """A frame whose exposure begins `t_s` after the world did."""
        self.tape.stand(azimuth_rad, elevation_rad)
        t0_ns = round(t_s * 1e9)
        return self.expose(self.view.spots(t0_ns, t0_ns + EXPOSURE_NS, 20_000))

    def moon_rad(self, azimuth_rad: float, elevation_rad: float) -> float:
        """How far from a direction the Moon stands."""
        vector, _ = self.view._sky.moon(0.0)
        north, east, up = vector
        cosine = frames.azel_to_enu(azimuth_rad, elevation_rad) @ np.array([east, north, up])
        return math.acos(max(-1.0, min(1.0, float(cosine))))

    def expose(self, spots: list[tuple[float, ...]]) -> NDArray[np.uint16]:
        sensor = self.sensor
        return self._renderer.render(0, 0, sensor.width_px, sensor.height_px, EXPOSURE_NS * 1e-9, spots)


def directions(count: int, seed: int) -> list[tuple[float, float]]:
    """Directions (azimuth, elevation) all over the sky above 25 degrees, each part of it as likely."""
    rng = np.random.default_rng(seed)
    sines = rng.uniform(math.sin(math.radians(25.0)), 1.0, count)
    return [(float(a), math.asin(s)) for a, s in zip(rng.uniform(0.0, math.tau, count), sines, strict=True)]
