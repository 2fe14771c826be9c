"""What a loop may ask of a device, whoever made it. Units are in the names; times are the Clock's.

Sky axes of every pair are (cross-elevation, elevation): cross-elevation is azimuth times cos elevation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from hal._gimbal_traits import (
    AxisPosition,
    Drives,
    DriveState,
    DriveStatus,
    Gimbal,
    GimbalCapabilities,
    Identity,
    Pair,
    PositionGimbal,
    PoweredGimbal,
    RateGimbal,
)

__all__ = [
    "AircraftFeed",
    "AircraftReport",
    "AxisPosition",
    "Camera",
    "Capture",
    "DriveState",
    "DriveStatus",
    "Drives",
    "FineLoop",
    "FineStatus",
    "Frame",
    "Gimbal",
    "GimbalCapabilities",
    "Identity",
    "Laser",
    "LaserStatus",
    "MirrorCapabilities",
    "MirrorStatus",
    "Pair",
    "PositionGimbal",
    "PowerMeter",
    "PoweredGimbal",
    "RateGimbal",
    "Region",
    "Shutter",
    "ShutterState",
    "ShutterStatus",
    "Stage",
    "StageCapabilities",
    "StageStatus",
    "SteeringMirror",
]


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

    identity: Identity

    @property
    def sensor(self) -> Region:
        """The whole sensor."""
        ...

    def configure(self, exposure_s: float, frame_rate_hz: float, region: Region) -> None:
        """Exposure, rate and region of the frames to come; the region may be rounded to what the sensor allows."""
        ...

    def start(self) -> None:
        """Begin to take frames."""
        ...

    def read(self, timeout_s: float) -> Frame:
        """The next frame. Raises WireTimeout when none comes in time, DeviceError when it was never started."""
        ...

    def stop(self) -> None:
        """Take no more frames; what is under way is thrown away."""
        ...

    def close(self) -> None:
        """Stop, then let go of the device."""
        ...


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
    quad_lost_ticks: int = 0  # too little light: the loop held
    setpoints_queued: int = 0
    latches: tuple[str, ...] = ()  # why emission stays off until a reset: watchdog, interlock
    busy: bool = False  # a capture or an injection is running


@dataclass(frozen=True, slots=True)
class Capture:
    """Samples of named channels at the tick rate: `samples` has shape (n, len(channels)), SI units."""

    tick_start: int
    rate_hz: float
    channels: tuple[str, ...]
    samples: NDArray[np.float64]


class FineLoop(Protocol):
    """A beam board: steering mirror, quad cell, enable line and the loop between them."""

    identity: Identity
    dictionary: dict[str, Any]
    quad_scale_rad: float  # radians on the sky per unit of normalised quad signal

    def status(self) -> FineStatus:
        """Ask for the statistics since the last time."""
        ...

    def heartbeat(self, enable: bool) -> FineStatus:
        """The same, and feed the watchdog; `enable` wants the emission enable line up."""
        ...

    def set_mode(self, mode: str) -> None:
        """idle, setpoint or track. Raises DeviceError when the board is latched."""
        ...

    def reset(self) -> None:
        """Leave the latch; the enable line stays down until a heartbeat wants it."""
        ...

    def setpoints(self, points: list[tuple[int, float, float]]) -> int:
        """Queue mirror positions `(t_ns, x_rad, y_rad)`, line of sight; returns the room that is left."""
        ...

    def point_ahead(self, x_rad: float, y_rad: float) -> None:
        """Angle of the point-ahead element, mirror frame."""
        ...

    def set_parameter(self, name: str, value: float) -> None:
        """Set a parameter of the dictionary, in its unit."""
        ...

    def parameter(self, name: str) -> float:
        """A parameter of the dictionary, in its unit."""
        ...

    def set_filters(
        self,
        x_sections: Sequence[tuple[float, float, float, float, float]],  # b0, b1, b2, a1, a2
        y_sections: Sequence[tuple[float, float, float, float, float]],
    ) -> None:
        """Sections of the loop filter as (b0, b1, b2, a1, a2), at the tick rate."""
        ...

    def inject(
        self,
        axis: int,
        frequency_hz: float,
        amplitude_rad: float,
        duration_s: float,
        end_frequency_hz: float | None = None,
        *,
        before_filters: bool = False,
    ) -> None:
        """Add a sine, or a sweep up to `end_frequency_hz`, to one axis of the mirror command."""
        ...

    def start_capture(self, channels: tuple[str, ...], duration_s: float) -> None:
        """Record channels at the tick rate into the board's memory."""
        ...

    def fetch_capture(self, chunks: int = 1) -> Capture | None:
        """Fetch some chunks of it; None until it is complete."""
        ...

    def capture(
        self, channels: tuple[str, ...], duration_s: float, between: Callable[[], object] | None = None
    ) -> Capture:
        """Record and fetch; `between` is called while it lasts."""
        ...

    def close(self) -> None:
        """Enable line down, mirror to zero, then let go of the device."""
        ...


@dataclass(frozen=True, slots=True)
class LaserStatus:
    """What a laser driver reads back."""

    t_ns: int
    output_on: bool
    current_a: float
    measured_power_w: float
    interlock_closed: bool
    tripped: str  # empty, or what tripped since the output was last switched on
    protecting: str = ""  # of that, what is so now: the rest is a memory that switching the output on clears
    # None: this driver does not read it back
    key_on: bool | None = None
    divergence_rad: float | None = None  # full angle, 1/e2


class Laser(Protocol):
    """A laser source behind an interlock."""

    identity: Identity

    def configure(self, current_a: float, current_limit_a: float) -> None:
        """Set the limit first, then the drive current."""
        ...

    def output(self, on: bool) -> None:
        """Switch the output. Raises DeviceError when a protection forbids it."""
        ...

    def status(self) -> LaserStatus:
        """What the driver reads back."""
        ...

    def close(self) -> None:
        """Let go of the device; its output stays as it is."""
        ...


