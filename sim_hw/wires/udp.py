"""A device that speaks in datagrams, on loopback: each of the host's holds one command, each of ours one answer."""

from __future__ import annotations

import socket
from contextlib import suppress

from sim_hw.wires.contract import SerialDevice
from sim_hw.wires.tcp import WriterReactor

DATAGRAM_BYTES = 2048


class UdpServer:
    """A SerialDevice at `udp://127.0.0.1:PORT`; answers go to whoever spoke last."""

    def __init__(self, reactor: WriterReactor, device: SerialDevice, port: int = 0) -> None:
        self._reactor, self._device = reactor, device
        self._host: tuple[str, int] | None = None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", port))
        self._socket.setblocking(False)
        self.port = int(self._socket.getsockname()[1])
        device.attach(self._send)
        reactor.add_reader(self._socket.fileno(), self._readable)

    @property
    def resource(self) -> str:
        """The resource of this server for a rig file."""
        return f"udp://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Be gone: what is sent from now on is refused by the kernel."""
        if self._socket.fileno() >= 0:
            self._reactor.remove_reader(self._socket.fileno())
            self._socket.close()

    def _readable(self) -> None:
        with suppress(OSError):  # taken already, or the echo of a refusal
            data, self._host = self._socket.recvfrom(DATAGRAM_BYTES)
            self._device.receive(data)

    def _send(self, data: bytes) -> None:
        if self._host is not None and self._socket.fileno() >= 0:
            with suppress(OSError):
                self._socket.sendto(data, self._host)
