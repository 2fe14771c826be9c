"""Question and answer in PI's General Command Set 2.0, for the drivers of whatever hangs on such a controller.

Source: PI General Command Set 2.0: lines of text, ended by LF; a command is silent, and `ERR?` tells (and forgets) what
became of it; a single character asks at once and has no LF: 5 which axes move, as bits of a hexadecimal number; an
answer of several lines has a space before each LF but the last. No answer says which question it is of: after a
time-out `*IDN?` finds the step.
"""

from __future__ import annotations

import re
from typing import Final

from hal.clock import Clock
from hal.errors import DeviceError, ProtocolError
from hal.traits import Identity
from hal.wires.lines import LONGEST_REPLY, Lines
from hal.wires.stream import StreamWire

REPLY_TIMEOUT_S: Final = 0.3
MOVING: Final = b"\x05"
STOP: Final = b"\x18"
QUIET_S: Final = 0.02
UNIT: Final = "0x7000601"  # parameter: the unit of the axis
NOT_READY: Final = 5
STOPPED: Final = 10  # after a halt, which is no error then
ERRORS: Final = {
    1: "it does not understand a number",
    2: "its firmware does not know that command",
    NOT_READY: "it was never referenced, or its servo is off",
    7: "that is outside its limits",
    8: "that is faster than it goes",
    STOPPED: "it was stopped by a command",
    15: "it has no such axis",
    17: "a value is out of its range",
}
_NUMBER: Final = re.compile(rb"[+-]?\d{1,9}(\.\d{1,12})?(E[+-]?\d{1,2})?")


def stop_axes(wire: StreamWire, clock: Clock) -> None:
    """Bring every axis to rest, knowing nothing of the line. Raises HalError unless the controller answers."""
    wire.drain(QUIET_S)
    wire.write(b"\n" + STOP + b"\nERR?\n")
    reply = wire.read_until(b"\n", REPLY_TIMEOUT_S, LONGEST_REPLY).strip()
    if not re.fullmatch(rb"-?\d{1,5}", reply):
        raise ProtocolError(f"{wire.name}: answers its stop with {reply[:64]!r}.")


class Gcs2Talk:
    """What a driver says and hears; it has `_name` and, from `_meets` on, `_lines`."""

    _name: str
    _lines: Lines

    def _meets(self, wire: StreamWire, clock: Clock) -> None:
        self._lines = Lines(wire, clock, b"\n*IDN?\n", rb".*Physik Instrumente", REPLY_TIMEOUT_S, b"", told_end=b"\n")

    def _who(self) -> Identity:
        """What the controller has said of itself."""
        maker, model, serial, firmware = (*self._lines.told.decode("latin-1").split(","), "", "", "", "")[:4]
        return {"maker": maker.strip(), "model": model.strip(), "serial": serial.strip(), "firmware": firmware.strip()}

    def _axes(self) -> list[str]:
        """Identifiers, in the order of their bits; a line each, and all but the last end with a space."""
        return [axis.strip().decode("latin-1") for axis in self._all_lines("SAI?\n")]

    def _all_lines(self, question: str) -> list[bytes]:
        line = self._lines.ask(question.encode())
        lines = [line]
        while line.endswith(b" ") and len(lines) < 64:
            lines.append(line := self._lines.more())
        return lines

    def _axis_number(self, question: str, axis: str) -> float:
        """The axis' answer, `axis=number`."""
        reply = self._lines.ask(f"{question} {axis}\n".encode())
        return self._as_number(reply, axis)

    def _axis_numbers(self, question: str, axes: tuple[str, ...]) -> list[float]:
        """The answers of several axes to one question, a line each, in their order."""
        lines = self._all_lines(f"{question} {' '.join(axes)}\n")
        if len(lines) != len(axes):
            raise self._nonsense(f"{len(axes)} lines", b"\n".join(lines))
        return [self._as_number(line, axis) for line, axis in zip(lines, axes, strict=True)]

    def _as_number(self, reply: bytes, axis: str) -> float:
        told, _, number = reply.partition(b"=")
        if told != axis.encode() or not _NUMBER.fullmatch(number.strip()):
            raise self._nonsense(f'"{axis}=" and a number', reply)
        return float(number)

    def _moving(self) -> int:
        """Which axes move: a bit each, in the order of their names."""
        reply = self._lines.ask(MOVING).strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,16}", reply):
            raise self._nonsense("which axes move", reply)
        return int(reply, 16)

    def _tell(self, command: str, but: int = 0) -> None:
        """A command, and what became of it. Raises DeviceError for anything but an error that was to be expected."""
        self._lines.ask(b"ERR?\n")  # in step, and no older error is taken for this one's
        self._lines.tell(command.encode() + b"\n")
        reply = self._lines.ask(b"ERR?\n").strip()
        if not re.fullmatch(rb"-?\d{1,5}", reply):
            raise self._nonsense("the number of an error", reply)
        code = int(reply)
        if code not in (0, but):
            why = ERRORS.get(code, "see the error codes of its manual")
            raise DeviceError(f"{self._name}: {command!r} is refused with error {code}: {why}.", code)

    def _nonsense(self, wanted: str, got: bytes) -> ProtocolError:
        return self._lines.nonsense(wanted, got[:64])
