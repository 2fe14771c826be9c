"""A byte stream in datagrams, for devices that take a command in one and answer in another: `udp://HOST:PORT`.

Nothing tells whether anybody is there before it answers, and a datagram may be lost: drivers ask again as after any
time-out.
"""

from __future__ import annotations

from contextlib import suppress

from hal.clock import Clock, Deadline
from hal.errors import WireTimeout
from hal.wires.packet import PacketWire
from hal.wires.stream import StreamWire


class UdpWire(StreamWire):
    """Every `write` is one datagram; what comes in is read as a stream. Raises ResourceError for a wrong address."""

    def __init__(self, resource: str, clock: Clock, name: str) -> None:
        super().__init__(resource, clock, name)
        self._packets = PacketWire(resource, clock, name)
        self._heard = bytearray()

    def write(self, data: bytes) -> None:
        """Send one datagram. Raises WireError when the peer's kernel refuses it."""
        self._packets.send(data)

    def close(self) -> None:
        """Close the socket."""
        self._packets.close()

    def _take(self, n: int, timeout_s: float) -> bytes:
        deadline = Deadline(self._clock, timeout_s)
        while len(self._heard) < n:
            try:
                self._heard += self._packets.receive(deadline.remaining_s)
            except WireTimeout:
                break
        return self._take_waiting(n)

    def _take_waiting(self, n: int) -> bytes:
        data = bytes(self._heard[:n])
        del self._heard[:n]
        return data

    def _waiting(self) -> int:
        if not self._heard:
            with suppress(WireTimeout):
                self._heard += self._packets.receive(0.0)
        return len(self._heard)

    def _check(self) -> str:
        return "that the device is on and in this network, and its address"
