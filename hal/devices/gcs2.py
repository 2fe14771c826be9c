"""Physik Instrumente controllers that speak GCS 2 (C-863, C-884, C-663 with linear stages in mm), serial or TCP.

Their words are those of hal/devices/gcs2_talk.py. A stage that nobody talks to goes to where it was sent and stops
there.
"""

from __future__ import annotations

from hal.clock import NS
from hal.devices.gcs2_talk import STOPPED, UNIT, Gcs2Talk, stop_axes
from hal.devices.stage import LinearStage
from hal.errors import DeviceError, WireTimeout
from hal.traits import Identity, Pair, StageStatus

__all__ = ["Gcs2", "stop_axes"]


class Gcs2(Gcs2Talk, LinearStage):
    """One axis of a controller; `axis` is its identifier."""

    def _status(self) -> StageStatus:
        """Where it is now and whether it moves. Raises WireError, ProtocolError."""
        moving = self._moves()  # first: where it stands then is where it came to rest
        powered, referenced = self._number("SVO?") == 1, self._number("FRF?") == 1
        position_mm, asked_ns = self._number("POS?"), self._lines.asked_ns
        line_ns = round(10 * 16 / self._wire.baud * NS) if self._wire.baud else 0
        return StageStatus(max(asked_ns, self._clock.now_ns() - line_ns), position_mm, moving, referenced, powered)

    def _home(self) -> None:
        """Be on the way to its reference switch. Raises DeviceError when it refuses."""
        self._tell(f"FRF {self.axis}")

    def _stop(self) -> None:
        """At rest, along its ramp."""
        self._tell(f"HLT {self.axis}", but=STOPPED)

    def _power(self, on: bool) -> None:
        """Its servo holds it, or lets go of it."""
        self._tell(f"SVO {self.axis} {int(on)}")

    def _begin(self) -> Identity:
        self._meets(self._wire, self._clock)
        axes = self._axes()
        if self.axis not in axes:
            raise DeviceError(
                f'{self._name}: it has no axis "{self.axis}", but {", ".join(axes)}; correct '
                "the rig file, [stage] axis."
            )
        self._bit = 1 << axes.index(self.axis)
        try:
            unit = self._lines.ask(f"SPA? {self.axis} {UNIT}\n".encode()).rpartition(b"=")[2].strip()
        except WireTimeout:
            unit = b"MM"  # a controller that does not tell
        if unit.upper() != b"MM":
            raise DeviceError(
                f"{self._name}: its axis counts in {unit.decode('latin-1')}, and a stage is driven in mm."
            )
        self._lines.ask(b"ERR?\n")  # what is older than we are
        return self._who()

    def _limits_mm(self) -> Pair:
        return self._number("TMN?"), self._number("TMX?")

    def _set_speed(self, speed_mm_s: float) -> None:
        self._tell(f"VEL {self.axis} {speed_mm_s:.6f}")

    def _go(self, position_mm: float) -> None:
        self._tell(f"MOV {self.axis} {position_mm:.7f}")

    def _moves(self) -> bool:
        return bool(self._moving() & self._bit)

    def _number(self, question: str) -> float:
        return self._axis_number(question, self.axis)
