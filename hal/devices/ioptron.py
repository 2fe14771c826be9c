"""iOptron mounts in alt-azimuth, RS-232 Command Language 3.10 (serial, or TCP through their Wi-Fi adapter).

A descendant of LX200's language with answers of fixed digits: angles are hundredths of a second of arc, both in one
answer. What is set or started is answered by one digit. It is sent to directions, goes the shorter way round at its own
speed, and goes on to there when the host goes silent.
"""

from __future__ import annotations

import re

from hal.clock import Clock
from hal.devices.lx200 import REPLY_TIMEOUT_S, Lx200
from hal.errors import DeviceError
from hal.traits import Drives, DriveState, Identity
from hal.wires.lines import Lines
from hal.wires.stream import StreamWire

UNITS_PER_DEG = 360_000
BLIND_STOP = b"#:Q#"  # the first end completes half a command
MODEL_DIGITS = 4
PARKED = b"6"
_STATUS = re.compile(rb"[+-]\d{17}(\d)\d{4}")  # place, satellites, then what it does
_ANGLES = re.compile(rb"([+-]\d{8})(\d{9})")


def _lines(wire: StreamWire, clock: Clock) -> Lines:
    """In step when the greatest speed is told, the only answer of a single digit and a hash."""
    return Lines(wire, clock, b":GSR", rb"[789]$", REPLY_TIMEOUT_S, b"#", noise=b"1")


def stop_axes(wire: StreamWire, clock: Clock) -> None:
    """Bring both axes to rest, knowing nothing of the line. Raises HalError unless somebody answers."""
    wire.write(BLIND_STOP)
    _lines(wire, clock).ask(b":GAC")


def state_of(reply: bytes) -> DriveState | None:
    """Of both drives; None where the answer is no status."""
    match = _STATUS.fullmatch(reply)
    if match is None:
        return None
    return "parked" if match[1] == PARKED else "on"


class IOptron(Lx200):
    """Opening it ends its own tracking and a parking, and brings it to rest; its own limit of altitude holds."""

    model = "iOptron"
    drives_told = Drives(frozenset({"on", "parked"}), frozenset({"on"}))

    def _begin(self) -> None:
        self._lines = _lines(self._wire, self._clock)
        self._must(b":ST0", b"1")
        if self._wakes:
            self._power(on=True)
        limit = self._lines.ask(b":GAL")  # of altitude, whole degrees, as its owner has set it
        if re.fullmatch(rb"[+-]\d{2}", limit) is None:
            raise self._lines.nonsense("its limit of altitude", limit)
        self.reach_deg = (0.0, 360.0), (float(limit), 90.0)

    def _identify(self) -> Identity:
        number = self._lines.ask_bytes(b":MountInfo", MODEL_DIGITS).decode("latin-1")
        return {"model": self.model, "mount": number, "firmware": self._lines.ask(b":FW1").decode("latin-1")}

    def _read(self) -> tuple[float, float, int, int]:
        reply = self._lines.ask(b":GAC")
        match = _ANGLES.fullmatch(reply)
        if match is None:
            raise self._lines.nonsense("its angles", reply)
        elevation_deg, azimuth_deg = (int(digits) / UNITS_PER_DEG for digits in match.groups())
        return azimuth_deg, elevation_deg, self._lines.asked_ns, len(reply) + 1

    def _drives(self) -> tuple[DriveState, DriveState]:
        reply = self._lines.ask(b":GLS")
        if (state := state_of(reply)) is None:
            raise self._lines.nonsense("its status", reply)
        return state, state

    def _power(self, on: bool) -> None:
        self._must(b":MP0", b"1")

    def _go(self, azimuth_deg: float, elevation_deg: float) -> None:
        self._must(b":Sz%09d" % (round(azimuth_deg * UNITS_PER_DEG) % (360 * UNITS_PER_DEG)), b"1")
        self._must(b":Sa%+09d" % round(elevation_deg * UNITS_PER_DEG), b"1")
        try:
            self._must(b":MSS", b"1")
        except DeviceError:
            self._watch.explain(self.drives)
            raise
