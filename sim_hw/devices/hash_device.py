"""What emulators of mounts share whose commands are `:`, letters, data, `#`: LX200 and its descendants.

They are sent to a place, or moved by arrow keys at a speed until they are told to stop.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

from sim_hw.devices.encoders import Encoders, Mount
from sim_hw.devices.slew import Slew
from sim_hw.timeline import NS, Timeline

LONGEST_COMMAND = 64
SIDEREAL_RAD_S = math.radians(15.041 / 3600)


class HashDevice(ABC):
    """A SerialDevice. What comes outside of a command is ignored, but for single bytes that `alone` knows."""

    reply_delay_s = 0.01

    def __init__(
        self, timeline: Timeline, mount: Mount, *, rate_max_rad_s: float, acceleration_max_rad_s2: float,
        motion_delay_s: float = 0.05,
    ) -> None:  # fmt: skip
        self._timeline = timeline
        self._axes = Encoders(mount)
        self.conditions = self._axes.conditions
        self._rate_max_rad_s, self._delay_ns = rate_max_rad_s, round(motion_delay_s * NS)
        self._slew = Slew(
            timeline, self._axes.encoder_rad, self._axes.set_rate, rate_max_rad_s, acceleration_max_rad_s2
        )
        self._send: Callable[[bytes], None] = lambda data: None
        self._half: bytes | None = None  # of a command that has begun

    @abstractmethod
    def answer(self, said: str) -> str:
        """What is answered to one command, told without colon and hash; nothing is silence."""

    def alone(self, byte: int) -> str:
        """What is answered to a byte outside of a command."""
        return ""

    def attach(self, send: Callable[[bytes], None]) -> None:
        """Remember how to send bytes to the host."""
        self._send = send

    def receive(self, data: bytes) -> None:
        """Bytes of the host; runs every command that they complete."""
        for byte in data:
            if self._half is None:
                if byte == ord(":"):
                    self._half = b""
                else:
                    self._reply(self.alone(byte))
            elif byte == ord("#"):
                said, self._half = self._half.decode("latin-1"), None
                if said:
                    self._reply(self.answer(said))
            elif len(self._half) < LONGEST_COMMAND:
                self._half += bytes([byte])

    def _go_to(self, azimuth_rad: float, altitude_rad: float) -> None:
        """Begin a slew, after the delay unless one is under way."""
        begin_ns = self._timeline.now_ns + (0 if self._slew.active else self._delay_ns)
        self._slew.start(begin_ns, azimuth_rad, altitude_rad)

    def _turn(self, axis: int, sign: int, sidereal: float | None) -> None:
        """An arrow key: so many sidereal rates, None for its fastest, after the delay."""
        speed_rad_s = math.inf if sidereal is None else sidereal * SIDEREAL_RAD_S
        rate_rad_s = sign * min(speed_rad_s, self._rate_max_rad_s)
        due_ns = self._timeline.now_ns + self._delay_ns
        self._timeline.schedule(due_ns, lambda: self._axes.set_rate(axis, rate_rad_s))

    def _reply(self, told: str) -> None:
        if told:
            self._timeline.after(self.reply_delay_s, lambda: self._send(told.encode("latin-1")))
