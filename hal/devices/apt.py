"""Thorlabs motor controllers that speak APT (KDC101, TDC001 and their kind), USB serial at 115200 baud or TCP.

Source: Thorlabs Motion Controllers Host-Controller Communications Protocol: a header of six bytes (number, two
parameters or the length of what follows, destination, source; destination with its high bit where data follow),
little-endian. Positions are counts of the encoder; speeds and accelerations are counts per sampling interval of 2048 /
6 MHz, times 65536. Commands are not answered: the status that is asked for after each tells that it was heard.

No answer says which question it is of: after a time-out the line must have been quiet before the next. A stage that
nobody talks to goes to where it was sent and stops there.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import Final

from hal.clock import NS, Clock, Deadline
from hal.devices.stage import LinearStage
from hal.errors import DeviceError, ProtocolError, WireTimeout
from hal.traits import Identity, Pair, StageStatus
from hal.wires.stream import StreamWire

REPLY_TIMEOUT_S: Final = 0.3
QUIET_S: Final = 0.03
LONGEST_REPLY: Final = 256
HEADER: Final = struct.Struct("<HBBBB")
HOST, UNIT, LONG, CHANNEL = 0x01, 0x50, 0x80, 1
STOP_UPDATES, REQUEST_INFO, INFO, FAULT, RICH_FAULT = 0x0012, 0x0005, 0x0006, 0x0080, 0x0081
ENABLE, HOME, MOVE, STOP, SUSPEND_ENDS = 0x0210, 0x0443, 0x0453, 0x0465, 0x046B
REQUEST_STATUS, STATUS_TOLD = 0x0490, 0x0491
SET_SPEED, REQUEST_SPEED, SPEED = 0x0413, 0x0414, 0x0415
REQUEST_LIMITS, LIMITS = 0x0424, 0x0425
LENGTHS: Final = {INFO: 84, RICH_FAULT: 68, STATUS_TOLD: 14, SPEED: 14, LIMITS: 16}
BY_THE_WAY: Final = {0x0444: (0, 14), 0x0464: (0, 14), 0x0466: (0, 14), 0x0481: (14,)}  # ends of motions, updates
STATUS: Final = struct.Struct("<HiHHI")
SPEEDS: Final = struct.Struct("<Hiii")
MOVING: Final = 0x10 | 0x20 | 0x40 | 0x80 | 0x200
HOMING, HOMED, ENABLED = 0x200, 0x400, 0x80000000
WARNINGS: Final = {
    0x1: "forward limit switch",
    0x2: "reverse limit switch",
    0x4000: "motion error",
    0x8000: "instrument error",
    0x20000: "over temperature",
    0x1000000: "motor current limit",
}
INTERVAL_S: Final = 2048 / 6e6
IMMEDIATE, PROFILED, IGNORED = 1, 2, 1
FAR_MM: Final = 1e4  # where the controller itself keeps to no limit


def stop_axes(wire: StreamWire, clock: Clock) -> None:
    """Bring the axis to rest, knowing nothing of the line. Raises HalError unless the unit tells its status then."""
    wire.drain(QUIET_S)
    for number, parameter in ((STOP, PROFILED), (REQUEST_STATUS, 0)):
        wire.write(HEADER.pack(number, CHANNEL, parameter, UNIT, HOST))
    deadline = Deadline(clock, REPLY_TIMEOUT_S)
    told = b""
    while struct.pack("<H", STATUS_TOLD) not in told:
        told += wire.read_some(LONGEST_REPLY, deadline.remaining_s)


class Apt(LinearStage):
    """Channel 1 of a controller with one; `resolution_mm` is the way of one count of the encoder."""

    _in_step = False

    def _status(self) -> StageStatus:
        """Where it is now and whether it moves. Raises WireError, ProtocolError, DeviceError for faults."""
        data = self._ask(REQUEST_STATUS, STATUS_TOLD)
        _, counts, _, _, bits = STATUS.unpack(data)
        line_ns = round(10 * (HEADER.size + len(data)) / self._wire.baud * NS) if self._wire.baud else 0
        return StageStatus(
            max(self._asked_ns, self._clock.now_ns() - line_ns),
            counts * self._resolution_mm,
            bool(bits & MOVING),
            bool(bits & HOMED) and not bits & HOMING,
            bool(bits & ENABLED),
            tuple(text for bit, text in WARNINGS.items() if bits & bit),
        )

    def _home(self) -> None:
        """Be on the way to its switch. Raises DeviceError when its motor is off."""
        if not self._status().powered:
            raise DeviceError(f"{self._name}: its motor is switched off; switch it on first.")
        self._tell(HOME, CHANNEL, 0)

    def _stop(self) -> None:
        """At rest, along its ramp."""
        self._tell(STOP, CHANNEL, PROFILED)

    def _power(self, on: bool) -> None:
        """Its motor holds it, or lets go of it. Raises DeviceError when it does not obey."""
        if self._tell(ENABLE, CHANNEL, 1 if on else 2).powered != on:
            raise DeviceError(f"{self._name}: its motor was told to be {'on' if on else 'off'}, and is not.")

    def _begin(self) -> Identity:
        if self.axis != "1":
            raise DeviceError(f'{self._name}: axis = "{self.axis}": a controller of this kind has one, "1".')
        with suppress(WireTimeout):  # after a host that died within a message, the unit may wait for its end
            self._ask(REQUEST_INFO, INFO)
        for number in (STOP_UPDATES, SUSPEND_ENDS):
            self._wire.write(HEADER.pack(number, 0, 0, UNIT, HOST))
        serial, model, _, *firmware = struct.unpack_from("<I8sH4B", self._ask(REQUEST_INFO, INFO))
        name = model.partition(b"\0")[0].decode("latin-1").strip()
        return {"model": name, "serial": str(serial), "firmware": ".".join(str(part) for part in firmware[2::-1])}

    def _limits_mm(self) -> Pair:
        _, _, _, high, low, mode = struct.unpack("<HHHiiH", self._ask(REQUEST_LIMITS, LIMITS))
        if mode == IGNORED:
            return -FAR_MM, FAR_MM
        return low * self._resolution_mm, high * self._resolution_mm

    def _set_speed(self, speed_mm_s: float) -> None:
        _, _, acceleration, _ = SPEEDS.unpack(self._ask(REQUEST_SPEED, SPEED))
        speed = round(speed_mm_s / self._resolution_mm * INTERVAL_S * 65536)
        self._tell_long(SET_SPEED, SPEEDS.pack(CHANNEL, 0, acceleration, speed))

    def _go(self, position_mm: float) -> None:
        self._tell_long(MOVE, struct.pack("<Hi", CHANNEL, round(position_mm / self._resolution_mm)))

    def _tell(self, number: int, first: int, second: int) -> StageStatus:
        self._wire.write(HEADER.pack(number, first, second, UNIT, HOST))
        return self._status()

    def _tell_long(self, number: int, data: bytes) -> None:
        self._wire.write(struct.pack("<HHBB", number, len(data), UNIT | LONG, HOST) + data)
        self._status()

    def _ask(self, question: int, wanted: int) -> bytes:
        """The data of the answer. Raises WireError, ProtocolError, DeviceError when the unit tells of a fault."""
        if not self._in_step or self._wire.drain():
            self._wire.drain(QUIET_S)
        self._in_step = False
        self._asked_ns = self._clock.now_ns()
        self._wire.write(HEADER.pack(question, CHANNEL, 0, UNIT, HOST))
        deadline = Deadline(self._clock, REPLY_TIMEOUT_S)
        fault = ""
        while True:
            try:
                number, data = self._heard(deadline)
            except WireTimeout:
                raise WireTimeout(
                    f"{self._name}: {self._wire.where} does not answer within {REPLY_TIMEOUT_S:g} s; check its power, "
                    f"its cable and the port."
                ) from None
            if number == wanted:
                break
            if number == RICH_FAULT:
                fault = data[4:].partition(b"\0")[0].decode("latin-1").strip() or f"code {data[2] + 256 * data[3]}"
            elif number == FAULT:
                fault = "it does not say which"
        self._in_step = True
        if fault:
            raise DeviceError(f"{self._name}: it tells of a fault: {fault}.")
        return data

    def _heard(self, deadline: Deadline) -> tuple[int, bytes]:
        """Number and data of the next message that is for us."""
        header = self._wire.read(HEADER.size, deadline.remaining_s)
        number, low, high, to, sender = HEADER.unpack(header)
        length = low + 256 * high if to & LONG else 0
        allowed = BY_THE_WAY.get(number, (LENGTHS.get(number, 0 if number == FAULT else -1),))
        if to & ~LONG != HOST or sender not in (0, UNIT) or length not in allowed:
            raise ProtocolError(f"{self._name}: sent {header!r}, which begins no message of APT; check port and cable.")
        return number, self._wire.read(length, deadline.remaining_s) if length else b""
