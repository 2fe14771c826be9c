"""Sky-Watcher mounts through their motor controller: a serial line (9600 baud, 115200 on some), or UDP port 11880.

Sky-Watcher, "Motor Controller Command Set": `:`, a letter, the axis, data in hexadecimal with the lowest byte first,
CR; answered `=` and data, or `!` and a code. Positions are counted from 800000. A rate is the preset of a timer; it
changes while the axis turns, but direction and speed range change only at rest. Nobody waits for that, since the other
axis goes on: an axis that has to turn round brakes, and starts with the first call after it stands. The mount keeps its
last rate when the host goes silent.

No answer says which question it is of, and a network may bring one twice: questions of unlike length follow each other
where it matters, and an axis that seems to have jumped is asked again.

Each axis tells in its status that it turns (1 of the second digit), is blocked (2), and was initialised (1 of the
third), which a loss of power undoes, and its count with it. Its worms hold it without power.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any

from hal.clock import NS, Clock, Deadline
from hal.devices.rate_rotator import RateRotator
from hal.errors import DeviceError, HalError, ProtocolError
from hal.traits import AxisPosition, Drives, DriveState, GimbalCapabilities, Identity, Pair
from hal.wires.lines import Lines
from hal.wires.stream import StreamWire

REPLY_TIMEOUT_S = 0.4
REST_TIMEOUT_S = 1.0  # beyond what braking takes
ZERO = 0x800000
PERIOD_MAX = 0xFFFFFF
QUESTION_BYTES = 4
JUMP_RAD = 0.01  # beyond what an axis can do at its fastest
STANDS_COUNTS, STANDS_NS = 20, NS // 4  # a count that should have changed by so many, and has not for so long
FAST_RAD_S = math.radians(128 * 15.041 / 3600)  # above it boards with two speed ranges use the other (the document)
AXES = (b"1", b"2")
MOVES, BLOCKED, INITIALISED = 1, 2, 1  # bits of the status
STOP = tuple(b":K" + axis for axis in AXES)
REFUSALS = {
    0: "it does not know the command",
    1: "the command has a wrong length",
    2: "the axis has not come to rest",
    3: "a character is wrong",
    4: "it is not initialised, as after a loss of power: open it again",
    5: "the motor driver sleeps",
}
_ANSWER = re.compile(rb"=([0-9A-F]*)")
_REFUSAL = re.compile(rb"!([0-9A-F])")


def low_first(number: int) -> bytes:
    """Six hexadecimal digits, lowest byte first. Raises OverflowError beyond 24 bits."""
    return number.to_bytes(3, "little").hex().upper().encode()


def _lines(wire: StreamWire, clock: Clock) -> Lines:
    """In step when the ratio of the speed ranges is told, the only answer of two digits."""
    return Lines(wire, clock, b":g1", rb"=[0-9A-F]{2}$", REPLY_TIMEOUT_S, b"\r")


def stop_axes(wire: StreamWire, clock: Clock) -> None:
    """Bring both axes to rest, knowing nothing of the line. Raises HalError unless the mount acknowledges it."""
    lines = _lines(wire, clock)
    lines.shout(b"", *STOP)
    for command in STOP:
        lines.ask(command)


def state_of(status: bytes) -> DriveState:
    """What three hexadecimal digits say of a drive."""
    _, moves, initialised = (int(digit, 16) for digit in status.decode())
    return "off" if not initialised & INITIALISED else "blocked" if moves & BLOCKED else "on"


@dataclass(slots=True)
class Axis:
    """One motor: what the board told of it, and what it was told last."""

    number: bytes
    counts: int  # of a turn
    timer_hz: int
    ratio: int  # of the high speed range; 1: there is one range
    start_deg: float = 0.0  # where it counts from
    way: int | None = None  # 1 or -1 at `period` in tracking mode, 0 told to rest; None: not known
    fast: bool = False
    period: int = 0
    late: bool = False  # it has been stopped to turn round, and not started yet
    mode: tuple[int, bool] | None = None  # way and range that it will start with
    count: int = 0  # as last told
    seen: int = -1  # the count that it has had since `seen_ns`
    seen_ns: int = 0

    def slowest_rad_s(self) -> float:
        """With the longest period."""
        return self.timer_hz / PERIOD_MAX / self.counts * math.tau

    def period_of(self, speed_rad_s: float, fast: bool) -> int:
        """The timer's preset for a speed."""
        steps_s = speed_rad_s / math.tau * self.counts
        return min(PERIOD_MAX, max(1, round(self.timer_hz * (self.ratio if fast else 1) / steps_s)))


