"""What emulated controllers of PI's General Command Set 2.0 have in common.

Source: GCS 2.0 (C-863 user manual): lines ended by LF; commands are silent and leave their error for `ERR?`, which
forgets it; an answer of several lines has a space before each LF but the last. Single characters without LF: 5 axes
that move, 7 ready, 24 stop. The numbers of errors are those of PIPython (gcserror), which drives these emulators in
tests/strangers.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from typing import Final

from sim_hw.devices.line_device import LineDevice
from sim_hw.devices.refused import Refused
from sim_hw.timeline import Timeline

SYNTAX, UNKNOWN, UNREFERENCED, LIMITS, TOO_FAST, STOPPED, NO_AXIS, RANGE, NO_PARAMETER = 1, 2, 5, 7, 8, 10, 15, 17, 54
_MOVING, _STOP = 0x05, 0x18
_SINGLE: Final = re.compile(rb"[\x05\x07\x18]")


class Gcs2Unit(LineDevice):
    """A controller; a SerialDevice."""

    reply_delay_s = 0.001

    def __init__(self, timeline: Timeline) -> None:
        super().__init__(timeline)
        self._error = 0

    def receive(self, data: bytes) -> None:
        """Single characters are carried out as they come, wherever they stand; the rest are lines."""
        while single := _SINGLE.search(data):
            super().receive(data[: single.start()])
            self._at_once(single[0][0])
            data = data[single.end() :]
        super().receive(data)

    def answer(self, line: str) -> str:
        """The answer to a question; a command is silent."""
        try:
            return self._run(line.split())
        except Refused as refused:
            self._error = refused.code
            return ""

    def _at_once(self, byte: int) -> None:
        if byte == _STOP:
            self._halt_all()
            return
        told = f"{self._moving():X}\n".encode() if byte == _MOVING else b"\xb1\n"
        self._timeline.after(self.reply_delay_s, lambda: self._send(told))

    def _take_error(self) -> str:
        """The number of the last error, which is forgotten."""
        code, self._error = self._error, 0
        return str(code)

    @abstractmethod
    def _run(self, words: list[str]) -> str:
        """Carry out a line; nothing is silence. Raises Refused."""

    @abstractmethod
    def _moving(self) -> int:
        """A bit for each axis that is on its way."""

    @abstractmethod
    def _halt_all(self) -> None:
        """Every axis stops where it is, which is an error, too."""
