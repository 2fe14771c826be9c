"""A SPID controller with its rotator: ROT1PROG, ROT2PROG, or MD-01 in ROT2 mode.

Frames as in Hamlib's spid.txt: it waits for `W`, takes thirteen bytes, and acts when the last is a space; else it looks
for the next `W`. Stop and status are answered with the angles, "set" by an MD-01 alone, which with `logs` writes a line
from time to time. What comes without an end is forgotten after HALF_COMMAND_S.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from sim_hw.devices.encoders import AZIMUTH, ELEVATION, Mount
from sim_hw.devices.travel import Travel
from sim_hw.timeline import NS, Timeline

Model = Literal["rot1prog", "rot2prog", "md01"]
STOPS_DEG = ((-180.0, 540.0), (-20.0, 210.0))
PULSES: dict[Model, int] = {"rot1prog": 1, "rot2prog": 2, "md01": 10}  # a degree, as they are delivered
STOP, STATUS, SET, JOG = 0x0F, 0x1F, 0x2F, 0x14
JOGS = ((1, AZIMUTH, -1), (2, AZIMUTH, 1), (4, ELEVATION, 1), (8, ELEVATION, -1))  # bit, axis, sign
LENGTH = 13
HALF_COMMAND_S = 1.0
LOGS_EVERY = 3  # answers of an MD-01 whose debug output is on
REPLY_DELAY_S = 0.01


class Spid:
    """The controller; a SerialDevice."""

    def __init__(
        self, timeline: Timeline, mount: Mount, model: Model, *, rate_max_rad_s: float, acceleration_max_rad_s2: float,
        logs: bool = False,
    ) -> None:  # fmt: skip
        self._timeline = timeline
        self._model: Model = model
        self._pulses = PULSES[model]
        self._travel = Travel(
            timeline, mount, rate_max_rad_s=rate_max_rad_s, acceleration_max_rad_s2=acceleration_max_rad_s2,
            stops_deg=STOPS_DEG,
        )  # fmt: skip
        self.conditions = self._travel.conditions
        self._send: Callable[[bytes], None] = lambda data: None
        self._partial = b""
        self._heard_ns = 0
        self._answers, self._logs = 0, logs

    def attach(self, send: Callable[[bytes], None]) -> None:
        """Take the line's way to the host."""
        self._send = send

    def receive(self, data: bytes) -> None:
        """Take bytes of the host; runs every command that they complete."""
        if self._timeline.now_ns - self._heard_ns > HALF_COMMAND_S * NS:
            self._partial = b""
        self._heard_ns = self._timeline.now_ns
        self._partial += data
        while (start := self._partial.find(b"W")) >= 0 and len(self._partial) - start >= LENGTH:
            frame = self._partial[start : start + LENGTH]
            whole = frame.endswith(b" ")
            self._partial = self._partial[start + (LENGTH if whole else 1) :]
            if whole:
                self._execute(frame)
        self._partial = self._partial[-LENGTH:]

    def _execute(self, frame: bytes) -> None:
        code = frame[11]
        if code == STOP:
            self._travel.stop()
        elif code == SET:
            self._go(frame)
            if self._model != "md01":
                return
        elif code == JOG and self._model == "md01":
            for bit, axis, sign in JOGS:
                if frame[1] & bit:
                    self._travel.turn(axis, sign)
            return
        elif code != STATUS:
            return
        self._timeline.after(REPLY_DELAY_S, self._answer)

    def _go(self, frame: bytes) -> None:
        """Digits that are none move nothing."""
        if self._model == "rot1prog":
            if frame[1:4].isdigit():
                self._travel.go(float(frame[1:4]) - 360)
        elif frame[1:5].isdigit() and frame[6:10].isdigit():
            azimuth, elevation = (int(digits) / self._pulses - 360 for digits in (frame[1:5], frame[6:10]))
            self._travel.go(azimuth, elevation)

    def _answer(self) -> None:
        tenths = [int(round(angle * self._pulses) * 10 / self._pulses) + 3600 for angle in self._travel.angles_deg()]
        azimuth, elevation = (bytes(int(digit) for digit in f"{min(9999, max(0, tenth)):04d}") for tenth in tenths)
        pulses = bytes([self._pulses])
        if self._model == "rot1prog":
            self._send(b"W" + azimuth[:3] + b" ")
            return
        self._answers += 1
        log = b""
        if self._logs and self._answers % LOGS_EVERY == 0:
            log = b"%d: W status asked\r\n" % (1_700_000_000 + self._timeline.now_ns // NS)
        self._send(log + b"W" + azimuth + pulses + elevation + pulses + b" ")
