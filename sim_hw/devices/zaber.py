"""A Zaber stage with one axis (X-LSM050A: 50.8 mm, 0.047625 um a microstep) that speaks the ASCII protocol.

Source: Zaber ASCII Protocol Manual, firmware 7: `/device axis id command:LRC` and its reply; a command whose checksum
is wrong is not heard; replies have one when `comm.checksum` is 1. Which refusal and which warning flag stands for what
is that of Zaber's own library (zaber_motion.ascii.WarningFlags, and its exceptions), which drives this emulator in
tests/strangers. Positions are microsteps, `maxspeed` is microsteps a second times 1.6384.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sim_hw.devices.carriage import Carriage
from sim_hw.devices.line_device import LineDevice
from sim_hw.timeline import Timeline

MICROSTEP_MM: Final = 0.047625e-3
SPEED_UNIT: Final = 1.6384
ADDRESS: Final = 1
IDENTITY: Final[dict[str, int | str]] = {
    "deviceid": 50419,
    "device.id": 50419,
    "system.serial": 71234,
    "version": "7.36",
    "version.build": 12345,
    "device.hw.modified": 0,
    "system.axiscount": 1,
    "comm.address": ADDRESS,
}
AXIS: Final = {"resolution": 64, "peripheralid": 0, "peripheral.id": 0, "peripheral.serial": 0, "limit.min": 0}
BADCOMMAND, BADDATA, BADAXIS, DEVICEONLY, OFF = "BADCOMMAND", "BADDATA", "BADAXIS", "DEVICEONLY", "DRIVERDISABLED"
GRAVEST: Final = ("FO", "FS", "WR", "NI")


class Refused(Exception):  # noqa: N818 (the protocol's word)
    """Why a command is answered with RJ."""


def _whole(word: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise Refused(BADDATA) from None


class Zaber(LineDevice):
    """The device; a SerialDevice. `carriage` is what it moves."""

    end = b"\r\n"
    reply_delay_s = 0.002

    def __init__(self, timeline: Timeline, carriage: Carriage | None = None) -> None:
        super().__init__(timeline)
        self.carriage = carriage or Carriage(timeline, length_mm=50.8)
        self.conditions = self.carriage.conditions
        self.enabled = True
        self._settings = {"comm.checksum": 0, "comm.alert": 0}
        self._limit_max = round(self.carriage.length_mm / MICROSTEP_MM)
        self._speed_max = self._speed = round(self.carriage.speed_mm_s / MICROSTEP_MM * SPEED_UNIT)

    def answer(self, line: str) -> str:
        """The reply; nothing to what is no command, is for another device, or has a wrong checksum."""
        begin = line.find("/")
        if begin < 0:
            return ""
        body, colon, told = line[begin + 1 :].partition(":")
        data = body.encode("latin-1")
        if colon and told.strip().upper() != f"{-sum(data) & 0xFF:02X}":
            return ""
        words = body.split()
        numbers: list[str] = []
        while words and len(numbers) < 3 and (words[0].isdecimal() or (words[0] == "--" and len(numbers) == 2)):
            numbers.append(words.pop(0))
        device, axis = (int(number[:4]) for number in (*numbers[:2], *("0", "0")[len(numbers[:2]) :]))
        if device not in (0, ADDRESS):
            return ""
        try:
            verdict, told = "OK", self._run(axis, words)
        except Refused as reason:
            verdict, told = "RJ", str(reason)
        number = f"{int(numbers[2][:4]) % 100:02d} " if len(numbers) == 3 and numbers[2] != "--" else ""
        status = "BUSY" if self.carriage.moving else "IDLE"
        reply = f"{ADDRESS:02d} {min(axis, 9)} {number}{verdict} {status} {(self._flags() or ['--'])[0]} {told}"
        checked = f":{-sum(reply.encode('latin-1')) & 0xFF:02X}" if self._settings["comm.checksum"] else ""
        return f"@{reply}{checked}"

    def _flags(self) -> list[str]:
        carriage = self.carriage
        so = (not self.enabled, carriage.stalled, not carriage.referenced, carriage.interrupted)
        return [flag for flag, is_so in zip(GRAVEST, so, strict=True) if is_so]

    def _run(self, axis: int, words: list[str]) -> str:
        """The data of the reply. Raises Refused."""
        if axis > 1:
            raise Refused(BADAXIS)
        match words:
            case []:
                return "0"
            case ["get", key]:
                return str(self._get(axis, key))
            case ["set", key, value]:
                return self._set(axis, key, _whole(value))
            case ["warnings"] | ["warnings", "clear"]:
                flags = self._flags()
                if len(words) == 2:
                    self.carriage.interrupted = self.carriage.stalled = False
                return " ".join((f"{len(flags):02d}", *flags))
            case ["stop" | "estop"]:
                self.carriage.stop()
                return "0"
            case ["driver", "enable" | "disable" as verb]:
                self.carriage.stop()
                self.enabled = verb == "enable"
                return "0"
            case ["home"]:
                return self._moved(self.carriage.home)
            case ["move", "abs" | "rel" | "max" | "min" as how, *more] if len(more) == (how in ("abs", "rel")):
                goal = {"max": self._limit_max, "min": AXIS["limit.min"]}.get(how, 0)
                if more:
                    goal = _whole(more[0]) + (self._position() if how == "rel" else 0)
                if not AXIS["limit.min"] <= goal <= self._limit_max:
                    raise Refused(BADDATA)
                speed_mm_s = self._speed / SPEED_UNIT * MICROSTEP_MM
                return self._moved(lambda: self.carriage.go(goal * MICROSTEP_MM, speed_mm_s))
            case _:
                raise Refused(BADCOMMAND)

    def _moved(self, move: Callable[[], None]) -> str:
        if not self.enabled:
            raise Refused(OFF)
        move()
        return "0"

    def _position(self) -> int:
        return round(self.carriage.shown_mm / MICROSTEP_MM)

    def _get(self, axis: int, key: str) -> int | str:
        of_device: dict[str, int | str] = {**IDENTITY, **self._settings}
        if key in of_device:
            if axis:
                raise Refused(DEVICEONLY)
            return of_device[key]
        of_axis = {**AXIS, "pos": self._position(), "limit.max": self._limit_max, "maxspeed": self._speed}
        if key == "driver.enabled":
            return int(self.enabled)
        if key not in of_axis:
            raise Refused(BADCOMMAND)
        return of_axis[key]

    def _set(self, axis: int, key: str, value: int) -> str:
        if key in self._settings:
            if axis:
                raise Refused(DEVICEONLY)
            if value not in (0, 1):
                raise Refused(BADDATA)
            self._settings[key] = value
        elif key == "maxspeed":
            if not 1 <= value <= self._speed_max:
                raise Refused(BADDATA)
            self._speed = value
        else:
            raise Refused(BADCOMMAND)
        return "0"
