"""A SCPI instrument on a raw TCP socket, one message a line (what LAN instruments offer on port 5025).

A reply goes to the connection that asked and to no other: closing the socket is this wire's device clear.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Protocol

from sim_hw.devices.scpi import Exchange

_LONGEST_LINE = 65536


class SocketReactor(Protocol):
    """What the real-time reactor offers to a wire."""

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        """Call back whenever `fd` is readable."""
        ...

    def remove_reader(self, fd: int) -> None:
        """Forget `fd`."""
        ...


class RawSocketServer:
    """Listens on loopback and carries any number of connections to one instrument.

    Raises OSError when the port cannot be bound.
    """

    def __init__(self, reactor: SocketReactor, exchange: Exchange, port: int = 0) -> None:
        self._reactor = reactor
        self._exchange = exchange
        self._connections: set[_Connection] = set()
        self._off = False
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.setblocking(False)
        self.port = int(self._listener.getsockname()[1])
        reactor.add_reader(self._listener.fileno(), self._accept)

    @property
    def resource(self) -> str:
        """The VISA resource of this server."""
        return f"TCPIP0::127.0.0.1::{self.port}::SOCKET"

    def hang_up(self) -> None:
        """Drop every connection; the listener stays."""
        for connection in list(self._connections):
            connection.close()

    def switch_off(self) -> None:
        """Drop every connection and take no other: the network cable is pulled."""
        self._off = True
        self.hang_up()

    def switch_on(self) -> None:
        """Take connections again."""
        self._off = False

    def close(self) -> None:
        """Drop every connection and stop listening; closing twice is closing once."""
        if self._listener.fileno() < 0:
            return
        self.hang_up()
        self._reactor.remove_reader(self._listener.fileno())
        self._listener.close()

    def _accept(self) -> None:
        try:
            peer, _ = self._listener.accept()
        except OSError:  # gone again before we looked
            return
        if self._off:
            peer.close()
            return
        self._connections.add(_Connection(self._reactor, self._exchange, peer, self._connections.discard))


class _Connection:
    """One host: lines in, replies out."""

    def __init__(
        self,
        reactor: SocketReactor,
        exchange: Exchange,
        peer: socket.socket,
        on_close: Callable[[_Connection], None],
    ) -> None:
        self._reactor = reactor
        self._exchange = exchange
        self._peer = peer
        self._on_close = on_close
        self._pending = bytearray()
        self._open = True
        peer.setblocking(False)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reactor.add_reader(peer.fileno(), self._readable)

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        self._reactor.remove_reader(self._peer.fileno())
        self._peer.close()
        self._on_close(self)

    def _readable(self) -> None:
        try:
            data = self._peer.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._pending += data
        if not data or len(self._pending) > _LONGEST_LINE:
            self.close()
            return
        while self._open and (end := self._pending.find(b"\n")) >= 0:
            line = self._pending[:end].decode("latin-1").rstrip("\r")
            del self._pending[: end + 1]
            self._exchange.submit(line, self._deliver)

    def _deliver(self, reply: str) -> None:
        if not self._open:
            return
        try:
            self._peer.sendall(reply.encode("latin-1") + b"\n")
        except OSError:  # gone, or a host that does not read and has filled every buffer
            self.close()
