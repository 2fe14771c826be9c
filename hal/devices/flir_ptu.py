"""FLIR pan-tilt units (D46, D48, E series) in their ASCII commands, over a serial line or TCP port 4000.

FLIR, "E Series Pan-Tilt Command Reference Manual": words that end with CR, answered by `*`, by `* ` and what was
asked, or by `! ` and why not. Positions are counts, of a size and between limits that the unit tells; in its pure
velocity mode (`CV`) speeds are signed counts a second. Answers are asked for in full sentences, since a bare number
would not say of which axis it is. The unit keeps its last speed when the host goes silent, up to its limits.

Its power has modes: an axis at rest is held by full power, by less or by none (`PH`, `TH`), and moves with power
whatever that is; what nothing holds stands by its gears. How it is left is how it is found.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace

from hal.clock import Clock
from hal.devices.rate_rotator import RateRotator
from hal.errors import DeviceError, HalError
from hal.traits import Drives, DriveState, GimbalCapabilities, Identity
from hal.wires.lines import Lines
from hal.wires.stream import StreamWire

REPLY_TIMEOUT_S = 0.4
AXES = (("P", "Pan"), ("T", "Tilt"))
_NUMBER = re.compile(rb"\*[^-\d]*(-?\d+(?:\.\d+)?)")
_HOLD = re.compile(rb"\* (Pan|Tilt) in (LOW|REGULAR|OFF) hold power mode")
_REFUSAL = re.compile(rb"!(?![PT]$) *(.*)")


def _lines(wire: StreamWire, clock: Clock) -> Lines:
    """In step when the kind of answers is told."""
    return Lines(wire, clock, b"F", rb".*\* ASCII", REPLY_TIMEOUT_S, b"\r", b"\n")


def stop_axes(wire: StreamWire, clock: Clock) -> None:
    """Bring both axes to rest, knowing nothing of the line. Raises HalError unless the unit acknowledges it."""
    lines = _lines(wire, clock)
    lines.shout(b"", b"H")
    lines.ask(b"H")


def held(reply: bytes, axis: str) -> DriveState | None:
    """How an axis is held at rest; None where the answer says nothing of that."""
    match = _HOLD.fullmatch(reply)
    if match is None or match[1] != axis.encode():
        return None
    return "unheld" if match[2] == b"OFF" else "on"


class FlirPtu(RateRotator):
    """A pan-tilt unit. Opening it brings it to rest; its zero of pan and tilt stays where it is."""

    model = "FLIR PTU"
    drives_told = Drives(frozenset({"on", "unheld"}), frozenset({"on", "off"}))

    def _begin(self) -> None:
        self._lines = _lines(self._wire, self._clock)
        self._turns: bool | None = None  # in pure velocity mode; None: not known
        self._lines.ask(b"ED")  # no echo
        for word in ("FV", "I"):
            self._tell(word)
        self._steps_deg = [self._number(f"{axis}R") / 3600 for axis, _ in AXES]
        if min(self._steps_deg) <= 0.0:
            raise DeviceError(f"{self._name}: the unit says nothing of its resolution.")
        self._upper = [int(self._number(f"{axis}U")) for axis, _ in AXES]  # speeds, counts a second
        self._lower = [int(self._number(f"{axis}L")) for axis, _ in AXES]
        self.step_deg = max(self._steps_deg)
        pan, tilt = (
            (self._number(f"{axis}N") * step, self._number(f"{axis}X") * step)
            for (axis, _), step in zip(AXES, self._steps_deg, strict=True)
        )
        self.reach_deg = pan, tilt

    def _identify(self) -> Identity:
        return {"model": self.model, "firmware": self._ask("V").removeprefix(b"* ").decode("latin-1")}

    def _read(self) -> tuple[float, float, int, int]:
        pan, asked_ns, first = self._angle_deg(0)
        tilt, _, second = self._angle_deg(1)
        return pan, tilt, asked_ns, first + second + len("TP\r")

    def _angle_deg(self, axis: int) -> tuple[float, int, int]:
        letter, word = AXES[axis]
        reply = self._ask(f"{letter}P")
        match = re.fullmatch(rb"\* Current %s position is (-?\d+)" % word.encode(), reply)
        if match is None:
            raise self._lines.nonsense("its angles", reply)
        return int(match[1]) * self._steps_deg[axis], self._lines.asked_ns, len(reply) + 2

    def _go(self, azimuth_deg: float, elevation_deg: float) -> None:
        self._mode(turns=False)
        for axis, angle_deg in enumerate((azimuth_deg, elevation_deg)):
            self._tell(f"{AXES[axis][0]}P{round(angle_deg / self._steps_deg[axis])}")

    def _turn(self, azimuth_rad_s: float, elevation_rad_s: float) -> None:
        self._mode(turns=True)
        for axis, rate_rad_s in enumerate((azimuth_rad_s, elevation_rad_s)):
            rate_rad_s = self.capabilities.possible(rate_rad_s)
            speed = round(math.degrees(rate_rad_s) / self._steps_deg[axis])
            self._tell(f"{AXES[axis][0]}S{max(-self._upper[axis], min(self._upper[axis], speed))}")

    def _mode(self, turns: bool) -> None:
        if turns == self._turns:
            return
        self._turns = None  # until it is acknowledged
        self._tell("CV" if turns else "CI")
        if not turns:  # how fast it goes to where it is sent
            for (axis, _), upper in zip(AXES, self._upper, strict=True):
                self._tell(f"{axis}S{upper}")
        self._turns = turns

    def _halt(self) -> None:
        try:
            if self._lines.in_step:
                self._tell("H")
                self._mode(turns=False)  # where speeds do not move it
                return
        except HalError:
            self._shout_stop()
            raise
        self._shout_stop()

    def _shout_stop(self) -> None:
        self._turns = None
        self._lines.shout(b"", b"H")  # the first end completes half a word

    def _drives(self) -> tuple[DriveState, DriveState]:
        return self._held(0), self._held(1)

    def _held(self, axis: int) -> DriveState:
        letter, word = AXES[axis]
        reply = self._ask(f"{letter}H")
        if (state := held(reply, word)) is None:
            raise self._lines.nonsense("how an axis is held", reply)
        return state

    def _power(self, on: bool) -> None:
        for letter, _ in AXES:
            self._tell(f"{letter}H{'R' if on else 'O'}")

    def _tell(self, word: str) -> None:
        if (reply := self._ask(word)) != b"*":
            raise self._lines.nonsense("its angles", reply)

    def _number(self, word: str) -> float:
        match = _NUMBER.match(reply := self._ask(word))
        if match is None:
            raise self._lines.nonsense("its angles", reply)
        return float(match[1])

    def _ask(self, word: str) -> bytes:
        """The answer. Raises WireError, and DeviceError when the unit refuses."""
        reply = self._lines.ask(word.encode())
        while reply in (b"!P", b"!T"):  # a limit was reached meanwhile; the answer comes after it
            reply = self._lines.more()
        if (match := _REFUSAL.fullmatch(reply)) is not None:
            why = match[1].decode("latin-1")
            raise DeviceError(f"{self._name}: the unit refuses {word}: {why}.")
        return reply

    def _able(self, rate_max_rad_s: float, acceleration_max_rad_s2: float, latency_s: float) -> GimbalCapabilities:
        able = super()._able(rate_max_rad_s, acceleration_max_rad_s2, latency_s)
        steps = [math.radians(step) for step in self._steps_deg]
        slowest = max(lower * step for lower, step in zip(self._lower, steps, strict=True))
        fastest = min(upper * step for upper, step in zip(self._upper, steps, strict=True))
        return replace(
            able,
            rate_max_rad_s=min(rate_max_rad_s, fastest),
            rate_resolution_rad_s=max(steps),
            rate_gaps_rad_s=((0.0, slowest),),
        )
