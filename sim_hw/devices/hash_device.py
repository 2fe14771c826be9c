"""What emulators of mounts share whose commands are `:`, letters, data, `#`: LX200 and its descendants."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from sim_hw.timeline import Timeline

LONGEST_COMMAND = 64


class HashDevice(ABC):
    """A SerialDevice. What comes outside of a command is ignored, but for single bytes that `alone` knows."""

    reply_delay_s = 0.01

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._send: Callable[[bytes], None] = lambda data: None
        self._half: bytes | None = None  # of a command that has begun

    @abstractmethod
    def answer(self, said: str) -> str:
        """What is answered to one command, told without colon and hash; nothing is silence."""

    def alone(self, byte: int) -> str:
        """What is answered to a byte outside of a command."""
        return ""

    def attach(self, send: Callable[[bytes], None]) -> None:
        """Remember how to send bytes to the host."""
        self._send = send

    def receive(self, data: bytes) -> None:
        """Bytes of the host; runs every command that they complete."""
        for byte in data:
            if self._half is None:
                if byte == ord(":"):
                    self._half = b""
                else:
                    self._reply(self.alone(byte))
            elif byte == ord("#"):
                said, self._half = self._half.decode("latin-1"), None
                if said:
                    self._reply(self.answer(said))
            elif len(self._half) < LONGEST_COMMAND:
                self._half += bytes([byte])

    def _reply(self, told: str) -> None:
        if told:
            self._timeline.after(self.reply_delay_s, lambda: self._send(told.encode("latin-1")))
