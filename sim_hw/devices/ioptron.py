"""An iOptron AZ Mount Pro, whose hand box speaks the RS-232 Command Language 3.10.

Commands are `:`, letters, data, `#`; angles are hundredths of a second of arc in fixed digits; what is set or started
is answered by one digit without an end, what is moved by arrow keys not at all. It goes the shorter way round, and
after a slew in azimuth and altitude it stands. It is not aligned: right ascension and declination are the angles of its
axes. It still takes version 2's `:MS#`, with which Hamlib 4.7 sends a real one to azimuth and altitude (rot_ioptron.c).
"""

from __future__ import annotations

import math
import re

from sim_hw.devices.encoders import AXES, AZIMUTH, ELEVATION, Mount
from sim_hw.devices.hash_device import HashDevice
from sim_hw.timeline import Timeline

UNITS_PER_DEG = 360_000
TURN = 360 * UNITS_PER_DEG
SPEEDS = (1, 2, 8, 16, 64, 128, 256, 512)  # of the arrow keys 1 to 8, in sidereal rates; 9 is its fastest
WAYS = {"n": (ELEVATION, -1), "s": (ELEVATION, 1), "e": (AZIMUTH, -1), "w": (AZIMUTH, 1)}  # `:mn#` is Dec-, `:mw#` RA+
MODEL, FIRMWARE = "5035", "210105210105"
J2000_UNIX_S = 946_728_000
STOPPED, SLEWING, PARKED, AT_ZERO = 0, 2, 6, 7
_TARGET = re.compile(r"S(?:(RA|z)(\d{9})|([da])([+-]\d{8}))")


class IOptron(HashDevice):
    """The hand box; a SerialDevice."""

    def __init__(self, timeline: Timeline, mount: Mount, **limits: float) -> None:
        super().__init__(timeline, mount, **limits)
        self._target = dict.fromkeys(("RA", "z", "d", "a"), 0)
        self._park = (0, 0)  # altitude, azimuth
        self._speed, self._altitude_limit_deg = 5, 0
        self._tracks = self._parked = False
        self._longitude, self._latitude = round(-16.5118 * UNITS_PER_DEG), round(28.2995 * UNITS_PER_DEG)
        self._zone_min, self._summer = 0, "0"

    def answer(self, said: str) -> str:
        """The answer to one command."""
        if said.startswith("S") and (match := _TARGET.fullmatch(said)) is not None:
            key, digits = (match[1], match[2]) if match[1] else (match[3], match[4])
            self._target[key] = int(digits)
            return "1"
        match said:
            case "GAC":
                azimuth, altitude = self._units()
                return f"{altitude:+09d}{azimuth:09d}#"
            case "GEP":
                azimuth, altitude = self._units()
                return f"{altitude:+09d}{azimuth:09d}21#"
            case "GLS":
                latitude = self._latitude + 90 * UNITS_PER_DEG
                return f"{self._longitude:+09d}{latitude:08d}2{self._status()}0{self._speed}31#"
            case "GUT":
                now_ms = self._timeline.utc_ns // 1_000_000 - J2000_UNIX_S * 1000
                return f"{self._zone_min:+04d}{self._summer}{now_ms:013d}#"
            case "MS1" | "MSS" | "MS":
                self._tracks = said == "MS1"  # a flag: nothing here is aligned, and it stands all the same
                return self._go(*(self._target[key] for key in (("RA", "d") if said == "MS1" else ("z", "a"))))
            case "MP1":
                self._parked = self._go(self._park[1], self._park[0]) == "1"
                return "1"
            case "MP0":
                self._parked = False
                return "1"
            case "MH":
                return self._go(0, 0)
            case "Q" | "qR" | "qD":
                self._quit(AXES if said == "Q" else (AZIMUTH,) if said == "qR" else (ELEVATION,))
                return "1"
            case "mn" | "ms" | "me" | "mw":
                self._quit(AXES if self._slew.active else ())
                self._turn(*WAYS[said[1]], SPEEDS[self._speed - 1] if self._speed < 9 else None)
                return ""
            case "ST0" | "ST1":
                self._tracks = said == "ST1"
                return "1"
        return self._other(said)

    def _other(self, said: str) -> str:
        fixed = {
            "MountInfo": MODEL, "FW1": f"{FIRMWARE}#", "FW2": f"{FIRMWARE}#", "GTR": "10000#", "GSR": "9#",
            "AG": "5050#", "GMT": "000#", "GGF": "0", "GPE": "0", "GPR": "0", "QAP": "1#",
            "GAL": f"{self._altitude_limit_deg:+03d}#", "GPC": f"{self._park[0]:08d}{self._park[1]:09d}#",
        }  # fmt: skip
        if said in fixed:
            return fixed[said]
        number = re.fullmatch(r"(SLO|SLA|SG|SAL|SPA|SPH|SR)([+-]?\d{1,9})", said)
        if number is None:
            known = re.fullmatch(r"RT[0-4]|RR\d{5}|RG\d{4}|SHE[01]|SUT\d{13}|SDS[01]|MSR[789]|SMT\d{3}|CM", said)
            return "1" if known else ""
        value = int(number[2])
        match number[1]:
            case "SLO":
                self._longitude = value
            case "SLA":
                self._latitude = value
            case "SG":
                self._zone_min = value
            case "SAL":
                self._altitude_limit_deg = max(-89, min(89, value))
            case "SPA":
                self._park = self._park[0], value % TURN
            case "SPH":
                self._park = value, self._park[1]
            case _:
                self._speed = min(9, max(1, value))
        return "1"

    def _go(self, azimuth: int, altitude: int) -> str:
        """To units of angle; "0" below the limit of altitude, or parked."""
        if self._parked or not self._altitude_limit_deg * UNITS_PER_DEG <= altitude <= 90 * UNITS_PER_DEG:
            return "0"
        self._go_to(azimuth / TURN * math.tau, altitude / TURN * math.tau)
        return "1"

    def _quit(self, axes: tuple[int, ...]) -> None:
        if axes:
            self._slew.cancel()
        for axis in axes:
            self._axes.set_rate(axis, 0.0)

    def _status(self) -> int:
        if self._slew.active:
            return SLEWING
        if self._parked:
            return PARKED
        return AT_ZERO if self._units() == (0, 0) else int(self._tracks)

    def _units(self) -> tuple[int, int]:
        azimuth_rad, altitude_rad = self._axes.encoder_rad()
        altitude = round(altitude_rad / math.tau * TURN)
        return round(azimuth_rad / math.tau * TURN) % TURN, max(-90 * UNITS_PER_DEG, min(90 * UNITS_PER_DEG, altitude))
