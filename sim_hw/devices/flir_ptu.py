"""A FLIR pan-tilt unit of the D48 or E series with a slip ring, in its ASCII commands.

FLIR, "E Series Pan-Tilt Command Reference Manual": words that end with a blank or CR, answered by `*`, by `* ` and
what was asked, or by `! ` and why not. Positions are counts, speeds counts a second. It goes to positions, or turns at
a signed speed after `CV`, up to its limits, and goes on when the host is silent. It echoes what it hears until it is
told not to. Its axes are held at rest with full power, less or none (`PHR`, `PHL`, `PHO`; `TH` for tilt), and moved
with more or less of it (`PM`, `TM`): its gears hold them, so that this is not seen from outside.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from sim_hw.devices.encoders import AZIMUTH, ELEVATION, Mount
from sim_hw.devices.travel import Travel
from sim_hw.timeline import Timeline

STEP_ARCSEC = 46.2857
STEP_DEG = STEP_ARCSEC / 3600
STOPS_DEG = ((-435.0, 435.0), (-30.0, 90.0))
VERSION = "Pan-Tilt Controller v3.02, emulated"
REPLY_DELAY_S = 0.005
LONGEST_WORD = 32
POWERS = {
    "H": ({"R": "REGULAR", "L": "LOW", "O": "OFF"}, "hold"),
    "M": ({"R": "REGULAR", "L": "LOW", "H": "HIGH"}, "move"),
}
NAMES = {"P": (AZIMUTH, "Pan"), "T": (ELEVATION, "Tilt")}
_WORD = re.compile(r"([A-Z]+)(-?\d+)?")


class FlirPtu:
    """The controller; a SerialDevice."""

    def __init__(
        self, timeline: Timeline, mount: Mount, *, rate_max_rad_s: float, acceleration_max_rad_s2: float
    ) -> None:
        self._timeline = timeline
        self._travel = Travel(
            timeline, mount, rate_max_rad_s=rate_max_rad_s, acceleration_max_rad_s2=acceleration_max_rad_s2,
            stops_deg=STOPS_DEG, motion_delay_s=0.02,
        )  # fmt: skip
        self.conditions = self._travel.conditions
        self._upper = math.floor(math.degrees(rate_max_rad_s) / STEP_DEG)  # counts a second
        self._acceleration = round(math.degrees(acceleration_max_rad_s2) / STEP_DEG)
        self._speeds = [self._upper, self._upper]
        self._velocity = self._terse = False
        self._echo = self._limited = True
        self._powers = {f"{axis}{when}": "REGULAR" for axis in NAMES for when in POWERS}
        self._half = ""
        self._send: Callable[[bytes], None] = lambda data: None

    def attach(self, send: Callable[[bytes], None]) -> None:
        """Remember how to send bytes to the host."""
        self._send = send

    def receive(self, data: bytes) -> None:
        """Bytes of the host; obeys every word that they complete."""
        if self._echo:
            self._send(data)
        *words, half = re.split(r"[ \r\n]", self._half + data.decode("latin-1"))
        self._half = half[-LONGEST_WORD:]
        for word in filter(None, words):
            reply = f"{self.answer(word.upper())}\r\n".encode("latin-1")
            self._timeline.after(REPLY_DELAY_S, lambda reply=reply: self._send(reply))  # type: ignore[misc]

    def answer(self, word: str) -> str:
        """The answer to one word."""
        match = _WORD.fullmatch(word)
        if match is None:
            return "! Illegal command entered"
        name, number = match[1], None if match[2] is None else int(match[2])
        if name[0] in NAMES and name[1:2] in POWERS and number is None:
            return self._power(name)
        if name[0] in NAMES and len(name) == 2:
            return self._axis(*NAMES[name[0]], name[1], number)
        if number is not None:
            return "! Illegal command entered"
        return self._whole(name)

    def _power(self, name: str) -> str:
        """How an axis is held at rest, or moved; its gears hold it without."""
        modes, when = POWERS[name[1]]
        if len(name) == 2:
            return f"* {NAMES[name[0]][1]} in {self._powers[name]} {when} power mode"
        if name[2:] not in modes:
            return "! Illegal command entered"
        self._powers[name[:2]] = modes[name[2:]]
        return "*"

    def _whole(self, name: str) -> str:
        match name:
            case "H" | "HP" | "HT":
                self._travel.stop(*(() if name == "H" else (NAMES[name[1]][0],)))
            case "CV" | "CI":
                if self._velocity != (name == "CV"):
                    self._travel.stop()
                    self._speeds = [0, 0] if name == "CV" else [self._upper, self._upper]
                self._velocity = name == "CV"
            case "C":
                return f"* PTU is in {'Pure Velocity' if self._velocity else 'Independent'} Mode"
            case "E":
                return f"* Echoing {'ON' if self._echo else 'OFF'}"
            case "ED" | "EE":
                self._echo = name == "EE"
            case "FT" | "FV":
                self._terse = name == "FT"
            case "F":
                return f"* ASCII {'terse' if self._terse else 'verbose'} mode"
            case "LE" | "LD":
                self._limited = name == "LE"
            case "L":
                return f"* Limit bounds are {'ENABLED' if self._limited else 'DISABLED'}"
            case "V":
                return f"* {VERSION}"
            case "O":
                return "* Input 30 VDC @ 86 degF"
            case "I" | "S" | "A" | "DS":
                pass
            case _:
                return "! Illegal command entered"
        return "*"

    def _axis(self, axis: int, word: str, letter: str, number: int | None) -> str:
        low, high = (round(angle / STEP_DEG) for angle in STOPS_DEG[axis])
        if number is None:
            told = {
                "P": (f"Current {word} position is", round(self._travel.angles_deg()[axis] / STEP_DEG)),
                "S": (f"Target {word} speed is", self._speeds[axis]),
                "A": (f"{word} acceleration is", self._acceleration),
                "N": (f"Minimum {word} position is", low),
                "X": (f"Maximum {word} position is", high),
                "U": (f"Maximum {word} speed is", self._upper),
                "L": (f"Minimum {word} speed is", 1),
                "R": ("", STEP_ARCSEC),
            }.get(letter)
            unit = {"R": " seconds arc per position", **dict.fromkeys("SUL", " positions/sec")}.get(letter, "")
            if told is None:
                return "! Illegal command entered"
            return f"* {told[1]}" if self._terse else f"* {f'{told[0]} {told[1]}{unit}'.strip()}"
        match letter:
            case "P" if self._limited and number > high:
                return f"! Maximum allowable {word} position is {high}"
            case "P" if self._limited and number < low:
                return f"! Minimum allowable {word} position is {low}"
            case "P" if not self._velocity:
                self._travel.go(*((number * STEP_DEG, None) if axis == AZIMUTH else (None, number * STEP_DEG)))
            case "S" if abs(number) > self._upper:
                return f"! {word} speed cannot exceed {self._upper} pos/sec"
            case "S" if self._velocity or number > 0:
                self._speeds[axis] = number
                if self._velocity:
                    self._turn(axis, number)
            case _:
                return "! Illegal argument"
        return "*"

    def _turn(self, axis: int, speed: int) -> None:
        if speed == 0:
            self._travel.stop(axis)
        else:
            self._travel.turn(axis, 1 if speed > 0 else -1, math.radians(abs(speed) * STEP_DEG))
