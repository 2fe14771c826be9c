"""Meade LX200 and Autostar mounts, alt-azimuth, through the serial port of the hand box.

Meade, "Telescope Serial Command Protocol" (revision L): `:`, letters, data, `#`; answers end in `#`, but those of what
is set or started are one character. It is sent to whole minutes of arc, the shorter way round in azimuth, and goes
there at its own speed; its soft limits say where it may be sent. It goes on to there when the host goes silent.
"""

from __future__ import annotations

import re

from hal.clock import Clock
from hal.devices.rotator import Rotator
from hal.errors import DeviceError
from hal.traits import Identity
from hal.wires.lines import Lines
from hal.wires.stream import StreamWire

REPLY_TIMEOUT_S = 0.4
BLIND_STOP = b"#:Q#"  # the first end completes half a command
_AZIMUTH = re.compile(rb"(\d{3})[*\xdf:](\d{2})(?:[':](\d{2}))?")
_ALTITUDE = re.compile(rb"([+-])(\d{2})[*\xdf:](\d{2})(?:[':](\d{2}))?")


def _lines(wire: StreamWire, clock: Clock) -> Lines:
    """In step when right ascension is told, in hours, which is never asked else; single characters may precede it."""
    return Lines(wire, clock, b":GR", rb"[01]*\d\d:\d\d[:.]\d", REPLY_TIMEOUT_S, b"#")


def stop_axes(wire: StreamWire, clock: Clock) -> None:
    """Bring both axes to rest, knowing nothing of the line. Raises HalError unless somebody answers."""
    wire.write(BLIND_STOP)
    _lines(wire, clock).ask(b":GZ")


def _degrees(degrees: bytes, minutes: bytes, seconds: bytes | None) -> float:
    return int(degrees) + int(minutes) / 60 + int(seconds or 0) / 3600


class Lx200(Rotator):
    """Opening it ends its own tracking of the stars (land mode) and brings it to rest."""

    model = "LX200"
    step_deg = 1.0 / 60
    reach_deg = ((0.0, 360.0), (-5.0, 90.0))
    leg_deg = 90.0  # turned by hand it is sent no further at once, since it would go the other way round

    def _begin(self) -> None:
        self._lines = _lines(self._wire, self._clock)
        self._lines.tell(b":AL")
        if self._azimuth_deg()[1] < len("000*00:00"):
            self._lines.tell(b":U")  # seconds, too

    def _identify(self) -> Identity:
        return {"model": self.model, "product": self._lines.ask(b":GVP").decode("latin-1")}

    def _read(self) -> tuple[float, float, int, int]:
        azimuth_deg, first = self._azimuth_deg()
        asked_ns = self._lines.asked_ns
        altitude = _ALTITUDE.fullmatch(second := self._lines.ask(b":GA"))
        if altitude is None:
            raise self._lines.nonsense("its angles", second)
        elevation_deg = _degrees(*altitude.groups()[1:]) * (-1 if altitude[1] == b"-" else 1)
        return azimuth_deg, elevation_deg, asked_ns, first + len(second) + len(":GA##")

    def _azimuth_deg(self) -> tuple[float, int]:
        """Azimuth, and how many bytes told it."""
        reply = self._lines.ask(b":GZ")
        match = _AZIMUTH.fullmatch(reply)
        if match is None:
            raise self._lines.nonsense("its angles", reply)
        return _degrees(*match.groups()), len(reply)

    def _go(self, azimuth_deg: float, elevation_deg: float) -> None:
        minutes = round(azimuth_deg * 60) % (360 * 60)
        self._must(b":Sz%03d*%02d" % divmod(minutes, 60), b"1")
        minutes = round(abs(elevation_deg) * 60)
        self._must(b":Sa%s%02d*%02d" % (b"-" if elevation_deg < 0 else b"+", *divmod(minutes, 60)), b"1")
        self._must(b":MA", b"0")

    def _must(self, command: bytes, wanted: bytes) -> None:
        """Say what is answered by one character. Raises DeviceError for another than the one that is wanted."""
        reply = self._lines.ask_bytes(command, 1)
        if reply == wanted:
            return
        if reply not in (b"0", b"1", b"2"):
            raise self._lines.nonsense("a yes or no", reply)
        self._lines.shout()  # words may follow
        raise DeviceError(f"{self._name}: the mount refuses {command.decode()}#; it does not go there.", int(reply))

    def _halt(self) -> None:
        self._wire.write(BLIND_STOP)
