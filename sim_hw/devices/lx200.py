"""A Meade LX200 or Autostar on an alt-azimuth fork.

Meade, "Telescope Serial Command Protocol" (revision L): `:`, letters, data, `#`; answers end in `#`, but those of what
is set or started are one character without an end. It goes the shorter way round in azimuth, at most to the ends of its
altitude, moves by arrow keys at four speeds until it is told to quit, and says nothing to what it does not know. It is
not aligned: right ascension and declination are the angles of its axes.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from sim_hw.devices.encoders import AXES, AZIMUTH, ELEVATION, Mount
from sim_hw.devices.hash_device import HashDevice
from sim_hw.timeline import Timeline

SPEEDS = {"G": 1, "C": 16, "M": 64}  # guide, centre, find, in sidereal rates; S is its fastest
WAYS = {"n": (ELEVATION, 1), "s": (ELEVATION, -1), "e": (AZIMUTH, 1), "w": (AZIMUTH, -1)}
ALTITUDE_DEG = (-5.0, 90.0)
ACKNOWLEDGE = 6
DEGREE = "\xdf"


class Lx200(HashDevice):
    """The hand box; a SerialDevice."""

    def __init__(self, timeline: Timeline, mount: Mount, **limits: float) -> None:
        super().__init__(timeline, mount, **limits)
        self._long = True  # angles with seconds
        self._speed = "S"
        self._mode = "A"
        self._target_deg = dict.fromkeys("zard", 0.0)
        self._offset_deg = [0.0, 0.0]  # of what it was synchronised to
        self._site = {"t": "+28*17", "g": "016*30", "G": "+00.0"}

    def alone(self, byte: int) -> str:
        """The mode of its alignment."""
        return self._mode if byte == ACKNOWLEDGE else ""

    def answer(self, said: str) -> str:
        """The answer to one command."""
        match said[0]:
            case "G":
                return self._told(said[1:])
            case "S":
                return self._set(said[1:2], said[2:])
            case "M":
                return self._move(said[1:])
            case "D":
                return "\x7f#" if self._slew.active else "#"
            case "Q":
                self._quit(said[1:])
            case "R" if said[1:] in {*SPEEDS, "S"}:
                self._speed = said[1:]
            case "U":
                self._long = not self._long
            case "A" if said[1:] in {"A", "L", "P"}:
                self._mode = said[1:]
            case "C" if said == "CM":
                here = self._angles_deg()
                self._offset_deg[0] += self._target_deg["r"] - here[0]
                self._offset_deg[1] += self._target_deg["d"] - here[1]
                return "Coordinates     matched.        #"
        return ""

    def _told(self, what: str) -> str:
        azimuth, altitude = self._angles_deg()
        now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self._timeline.utc_ns // 1000)
        match what:
            case "Z":
                return self._sexagesimal(azimuth % 360.0, "03d", 360)
            case "A" | "D":
                return self._sexagesimal(altitude, "+03d")
            case "R":
                seconds = round(azimuth % 360.0 / 15 * 3600) % 86_400
                minutes = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}"
                return f"{minutes}:{seconds % 60:02d}#" if self._long else f"{minutes}.{seconds % 60 // 6}#"
            case "VP":
                return "LX2001#"
            case "VN":
                return "4.2g#"
            case "t" | "g" | "G":
                return f"{self._site[what].replace('*', DEGREE)}#"
            case "C":
                return f"{now:%m/%d/%y}#"
            case "L":
                return f"{now:%H:%M:%S}#"
            case "c":
                return "(24)#"
            case "T":
                return "60.1#"
        return ""

    def _set(self, what: str, text: str) -> str:
        if what in self._site:
            self._site[what] = text.strip()[:12]
            return "1"
        if what == "C":
            return "1Updating        planetary data. #                                #"
        if what == "L":
            return "1"
        if what not in self._target_deg:
            return ""
        angle_deg = _angle_deg(text)
        if angle_deg is None:
            return "0"
        angle_deg *= 15.0 if what == "r" else 1.0
        if what in "ad" and not ALTITUDE_DEG[0] <= angle_deg <= ALTITUDE_DEG[1]:
            return "0"
        self._target_deg[what] = angle_deg
        return "1"

    def _move(self, what: str) -> str:
        if what in WAYS:
            axis, sign = WAYS[what]
            self._end_slew()
            self._turn(axis, sign, SPEEDS.get(self._speed))
            return ""
        if what not in ("A", "S"):
            return ""
        azimuth_deg, altitude_deg = (self._target_deg[key] for key in ("za" if what == "A" else "rd"))
        azimuth_deg, altitude_deg = azimuth_deg - self._offset_deg[0], altitude_deg - self._offset_deg[1]
        self._go_to(math.radians(azimuth_deg), math.radians(altitude_deg))
        return "0"

    def _quit(self, way: str) -> None:
        self._slew.cancel()
        for axis in AXES if way not in WAYS else (WAYS[way][0],):
            due_ns = self._timeline.now_ns
            self._timeline.schedule(due_ns, lambda axis=axis: self._axes.set_rate(axis, 0.0))  # type: ignore[misc]

    def _end_slew(self) -> None:
        if self._slew.active:
            self._slew.cancel()
            for axis in AXES:
                self._axes.set_rate(axis, 0.0)

    def _angles_deg(self) -> tuple[float, float]:
        azimuth, altitude = (math.degrees(angle) for angle in self._axes.encoder_rad())
        return azimuth + self._offset_deg[0], altitude + self._offset_deg[1]

    def _sexagesimal(self, angle_deg: float, form: str, turn: int = 0) -> str:
        seconds = round(abs(angle_deg) * 3600) if self._long else 60 * round(abs(angle_deg) * 60)
        if turn:
            seconds %= turn * 3600
        degrees = format(seconds // 3600, form)
        if angle_deg < 0:
            degrees = degrees.replace("+", "-")
        minutes = f"{degrees}{DEGREE}{seconds // 60 % 60:02d}"
        return f"{minutes}:{seconds % 60:02d}#" if self._long else f"{minutes}#"


def _angle_deg(text: str) -> float | None:
    """Degrees or hours of `sDD*MM`, `DDD*MM'SS`, `HH:MM:SS` or `HH:MM.T`; None for what is none."""
    text = text.strip()
    sign = -1.0 if text.startswith("-") else 1.0
    for mark in (*"*'", DEGREE):
        text = text.replace(mark, ":")
    parts = text.lstrip("+-").split(":")
    if not 2 <= len(parts) <= 3:
        return None
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        return None
    if not all(0 <= number < limit for number, limit in zip(numbers, (361, 60, 60), strict=False)):
        return None
    degrees, minutes, seconds = (*numbers, 0.0)[:3]
    return sign * (degrees + minutes / 60 + seconds / 3600)
