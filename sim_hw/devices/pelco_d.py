"""A pan-tilt head that speaks Pelco-D.

PELCO, "D Protocol Manual" (TF-0002): frames of seven bytes, FF, address, two of command, two of data, and the sum of
all but the first. Moves, stops and absolute positions are not answered, questions for pan and tilt are, in hundredths
of a degree. What has a wrong sum or another's address is ignored. It goes on when the host is silent.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from sim_hw.devices.encoders import AZIMUTH, ELEVATION, Mount
from sim_hw.devices.travel import Travel
from sim_hw.timeline import Timeline

SYNC, FRAME_BYTES = 0xFF, 7
PAN_IS, TILT_IS = 0x59, 0x5B
RIGHT, LEFT, UP, DOWN = 0x02, 0x04, 0x08, 0x10
FASTEST = 0x3F  # of pan and tilt; pan has a turbo speed above it
STOPS_DEG = ((0.0, 359.99), (-20.0, 90.0))
TURN = 36_000  # hundredths of a degree
REPLY_DELAY_S = 0.01


def frame(address: int, first: int, second: int, data: int = 0) -> bytes:
    """A frame with its sum; `data` is its two bytes, the higher first."""
    body = bytes([address, first, second, data >> 8, data & 0xFF])
    return bytes([SYNC]) + body + bytes([sum(body) & 0xFF])


class PelcoD:
    """The head at one address of its line; a SerialDevice."""

    def __init__(
        self, timeline: Timeline, mount: Mount, *, rate_max_rad_s: float, acceleration_max_rad_s2: float,
        address: int = 1,
    ) -> None:  # fmt: skip
        self._timeline, self._address, self._rate_max_rad_s = timeline, address, rate_max_rad_s
        self._travel = Travel(
            timeline, mount, rate_max_rad_s=rate_max_rad_s, acceleration_max_rad_s2=acceleration_max_rad_s2,
            stops_deg=STOPS_DEG,
        )  # fmt: skip
        self.conditions = self._travel.conditions
        self._partial = b""
        self._send: Callable[[bytes], None] = lambda data: None

    def attach(self, send: Callable[[bytes], None]) -> None:
        """Remember how to send bytes to the host."""
        self._send = send

    def receive(self, data: bytes) -> None:
        """Bytes of the host; obeys every frame that they complete."""
        self._partial += data
        while (start := self._partial.find(SYNC)) >= 0 and len(self._partial) >= start + FRAME_BYTES:
            one = self._partial[start : start + FRAME_BYTES]
            if sum(one[1:-1]) & 0xFF == one[-1]:
                self._partial = self._partial[start + FRAME_BYTES :]
                if one[1] == self._address:
                    self._obey(one[2], one[3], one[4], one[5])
            else:
                self._partial = self._partial[start + 1 :]
        self._partial = self._partial[-FRAME_BYTES:]

    def _obey(self, first: int, second: int, high: int, low: int) -> None:
        angle_deg = (high << 8 | low) / 100.0
        pan_deg, tilt_deg = self._travel.angles_deg()
        match second:
            case 0x4B:  # set pan
                self._travel.go(azimuth_deg=angle_deg % 360.0)
            case 0x4D:  # set tilt: down from 360 below the horizon
                self._travel.go(elevation_deg=angle_deg if angle_deg <= 180.0 else angle_deg - 360.0)
            case 0x51:  # ask for pan, then for tilt
                self._reply(PAN_IS, pan_deg)
            case 0x53:
                self._reply(TILT_IS, tilt_deg)
            case _ if not second & 1 and not first:
                self._move(second, high, low)

    def _move(self, bits: int, pan_speed: int, tilt_speed: int) -> None:
        """Any move replaces the one before: an axis whose bits are down stops."""
        self._travel.stop()
        for axis, plus, minus, speed in ((AZIMUTH, RIGHT, LEFT, pan_speed), (ELEVATION, UP, DOWN, tilt_speed)):
            if bits & (plus | minus) and speed:
                share = min(1.0, speed / FASTEST)
                self._travel.turn(axis, 1 if bits & plus else -1, share * self._rate_max_rad_s)

    def _reply(self, second: int, angle_deg: float) -> None:
        data = frame(self._address, 0, second, math.floor(angle_deg * 100 + 0.5) % TURN)
        self._timeline.after(REPLY_DELAY_S, lambda: self._send(data))
