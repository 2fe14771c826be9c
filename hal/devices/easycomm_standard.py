"""Rotators that speak EasyComm II or III as the standard has them; the SatNOGS firmware's dialect is easycomm.py.

Hamlib's easycomm.txt (C. Jackson's standard, A. Schultze's third part): words with a number, an answer echoes its word.
What differs from SatNOGS: each axis is asked in a line of its own, "stop" is not answered, no version need be known,
and `VL` turns azimuth down. EasyComm I has no driver: it never says where it is.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace

from hal.clock import Clock
from hal.devices.rate_rotator import RateRotator
from hal.devices.rotator import Rotator
from hal.traits import GimbalCapabilities
from hal.wires.lines import Lines
from hal.wires.stream import StreamWire

REPLY_TIMEOUT_S = 0.4
BLIND_STOP = b"\nSA SE\n"  # the first end completes half a command
_ANGLE = {axis: re.compile(axis + rb"([+-]?\d{1,4}(?:\.\d{1,3})?)") for axis in (b"AZ", b"EL")}


def _lines(wire: StreamWire, clock: Clock) -> Lines:
    """In step when elevation is answered, which is never asked first."""
    return Lines(wire, clock, b"EL", rb"EL[+-]?\d", REPLY_TIMEOUT_S)


def stop_axes(wire: StreamWire, clock: Clock) -> None:
    """Bring both axes to rest, knowing nothing of the state of the line. Raises HalError unless somebody answers."""
    wire.write(BLIND_STOP)
    _lines(wire, clock).ask(b"AZ")


class EasyComm2(Rotator):
    """EasyComm II: sent to tenths of a degree."""

    model = "EasyComm II"
    step_deg = 0.1
    reach_deg = ((-180.0, 540.0), (-20.0, 210.0))

    def _begin(self) -> None:
        self._lines = _lines(self._wire, self._clock)

    def _read(self) -> tuple[float, float, int, int]:
        first = self._lines.ask(b"AZ\nEL")  # two questions at once: words may follow each other
        azimuth = self._angle(b"AZ", first)
        second = self._lines.more()
        return azimuth, self._angle(b"EL", second), self._lines.asked_ns, len(first) + len(second) + 2

    def _angle(self, axis: bytes, reply: bytes) -> float:
        match = _ANGLE[axis].fullmatch(reply)
        if match is None:
            raise self._lines.nonsense("its angles", reply)
        return float(match[1])

    def _go(self, azimuth_deg: float, elevation_deg: float) -> None:
        self._lines.tell(b"AZ%.1f EL%.1f" % (azimuth_deg, elevation_deg))

    def _halt(self) -> None:
        self._wire.write(BLIND_STOP)


class EasyComm3(RateRotator, EasyComm2):
    """EasyComm III: velocities in thousandths of a degree a second, too. It keeps its last one."""

    model = "EasyComm III"

    def _turn(self, azimuth_rad_s: float, elevation_rad_s: float) -> None:
        for rate, up, down in ((azimuth_rad_s, b"VR", b"VL"), (elevation_rad_s, b"VU", b"VD")):
            self._lines.tell((up if rate >= 0 else down) + b"%d" % round(math.degrees(abs(rate)) * 1e3))

    def _able(self, rate_max_rad_s: float, acceleration_max_rad_s2: float, latency_s: float) -> GimbalCapabilities:
        able = super()._able(rate_max_rad_s, acceleration_max_rad_s2, latency_s)
        return replace(able, rate_resolution_rad_s=math.radians(1e-3))