ShutterState = Literal["open", "closed", "unknown"]  # unknown: under way, or its read-backs contradict each other


@dataclass(frozen=True, slots=True)
class ShutterStatus:
    """What a shutter reads back: where its blades are, not what they were told."""

    t_ns: int  # of the reading of its blades
    state: ShutterState
    interlock_tripped: bool  # which holds them closed, whatever was told


class Shutter(Protocol):
    """Blades in the beam. Opening it closes them. Nothing but opening and closing it waits for an answer.

    The loop that switches the laser off talks to it, and must not stand still for a slow line.
    """

    identity: Identity
    status: ShutterStatus | None  # the newest; None before the first, and after an error

    def move(self, opened: bool) -> None:
        """Be open, or closed, from now on: `poll` does it. After an error: closed, until told again."""
        ...

    def poll(self) -> None:
        """Carry the conversation on, many times a second. Raises WireError, ProtocolError, DeviceError."""
        ...

    def close(self) -> None:
        """Close the blades, then let go of the device."""
        ...


@dataclass(frozen=True, slots=True)
class StageCapabilities:
    """What a linear stage can do, as data."""

    travel_mm: Pair  # (lowest, highest): the rig's soft limits inside those that its controller keeps
    resolution_mm: float
    speed_max_mm_s: float
    stops_when_silent: bool = False  # else it goes to where it was sent, whatever becomes of its host


@dataclass(frozen=True, slots=True)
class StageStatus:
    """What a stage says of itself."""

    t_ns: int  # when the position was read, on the host's monotonic clock
    position_mm: float  # from its home; of no meaning before `referenced`
    moving: bool
    referenced: bool  # it knows where it is: it has been home since its power came
    powered: bool  # its motor holds it; some stages drop a brake without
    warnings: tuple[str, ...] = ()  # in its own words


class Stage(Protocol):
    """One axis that moves along a line: a focuser, a delay line, the translation of a fibre. Opening it stops it."""

    capabilities: StageCapabilities
    identity: Identity

    def status(self) -> StageStatus:
        """Where it is now and whether it moves. Raises WireError, ProtocolError."""
        ...

    def home(self) -> None:
        """Be on the way to its reference, wherever that is; `status` tells when it is there. Raises DeviceError."""
        ...

    def go_to(self, position_mm: float) -> None:
        """Be on the way there, at its own speed; beyond its travel it is cut.

        Raises ValueError when that is not finite, DeviceError when it is not referenced, has no power, or refuses.
        """
        ...

    def stop(self) -> None:
        """At rest, as fast as it may."""
        ...

    def power(self, on: bool) -> None:
        """Its motor holds it, or lets go of it. Raises DeviceError."""
        ...

    def close(self) -> None:
        """Let go of the device; it goes on to where it was sent: `stop` first."""
        ...


@dataclass(frozen=True, slots=True)
class MirrorCapabilities:
    """What a steering mirror on a controller of its own can do, as data; angles are its platform's own."""

    reach_rad: tuple[Pair, Pair]  # (lowest, highest) about x and about y, from its middle
    resolution_rad: float
    settling_s: float  # from a command until it stands, over a small way


@dataclass(frozen=True, slots=True)
class MirrorStatus:
    """What such a mirror says of itself."""

    t_ns: int  # when it was asked
    x_rad: float
    y_rad: float
    on_target: bool  # it is where it was sent, and stands
    powered: bool  # its servo holds it; it is sent nowhere without


class SteeringMirror(Protocol):
    """A tip/tilt mirror on a controller of its own, for aligning and for point-ahead. Opening it stops it.

    The fine loop's mirror is another: it is part of a FineLoop.
    """

    capabilities: MirrorCapabilities
    identity: Identity

    def status(self) -> MirrorStatus:
        """Where it is now. Raises WireError, ProtocolError."""
        ...

    def go_to(self, x_rad: float, y_rad: float) -> None:
        """Be there; beyond its reach it is cut. Raises ValueError for what is not finite, DeviceError without power."""
        ...

    def stop(self) -> None:
        """Stay where it is."""
        ...

    def power(self, on: bool) -> None:
        """Its servo holds it, or lets go of it. Raises DeviceError unless it says so then."""
        ...

    def close(self) -> None:
        """Let go of the device; it stays where it is."""
        ...


class PowerMeter(Protocol):
    """Optical power at one wavelength."""

    identity: Identity

    def configure(self, wavelength_m: float) -> None:
        """Set the wavelength of the calibration."""
        ...

    def power_w(self) -> float:
        """One reading. Raises WireTimeout, ProtocolError."""
        ...

    def close(self) -> None:
        """Let go of the device."""
        ...


@dataclass(frozen=True, slots=True)
class AircraftReport:
    """What was heard of one aircraft; what a report does not say is None."""

    t_ns: int  # when it was true, on the host's monotonic clock
    address: str  # ICAO, six hexadecimal digits
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    altitude_m: float | None = None  # by pressure in the standard atmosphere, unless the feed knows better
    speed_m_s: float | None = None  # over ground
    on_ground: bool | None = None


class AircraftFeed(Protocol):
    """A receiver of aircraft reports. Never blocks: it is read by the loop that switches the laser off."""

    @property
    def heard_ns(self) -> int | None:
        """When the receiver was last known to work; None before that."""
        ...

    def poll(self) -> list[AircraftReport]:
        """Reports since the last call. Raises WireError, ProtocolError; then it is to be closed and opened anew."""
        ...

    def close(self) -> None:
        """Let go of the receiver."""
        ...
