"""A Celestron NexStar hand controller with a two-axis alt-az mount behind it.

Speaks the hand controller's serial protocol (Celestron, "NexStar Communication Protocol"): one-letter commands with 16
and 24-bit angles, and P commands that are passed through to the motor boards. Like the real one it is not to be
trusted: it says nothing to garbage, moves some time after it has acknowledged, and keeps its last rate for ever.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np

from sim_hw.devices.encoders import AZIMUTH, ELEVATION, Encoders, Mount
from sim_hw.devices.slew import Slew
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.contract import Condition

ARCSEC = math.pi / 648_000
SIDEREAL_RAD_S = 15.041 * ARCSEC
COUNTS = 1 << 24  # of one turn: the motor boards' encoder; the last two digits of a 32-bit angle are zero

REPLY_DELAY_S = 0.015
HALF_COMMAND_S = 0.5  # a command that stays incomplete for so long is forgotten
NO_DEVICE_S = 0.5  # the controller tries several times before it gives up on a board (3.5 s at worst)
MODEL_CPC = 9
VERSION = (4, 21)

# Bytes of each command, its letter included.
LENGTHS = {
    **dict.fromkeys(b"ZzEeVmJLMthw", 1),
    **dict.fromkeys(b"KT", 2),
    **dict.fromkeys(b"BRS", 10),
    **dict.fromkeys(b"brs", 18),
    **dict.fromkeys(b"HW", 9),
    ord("P"): 8,
}
# Arrow-key rates 0 to 9 (Celestron NexStar HC manual, "Rate"): sidereal multiples, then degrees a second.
FIXED_RATES_RAD_S = (
    0.0,
    *(n * SIDEREAL_RAD_S for n in (2, 4, 8, 16, 32)),
    *(math.radians(rate_deg_s) for rate_deg_s in (0.5, 1, 2, 4)),
)
MOTORS = {0x10: AZIMUTH, 0x11: ELEVATION}


class NexStar:
    """The hand controller; a SerialDevice.

    `rng` draws when each motion command takes effect: `motion_delay_s` after its last byte, give or take a standard
    deviation of `motion_jitter_s` (cut at three of them). `rate_max_rad_s` and `acceleration_max_rad_s2` shape its own
    slews (goto); a rate command is passed to the motors as it is.
    """

    def __init__(
        self,
        timeline: Timeline,
        mount: Mount,
        rng: np.random.Generator,
        *,
        motion_delay_s: float = 0.075,
        motion_jitter_s: float = 0.015,
        rate_max_rad_s: float = math.radians(3),
        acceleration_max_rad_s2: float = math.radians(2),
        latitude_deg: float = 28.2995,
        longitude_deg: float = -16.5118,
    ) -> None:
        self._timeline = timeline
        self._axes = Encoders(mount)
        self._rng = rng
        self._motion_delay_s = motion_delay_s
        self._motion_jitter_s = motion_jitter_s
        self._slew = Slew(timeline, self._angles, self._axes.set_rate, rate_max_rad_s, acceleration_max_rad_s2)
        self._send: Callable[[bytes], None] = lambda data: None
        self._partial = b""
        self._heard_ns = 0
        self._busy_ns = 0  # when the reply to the previous command leaves
        self._motion_ns = [0, 0]  # when the latest command to each axis takes effect
        self._zero_rad = [0.0, 0.0]
        self._tracking_mode = 0
        self._site = _sexagesimal(latitude_deg) + _sexagesimal(longitude_deg)

    @property
    def slewing(self) -> bool:
        """True while a goto is under way."""
        return self._slew.active

    def conditions(self) -> dict[str, Condition]:
        """Faults of the mount itself (sim_hw.faults); stuck: it takes rates and stands still."""
        return self._axes.conditions()

    def attach(self, send: Callable[[bytes], None]) -> None:
        """Take the line's way to the host."""
        self._send = send

    def receive(self, data: bytes) -> None:
        """Take bytes of the host; runs every command that they complete."""
        if self._partial and self._timeline.now_ns - self._heard_ns > HALF_COMMAND_S * NS:
            self._partial = b""
        self._heard_ns = self._timeline.now_ns
        self._partial += data
        while self._partial:
            length = LENGTHS.get(self._partial[0])
            if length is None:
                self._partial = self._partial[1:]
            elif len(self._partial) < length:
                return
            else:
                command, self._partial = self._partial[:length], self._partial[length:]
                self._execute(command)

    def _execute(self, command: bytes) -> None:
        letter = chr(command[0])
        if letter == "P":
            self._pass_through(command)
            return
        reply = self._answer(letter, command[1:])
        if reply is not None:
            self._reply(reply + b"#")

    def _answer(self, letter: str, argument: bytes) -> bytes | None:
        """What the controller itself answers, without the end mark; None is silence."""
        match letter:
            case "Z" | "E":  # not aligned: right ascension and declination are the axes' angles
                return b"%04X,%04X" % tuple((count + 0x80 >> 8) & 0xFFFF for count in self._counts())
            case "z" | "e":
                return b"%08X,%08X" % tuple(count << 8 for count in self._counts())
            case "B" | "b":
                return self._goto(argument)
            case "R" | "r" | "S" | "s":
                return b""  # acknowledged; without an alignment there is no action
            case "K":
                return argument
            case "L":
                return b"%d" % self.slewing
            case "M":
                self._end_slew()
                return b""
            case "J":
                return b"\x00"
            case "V":
                return bytes(VERSION)
            case "m":
                return bytes([MODEL_CPC])
            case "t":
                return bytes([self._tracking_mode])
            case "T":
                self._tracking_mode = argument[0] & 3
                return b""
            case "h":
                return self._time()
            case "w":
                return self._site
            case "W":
                self._site = argument
                return b""
            case _:  # H: the controller's clock is the bench's
                return b""

    def _goto(self, argument: bytes) -> bytes | None:
        try:
            turns = [int(part, 16) / 16 ** len(part) for part in argument.split(b",")]
        except ValueError:
            return None
        if len(turns) != 2:
            return None
        azimuth_rad, elevation_rad = (math.tau * turn for turn in turns)
        when_ns = max(self._motion_at_ns(AZIMUTH), self._motion_at_ns(ELEVATION))
        self._slew.start(when_ns, azimuth_rad, math.remainder(elevation_rad, math.tau))
        return b""

    def _pass_through(self, command: bytes) -> None:
        """P, number of message bytes, board, message, up to three data bytes, number of reply bytes."""
        _, length, board, message, *data, reply_length = command
        axis = MOTORS.get(board)
        answer = None if axis is None or not 1 <= length <= 4 else self._motor(axis, message, bytes(data[: length - 1]))
        if answer is None or len(answer) != reply_length:
            # No board or no such message: as many bytes as asked for, then one more, then the end mark.
            self._reply(bytes(reply_length + 1) + b"#", NO_DEVICE_S)
        else:
            self._reply(answer + b"#")

    def _motor(self, axis: int, message: int, data: bytes) -> bytes | None:
        """What a motor board answers; None when it does not know the message."""
        number = int.from_bytes(data)
        match message, len(data):
            case 0x01, 0:  # get position
                return self._counts()[axis].to_bytes(3)
            case 0x04, 3:  # set position
                self._zero_rad[axis] += self._angles()[axis] - number / COUNTS * math.tau
                return b""
            case ((0x06 | 0x07), 2):  # rate in quarters of an arc second a second, positive or negative
                self._end_slew()
                self._move(axis, number / 4 * ARCSEC * (1 if message == 0x06 else -1))
                return b""
            case ((0x24 | 0x25), 1) if number < len(FIXED_RATES_RAD_S):
                self._end_slew()
                self._move(axis, FIXED_RATES_RAD_S[number] * (1 if message == 0x24 else -1))
                return b""
            case 0x13, 0:  # slew done
                return b"\x00" if self.slewing else b"\xff"
            case 0xFE, 0:  # version
                return bytes([6, 17])
            case _:
                return None

    def _end_slew(self) -> None:
        if self.slewing:
            self._slew.cancel()
            self._move(AZIMUTH, 0.0)
            self._move(ELEVATION, 0.0)

    def _move(self, axis: int, rate_rad_s: float) -> None:
        self._timeline.schedule(self._motion_at_ns(axis), lambda: self._axes.set_rate(axis, rate_rad_s))

    def _motion_at_ns(self, axis: int) -> int:
        """When a motion command that is complete now takes effect: never before an earlier one of its axis."""
        deviation = float(np.clip(self._rng.standard_normal(), -3, 3))
        delay_s = max(0.0, self._motion_delay_s + self._motion_jitter_s * deviation)
        self._motion_ns[axis] = max(self._motion_ns[axis], self._timeline.now_ns + round(delay_s * NS))
        return self._motion_ns[axis]

    def _reply(self, data: bytes, delay_s: float = REPLY_DELAY_S) -> None:
        self._busy_ns = max(self._timeline.now_ns, self._busy_ns) + round(delay_s * NS)
        self._timeline.schedule(self._busy_ns, lambda: self._send(data))

    def _angles(self) -> tuple[float, float]:
        azimuth_rad, elevation_rad = self._axes.encoder_rad()
        return azimuth_rad - self._zero_rad[AZIMUTH], elevation_rad - self._zero_rad[ELEVATION]

    def _counts(self) -> tuple[int, int]:
        azimuth, elevation = (round(angle / math.tau * COUNTS) % COUNTS for angle in self._angles())
        return azimuth, elevation

    def _time(self) -> bytes:
        """Hour, minute, second, month, day, year of the century, zone (UTC), no daylight saving."""
        now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self._timeline.utc_ns // 1000)
        return bytes([now.hour, now.minute, now.second, now.month, now.day, now.year % 100, 0, 0])


def _sexagesimal(angle_deg: float) -> bytes:
    """Degrees, minutes, seconds, and 1 for south or west."""
    seconds = round(abs(angle_deg) * 3600)
    return bytes([seconds // 3600, seconds // 60 % 60, seconds % 60, angle_deg < 0])
