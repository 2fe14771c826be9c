"""Yaesu GS-232A and GS-232B computer controllers for rotators, in whole degrees.

Yaesu, "GS-232B Computer Control Interface for Antenna Rotators", commands table: a command ends with CR, and so does
every answer, with LF when it holds data; wrong commands are answered `?>`. Azimuth runs from 0 to 450 degrees with the
overlap, elevation from 0 to 180. The rotator goes on to where it was sent when the host goes silent.
"""

from __future__ import annotations

import re

from hal.clock import Clock
from hal.devices.rotator import Rotator
from hal.wires.lines import Lines
from hal.wires.stream import StreamWire

REPLY_TIMEOUT_S = 0.4
BLIND_STOP = b"\rS\r"  # the first CR ends half a command


def _lines(wire: StreamWire, clock: Clock, elevation: bytes = rb"EL=|\+\d{4}\r?$") -> Lines:
    """In step when `B`, which nothing else here asks, is answered with elevation alone."""
    return Lines(wire, clock, b"B", elevation, REPLY_TIMEOUT_S, b"\r", b"\n", noise=b"\r")


def stop_axes(wire: StreamWire, clock: Clock) -> None:
    """Bring both axes to rest, knowing nothing of the state of the line. Raises HalError unless somebody answers."""
    wire.write(BLIND_STOP)
    _lines(wire, clock).ask(b"C2")


class Gs232b(Rotator):
    """GS-232B: `AZ=180  EL=045`."""

    model = "GS-232B"
    step_deg = 1.0
    reach_deg = ((0.0, 450.0), (0.0, 180.0))
    angles = re.compile(rb"AZ=(\d{3})\s+EL=(\d{3})")

    def _begin(self) -> None:
        self._lines = _lines(self._wire, self._clock)

    def _read(self) -> tuple[float, float, int, int]:
        reply = self._lines.ask(b"C2")
        match = self.angles.fullmatch(reply)
        if match is None:
            raise self._lines.nonsense("its angles", reply)
        return float(match[1]), float(match[2]), self._lines.asked_ns, len(reply) + 2

    def _go(self, azimuth_deg: float, elevation_deg: float) -> None:
        self._lines.tell(b"W%03d %03d" % (azimuth_deg, elevation_deg))

    def _halt(self) -> None:
        self._wire.write(BLIND_STOP)


class Gs232a(Gs232b):
    """GS-232A: `+0180+0045`."""

    model = "GS-232A"
    angles = re.compile(rb"\+0(\d{3})\+0(\d{3})")
