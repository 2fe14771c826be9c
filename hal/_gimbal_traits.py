"""What a loop may ask of a gimbal; `hal.traits` has these names, and those of the other devices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol

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
