"""A rotator behind Hamlib's rotctld, or behind anything else that Hamlib's own client (model 2, "NET rotctl") can use.

Hamlib, rotctld(1), default protocol: a command a line; answers are values, one a line, or `RPRT n`, an error below 0.
`\\dump_state` ends with `done`, which no other answer holds, and tells how far the rotator goes. Whether a direction
that was taken reaches the rotator, rotctld does not say: its "RPRT 0" is of the program, not of the rotator.
"""

from __future__ import annotations

import re
from typing import Any

from hal.clock import Clock
from hal.devices.rotator import Rotator
from hal.errors import DeviceError, HalError, WireTimeout
from hal.traits import Identity
from hal.wires.lines import Lines
from hal.wires.stream import StreamWire

REPLY_TIMEOUT_S = 0.8  # rotctld asks its rotator first, at 600 baud for instance
STATE = b"\\dump_state"
STATE_LINES = 40
BLIND_STOP = b"\nS\nS\nS\n"  # a "P" that waits for its two numbers takes the first two
_NUMBER = re.compile(rb"-?\d{1,4}(?:\.\d{1,9})?")
_RESULT = re.compile(rb"RPRT (-?\d{1,3})")
WHY = {
    -1: "it refuses that command or direction",
    -5: "its rotator does not answer it; check that rotator's power and cable",
    -6: "its rotator's port is gone; start rotctld again",
    -8: "its rotator sends nonsense; check the model that rotctld was started with",
    -11: "its rotator cannot do that; use the rotator's own driver",
    -21: "that is beyond the limits that it was started with",
}


def _lines(wire: StreamWire, clock: Clock) -> Lines:
    return Lines(wire, clock, STATE, b"done$", REPLY_TIMEOUT_S)


def _order(lines: Lines, name: str, command: bytes) -> None:
    """A command that is only acknowledged. Raises DeviceError when it is refused."""
    reply = lines.ask(command)
    result = _RESULT.fullmatch(reply)
    if result is None:
        raise lines.nonsense("an acknowledgement", reply)
    if code := int(result[1]):
        raise _refused(name, command, code)


def _refused(name: str, command: bytes, code: int) -> DeviceError:
    why = WHY.get(code, "see its log")
    return DeviceError(f"{name}: rotctld answers {command.decode()!r} with error {code}: {why}.")


def stop_axes(wire: StreamWire, clock: Clock) -> None:
    """Bring both axes to rest, knowing nothing of the state of the line. Raises HalError unless it is acknowledged."""
    wire.write(BLIND_STOP)
    _order(_lines(wire, clock), wire.name, b"S")


class Rotctld(Rotator):
    """`position_step_deg` is the rotator's own step, which the protocol does not tell."""

    model = "rotctld"
    reach_deg = ((-180.0, 450.0), (0.0, 90.0))  # until it has said its own

    def __init__(self, *where: Any, position_step_deg: float = 1.0, **limits: Any) -> None:
        self.step_deg = position_step_deg
        super().__init__(*where, **limits)

    def _begin(self) -> None:
        self._lines = _lines(self._wire, self._clock)
        line = self._lines.ask(STATE)
        state: dict[bytes, bytes] = {}
        for _ in range(STATE_LINES):
            if line == b"done":
                break
            key, _, value = line.partition(b"=")
            state[key] = value
            line = self._lines.more()
        else:
            raise WireTimeout(f"{self._name}: its state does not end; check that {self._wire.where} is a rotctld.")
        self._state = state
        azimuth, elevation = ((self._limit(b"min_" + axis), self._limit(b"max_" + axis)) for axis in (b"az", b"el"))
        turns = state.get(b"rot_type") != b"Az" and elevation[1] > elevation[0]  # "Other" is EasyComm, which turns both
        self.reach_deg = azimuth, elevation if turns else (0.0, 0.0)

    def _limit(self, key: bytes) -> float:
        if not _NUMBER.fullmatch(value := self._state.get(key, b"")):
            raise self._lines.nonsense(f"{key.decode()} in its state", value)
        return float(value)

    def _identify(self) -> Identity:
        return {"model": self.model, "firmware": self._lines.ask(b"_").decode("latin-1")}

    def _read(self) -> tuple[float, float, int, int]:
        azimuth, asked_ns = self._lines.ask(b"p"), self._lines.asked_ns
        if result := _RESULT.fullmatch(azimuth):
            raise _refused(self._name, b"p", int(result[1]))
        if not _NUMBER.fullmatch(azimuth):
            raise self._lines.nonsense("its angles", azimuth)
        elevation = self._lines.more()
        if not _NUMBER.fullmatch(elevation):
            raise self._lines.nonsense("its angles", elevation)
        return float(azimuth), float(elevation), asked_ns, len(azimuth) + len(elevation) + 2

    def _go(self, azimuth_deg: float, elevation_deg: float) -> None:
        _order(self._lines, self._name, b"P %.4f %.4f" % (azimuth_deg, elevation_deg))

    def _halt(self) -> None:
        try:
            _order(self._lines, self._name, b"S")
        except HalError:
            self._wire.write(BLIND_STOP)
            raise