class SkyWatcher(RateRotator):
    """A mount of two axes. Opening it initialises the motors and brings them to rest; its zero stays as it is.

    It counts from where it stood when it was switched on, which `start_deg` tells: an alt-azimuth mount is switched on
    level, looking north; an equatorial one mostly with the tube at the pole above its counterweight, at 90, 90 degrees.
    """

    model = "Sky-Watcher"
    refuses = False  # what is blocked, or loses its power on its way, just stands
    drives_told = Drives(frozenset({"on", "off", "blocked"}), frozenset({"on"}))
    reach_deg = ((-360.0, 360.0), (-90.0, 180.0))  # it knows no stops; cables do

    def __init__(self, *place: Any, start_deg: Pair = (0.0, 0.0), **limits: Any) -> None:
        self._start_deg = start_deg
        super().__init__(*place, **limits)

    def _begin(self) -> None:
        self._lines = _lines(self._wire, self._clock)
        self._axes: list[Axis] = []
        for number in AXES:
            version = self._ask(b":e" + number, 6).decode()
            ratio, counts = self._number(b":g" + number, 2), self._number(b":a" + number, 6)
            self._ask(b":f" + number, 3)
            timer_hz = self._number(b":b" + number, 6)
            if self._wakes:
                self._ask(b":F" + number)
            if not (counts and timer_hz and ratio):
                raise DeviceError(f"{self._name}: the board of axis {number.decode()} says nothing of its motor.")
            self._axes.append(Axis(number, counts, timer_hz, ratio, start_deg=self._start_deg[len(self._axes)]))
        self._version, self._mount_code = f"{version[:2]}.{version[2:4]}", version[4:]  # hexadecimal, as EQMod shows it
        self.step_deg = 360.0 / min(axis.counts for axis in self._axes)

    def _identify(self) -> Identity:
        return {"model": self.model, "firmware": self._version, "mount": self._mount_code}

    def _read(self) -> tuple[float, float, int, int]:
        azimuth_deg, asked_ns = self._angle_deg(self._axes[0])
        if self._soft_travel.here is None:
            self._ask(b":f1", 3)
        elevation_deg, later_ns = self._angle_deg(self._axes[1])
        # Asked a little later: as the axis was when the other was read.
        elevation_deg -= math.degrees(self._soft_travel.rates[1]) * (later_ns - asked_ns) / NS
        if self._soft_travel.here is not None:
            here, self._soft_travel.here = self._soft_travel.here, None
            away_rad = self.capabilities.rate_max_rad_s * (later_ns - here.t_ns) / NS + JUMP_RAD
            if (
                max(
                    abs(math.radians(azimuth_deg) - here.azimuth_rad),
                    abs(math.radians(elevation_deg) - here.elevation_rad),
                )
                > away_rad
            ):
                self._watch.look(self.drives, odd=True)  # a loss of power takes the count, too
                raise self._nonsense(b"a jump to %.3f, %.3f deg" % (azimuth_deg, elevation_deg))
        stands = [
            self._stands(axis, rate_rad_s, later_ns)
            for axis, rate_rad_s in zip(self._axes, self._soft_travel.rates, strict=True)
        ]
        if any(stands):
            self._watch.look(self.drives, odd=True)
        return azimuth_deg, elevation_deg, asked_ns, QUESTION_BYTES

    def _stands(self, axis: Axis, rate_rad_s: float, now_ns: int) -> bool:
        """It turns, as it was told, and its count has been the same for long."""
        if axis.count != axis.seen or not axis.way or axis.late:
            axis.seen, axis.seen_ns = axis.count, now_ns
        owed = abs(rate_rad_s) / math.tau * axis.counts * (now_ns - axis.seen_ns) / NS
        if owed < STANDS_COUNTS or now_ns - axis.seen_ns < STANDS_NS:
            return False
        axis.seen_ns = now_ns  # said; and again when as much is owed again
        return True

    def _read_ns(self, asked_ns: int, line_bytes: int) -> int:
        return min(asked_ns + self._line_ns(line_bytes), self._clock.now_ns())  # as the question has arrived

    def _angle_deg(self, axis: Axis) -> tuple[float, int]:
        axis.count = self._number(b":j" + axis.number, 6)
        return axis.start_deg + (axis.count - ZERO) / axis.counts * 360.0, self._lines.asked_ns

    def _go(self, azimuth_deg: float, elevation_deg: float) -> None:
        for axis in self._axes:
            axis.way = None
            self._brake(axis)  # both at once
        for axis, angle_deg in zip(self._axes, (azimuth_deg, elevation_deg), strict=True):
            self._rest(axis)
            axis.way = axis.mode = None
            self._ask(b":G" + axis.number + b"00")
            self._ask(b":S" + axis.number + low_first(ZERO + round((angle_deg - axis.start_deg) / 360.0 * axis.counts)))
            self._ask(b":J" + axis.number)

    def position(self) -> AxisPosition:
        """Both angles, of one moment. An axis that has come to rest to turn round is started."""
        here = super().position()
        if any(axis.late for axis in self._axes):
            self._turn(*self._soft_travel.rates)
        return here

    def _turn(self, azimuth_rad_s: float, elevation_rad_s: float) -> None:
        for axis, rate_rad_s in zip(self._axes, (azimuth_rad_s, elevation_rad_s), strict=True):
            self._turn_axis(axis, self.capabilities.possible(rate_rad_s))

    def _turn_axis(self, axis: Axis, rate_rad_s: float) -> None:
        speed = abs(rate_rad_s)
        way = (rate_rad_s > 0) - (rate_rad_s < 0)
        if way == 0:
            self._brake(axis)
            return
        # A range is left well beyond its end only: each change is a stop.
        fast = axis.ratio > 1 and speed > FAST_RAD_S * (0.8 if axis.fast and axis.way else 1.2)
        period = axis.period_of(speed, fast)
        if (way, fast) == (axis.way, axis.fast):
            if period != axis.period:
                axis.way = None  # until it is acknowledged
                self._ask(b":I" + axis.number + low_first(period))
        else:
            braked = self._brake(axis)
            if axis.mode != (way, fast):
                axis.late = self._moves(axis)
                if axis.late:
                    return
                self._ask(b":G" + axis.number + (b"3" if fast else b"1") + (b"0" if way > 0 else b"1"))
                axis.mode = (way, fast)
            axis.late = braked
            if braked:
                return  # the rest with the next call: the other axis waits for its rate
            axis.way = axis.mode = None
            self._ask(b":I" + axis.number + low_first(period))
            self._ask(b":J" + axis.number)
        axis.way, axis.fast, axis.period = way, fast, period

    def _brake(self, axis: Axis) -> bool:
        """Tell an axis to stop that was not told yet; whether it had to be."""
        axis.late = False
        if axis.way == 0:
            return False
        axis.way = axis.mode = self._soft_travel.here = None
        self._ask(b":K" + axis.number)
        axis.way = 0
        return True

    def _moves(self, axis: Axis) -> bool:
        return bool(int(self._ask(b":f" + axis.number, 3)[1:2], 16) & MOVES)

    def _drives(self) -> tuple[DriveState, DriveState]:
        azimuth, elevation = (self._drive(axis) for axis in self._axes)
        return azimuth, elevation

    def _drive(self, axis: Axis) -> DriveState:
        return state_of(self._ask(b":f" + axis.number, 3))

    def _power(self, on: bool) -> None:
        for number in AXES:
            self._ask(b":F" + number)

    def _rest(self, axis: Axis) -> None:
        """Wait until an axis stands that was told to. Raises DeviceError when it does not."""
        able = self.capabilities
        deadline = Deadline(self._clock, able.rate_max_rad_s / able.acceleration_max_rad_s2 + REST_TIMEOUT_S)
        while self._moves(axis):
            if deadline.expired:
                raise DeviceError(f"{self._name}: axis {axis.number.decode()} does not come to rest; check its motor.")

    def _halt(self) -> None:
        for axis in self._axes:
            axis.way, axis.mode, axis.late = None, None, False
        if not self._lines.in_step:
            self._lines.shout(b"", *STOP)  # the first end completes half a command
            return
        try:
            for axis, command in zip(self._axes, STOP, strict=True):
                self._ask(command)
                axis.way = 0
        except HalError:
            self._lines.shout(b"", *STOP)
            raise

    def _ask(self, command: bytes, digits: int = 0) -> bytes:
        """The data that answers. Raises WireError, ProtocolError, and DeviceError for a refusal."""
        reply = self._lines.ask(command)
        if (refusal := _REFUSAL.fullmatch(reply)) is not None:
            code = int(refusal[1], 16)
            why = REFUSALS.get(code, f"error {code}")
            raise DeviceError(f"{self._name}: the mount refuses {command.decode()}: {why}.", code)
        match = _ANSWER.fullmatch(reply)
        if match is None or len(match[1]) != digits:
            raise self._nonsense(reply)
        return match[1]

    def _number(self, question: bytes, digits: int) -> int:
        return int.from_bytes(bytes.fromhex(self._ask(question, digits).decode()), "little")

    def _nonsense(self, reply: bytes) -> ProtocolError:
        return self._lines.nonsense("its angles", reply)

    def _able(self, rate_max_rad_s: float, acceleration_max_rad_s2: float, latency_s: float) -> GimbalCapabilities:
        able = super()._able(rate_max_rad_s, acceleration_max_rad_s2, latency_s)
        slowest = max(axis.slowest_rad_s() for axis in self._axes)
        # From one period to the next at its fastest: it is finer at every slower rate.
        step = max(rate_max_rad_s / axis.period_of(rate_max_rad_s, axis.ratio > 1) for axis in self._axes)
        return replace(able, rate_resolution_rad_s=step, rate_gaps_rad_s=((0.0, slowest),))
