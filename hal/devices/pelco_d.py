"""Pan-tilt heads that speak Pelco-D and tell their angles, at address 1 of their line.

PELCO, "D Protocol Manual" (TF-0002): frames of seven bytes, FF, address, two of command, two of data, and the sum of
all but the first. Pan and tilt are asked for and sent in hundredths of a degree; nothing but questions is answered. A
head goes on to where it was sent when the host goes silent. What its 64 speeds are no document says: it is sent to
directions.

An answer says of which axis it is, and not to which question: after a time-out the line must have been quiet for
QUIET_S.
"""

from __future__ import annotations

from hal.clock import Clock
from hal.devices.rotator import Rotator
from hal.errors import HalError, ProtocolError
from hal.wires.stream import StreamWire

ADDRESS = 1
SYNC, FRAME_BYTES = b"\xff", 7
SET_PAN, SET_TILT, ASK_PAN, ASK_TILT = 0x4B, 0x4D, 0x51, 0x53
TOLD = {ASK_PAN: 0x59, ASK_TILT: 0x5B}
HUNDREDTHS = 36_000  # of a turn
REPLY_TIMEOUT_S = 0.4  # beyond the time on the line
QUIET_S = 0.6


def frame(command: int, data: int = 0) -> bytes:
    """The frame of a command and its two bytes of data."""
    body = bytes([ADDRESS, 0, command, data >> 8, data & 0xFF])
    return SYNC + body + bytes([sum(body) & 0xFF])


STOP = frame(0)


def stop_blindly(wire: StreamWire) -> None:
    """Say it twice: the first may only complete whatever half a frame the head holds."""
    for _ in range(2):
        wire.write(STOP)


def stop_axes(wire: StreamWire, clock: Clock) -> None:
    """Bring both axes to rest, knowing nothing of the line. Raises HalError unless the head answers."""
    stop_blindly(wire)
    Frames(wire, clock).ask(ASK_PAN)


class Frames:
    """Question and answer in frames."""

    def __init__(self, wire: StreamWire, clock: Clock) -> None:
        self.asked_ns = 0
        self._wire, self._clock = wire, clock
        self._in_step = False
        self._timeout_s = REPLY_TIMEOUT_S + (20 * FRAME_BYTES / wire.baud if wire.baud else 0.0)

    def ask(self, command: int) -> int:
        """The two bytes that answer. Raises WireTimeout, WireError, ProtocolError."""
        if self._wire.drain() or not self._in_step:
            self._wire.drain(QUIET_S)
        self._in_step = False
        self.asked_ns = self._clock.now_ns()
        self._wire.write(frame(command))
        reply = self._wire.read(FRAME_BYTES, self._timeout_s)
        data = int.from_bytes(reply[4:6])
        if reply != frame(TOLD[command], data):
            raise ProtocolError(
                f"{self._wire.name}: sent {reply!r} instead of its angles; check cable, baud rate and its address, "
                f"which must be {ADDRESS}."
            )
        self._in_step = True
        return data

    def lose(self) -> None:
        """Something may be on its way: the next question waits for quiet."""
        self._in_step = False


class PelcoD(Rotator):
    """A head in whole hundredths of a degree."""

    model = "Pelco-D"
    step_deg = 0.01
    reach_deg = ((0.0, 359.99), (-90.0, 90.0))

    def _begin(self) -> None:
        self._frames = Frames(self._wire, self._clock)

    def _read(self) -> tuple[float, float, int, int]:
        pan = self._frames.ask(ASK_PAN)
        asked_ns = self._frames.asked_ns
        tilt = self._frames.ask(ASK_TILT)
        if max(pan, tilt) >= HUNDREDTHS:
            self._frames.lose()
            raise ProtocolError(f"{self._name}: sent {pan}, {tilt} instead of its angles in hundredths of a degree.")
        return pan / 100, (tilt if tilt <= HUNDREDTHS / 2 else tilt - HUNDREDTHS) / 100, asked_ns, 3 * FRAME_BYTES

    def _go(self, azimuth_deg: float, elevation_deg: float) -> None:
        self._wire.write(frame(SET_PAN, round(azimuth_deg * 100) % HUNDREDTHS))
        self._wire.write(frame(SET_TILT, round(elevation_deg * 100) % HUNDREDTHS))

    def _halt(self) -> None:
        try:
            stop_blindly(self._wire)
        except HalError:
            self._frames.lose()
            raise
