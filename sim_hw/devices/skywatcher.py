"""A Sky-Watcher motor controller with a mount behind it, as an AZ-GTi is; on a wedge that is an equatorial one.

Sky-Watcher, "Motor Controller Command Set": `:`, a letter, the axis, data in hexadecimal with the lowest byte first,
CR; answered `=` and data, or `!` and a code. Positions are counted from 800000. An axis turns at the frequency of a
timer over its preset; it changes direction or mode only at rest, brakes on a ramp when it is stopped, and keeps turning
when the host goes silent. Status, version and the ramp after K are as boards of firmware 3 answer. That a blocked axis
is free again after F is assumed: the document says only that it is told.
"""

from __future__ import annotations

import math

from sim_hw.devices.axis_drive import AxisDrive
from sim_hw.devices.encoders import AXES, Encoders, Mount
from sim_hw.devices.line_device import LineDevice
from sim_hw.timeline import Timeline

ZERO = 0x800000
COUNTS_24 = 1 << 24
SIDEREAL_DAY_S = 86_164.1
UNKNOWN, LENGTH, NOT_STOPPED, BAD_CHARACTER, NOT_INITIALISED = "!0", "!1", "!2", "!3", "!4"
VERSION = "0340A5"  # firmware 3.40 on an AZ-GTi: this one is told highest byte first
#: Data digits of each command; what asks has none, but q: for the extras of a board.
LENGTHS = {**dict.fromkeys("FJKLabcdDefghijms", 0), **dict.fromkeys("EHIMSq", 6), "G": 2, "O": 1, "P": 1}


