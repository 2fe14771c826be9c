"""What emulators of devices that speak in lines of text share: lines out of bytes, answers after a delay."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from sim_hw.timeline import Timeline

LONGEST_LINE = 256


class LineDevice(ABC):
    """A SerialDevice. A line ends with CR, LF or both; half a line waits for its end, and only its tail is kept."""

    end = b"\n"
    reply_delay_s = 0.005

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._send: Callable[[bytes], None] = lambda data: None
        self._half = b""

    @abstractmethod
    def answer(self, line: str) -> str:
        """What is answered to one line; nothing is silence."""

    def attach(self, send: Callable[[bytes], None]) -> None:
        """Remember how to send bytes to the host."""
        self._send = send

    def receive(self, data: bytes) -> None:
        """Bytes of the host; runs every line that they complete."""
        *lines, half = (self._half + data).replace(b"\r", b"\n").split(b"\n")
        self._half = half[-LONGEST_LINE:]
        for line in lines:
            if told := self.answer(line.decode("latin-1")):
                reply = told.encode("latin-1") + self.end
                self._timeline.after(self.reply_delay_s, lambda reply=reply: self._send(reply))  # type: ignore[misc]
