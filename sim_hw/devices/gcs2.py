"""A Physik Instrumente C-863 Mercury servo controller with an M-111 stage, in GCS 2.

Source: the C-863 user manual; what it shares with other controllers of that command set is in gcs2_unit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sim_hw.devices.carriage import Carriage
from sim_hw.devices.gcs2_unit import (
    LIMITS,
    NO_AXIS,
    NO_PARAMETER,
    RANGE,
    STOPPED,
    SYNTAX,
    TOO_FAST,
    UNKNOWN,
    UNREFERENCED,
    Gcs2Unit,
)
from sim_hw.devices.refused import Refused, as_number
from sim_hw.timeline import Timeline

IDENTITY: Final = "(c)2015 Physik Instrumente (PI) GmbH & Co. KG, C-863.11, 0115500828, 1.4.0.0"
AXIS: Final = "1"
LENGTH_MM: Final = 25.0
PARAMETERS: Final = {0x7000601: "MM", 0x3C: "M-111.1DG", 0x15: f"{LENGTH_MM:.7f}", 0x30: f"{0.0:.7f}"}


def _number(word: str) -> float:
    return as_number(word, SYNTAX, RANGE)


class Gcs2(Gcs2Unit):
    """The controller; a SerialDevice. `carriage` is what it moves."""

    def __init__(self, timeline: Timeline, carriage: Carriage | None = None) -> None:
        super().__init__(timeline)
        self.carriage = carriage or Carriage(timeline, length_mm=LENGTH_MM)
        self.conditions = self.carriage.conditions
        self._servo = False
        self._goal_mm = 0.0
        self._speed_mm_s = self.carriage.speed_mm_s
        self._questions: dict[str, Callable[[], str]] = {
            "POS?": lambda: f"{self.carriage.shown_mm:.7f}",
            "MOV?": lambda: f"{self._goal_mm:.7f}",
            "SVO?": lambda: str(int(self._servo)),
            "FRF?": lambda: str(int(self.carriage.referenced)),
            "ONT?": lambda: str(int(self._servo and not self.carriage.moving)),
            "VEL?": lambda: f"{self._speed_mm_s:.7f}",
            "TMN?": lambda: f"{0.0:.7f}",
            "TMX?": lambda: f"{self.carriage.length_mm:.7f}",
            "CST?": lambda: "M-111.1DG",
            "RON?": lambda: "1",
            "TRS?": lambda: "1",
            "LIM?": lambda: "1",
        }

    def _moving(self) -> int:
        return int(self.carriage.moving)

    def _halt_all(self) -> None:
        self.carriage.stop()
        self._error = STOPPED

    def _run(self, words: list[str]) -> str:
        match [words[0].upper(), *words[1:]] if words else []:
            case []:
                return ""
            case ["*IDN?"]:
                return IDENTITY
            case ["ERR?"]:
                return self._take_error()
            case ["SAI?", *_]:
                return AXIS
            case ["CSV?"]:
                return "2.0"
            case ["HLP?"]:
                names = ("*IDN?", "ERR?", "SAI?", "CSV?", "HLP?", "SPA?", *self._questions)
                told = (*names, "MOV", "MVR", "SVO", "VEL", "FRF", "FNL", "FPL", "HLT", "STP", "RON")
                return " \n".join(["The following commands are valid:", *told, "end of help"])
            case ["SPA?", axis, parameter]:
                return f"{self._axis(axis)} {parameter}={self._parameter(parameter)}"
            case [question, *axes] if question in self._questions:
                for axis in axes:
                    self._axis(axis)
                return f"{AXIS}={self._questions[question]()}"
            case ["STP"] | ["HLT", *_]:
                for axis in words[1:]:
                    self._axis(axis)
                self._halt_all()
            case ["MOV" | "MVR" as how, axis, where]:
                self._move(axis, _number(where) + (self._goal_mm if how == "MVR" else 0.0))
            case ["FRF" | "FNL" | "FPL", *axes]:
                for axis in axes:
                    self._axis(axis)
                self._need_servo()
                self._goal_mm = 0.0
                self.carriage.home()
            case ["SVO", axis, value]:
                self._set_servo(self._axis(axis), value)
            case ["VEL", axis, value]:
                self._axis(axis)
                if not 0 < _number(value) <= self.carriage.speed_mm_s:
                    raise Refused(TOO_FAST)
                self._speed_mm_s = _number(value)
            case ["RON", axis, "1" | "0"]:
                self._axis(axis)
            case _:
                raise Refused(UNKNOWN)
        return ""

    def _axis(self, name: str) -> str:
        if name != AXIS:
            raise Refused(NO_AXIS)
        return name

    def _parameter(self, name: str) -> str:
        try:
            return PARAMETERS[int(name, 0)]
        except (ValueError, KeyError):
            raise Refused(NO_PARAMETER) from None

    def _set_servo(self, axis: str, value: str) -> None:
        if value not in ("0", "1"):
            raise Refused(RANGE)
        if not int(value):
            self.carriage.stop()
        self._servo = bool(int(value))
        self._goal_mm = self.carriage.shown_mm

    def _need_servo(self) -> None:
        if not self._servo:
            raise Refused(UNREFERENCED)

    def _move(self, axis: str, goal_mm: float) -> None:
        self._axis(axis)
        self._need_servo()
        if not self.carriage.referenced:
            raise Refused(UNREFERENCED)
        if not 0.0 <= goal_mm <= self.carriage.length_mm:
            raise Refused(LIMITS)
        self._goal_mm = goal_mm
        self.carriage.go(goal_mm, self._speed_mm_s)
