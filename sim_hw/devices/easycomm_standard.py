"""A rotator that speaks EasyComm I, II or III as the standard has them (Hamlib's easycomm.txt).

Words are parted by blanks, CR or LF, and what is asked in a line is answered in a line. I says nothing at all; III adds
velocities and a status. What it does not know it ignores.
"""

from __future__ import annotations

import math
from typing import Literal

from sim_hw.devices.encoders import AZIMUTH, ELEVATION, Mount
from sim_hw.devices.line_device import LineDevice
from sim_hw.devices.travel import Travel
from sim_hw.timeline import Timeline

STOPS_DEG = ((0.0, 360.0), (0.0, 180.0))
MOVES = {"ML": (AZIMUTH, -1), "MR": (AZIMUTH, 1), "MU": (ELEVATION, 1), "MD": (ELEVATION, -1)}
VELOCITIES = {"V" + word[1]: way for word, way in MOVES.items()}
STATUS_IDLE, STATUS_MOVING = 1, 2


class EasyCommStandard(LineDevice):
    """The controller; a SerialDevice."""

    def __init__(
        self, timeline: Timeline, mount: Mount, level: Literal[1, 2, 3], *, rate_max_rad_s: float,
        acceleration_max_rad_s2: float,
    ) -> None:  # fmt: skip
        super().__init__(timeline)
        self._level = level
        self._travel = Travel(
            timeline, mount, rate_max_rad_s=rate_max_rad_s, acceleration_max_rad_s2=acceleration_max_rad_s2,
            stops_deg=STOPS_DEG,
        )  # fmt: skip
        self.conditions = self._travel.conditions

    def answer(self, line: str) -> str:
        """The answers to its words, joined."""
        answers = [answer for word in line.split() if (answer := self._word(word))]
        return " ".join(answers) if self._level > 1 else ""

    def _word(self, word: str) -> str:
        angles = self._travel.angles_deg()
        match word:
            case "AZ" | "EL":
                return f"{word}{angles[word == 'EL']:.1f}"
            case "SA" | "SE":
                self._travel.stop(AZIMUTH if word == "SA" else ELEVATION)
            case "VE":
                return "VEBoresight-emulated"
            case "GS" if self._level == 3:
                return f"GS{STATUS_MOVING if self._travel.moving else STATUS_IDLE}"
            case "GE" if self._level == 3:
                return "GE0"
            case "ML" | "MR" | "MU" | "MD" if self._level > 1:
                self._travel.turn(*MOVES[word])
            case _:
                self._number(word[:2], word[2:])
        return ""

    def _number(self, head: str, digits: str) -> None:
        try:
            number = float(digits)
        except ValueError:
            return
        if head in ("AZ", "EL") and abs(number) <= 1e4:
            self._travel.go(*((number, None) if head == "AZ" else (None, number)))
        elif self._level == 3 and head in VELOCITIES and 0 <= number <= 1e6:
            axis, sign = VELOCITIES[head]
            if number:
                self._travel.turn(axis, sign, math.radians(number / 1e3))
            else:
                self._travel.stop(axis)
