"""Rotators that speak EasyComm, in the dialect of the SatNOGS rotator firmware (velocity commands of EasyComm III).

Lines of text, one answer a line. Sources: Hamlib's easycomm.txt for the commands; satnogs-rotator-firmware, easycomm.h,
for the dialect (`VL` turns azimuth up; `SA SE` answers with the position). Angles have a tenth of a degree.
"""

from __future__ import annotations

import math
import re

from hal.clock import NS, Clock
from hal.devices.soft_travel import ENDLESS, SoftTravel, sector, shown
from hal.errors import HalError
from hal.traits import AxisPosition, GimbalCapabilities, Identity, Pair
from hal.wires.lines import Lines
from hal.wires.opening import open_stream
from hal.wires.stream import StreamWire

REPLY_TIMEOUT_S = 0.4
STOP = b"SA SE"
BLIND_STOP = b"\n" + STOP + b"\n"
_POSITION = re.compile(rb"AZ(-?\d{1,4}\.\d) EL(-?\d{1,3}\.\d)")


def _lines(wire: StreamWire, clock: Clock) -> Lines:
    return Lines(wire, clock, b"VE", b"VE", REPLY_TIMEOUT_S)


def stop_axes(wire: StreamWire, clock: Clock) -> None:
    """Bring both axes to rest, knowing nothing of the state of the line. Raises HalError unless it is acknowledged."""
    wire.write(BLIND_STOP)
    _lines(wire, clock).ask(STOP)


class EasyComm:
    """A rotator; implements Gimbal. Opening it brings both axes to rest. Raises ResourceError, WireTimeout.

    No rate carries elevation out of `elevation_rad`, its soft limits; azimuth is told without its turns, and kept
    inside `azimuth_rad` where that is less than one.
    """

    def __init__(
        self, resource: str, baud: int, clock: Clock, name: str = "gimbal", *,
        rate_max_rad_s: float, acceleration_max_rad_s2: float, command_latency_s: float, elevation_rad: Pair = ENDLESS,
        azimuth_rad: Pair = ENDLESS,
    ) -> None:  # fmt: skip
        self._azimuth_rad = sector(name, azimuth_rad)
        self.capabilities = GimbalCapabilities(
            rate_max_rad_s, acceleration_max_rad_s2, math.radians(0.1), math.radians(1e-3), command_latency_s, True,
            travel_rad=None if self._azimuth_rad == ENDLESS else (self._azimuth_rad, elevation_rad),
        )  # fmt: skip
        self._clock, self._name = clock, name
        self._soft_travel = SoftTravel(clock, (self._azimuth_rad, elevation_rad))
        self._wire = open_stream(resource, clock, name, baud=baud)
        self._lines = _lines(self._wire, clock)
        try:
            self.stop()
            self.identity: Identity = {"model": "EasyComm", "firmware": self._lines.told[2:].decode("latin-1")}
        except HalError:
            self._wire.close()
            raise

    def position(self) -> AxisPosition:
        """Both angles. Raises WireTimeout, WireError, ProtocolError."""
        return self._read(b"AZ EL")

    def set_rate(self, azimuth_rad_s: float, elevation_rad_s: float) -> None:
        """Turn at these rates, elevation not out of its travel. Raises ValueError, and sends nothing, unless finite."""
        if not (math.isfinite(azimuth_rad_s) and math.isfinite(elevation_rad_s)):
            raise ValueError(f"{self._name}: the rates {azimuth_rad_s}, {elevation_rad_s} rad/s are not finite.")
        rates = self._soft_travel.allowed(azimuth_rad_s, elevation_rad_s, self.capabilities, self.position)
        for rate, up, down in zip(rates, (b"VL", b"VU"), (b"VR", b"VD"), strict=True):
            self._lines.tell((up if rate >= 0 else down) + b"%d" % round(math.degrees(abs(rate)) * 1e3))
        self._soft_travel.sent(*rates)

    def stop(self) -> None:
        """Both axes at rest; the rotator acknowledges with its position."""
        self._soft_travel.rests()
        try:
            self._read(STOP)
        except HalError:
            self._wire.write(BLIND_STOP)  # it may hear though we do not
            raise

    def close(self) -> None:
        """Close the port. Does not stop the rotator: `stop` does."""
        self._wire.close()

    def _read(self, command: bytes) -> AxisPosition:
        reply, asked_ns = self._lines.ask(command), self._lines.asked_ns
        match = _POSITION.fullmatch(reply)
        if match is None:
            raise self._lines.nonsense("its angles", reply)
        azimuth_rad, elevation_rad = (math.radians(float(digits)) for digits in match.groups())
        azimuth_rad = shown(azimuth_rad, self._azimuth_rad)
        line_ns = round(10 * (len(reply) + 1) / self._wire.baud * NS) if self._wire.baud else 0
        return self._soft_travel.saw(
            AxisPosition(max(asked_ns, self._clock.now_ns() - line_ns), azimuth_rad, elevation_rad)
        )