def _low_first(number: int, digits: int = 6) -> str:
    return (number & ((1 << 4 * digits) - 1)).to_bytes(digits // 2, "little").hex().upper()


class _Channel:
    """What the board knows of one axis."""

    def __init__(self, drive: AxisDrive, period: int) -> None:
        self.drive = drive
        self.offset_rad = 0.0  # of its zero from the encoder's
        self.tracking, self.backward, self.high_speed = True, False, False
        self.initialised = self.blocked = False
        self.period = period  # preset of the timer
        self.target = ZERO
        self.brake_point = 0


class SkyWatcher(LineDevice):
    """The board of both axes; a SerialDevice. `counts` are of one turn, `timer_hz` drives the motors.

    It was switched on with the axes at `start_rad`.
    """

    end = b"\r"
    reply_delay_s = 0.002

    def __init__(
        self, timeline: Timeline, mount: Mount, *, rate_max_rad_s: float, acceleration_max_rad_s2: float,
        counts: int = 2_073_600, timer_hz: int = 16_000_000, high_speed_ratio: int = 1,
        start_rad: tuple[float, float] = (0.0, 0.0),
    ) -> None:  # fmt: skip
        super().__init__(timeline)
        self._counts, self._timer_hz, self._ratio = counts, timer_hz, high_speed_ratio
        axes = Encoders(mount)
        self.conditions = axes.conditions
        self._sidereal = round(SIDEREAL_DAY_S * timer_hz / counts)
        limits = {"rate_max_rad_s": rate_max_rad_s, "acceleration_max_rad_s2": acceleration_max_rad_s2}
        self._channels = [_Channel(AxisDrive(timeline, axes, axis, **limits), self._sidereal) for axis in AXES]
        for channel, angle_rad in zip(self._channels, start_rad, strict=True):
            channel.offset_rad = angle_rad

    def answer(self, line: str) -> str:
        """The answer to one command; what comes before its colon is forgotten."""
        _, colon, said = line.rpartition(":")
        if not colon or not said:
            return ""
        letter, axis, data = said[0], said[1:2], said[2:]
        if letter not in LENGTHS:
            return UNKNOWN
        if not axis or len(data) != LENGTHS[letter]:
            return LENGTH
        if axis not in "123" or not set(data) <= set("0123456789ABCDEF"):
            return BAD_CHARACTER
        channels = self._channels if axis == "3" else [self._channels[int(axis) - 1]]
        answers = [self._obey(channel, letter, data) for channel in channels]
        return next((answer for answer in answers if answer.startswith("!")), answers[0])

    def _obey(self, channel: _Channel, letter: str, data: str) -> str:
        if letter in "EGHSM" and channel.drive.moving:
            return NOT_STOPPED
        if letter == "J" and not channel.initialised:
            return NOT_INITIALISED
        number = int.from_bytes(bytes.fromhex(data), "little") if len(data) == 6 else 0
        match letter:
            case "F":
                channel.initialised, channel.blocked = True, False
            case "E":
                channel.offset_rad = channel.drive.angle_rad - (number - ZERO) / self._counts * math.tau
            case "S":
                channel.target = number
            case "H":
                channel.target = (self._position(channel) + (-number if channel.backward else number)) % COUNTS_24
            case "M":
                channel.brake_point = number
            case "G":
                return self._mode(channel, data)
            case "I":
                channel.period = max(1, number)
                if channel.drive.turning:
                    channel.drive.turn(self._rate_rad_s(channel))
            case "J":
                self._start(channel)
            case "O" | "P":  # a camera's trigger, the speed of a guider's port: nothing hangs on them here
                pass
            case "K" | "L":
                channel.drive.brake()
                channel.tracking = True
            case _:
                return "=" + self._told(channel, letter)
        return "="

    def lose_power(self) -> None:
        """Its power goes and comes back: it stands, counts from there, and is to be initialised."""
        for channel in self._channels:
            channel.drive.halt()
            channel.offset_rad = channel.drive.angle_rad
            channel.initialised = channel.blocked = False

    def block(self, axis: int) -> None:
        """Something holds an axis: its board stops it, says so, and moves it no more until it is initialised anew."""
        self._channels[axis].drive.halt()
        self._channels[axis].blocked = True

    def _mode(self, channel: _Channel, data: str) -> str:
        """First digit: 0 fast goto, 1 tracking, 2 goto, 3 fast tracking; the second digit's lowest bit: backward."""
        kind = int(data[0], 16) & 3
        channel.tracking = bool(kind & 1)
        channel.high_speed = kind in (0, 3)
        channel.backward = bool(int(data[1], 16) & 1)
        return "="

    def _start(self, channel: _Channel) -> None:
        if channel.blocked:
            return
        if channel.tracking:
            channel.drive.turn(self._rate_rad_s(channel))
            return

        def arrived() -> None:
            channel.tracking = True

        # The way from here, whatever turn the count stands for.
        away = (channel.target - self._position(channel) + COUNTS_24 // 2) % COUNTS_24 - COUNTS_24 // 2
        channel.drive.go(channel.drive.angle_rad + away / self._counts * math.tau, arrived)

    def _rate_rad_s(self, channel: _Channel) -> float:
        steps_s = self._timer_hz / channel.period * (self._ratio if channel.high_speed else 1)
        return (-1 if channel.backward else 1) * steps_s / self._counts * math.tau

    def _position(self, channel: _Channel) -> int:
        return (ZERO + round((channel.drive.angle_rad - channel.offset_rad) / math.tau * self._counts)) % COUNTS_24

    def _told(self, channel: _Channel, letter: str) -> str:
        """What the board answers when it is asked."""
        match letter:
            case "a":
                return _low_first(self._counts)
            case "b":
                return _low_first(self._timer_hz)
            case "e":
                return VERSION
            case "g":
                return _low_first(self._ratio, 2)
            case "f":
                mode = channel.tracking + 2 * channel.backward + 4 * channel.high_speed
                return f"{mode}{channel.drive.moving + 2 * channel.blocked}{int(channel.initialised)}"
            case "j" | "d":
                return _low_first(self._position(channel))
            case "h":
                return _low_first(channel.target)
            case "i":
                return _low_first(channel.period)
            case "m":
                return _low_first(channel.brake_point)
            case "D":
                return _low_first(self._sidereal)
            case "q":  # no second encoder, no home sensor, no correction of the worm
                return "000000"
            case _:  # c, s: brake steps, and steps of one turn of the worm
                return _low_first(0 if letter == "c" else self._counts // 144)
