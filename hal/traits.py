"""What a loop may ask of a device, whoever made it. Units are in the names; times are the Clock's.

Sky axes of every pair are (cross-elevation, elevation): cross-elevation is azimuth times cos elevation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Pair = tuple[float, float]
DriveState = Literal[
    "on", "unheld", "off", "parked", "blocked"
]  # unheld: it moves when told, and at rest nothing holds it
Identity = dict[str, Any]  # what a device says of itself: model, serial number, firmware, dictionary


@dataclass(frozen=True, slots=True)
class Drives:
    """What the protocol of a gimbal has of its drives: states that it tells, and what `power` can do to them."""

    tells: frozenset[DriveState] = frozenset()  # empty: it knows neither power nor brakes nor parking
    takes: frozenset[Literal["on", "off"]] = frozenset()


@dataclass(frozen=True, slots=True)
class DriveStatus:
    """What the drives of a gimbal say of themselves; `t_ns` is when they were asked."""

    t_ns: int
    azimuth: DriveState
    elevation: DriveState

    @property
    def ready(self) -> bool:
        """Both axes move when they are told to."""
        return {self.azimuth, self.elevation} <= {"on", "unheld"}


@dataclass(frozen=True, slots=True)
class GimbalCapabilities:
    """What a gimbal can do, as data; the gimbal loop uses the best of it.

    A gimbal of limited travel shows azimuth as it stands between its stops, overlap included; one without shows it in
    [0, 2 pi) or so, and whole turns are counted above.
    """

    rate_max_rad_s: float
    acceleration_max_rad_s2: float
    resolution_rad: float
    rate_resolution_rad_s: float
    command_latency_s: float  # from the command's last byte to motion
    keeps_moving_when_silent: bool  # then a guardian must be able to stop it
    takes: frozenset[Literal["rate", "position"]] = frozenset({"rate"})  # of RateGimbal and PositionGimbal
    position_step_rad: float = 0.0  # to which a direction is rounded that it is sent to
    rates_rad_s: tuple[float, ...] = ()  # the only speeds it has, besides rest; empty: any
    rate_gaps_rad_s: tuple[Pair, ...] = ()  # speeds (from, to) that it does not keep evenly
    command_line_s: float = 0.0  # for which a direction is on the line before its last byte is there
    travel_rad: tuple[Pair, Pair] | None = None  # (lowest, highest) of azimuth and of elevation; None: no stops
    drives: Drives = Drives()
    approach_rad: float = 0.0  # the way over which each axis has to come to a fixed direction upwards, against its play
    dead_band_rad: float = 0.0  # how far an axis may be off before it is moved again

    @property
    def has_elevation(self) -> bool:
        """False for a rotator of azimuth alone."""
        return self.travel_rad is None or self.travel_rad[1][1] > self.travel_rad[1][0]

    @property
    def best(self) -> Literal["rate", "position"]:
        """What a loop follows a moving target with: rates where it has any rate, else directions."""
        return "position" if "position" in self.takes and ("rate" not in self.takes or self.rates_rad_s) else "rate"

    def possible(self, rate_rad_s: float) -> float:
        """The nearest rate that it can turn at, rest included."""
        speed = min(abs(rate_rad_s), self.rate_max_rad_s)
        if self.rates_rad_s:
            speed = min((0.0, *self.rates_rad_s), key=lambda one: abs(one - speed))
        for low, high in self.rate_gaps_rad_s:
            if low < speed < high:
                speed = low if speed - low < high - speed else high
        return math.copysign(speed, rate_rad_s)


@dataclass(frozen=True, slots=True)
class AxisPosition:
    """Encoder angles of one moment (monotonic `t_ns`)."""

    t_ns: int
    azimuth_rad: float
    elevation_rad: float


class Gimbal(Protocol):
    """Two axes that move the telescope: a RateGimbal, a PositionGimbal or both, as `capabilities.takes` says."""

    capabilities: GimbalCapabilities
    identity: Identity

    def position(self) -> AxisPosition:
        """Encoder angles now. Raises WireError, ProtocolError."""
        ...

    def stop(self) -> None:
        """Both axes at rest."""
        ...

    def close(self) -> None:
        """Let go of the device; it goes on as it was told: `stop` first."""
        ...


class RateGimbal(Gimbal, Protocol):
    """A gimbal that takes rates."""

    def set_rate(self, azimuth_rad_s: float, elevation_rad_s: float) -> None:
        """Turn at these axis rates until told otherwise; beyond the capabilities they are cut."""
        ...


class PositionGimbal(Gimbal, Protocol):
    """A gimbal that is sent to directions, and stops there by itself."""

    def go_to(self, azimuth_rad: float, elevation_rad: float) -> None:
        """Be on the way to these encoder angles, at its own speed; beyond its travel they are cut."""
        ...


class PoweredGimbal(Gimbal, Protocol):
    """A gimbal whose drives tell their state, as `capabilities.drives` says.

    One that is not ready refuses motion with a DeviceError that says what to do; under way it raises that from
    `position`. Opening it ends a parking; stopping it leaves its drives as they are.
    """

    def drives(self) -> DriveStatus:
        """What they say now, asked and not remembered. Raises WireError, ProtocolError, DeviceError."""
        ...

    def power(self, on: bool) -> None:
        """Have both axes ready, or let go of them at rest. Raises DeviceError unless the drives say so then."""
        ...


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
