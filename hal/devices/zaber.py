"""Zaber stages that speak the ASCII protocol (firmware 6 and 7), serial or TCP, with checksums both ways.

Source: Zaber ASCII Protocol Manual: `/device axis id command:LRC`, answered `@device axis id OK|RJ BUSY|IDLE flag
data:LRC`; the checksum is what makes the sum of all bytes between the first and the colon zero. Positions are counts;
a speed is counts a second times 1.6384. Flags in words: Zaber's own library (zaber_motion.ascii.WarningFlags).

Every answer has the number of its question, so that a late or doubled one is known and passed over. Alerts (`!`) and
remarks (`#`) may stand between. A stage that nobody talks to goes to where it was sent and stops there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from hal.clock import NS, Clock, Deadline
from hal.devices.stage import LinearStage
from hal.errors import DeviceError, ProtocolError, WireTimeout
from hal.traits import Identity, Pair, StageStatus
from hal.wires.stream import StreamWire

REPLY_TIMEOUT_S: Final = 0.3
QUIET_S: Final = 0.02
LONGEST_REPLY: Final = 160
NUMBERS: Final = 100  # of questions, before they begin anew
SPEED_UNIT: Final = 1.6384  # of `maxspeed`, in counts a second
REPLY: Final = re.compile(rb"@(\d\d) (\d) (\d\d) (OK|RJ) (BUSY|IDLE) (--|[A-Z0-9]{2}) ([ -~]+)")
UNREFERENCED: Final = {"WR", "WH"}
UNPOWERED: Final = {"FO", "FD", "FH", "FV", "FC", "FM", "FZ"}  # the motor is off, and why
REFUSALS: Final = {
    "BADDATA": "that is outside its limits",
    "BADCOMMAND": "its firmware does not know that",
    "BADAXIS": "it has no such axis; correct the rig file, [stage] axis",
    "DRIVERDISABLED": "its motor is switched off",
    "PARKED": "it is parked; unpark it",
    "STATUSBUSY": "it is moving",
    "REMOTE": "it is under remote control",
    "FULL": "it cannot take more now",
}


def lrc(data: bytes) -> int:
    """What makes the sum of all bytes zero."""
    return -sum(data) & 0xFF


def stop_axes(wire: StreamWire, clock: Clock) -> None:
    """Bring every axis on the line to rest, knowing nothing of the line. Raises HalError unless one has heard it."""
    wire.drain(QUIET_S)
    said = b"0 0 99 stop"
    wire.write(b"\n/%s:%02X\n" % (said, lrc(said)))  # the end completes half a command that may stand there
    deadline = Deadline(clock, REPLY_TIMEOUT_S)
    while not re.match(rb"@\d\d \d 99 OK ", wire.read_until(b"\n", deadline.remaining_s, LONGEST_REPLY)):
        pass


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply."""

    t_ns: int  # when the device gave it
    refused: bool
    busy: bool
    flag: str  # the gravest warning
    data: str


