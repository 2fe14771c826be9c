"""Physik Instrumente controllers that speak GCS 2 (C-863, C-884, C-663 with linear stages in mm), serial or TCP.

Source: PI General Command Set 2.0: lines of text, ended by LF; a command is silent, and `ERR?` tells (and forgets) what
became of it; a single character asks at once and has no LF: 5 which axes move, as bits of a hexadecimal number.

No answer says which question it is of: after a time-out `*IDN?` finds the step. A stage that nobody talks to goes to
where it was sent and stops there.
"""

from __future__ import annotations

import re
from typing import Final

from hal.clock import NS, Clock
from hal.devices.stage import LinearStage
from hal.errors import DeviceError, ProtocolError, WireTimeout
from hal.traits import Identity, Pair, StageStatus
from hal.wires.lines import LONGEST_REPLY, Lines
from hal.wires.stream import StreamWire

REPLY_TIMEOUT_S: Final = 0.3
MOVING, STOP = b"\x05", b"\x18"
QUIET_S: Final = 0.02
UNIT: Final = "0x7000601"  # parameter: the unit of the axis
STOPPED: Final = 10  # after a halt, which is no error then
ERRORS: Final = {
    1: "it does not understand a number",
    2: "its firmware does not know that command",
    5: "it was never referenced, or its servo is off",
    7: "that is outside its limits",
    8: "that is faster than it goes",
    STOPPED: "it was stopped by a command",
    15: "it has no such axis",
    17: "a value is out of its range",
}


def stop_axes(wire: StreamWire, clock: Clock) -> None:
    """Bring every axis to rest, knowing nothing of the line. Raises HalError unless the controller answers."""
    wire.drain(QUIET_S)
    wire.write(b"\n" + STOP + b"\nERR?\n")
    reply = wire.read_until(b"\n", REPLY_TIMEOUT_S, LONGEST_REPLY).strip()
    if not re.fullmatch(rb"-?\d{1,5}", reply):
        raise ProtocolError(f"{wire.name}: answers its stop with {reply[:64]!r}.")


class Gcs2(LinearStage):
    """One axis of a controller; `axis` is its identifier."""

    def _status(self) -> StageStatus:
        """Where it is now and whether it moves. Raises WireError, ProtocolError."""
        moving = self._moves()  # first: where it stands then is where it came to rest
        powered, referenced = self._number("SVO?") == 1, self._number("FRF?") == 1
        position_mm, asked_ns = self._number("POS?"), self._lines.asked_ns
        line_ns = round(10 * 16 / self._wire.baud * NS) if self._wire.baud else 0
        return StageStatus(max(asked_ns, self._clock.now_ns() - line_ns), position_mm, moving, referenced, powered)

    def _home(self) -> None:
        """Be on the way to its reference switch. Raises DeviceError when it refuses."""
        self._tell(f"FRF {self.axis}")

    def _stop(self) -> None:
        """At rest, along its ramp."""
        self._tell(f"HLT {self.axis}", but=STOPPED)

    def _power(self, on: bool) -> None:
        """Its servo holds it, or lets go of it."""
        self._tell(f"SVO {self.axis} {int(on)}")

    def _begin(self) -> Identity:
        self._lines = Lines(
            self._wire, self._clock, b"\n*IDN?\n", rb".*Physik Instrumente", REPLY_TIMEOUT_S, b"", told_end=b"\n"
        )
        axes = self._axes()
        if self.axis not in axes:
            raise DeviceError(
                f'{self._name}: it has no axis "{self.axis}", but {", ".join(axes)}; correct '
                "the rig file, [stage] axis."
            )
        self._bit = 1 << axes.index(self.axis)
        try:
            unit = self._lines.ask(f"SPA? {self.axis} {UNIT}\n".encode()).rpartition(b"=")[2].strip()
        except WireTimeout:
            unit = b"MM"  # a controller that does not tell
        if unit.upper() != b"MM":
            raise DeviceError(
                f"{self._name}: its axis counts in {unit.decode('latin-1')}, and a stage is driven in mm."
            )
        self._lines.ask(b"ERR?\n")  # what is older than we are
        maker, model, serial, firmware = (*self._lines.told.decode("latin-1").split(","), "", "", "", "")[:4]
        return {"maker": maker.strip(), "model": model.strip(), "serial": serial.strip(), "firmware": firmware.strip()}

    def _axes(self) -> list[str]:
        """Identifiers, in the order of their bits; a line each, and all but the last end with a space."""
        line = self._lines.ask(b"SAI?\n")
        axes = [line]
        while line.endswith(b" ") and len(axes) < 64:
            axes.append(line := self._lines.more())
        return [axis.strip().decode("latin-1") for axis in axes]

    def _limits_mm(self) -> Pair:
        return self._number("TMN?"), self._number("TMX?")

    def _set_speed(self, speed_mm_s: float) -> None:
        self._tell(f"VEL {self.axis} {speed_mm_s:.6f}")

    def _go(self, position_mm: float) -> None:
        self._tell(f"MOV {self.axis} {position_mm:.7f}")

    def _moves(self) -> bool:
        reply = self._lines.ask(MOVING).strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,16}", reply):
            raise self._nonsense("which axes move", reply)
        return bool(int(reply, 16) & self._bit)

    def _number(self, question: str) -> float:
        """The axis' answer, `axis=number`."""
        reply = self._lines.ask(f"{question} {self.axis}\n".encode())
        axis, _, number = reply.partition(b"=")
        if axis != self.axis.encode() or not re.fullmatch(
            rb"[+-]?\d{1,9}(\.\d{1,12})?(E[+-]?\d{1,2})?", number.strip()
        ):
            raise self._nonsense(f'"{self.axis}=" and a number', reply)
        return float(number)

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
