"""A rotator with the SatNOGS firmware: EasyComm II with the velocities and status of EasyComm III.

A line is answered once, its values joined by a space; what it does not know it ignores.
"""

from __future__ import annotations

import math

from sim_hw.devices.encoders import AXES, Encoders, Mount
from sim_hw.devices.line_device import LineDevice
from sim_hw.devices.slew import Slew
from sim_hw.timeline import Timeline

IDLE, MOVING, POINTING = 1, 2, 4
VELOCITIES = {"VL": (0, 1), "VR": (0, -1), "VU": (1, 1), "VD": (1, -1)}  # axis, sign


class EasyComm(LineDevice):
    """The controller around the same axes as any mount."""

    def __init__(
        self, timeline: Timeline, mount: Mount, *, rate_max_rad_s: float, acceleration_max_rad_s2: float
    ) -> None:
        super().__init__(timeline)
        self._axes = Encoders(mount)
        self._slew = Slew(timeline, self._axes.encoder_rad, self._turn, rate_max_rad_s, acceleration_max_rad_s2)
        self._rates = [0.0, 0.0]
        self._target = [0.0, 0.0]
        self.conditions = self._axes.conditions

    def answer(self, line: str) -> str:
        """The answers to its tokens, each said once."""
        answers = [answer for token in line.split() if (answer := self._token(token.strip(";")))]
        return " ".join(dict.fromkeys(answers))

    def _token(self, token: str) -> str:
        azimuth, elevation = self._axes.encoder_rad()
        place = f"AZ{math.degrees(azimuth) % 360:.1f}", f"EL{math.degrees(math.remainder(elevation, math.tau)):.1f}"
        match token:
            case "AZ" | "EL":
                return place[token == "EL"]
            case "SA" | "SE":
                self._slew.cancel()
                for axis in AXES:
                    self._turn(axis, 0.0)
                return " ".join(place)
            case "VE":
                return "VEBoresight-emulated-SatNOGS"
            case "GS":
                return f"GS{POINTING if self._slew.active else MOVING if any(self._rates) else IDLE}"
            case "GE":
                return "GE1"
        head, value = token[:2], token[2:]
        try:
            number = float(value)
        except ValueError:
            return ""
        if head in VELOCITIES and 0 <= number < 1e6:
            axis, sign = VELOCITIES[head]
            self._slew.cancel()
            self._turn(axis, sign * math.radians(number / 1e3))
        elif head in ("AZ", "EL") and abs(number) <= 1e4:
            if not self._slew.active:
                self._target = [azimuth, elevation]
            self._target[head == "EL"] = math.radians(number)
            self._slew.start(self._timeline.now_ns, *self._target)
        return ""

    def _turn(self, axis: int, rate_rad_s: float) -> None:
        self._rates[axis] = rate_rad_s
        self._axes.set_rate(axis, rate_rad_s)