class Zaber(LinearStage):
    """One axis of a Zaber device; `axis` is "DEVICE AXIS"."""

    axis = "1 1"
    _number = 0
    _checked = False  # answers have checksums, too
    _in_step = False  # nothing is on its way but what was asked for

    def _status(self) -> StageStatus:
        """Where it is now and whether it moves. Raises WireError, ProtocolError."""
        answer = self._ask("get pos")
        flags = self._warnings() if answer.flag != "--" else ()
        return StageStatus(
            answer.t_ns,
            self._whole(answer.data) * self._resolution_mm,
            answer.busy,
            not UNREFERENCED & set(flags),
            not UNPOWERED & set(flags),
            flags,
        )

    def _home(self) -> None:
        """Be on the way to its home sensor. Raises DeviceError when it refuses."""
        self._ask("home")

    def _stop(self) -> None:
        """At rest, along its ramp."""
        self._ask("stop")

    def _power(self, on: bool) -> None:
        """Its motor holds it, or lets go of it."""
        self._ask("driver enable" if on else "driver disable")

    def _begin(self) -> Identity:
        if not re.fullmatch(r"\d{1,2} \d", self.axis):
            raise DeviceError(f'{self._name}: axis = "{self.axis}" is no axis of a Zaber device; write "1 1".')
        self._ask("set comm.checksum 1", whole_device=True)
        self._checked = True
        model, serial, firmware = (
            self._ask(f"get {key}", whole_device=True).data for key in ("deviceid", "system.serial", "version")
        )
        return {"model": f"Zaber {model}", "serial": serial, "firmware": firmware}

    def _limits_mm(self) -> Pair:
        low, high = (self._whole(self._ask(f"get limit.{end}").data) * self._resolution_mm for end in ("min", "max"))
        return low, high

    def _set_speed(self, speed_mm_s: float) -> None:
        self._ask(f"set maxspeed {round(speed_mm_s / self._resolution_mm * SPEED_UNIT)}")

    def _go(self, position_mm: float) -> None:
        self._ask(f"move abs {round(position_mm / self._resolution_mm)}")

    def _warnings(self) -> tuple[str, ...]:
        """Every flag: the status has only the gravest."""
        data = self._ask("warnings").data
        count, *flags = data.split() or [""]
        if not re.fullmatch(r"\d{1,3}", count) or int(count) != len(flags):
            raise self._nonsense(data.encode())
        return tuple(flags)

    def _ask(self, command: str, whole_device: bool = False) -> Answer:
        """The answer to a command. Raises WireError, ProtocolError, DeviceError when it is refused."""
        self._number = (self._number + 1) % NUMBERS
        device, axis = self.axis.split()
        said = f"{device} {0 if whole_device else axis} {self._number:02d} {command}".encode("ascii")
        self._wire.drain(0.0 if self._in_step else QUIET_S)
        asked_ns = self._clock.now_ns()
        end = b"" if self._in_step else b"\n"  # completes half a command that may stand there
        self._in_step = False
        self._wire.write(b"%s/%s:%02X\n" % (end, said, lrc(said)))
        deadline = Deadline(self._clock, REPLY_TIMEOUT_S)
        answer = None
        while answer is None:
            try:
                line = self._wire.read_until(b"\n", deadline.remaining_s, LONGEST_REPLY)
            except WireTimeout:
                raise WireTimeout(
                    f"{self._name}: {self._wire.where} does not answer {command!r} within {REPLY_TIMEOUT_S:g} s; check "
                    f"its power, cable and baud rate ({self._wire.baud})."
                ) from None
            answer = self._answer_in(line.rstrip(b"\r\n"), asked_ns)
        self._in_step = True
        if answer.refused:
            why = REFUSALS.get(answer.data, "see the manual of its protocol")
            raise DeviceError(f"{self._name}: {command!r} is refused with {answer.data}: {why}.")
        return answer

    def _answer_in(self, line: bytes, asked_ns: int) -> Answer | None:
        """None where the line is no answer to this question."""
        body, colon, told = line.partition(b":")
        if (colon or self._checked) and told != b"%02X" % lrc(body[1:]):
            raise self._nonsense(line)
        if body[:1] in (b"!", b"#"):
            return None
        reply = REPLY.fullmatch(body)
        if reply is None:
            raise self._nonsense(line)
        device, _, number, verdict, status, flag, data = (part.decode("ascii") for part in reply.groups())
        if int(number) != self._number or int(device) != int(self.axis.split()[0]):
            return None
        line_ns = round(10 * (len(line) + 2) / self._wire.baud * NS) if self._wire.baud else 0
        read_ns = max(asked_ns, self._clock.now_ns() - line_ns)
        return Answer(read_ns, verdict == "RJ", status == "BUSY", flag, data)

    def _whole(self, data: str) -> int:
        if not re.fullmatch(r"-?\d{1,12}", data):
            raise self._nonsense(data.encode())
        return int(data)

    def _nonsense(self, got: bytes) -> ProtocolError:
        return ProtocolError(f"{self._name}: sent {got[:64]!r}, which is no answer; check cable and baud rate.")
