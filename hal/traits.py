"""What a loop may ask of a device, whoever made it. Units are in the names; times are the Clock's.

Sky axes of every pair are (cross-elevation, elevation): cross-elevation is azimuth times cos elevation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Pair = tuple[float, float]


@dataclass(frozen=True, slots=True)
class GimbalCapabilities:
    """What a gimbal can do, as data; the gimbal loop uses the best of it."""

    rate_max_rad_s: float
    acceleration_max_rad_s2: float
    resolution_rad: float
    rate_resolution_rad_s: float
    command_latency_s: float  # from the command's last byte to motion
    keeps_moving_when_silent: bool  # then a guardian must be able to stop it


@dataclass(frozen=True, slots=True)
class AxisPosition:
    """Encoder angles of one moment (monotonic `t_ns`)."""

    t_ns: int
    azimuth_rad: float
    elevation_rad: float


class Gimbal(Protocol):
    """Two axes that move the telescope."""

    capabilities: GimbalCapabilities

    def position(self) -> AxisPosition: ...
    def set_rate(self, azimuth_rad_s: float, elevation_rad_s: float) -> None: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Region:
    """A region of interest on the sensor, in pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One camera image; `t_mid_ns` is the middle of the exposure on the host's monotonic clock."""

    t_mid_ns: int
    exposure_s: float
    region: Region
    image: NDArray[np.uint16]  # (height, width), counts
    number: int  # the device's block id; a gap is a lost frame
    dropped: int = 0


class Camera(Protocol):
    """A tracking camera."""

    @property
    def sensor(self) -> Region: ...
    def configure(self, exposure_s: float, frame_rate_hz: float, region: Region) -> None: ...
    def start(self) -> None: ...
    def read(self, timeout_s: float) -> Frame: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class FineStatus:
    """Statistics of the fine loop since the previous status, and its state now."""

    t_ns: int
    tick: int
    mode: str  # idle | setpoint | track | latched
    enabled: bool  # emission enable line
    interlock_closed: bool
    quad_mean_rad: Pair
    quad_rms_rad: Pair
    quad_sum: float
    mirror_mean_rad: Pair
    saturated_ticks: int
    ticks: int


@dataclass(frozen=True, slots=True)
class Capture:
    """Samples of named channels at the tick rate: `samples` has shape (n, len(channels)), SI units."""

    tick_start: int
    rate_hz: float
    channels: tuple[str, ...]
    samples: NDArray[np.float64]


class FineLoop(Protocol):
    """A beam board: steering mirror, quad cell, enable line and the loop between them."""

    dictionary: dict[str, Any]

    def status(self) -> FineStatus: ...
    def heartbeat(self, enable: bool) -> None: ...
    def set_mode(self, mode: str) -> None: ...
    def setpoints(self, points: list[tuple[int, float, float]]) -> None: ...
    def point_ahead(self, x_rad: float, y_rad: float) -> None: ...
    def set_parameter(self, name: str, value: float) -> None: ...
    def parameter(self, name: str) -> float: ...
    def inject(self, axis: int, frequency_hz: float, amplitude_rad: float, duration_s: float) -> None: ...
    def capture(self, channels: tuple[str, ...], duration_s: float) -> Capture: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class LaserStatus:
    """What a laser driver reads back."""

    t_ns: int
    output_on: bool
    current_a: float
    measured_power_w: float
    interlock_closed: bool
    tripped: str  # empty, or what tripped


class Laser(Protocol):
    """A laser source behind an interlock."""

    def configure(self, current_a: float, current_limit_a: float) -> None: ...
    def output(self, on: bool) -> None: ...
    def status(self) -> LaserStatus: ...
    def close(self) -> None: ...


class PowerMeter(Protocol):
    """Optical power at one wavelength."""

    def configure(self, wavelength_m: float) -> None: ...
    def power_w(self) -> float: ...
    def close(self) -> None: ...
