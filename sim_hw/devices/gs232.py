"""A Yaesu GS-232A or GS-232B between the host and a rotator.

Yaesu, "GS-232B Computer Control Interface for Antenna Rotators": it answers CR to every command, CR LF after data, and
`?>` to what it does not know; it has no echo, and case does not matter. Speeds X1 to X4 are of azimuth.
"""

from __future__ import annotations

import re
from typing import Literal

from sim_hw.devices.encoders import AZIMUTH, ELEVATION, Mount
from sim_hw.devices.line_device import LineDevice
from sim_hw.devices.travel import Travel
from sim_hw.timeline import Timeline

STOPS_DEG = ((0.0, 450.0), (0.0, 180.0))
TURNS = {"R": (AZIMUTH, 1), "L": (AZIMUTH, -1), "U": (ELEVATION, 1), "D": (ELEVATION, -1)}
HALTS: dict[str, tuple[int, ...]] = {"S": (), "A": (AZIMUTH,), "E": (ELEVATION,)}
GO = re.compile(r"W(\d{3}) (\d{3})|M(\d{3})")


class Gs232(LineDevice):
    """The controller; a SerialDevice."""

    end = b""
    reply_delay_s = 0.004

    def __init__(
        self, timeline: Timeline, mount: Mount, dialect: Literal["A", "B"] = "B", *, rate_max_rad_s: float,
        acceleration_max_rad_s2: float,
    ) -> None:  # fmt: skip
        super().__init__(timeline)
        self._dialect = dialect
        self._travel = Travel(
            timeline, mount, rate_max_rad_s=rate_max_rad_s, acceleration_max_rad_s2=acceleration_max_rad_s2,
            stops_deg=STOPS_DEG,
        )  # fmt: skip
        self.conditions = self._travel.conditions

    def answer(self, line: str) -> str:
        """What it says to one command; nothing to an empty one."""
        command = line.strip().upper()
        if not command:
            return ""
        azimuth, elevation = (min(450, max(0, round(angle))) for angle in self._travel.angles_deg())
        places = ("AZ={:03d}", "EL={:03d}", "  ") if self._dialect == "B" else ("+{:04d}", "+{:04d}", "")
        shown = places[0].format(azimuth), places[1].format(elevation)
        match command:
            case "C" | "B":
                return shown[command == "B"] + "\r\n"
            case "C2":
                return places[2].join(shown) + "\r\n"
            case "S" | "A" | "E":
                self._travel.stop(*HALTS[command])
            case "R" | "L" | "U" | "D":
                self._travel.turn(*TURNS[command])
            case "X1" | "X2" | "X3" | "X4":
                pass
            case _ if go := GO.fullmatch(command):
                if max(int(go[1] or go[3]), 2.5 * int(go[2] or 0)) > 450:
                    return "?>\r\n"
                self._travel.go(float(go[1] or go[3]), float(go[2]) if go[2] else None)
            case _:
                return "?>\r\n"
        return "\r"
