"""A Thorlabs KDC101 with an MTS25-Z8 stage (25 mm, 34304 counts a millimetre) that speaks APT.

Source: Thorlabs Motion Controllers Host-Controller Communications Protocol: headers of six bytes, data where the
destination has its high bit, little-endian; positions in counts; speeds in counts per 2048 / 6 MHz, times 65536;
accelerations in counts per the square of that, times 65536. Status bits as in its table for DC servo units. The library
thorlabs-apt-device drives this emulator in tests/strangers. What comes without an end is forgotten after HALF_S.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from sim_hw.devices.carriage import Carriage
from sim_hw.timeline import NS, Timeline

COUNTS_PER_MM: Final = 34304
INTERVAL_S: Final = 2048 / 6e6
LENGTH_MM: Final = 25.0
SPEED_MAX_MM_S: Final = 2.4  # of the stage
SERIAL_NUMBER: Final = 27_250_001
HEADER: Final = struct.Struct("<HBBBB")
HOST, UNIT, LONG, CHANNEL = 0x01, 0x50, 0x80, 1
HALF_S: Final = 0.25
LONGEST: Final = 256
REPLY_DELAY_S: Final = 0.001
HOMED, COMPLETED, STOPPED = 0x0444, 0x0464, 0x0466
IMMEDIATE_LIMIT: Final = 2  # mode of the software limits: they stop it


class Apt:
    """The controller; a SerialDevice. `carriage` is what it moves."""

    def __init__(self, timeline: Timeline, carriage: Carriage | None = None) -> None:
        self._timeline = timeline
        self.carriage = carriage or Carriage(
            timeline, length_mm=LENGTH_MM, position_mm=9.0, speed_mm_s=10.0, acceleration_mm_s2=40.0
        )
        self.conditions = self.carriage.conditions
        self.enabled = True
        self._send: Callable[[bytes], None] = lambda data: None
        self._half = b""
        self._half_ns = 0
        self._tells_ends = True
        self._motions = 0
        self._speeds = [0, round(self._per_interval2(40.0)), round(self._per_interval(SPEED_MAX_MM_S))]
        self._home_speed = round(self._per_interval(SPEED_MAX_MM_S))
        self._short: dict[int, Callable[[int, int], None]] = {
            0x0005: lambda *_: self._reply(0x0006, self._info()),
            0x0210: lambda _, state: self._enable(state == 1),
            0x0211: lambda *_: self._say(HEADER.pack(0x0212, CHANNEL, 1 if self.enabled else 2, HOST, UNIT)),
            0x0414: lambda *_: self._reply(0x0415, struct.pack("<Hiii", CHANNEL, *self._speeds)),
            0x0417: lambda *_: self._reply(0x0418, struct.pack("<HHiiiiH", CHANNEL, 2, 1000, *self._speeds, 2)),
            0x0424: lambda *_: self._reply(0x0425, self._limits()),
            0x043B: lambda *_: self._reply(0x043C, struct.pack("<Hi", CHANNEL, 0)),
            0x0441: lambda *_: self._reply(0x0442, struct.pack("<HHHii", CHANNEL, 2, 1, self._home_speed, 0)),
            0x0443: lambda *_: self._home(),
            0x0465: lambda *_: self._stop(),
            0x046B: lambda *_: self._end_messages(False),
            0x046C: lambda *_: self._end_messages(True),
            0x0490: lambda *_: self._reply(0x0491, self._status()),
        }

    def attach(self, send: Callable[[bytes], None]) -> None:
        """Remember how to send bytes to the host."""
        self._send = send

    def receive(self, data: bytes) -> None:
        """Carry out every message that is complete."""
        if self._timeline.now_ns - self._half_ns > HALF_S * NS:
            self._half = b""
        self._half, self._half_ns = self._half + data, self._timeline.now_ns
        while len(self._half) >= HEADER.size:
            number, first, second, to, _ = HEADER.unpack_from(self._half)
            length = first + 256 * second if to & LONG else 0
            if length > LONGEST:
                self._half = self._half[1:]  # no message begins so
                continue
            if len(self._half) < HEADER.size + length:
                return
            body = self._half[HEADER.size : HEADER.size + length]
            self._half = self._half[HEADER.size + length :]
            if to & ~LONG == UNIT:
                self._run(number, first, second, body, bool(to & LONG))

    def _run(self, number: int, first: int, second: int, body: bytes, long: bool) -> None:
        if not long and number in self._short:
            self._short[number](first, second)
        elif number == 0x0453 and len(body) == 6:  # move absolute
            self._go(struct.unpack("<Hi", body)[1])
        elif number == 0x0448 and len(body) == 6:  # move relative
            self._go(struct.unpack("<Hi", body)[1] + self._counts())
        elif number == 0x0413 and len(body) == 14:  # speeds
            speeds = list(struct.unpack("<Hiii", body)[1:])
            if min(speeds[1:]) > 0:
                self._speeds = speeds

    def _per_interval(self, mm_s: float) -> float:
        return mm_s * COUNTS_PER_MM * INTERVAL_S * 65536

    def _per_interval2(self, mm_s2: float) -> float:
        return mm_s2 * COUNTS_PER_MM * INTERVAL_S**2 * 65536

    def _counts(self) -> int:
        return round(self.carriage.shown_mm * COUNTS_PER_MM)

    def _go(self, counts: int) -> None:
        if not self.enabled:
            return
        speed_mm_s = self._speeds[2] / self._per_interval(1.0)
        self.carriage.go(counts / COUNTS_PER_MM, speed_mm_s)
        self._tell_end(COMPLETED)

    def _home(self) -> None:
        if self.enabled:
            self.carriage.home()
            self._tell_end(HOMED)

    def _stop(self) -> None:
        if self.carriage.moving:
            self.carriage.stop()
            self._tell_end(STOPPED)

    def _enable(self, on: bool) -> None:
        self.enabled = on
        if not on:
            self._stop()

    def _end_messages(self, told: bool) -> None:
        self._tells_ends = told

    def _tell_end(self, number: int) -> None:
        """Say, unless asked not to, when the carriage stands; not of a motion that another has ended."""
        self._motions += 1
        motion = self._motions

        def ended() -> None:
            if motion == self._motions and self._tells_ends:
                if number == HOMED:
                    self._say(HEADER.pack(HOMED, CHANNEL, 0, HOST, UNIT))
                else:
                    self._reply(number, self._status())

        self._timeline.schedule(self.carriage.ends_ns, ended)

    def _status(self) -> bytes:
        carriage = self.carriage
        velocity = carriage.velocity_mm_s
        so = {
            0x2: carriage.true_mm <= 0.0,
            0x1: carriage.true_mm >= carriage.length_mm,
            0x10: velocity > 0,
            0x20: velocity < 0,
            0x100: True,  # a motor is connected
            0x200: carriage.homing,
            0x400: carriage.referenced and not carriage.homing,
            0x2000: not carriage.moving,
            0x4000: carriage.stalled,
            0x80000000: self.enabled,
        }
        bits = sum(bit for bit, is_so in so.items() if is_so)
        speed = max(-0x8000, min(0x7FFF, round(self._per_interval(velocity) / 65536)))
        return struct.pack("<HihHI", CHANNEL, self._counts(), speed, 0, bits)

    def _limits(self) -> bytes:
        return struct.pack("<HHHiiH", CHANNEL, 2, 2, round(LENGTH_MM * COUNTS_PER_MM), 0, IMMEDIATE_LIMIT)

    def _info(self) -> bytes:
        return struct.pack("<I8sH4B60sHHH", SERIAL_NUMBER, b"KDC101\0\0", 44, 4, 2, 1, 0, bytes(60), 1, 0, 1)

    def _reply(self, number: int, body: bytes) -> None:
        self._say(struct.pack("<HHBB", number, len(body), HOST | LONG, UNIT) + body)

    def _say(self, said: bytes) -> None:
        self._timeline.after(REPLY_DELAY_S, lambda: self._send(said))
