"""SPID rotator controllers: ROT1PROG (azimuth alone, whole degrees), ROT2PROG, MD-01 and MD-02 in ROT2 mode.

Commands of 13 bytes `W ... K 20`, answers of 5 or 12. Sources: Hamlib's spid.txt for the frames and their worked bytes,
its spid.c for what the MD-01 adds (an answer to "set", lines of a log between answers). Angles are offset by 360
degrees; a step is what the controller's own set-up says, and each answer tells it. The MD-01's jog is not used: nothing
would stop it at the soft limits.

No answer says which question it is of. After a time-out the line must therefore have been quiet for QUIET_S before the
next question: what comes later than that cannot be told from a fresh answer.
"""

from __future__ import annotations

from hal.clock import Clock
from hal.devices.rotator import Rotator
from hal.errors import HalError, ProtocolError, WireTimeout
from hal.wires.stream import StreamWire

STOP, STATUS, SET = 0x0F, 0x1F, 0x2F
START, END = b"W", b" "
COMMAND_BYTES = 13
REPLY_TIMEOUT_S = 0.4  # beyond the time on the line, which at 600 baud is as long
QUIET_S = 0.6
LOG_LINES = 8  # that an MD-01 may write before it answers
LONGEST_LOG = 200


def command(code: int, azimuth: bytes = bytes(4), elevation: bytes = bytes(4), pulses: int = 0) -> bytes:
    """The 13 bytes of a command; the angles are four digits each."""
    per_degree = bytes([pulses])
    return START + azimuth + per_degree + elevation + per_degree + bytes([code]) + END


def stop_blindly(wire: StreamWire) -> None:
    """Say it twice: the first may only complete whatever half a command the controller holds."""
    for _ in range(2):
        wire.write(command(STOP))


class Frames:
    """Question and answer in frames; answers are `reply_bytes` long."""

    def __init__(self, wire: StreamWire, clock: Clock, reply_bytes: int) -> None:
        self.asked_ns = 0
        self.reply_bytes = reply_bytes
        self._wire, self._clock = wire, clock
        self._in_step = False
        self._timeout_s = REPLY_TIMEOUT_S + (10 * (COMMAND_BYTES + reply_bytes) / wire.baud if wire.baud else 0.0)

    def ask(self, question: bytes) -> bytes:
        """What is between the first and the last byte of the answer. Raises WireTimeout, WireError, ProtocolError."""
        if self._wire.drain() or not self._in_step:
            self._wire.drain(QUIET_S)
        self._in_step = False
        self.asked_ns = self._clock.now_ns()
        self._wire.write(question)
        for _ in range(LOG_LINES):
            first = self._wire.read(1, self._timeout_s)
            if first == START:
                break
            if not first.isdigit():
                raise self.nonsense(first)
            self._wire.read_until(b"\r\n", self._timeout_s, LONGEST_LOG)
        else:
            raise WireTimeout(f"{self._wire.name}: writes its log and does not answer; switch its debug output off.")
        rest = self._wire.read(self.reply_bytes - 1, self._timeout_s)
        if rest[-1:] != END:
            raise self.nonsense(first + rest)
        self._in_step = True
        return rest[:-1]

    def halt(self) -> None:
        """Stop. Every stop is answered; where the line is in no known state, what comes is not looked at."""
        try:
            if self._in_step and not self._wire.drain():
                self.ask(command(STOP))
                return
        except HalError:
            stop_blindly(self._wire)
            raise
        self._in_step = False
        stop_blindly(self._wire)

    def tell(self, said: bytes) -> None:
        """A command that is not answered."""
        self._wire.write(said)

    def nonsense(self, got: bytes) -> ProtocolError:
        """The error for an answer that the protocol does not allow."""
        self._in_step = False
        return ProtocolError(
            f"{self._wire.name}: sent {got!r} instead of its angles; check cable, baud rate and the driver's name."
        )


def _stop(wire: StreamWire, clock: Clock, reply_bytes: int) -> None:
    stop_blindly(wire)
    Frames(wire, clock, reply_bytes).ask(command(STATUS))


def stop_axes(wire: StreamWire, clock: Clock) -> None:
    """Bring a ROT2PROG or MD-01 to rest, knowing nothing of the line. Raises HalError unless it answers."""
    _stop(wire, clock, Rot2Prog.reply_bytes)


def stop_azimuth(wire: StreamWire, clock: Clock) -> None:
    """Bring a ROT1PROG to rest, knowing nothing of the line. Raises HalError unless it answers."""
    _stop(wire, clock, Rot1Prog.reply_bytes)


class Rot2Prog(Rotator):
    """ROT2PROG: azimuth and elevation, in steps of 1, 0.5, 0.25 or 0.1 degrees; "set" is not answered."""

    model = "ROT2PROG"
    step_deg = 1.0  # until it has said its own
    reach_deg = ((-180.0, 540.0), (-20.0, 210.0))
    reply_bytes = 12
    go_bytes = COMMAND_BYTES
    answers_set = False
    pulses = 1  # a degree

    def _begin(self) -> None:
        self._frames = Frames(self._wire, self._clock, self.reply_bytes)
        self._read()
        self.step_deg = 1.0 / self.pulses

    def _read(self) -> tuple[float, float, int, int]:
        reply = self._frames.ask(command(STATUS))
        digits, pulses = (*reply[0:4], *reply[5:9]), reply[4]
        if max(digits) > 9 or not pulses or pulses != reply[9]:
            raise self._frames.nonsense(START + reply + END)
        self.pulses = pulses
        azimuth, elevation = (
            100 * hundreds + 10 * tens + ones + tenths / 10 - 360
            for hundreds, tens, ones, tenths in (digits[:4], digits[4:])
        )
        return azimuth, elevation, self._frames.asked_ns, self.reply_bytes

    def _go(self, azimuth_deg: float, elevation_deg: float) -> None:
        azimuth, elevation = (
            b"%04d" % round(self.pulses * (360 + angle_deg)) for angle_deg in (azimuth_deg, elevation_deg)
        )
        self._set(command(SET, azimuth, elevation, self.pulses))

    def _set(self, said: bytes) -> None:
        if self.answers_set:
            self._frames.ask(said)
        else:
            self._frames.tell(said)

    def _halt(self) -> None:
        self._frames.halt()


class Md01(Rot2Prog):
    """MD-01 and MD-02: "set" is answered with the angles."""

    model = "MD-01"
    answers_set = True


class Rot1Prog(Rot2Prog):
    """ROT1PROG: azimuth alone, in whole degrees; its elevation is 0 for ever."""

    model = "ROT1PROG"
    reach_deg = ((-180.0, 540.0), (0.0, 0.0))
    reply_bytes = 5

    def _read(self) -> tuple[float, float, int, int]:
        reply = self._frames.ask(command(STATUS))
        if max(reply) > 9:
            raise self._frames.nonsense(START + reply + END)
        return 100.0 * reply[0] + 10 * reply[1] + reply[2] - 360, 0.0, self._frames.asked_ns, self.reply_bytes

    def _go(self, azimuth_deg: float, elevation_deg: float) -> None:
        self._set(command(SET, b"%03d0" % round(360 + azimuth_deg)))
