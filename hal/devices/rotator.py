"""What drivers of rotators share that are sent to directions: travel, rounding, turning by hand, times of readings.

A protocol says how angles are read, how the rotator is sent to some and how it is stopped. A rate, which such a
rotator does not take, becomes the way to the end of the soft travel: it turns at its own speed and stops there by
itself, whatever becomes of the host.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from hal.clock import NS, Clock
from hal.devices.drive_watch import DriveWatch
from hal.errors import DeviceError, HalError
from hal.traits import AxisPosition, Drives, DriveState, DriveStatus, GimbalCapabilities, Identity, Pair
from hal.wires.opening import open_stream

NEVER_NS = 1 << 63
Travel = tuple[Pair, Pair]  # (lowest, highest) azimuth, (lowest, highest) elevation


class Rotator(ABC):
    """Implements RateGimbal and PositionGimbal; with `drives`, PoweredGimbal. Opening it brings both axes to rest.

    `travel_deg` is how far the station lets it go (soft limits); what the protocol cannot say is cut off, too. Unless
    it `wakes` it, a mount that is parked or has no power is left so.
    Raises ResourceError, WireTimeout, and DeviceError for soft limits that leave nothing.
    """

    model: ClassVar[str]
    step_deg: float  # of a commanded direction; `_begin` may learn it
    reach_deg: Travel  # what the protocol can say; an axis that it has not has no width
    go_bytes: ClassVar[int] = 16  # of the command that sends it somewhere, more or less
    leg_deg: ClassVar[float] = math.inf  # how far it is sent at once when it is turned by hand
    refuses: ClassVar[bool] = True  # motion by itself where a drive is not ready, or its protocol tells nothing of it
    drives_told: Drives = Drives()  # `_begin` may learn it

    def __init__(
        self, resource: str, baud: int, clock: Clock, name: str = "gimbal", *, rate_max_rad_s: float,
        acceleration_max_rad_s2: float, command_latency_s: float, travel_deg: Travel | None = None,
        wakes: bool = True,
    ) -> None:  # fmt: skip
        self._clock, self._name, self._wakes = clock, name, wakes
        self._turning: tuple[int, int] | None = None  # the directions in which set_rate has sent it
        self._leg_end_ns = NEVER_NS
        self._wire = open_stream(resource, clock, name, baud=baud)
        try:
            self._begin()
            self._low_deg, self._high_deg = self._soft(travel_deg or self.reach_deg)
            self.capabilities = self._able(rate_max_rad_s, acceleration_max_rad_s2, command_latency_s)
            self._watch = DriveWatch(name, clock, self.refuses)
            self.stop()
            self.identity: Identity = self._identify()
        except HalError:
            self._wire.close()
            raise

    def position(self) -> AxisPosition:
        """Both angles. Raises WireTimeout, WireError, ProtocolError, and DeviceError when a drive goes on its way."""
        self._watch.look(self.drives)
        azimuth_deg, elevation_deg, asked_ns, line_bytes = self._read()
        read_ns = self._read_ns(asked_ns, line_bytes)
        return AxisPosition(read_ns, math.radians(azimuth_deg), math.radians(elevation_deg))

    def go_to(self, azimuth_rad: float, elevation_rad: float) -> None:
        """Send it to these angles, rounded to its step, cut to its travel. Raises ValueError when one is not finite."""
        self._finite("angles", azimuth_rad, elevation_rad)
        self._watch.moves(self.drives)
        self._turning = None
        self._send_to(math.degrees(azimuth_rad), math.degrees(elevation_rad))

    def set_rate(self, azimuth_rad_s: float, elevation_rad_s: float) -> None:
        """Turn that way at its own speed, up to the end of its travel; it has no other speed.

        Raises ValueError when a rate is not finite: nothing is sent then.
        """
        self._finite("rates", azimuth_rad_s, elevation_rad_s)
        azimuth, elevation = ((rate > 0) - (rate < 0) for rate in (azimuth_rad_s, elevation_rad_s))
        if (azimuth, elevation) == self._turning and self._clock.now_ns() < self._leg_end_ns:
            return  # it is on its way; the same again makes some controllers stutter (Hamlib issue 122)
        if azimuth == elevation == 0:
            self.stop()
            return
        self._watch.moves(self.drives)
        here = self.position()
        here_deg = math.degrees(here.azimuth_rad), math.degrees(here.elevation_rad)
        low_deg, high_deg = self._low_deg, self._high_deg
        if self._turns_freely:
            low_deg, high_deg = (-math.inf, low_deg[1]), (math.inf, high_deg[1])
        ends, leg = (low_deg, here_deg, high_deg), self.leg_deg
        self._send_to(
            min(here_deg[0] + leg, max(here_deg[0] - leg, ends[1 + azimuth][0])),
            min(here_deg[1] + leg, max(here_deg[1] - leg, ends[1 + elevation][1])),
        )
        self._turning = (azimuth, elevation)
        if self.leg_deg < math.inf:  # half-way there it is sent on
            half_s = math.radians(self.leg_deg) / 2 / self.capabilities.rate_max_rad_s
            self._leg_end_ns = self._clock.now_ns() + round(half_s * NS)

    def stop(self) -> None:
        """Both axes at rest: says so, then sees that the rotator answers."""
        self._turning = None
        self._watch.rests()
        self._halt()
        self._read()

    def drives(self) -> DriveStatus:
        """What its drives say now. Raises DeviceError where its protocol says nothing of them."""
        asked_ns = self._clock.now_ns()
        azimuth, elevation = self._drives()
        return DriveStatus(asked_ns, azimuth, elevation)

    def power(self, on: bool) -> None:
        """Have both axes ready, or let go of them at rest. Raises DeviceError unless the drives say so then."""
        word: Literal["on", "off"] = "on" if on else "off"
        if word not in self.drives_told.takes:
            raise DeviceError(f"{self._name}: {self.model} has no command that switches its drives {word}.")
        self.stop()
        self._power(on)
        told = self.drives()
        if {told.azimuth, told.elevation} != ({"on"} if on else {"unheld"}):
            raise DeviceError(
                f"{self._name}: its drives were switched {word} and say {told.azimuth}, {told.elevation}; see its "
                "power supply, its own panel, and what holds it."
            )

    def close(self) -> None:
        """Close the port. Does not stop the rotator: `stop` does."""
        self._wire.close()

    @abstractmethod
    def _begin(self) -> None:
        """Make what the wire needs, and learn of the rotator what it says of itself."""

    @abstractmethod
    def _read(self) -> tuple[float, float, int, int]:
        """Azimuth and elevation in degrees, when they were asked for (ns), and bytes of the answer."""

    @abstractmethod
    def _go(self, azimuth_deg: float, elevation_deg: float) -> None:
        """Send it there; both are multiples of the step inside its travel."""

    @abstractmethod
    def _halt(self) -> None:
        """Tell both axes to stop, even if the line is in no known state."""

    def _drives(self) -> tuple[DriveState, DriveState]:
        """What azimuth and elevation say."""
        raise DeviceError(f"{self._name}: {self.model} says nothing of its drives; look at the mount.")

    def _power(self, on: bool) -> None:
        """Switch both; `drives` is asked then. Only where its drives take that."""
        raise NotImplementedError

    @property
    def _turns_freely(self) -> bool:
        """By hand it turns on beyond the ends of its azimuth, which are no stops; it has a `leg_deg` then."""
        return False

    def _read_ns(self, asked_ns: int, line_bytes: int) -> int:
        """When the angles were read of which the last byte has just come: as the answer left, unless it is known."""
        return max(asked_ns, self._clock.now_ns() - self._line_ns(line_bytes))

    def _line_ns(self, line_bytes: int) -> int:
        """How long so many bytes are on the line."""
        return round(10 * line_bytes / self._wire.baud * NS) if self._wire.baud else 0

    def _identify(self) -> Identity:
        return {"model": self.model}

    def _finite(self, what: str, azimuth: float, elevation: float) -> None:
        if not (math.isfinite(azimuth) and math.isfinite(elevation)):
            raise ValueError(f"{self._name}: the {what} {azimuth}, {elevation} are not finite.")

    def _send_to(self, azimuth_deg: float, elevation_deg: float) -> None:
        step = self.step_deg
        pairs = zip(self._low_deg, (azimuth_deg, elevation_deg), self._high_deg, strict=True)
        azimuth, elevation = (
            min(math.floor(high / step + 1e-6), max(math.ceil(low / step - 1e-6), round(angle / step))) * step
            for low, angle, high in pairs
        )
        self._go(azimuth, elevation)

    def _able(self, rate_max_rad_s: float, acceleration_max_rad_s2: float, latency_s: float) -> GimbalCapabilities:
        (low_az, low_el), (high_az, high_el) = (
            [math.radians(angle) for angle in ends] for ends in (self._low_deg, self._high_deg)
        )
        return GimbalCapabilities(
            rate_max_rad_s=rate_max_rad_s,
            acceleration_max_rad_s2=acceleration_max_rad_s2,
            resolution_rad=math.radians(self.step_deg),
            rate_resolution_rad_s=rate_max_rad_s,
            command_latency_s=latency_s,
            keeps_moving_when_silent=True,  # to where it was sent, minutes away
            takes=frozenset({"rate", "position"}),
            position_step_rad=math.radians(self.step_deg),
            rates_rad_s=(rate_max_rad_s,),
            command_line_s=self._line_ns(self.go_bytes) / NS,
            travel_rad=((low_az, high_az), (low_el, high_el)),
            drives=self.drives_told,
        )

    def _soft(self, travel_deg: Travel) -> tuple[Pair, Pair]:
        """Lowest and highest angles: the soft limits inside what the rotator reaches."""
        ends = [
            (max(hard[0], soft[0]), min(hard[1], soft[1])) if hard[1] > hard[0] else hard
            for hard, soft in zip(self.reach_deg, travel_deg, strict=True)
        ]
        for axis, (low, high), hard in zip(("azimuth", "elevation"), ends, self.reach_deg, strict=True):
            if high - low < min(self.step_deg, hard[1] - hard[0]):
                raise DeviceError(
                    f"{self._name}: the {axis} limits of the rig file leave nothing of the {hard[0]:g} to {hard[1]:g} "
                    f"deg that {self.model} knows; widen {axis}_min_deg and {axis}_max_deg."
                )
        return (ends[0][0], ends[1][0]), (ends[0][1], ends[1][1])
