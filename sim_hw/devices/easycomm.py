"""A rotator with the SatNOGS firmware: EasyComm II with the velocities and status of EasyComm III.

A line is answered once, its values joined by a space; what it does not know it ignores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from sim_hw.devices.nexstar import Mount
from sim_hw.devices.slew import Slew
from sim_hw.timeline import Timeline
from sim_hw.wires.contract import Condition

REPLY_DELAY_S = 0.005
LONGEST_LINE = 256
IDLE, MOVING, POINTING = 1, 2, 4
VELOCITIES = {"VL": (0, 1), "VR": (0, -1), "VU": (1, 1), "VD": (1, -1)}  # axis, sign


class EasyComm:
    """The controller; a SerialDevice around the same axes as any mount."""

    def __init__(
        self, timeline: Timeline, mount: Mount, *, rate_max_rad_s: float, acceleration_max_rad_s2: float
    ) -> None:
        self._timeline, self._mount = timeline, mount
        self._slew = Slew(timeline, mount.encoder_rad, mount.set_rate, rate_max_rad_s, acceleration_max_rad_s2)
        self._send: Callable[[bytes], None] = lambda data: None
        self._line = b""
        self._moving = False
        self._target = [0.0, 0.0]
        self._stuck_rad: tuple[float, float] | None = None  # faults
        self._offset_rad = 0.0

    def conditions(self) -> dict[str, Condition]:
        """Faults of the rotator itself (sim_hw.faults)."""

        def stuck(settings: Mapping[str, float] | None) -> None:
            self._stuck_rad = None if settings is None else self._mount.encoder_rad()
            self._rates(0.0, 0.0)

        def wrong(settings: Mapping[str, float] | None) -> None:
            self._offset_rad = 0.0 if settings is None else settings["offset_rad"]

        return {"stuck": stuck, "wrong": wrong}

    def attach(self, send: Callable[[bytes], None]) -> None:
        """Remember how to send bytes to the host."""
        self._send = send

    def receive(self, data: bytes) -> None:
        """Bytes of the host; runs every line that they complete."""
        *lines, self._line = (self._line + data).replace(b"\r", b"\n").split(b"\n")
        self._line = self._line[-LONGEST_LINE:]
        for line in lines:
            answers = [answer for token in line.decode("latin-1").split() if (answer := self._token(token.strip(";")))]
            if answers:
                told = " ".join(dict.fromkeys(answers)).encode("latin-1") + b"\n"
                self._timeline.after(REPLY_DELAY_S, lambda told=told: self._send(told))  # type: ignore[misc]

    def _token(self, token: str) -> str:
        azimuth, elevation = (math.degrees(angle) for angle in self._angles())
        head, value = token[:2], token[2:]
        if token in ("AZ", "EL"):
            return f"AZ{azimuth % 360:.1f}" if token == "AZ" else f"EL{elevation:.1f}"
        if token in ("SA", "SE"):
            self._slew.cancel()
            self._rates(0.0, 0.0)
            return f"AZ{azimuth % 360:.1f} EL{elevation:.1f}"
        if token == "VE":
            return "VEBoresight-emulated-SatNOGS"
        if token == "GS":
            return f"GS{POINTING if self._slew.active else MOVING if self._moving else IDLE}"
        if token == "GE":
            return "GE1"
        try:
            number = float(value)
        except ValueError:
            return ""
        if head in VELOCITIES and 0 <= number < 1e6:
            axis, sign = VELOCITIES[head]
            self._slew.cancel()
            self._rate(axis, sign * math.radians(number / 1e3))
        elif head in ("AZ", "EL") and abs(number) <= 1e4:
            if not self._slew.active:
                self._target = list(self._angles())
            self._target[head == "EL"] = math.radians(number)
            self._slew.start(self._timeline.now_ns, *self._target)
        return ""

    def _angles(self) -> tuple[float, float]:
        azimuth, elevation = self._mount.encoder_rad() if self._stuck_rad is None else self._stuck_rad
        return azimuth + self._offset_rad, math.remainder(elevation + self._offset_rad, math.tau)

    def _rates(self, azimuth_rad_s: float, elevation_rad_s: float) -> None:
        self._rate(0, azimuth_rad_s)
        self._rate(1, elevation_rad_s)

    def _rate(self, axis: int, rate_rad_s: float) -> None:
        self._moving = rate_rad_s != 0.0
        self._mount.set_rate(axis, 0.0 if self._stuck_rad is not None else rate_rad_s)
