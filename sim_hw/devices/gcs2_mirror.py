"""A Physik Instrumente E-727 piezo controller with an S-330 tip/tilt platform, in GCS 2; axes 1 and 2 count in µrad.

Source: PI General Command Set 2.0 (gcs2_unit), with what a piezo controller has of it: no referencing, a servo for each
axis, and commands and questions that name several axes at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sim_hw.devices.gcs2_unit import (
    LIMITS,
    NO_AXIS,
    NO_PARAMETER,
    RANGE,
    STOPPED,
    SYNTAX,
    UNKNOWN,
    UNREFERENCED,
    Gcs2Unit,
)
from sim_hw.devices.platform import Platform
from sim_hw.devices.refused import Refused, as_number
from sim_hw.timeline import Timeline

IDENTITY: Final = "(c)2016 Physik Instrumente (PI) GmbH & Co. KG, E-727.3SD, 0116023458, 13.21.00.09"
STAGE: Final = "S-330.2SL"
AXES: Final = {"1": 0, "2": 1}
UNIT: Final = "\xb5rad"
URAD: Final = 1e-6
UNIT_PARAMETER: Final = 0x7000601
HELP: Final = (  # level to write it, items it has, type, group, name
    "0x3C=\t0\t2\tCHAR\tpositioner\tStage Name",
    "0x7000000=\t0\t2\tFLOAT\tsensor\tTravel Range Minimum",
    "0x7000001=\t0\t2\tFLOAT\tsensor\tTravel Range Maximum",
    "0x7000601=\t0\t2\tCHAR\taxis\tAxis Unit",
)
NAMES: Final = ("*IDN?", "ERR?", "SAI?", "CSV?", "HLP?", "HPA?", "SPA?", "MOV", "MVR", "SVO", "HLT", "STP")


class Gcs2Mirror(Gcs2Unit):
    """The controller; a SerialDevice. `platform` is what it tips."""

    def __init__(self, timeline: Timeline, platform: Platform | None = None) -> None:
        super().__init__(timeline)
        self.platform = platform or Platform(timeline)
        self.conditions = self.platform.conditions
        self._questions: dict[str, Callable[[int], str]] = {
            "POS?": lambda axis: f"{self.platform.shown_rad(axis) / URAD:.4f}",
            "MOV?": lambda axis: f"{self.platform.goal_rad(axis) / URAD:.4f}",
            "SVO?": lambda axis: str(int(self.platform.servo[axis])),
            "ONT?": lambda axis: str(int(self.platform.on_target(axis))),
            "OVF?": lambda axis: "0",
            "TMN?": lambda axis: f"{0.0:.4f}",
            "TMX?": lambda axis: f"{self.platform.stroke_rad / URAD:.4f}",
            "PUN?": lambda axis: UNIT,
            "CST?": lambda axis: STAGE,
        }

    def _moving(self) -> int:
        on_their_way = (
            axis for axis in AXES.values() if self.platform.servo[axis] and not self.platform.on_target(axis)
        )
        return sum(1 << axis for axis in on_their_way)

    def _halt_all(self) -> None:
        self._halt(list(AXES.values()))

    def _run(self, words: list[str]) -> str:
        match [words[0].upper(), *words[1:]] if words else []:
            case []:
                return ""
            case ["*IDN?"]:
                return IDENTITY
            case ["ERR?"]:
                return self._take_error()
            case ["SAI?", *_]:
                return " \n".join(AXES)
            case ["CSV?"]:
                return "2.0"
            case ["HLP?"]:
                return " \n".join(["The following commands are valid:", *NAMES, *self._questions, "end of help"])
            case ["HPA?"]:
                return " \n".join(["#Possible parameters are:", *HELP, "end of help"])
            case ["SPA?", axis, parameter]:
                return f"{axis} {parameter}={self._parameter(_axis(axis), parameter)}"
            case [question, *axes] if question in self._questions:
                named = axes or list(AXES)
                return " \n".join(f"{axis}={self._questions[question](_axis(axis))}" for axis in named)
            case ["STP"]:
                self._halt_all()
            case ["HLT", *axes]:
                self._halt([_axis(axis) for axis in axes or AXES])
            case ["MOV" | "MVR" as how, _, _, *_]:
                self._move(_pairs(words[1:]), by=how == "MVR")
            case ["SVO", _, _, *_]:
                pairs = _pairs(words[1:])
                if not {value for _, value in pairs} <= {0.0, 1.0}:
                    raise Refused(RANGE)
                for number, value in pairs:
                    self.platform.switch(number, bool(value))
            case _:
                raise Refused(UNKNOWN)
        return ""

    def _halt(self, axes: list[int]) -> None:
        for axis in axes:
            self.platform.stop(axis)
        self._error = STOPPED

    def _move(self, pairs: list[tuple[int, float]], by: bool) -> None:
        """All of the axes, or none."""
        goals = [(axis, value * URAD + (self.platform.goal_rad(axis) if by else 0.0)) for axis, value in pairs]
        for axis, goal_rad in goals:
            if not self.platform.servo[axis]:
                raise Refused(UNREFERENCED)
            if not -1e-12 <= goal_rad <= self.platform.stroke_rad + 1e-12:
                raise Refused(LIMITS)
        for axis, goal_rad in goals:
            self.platform.go(axis, goal_rad)

    def _parameter(self, axis: int, name: str) -> str:
        told = {
            UNIT_PARAMETER: UNIT,
            0x3C: STAGE,
            0x7000000: self._questions["TMN?"](axis),
            0x7000001: self._questions["TMX?"](axis),
        }
        try:
            return told[int(name, 0)]
        except (ValueError, KeyError):
            raise Refused(NO_PARAMETER) from None


def _axis(name: str) -> int:
    if name not in AXES:
        raise Refused(NO_AXIS)
    return AXES[name]


def _pairs(words: list[str]) -> list[tuple[int, float]]:
    """Axes and values in turn."""
    if len(words) % 2:
        raise Refused(SYNTAX)
    return [(_axis(axis), as_number(value, SYNTAX, RANGE)) for axis, value in zip(words[::2], words[1::2], strict=True)]
