"""A SCPI instrument on a serial line: messages end in a line feed, both ways; a break or a clear does not exist."""

from __future__ import annotations

from collections.abc import Callable

from sim_hw.devices.scpi import Exchange

LONGEST_LINE = 65_536


class ScpiLine:
    """A SerialDevice around an instrument."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._pending = bytearray()
        self._send: Callable[[bytes], None] = lambda data: None

    def attach(self, send: Callable[[bytes], None]) -> None:
        """Remember how to send bytes to the host."""
        self._send = send

    def receive(self, data: bytes) -> None:
        """Bytes from the host; what has no end is forgotten at 64 KiB."""
        self._pending += data
        while (end := self._pending.find(b"\n")) >= 0:
            line = self._pending[:end].decode("latin-1").rstrip("\r")
            del self._pending[: end + 1]
            self._exchange.submit(line, self._deliver)
        if len(self._pending) > LONGEST_LINE:
            self._pending.clear()

    def _deliver(self, reply: str) -> None:
        self._send(reply.encode("latin-1") + b"\n")
