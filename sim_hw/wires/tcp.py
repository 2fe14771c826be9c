"""A byte stream over TCP: carries a SerialDevice that speaks the network itself, or behind a plain terminal server.

One host at a time: a second connection is closed at once, as such servers do. What a host leaves unread beyond a
mebibyte is lost.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Protocol

from sim_hw.wires.contract import SerialDevice
from sim_hw.wires.rawsocket import SocketReactor

READ_BYTES = 65_536
UNREAD_BYTES = 1 << 20


class WriterReactor(SocketReactor, Protocol):
    """What a connection needs of the event loop."""

    def add_writer(self, fd: int, callback: Callable[[], None]) -> None:
        """Call back whenever `fd` can be written."""
        ...

    def remove_writer(self, fd: int) -> None:
        """Stop that; an unknown `fd` is no error."""
        ...


class Connection:
    """One host's socket on the reactor; writes never block. A subclass says what is done with bytes that came."""

    def __init__(
        self, reactor: WriterReactor, peer: socket.socket, came: Callable[[bytes], None], ended: Callable[[], None]
    ) -> None:
        self._reactor = reactor
        self._peer = peer
        self._came = came
        self._ended = ended
        self._unsent = bytearray()
        self.open = True
        peer.setblocking(False)
        if peer.family != socket.AF_UNIX:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reactor.add_reader(peer.fileno(), self._readable)

    def send(self, data: bytes) -> None:
        """Queue bytes for the host."""
        if self.open and len(self._unsent) + len(data) <= UNREAD_BYTES:
            self._unsent += data
            self._flush()

    def close(self) -> None:
        """Hang up."""
        if not self.open:
            return
        self.open = False
        self._reactor.remove_reader(self._peer.fileno())
        self._reactor.remove_writer(self._peer.fileno())
        self._peer.close()
        self._ended()

    def look(self) -> None:
        """Notice a hang-up that nobody has told yet."""
        if self.open:
            self._readable()

    def _readable(self) -> None:
        try:
            data = self._peer.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._came(data)
        else:
            self.close()

    def _flush(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._peer.send(self._unsent)]
        except BlockingIOError:
            self._reactor.add_writer(self._peer.fileno(), self._flush)
            return
        except OSError:
            self.close()
            return
        self._reactor.remove_writer(self._peer.fileno())


class Listener:
    """Listens on loopback and gives each host's socket to `accepted`. Raises OSError when the port cannot be bound."""

    def __init__(self, reactor: WriterReactor, accepted: Callable[[socket.socket], None], port: int = 0) -> None:
        self._reactor = reactor
        self._accepted = accepted
        self._socket = socket.create_server(("127.0.0.1", port))
        self._socket.setblocking(False)
        self.port = int(self._socket.getsockname()[1])
        reactor.add_reader(self._socket.fileno(), self._accept)

    def close(self) -> None:
        """Stop listening."""
        if self._socket.fileno() >= 0:
            self._reactor.remove_reader(self._socket.fileno())
            self._socket.close()

    def _accept(self) -> None:
        try:
            peer, _ = self._socket.accept()
        except OSError:  # gone again before we looked
            return
        self._accepted(peer)


class TcpSessions:
    """A unit that takes several hosts at `tcp://127.0.0.1:PORT`, unpaced; `session` is a connection's SerialDevice."""

    def __init__(self, reactor: WriterReactor, session: Callable[[], SerialDevice]) -> None:
        self.fault: Callable[[bytes, Callable[[bytes], None]], None] | None = None  # as of a SerialLine
        self.deaf = self.hung_up = False
        self.heard: Callable[[], None] = lambda: None
        self._reactor, self._session = reactor, session
        self._hosts: list[Connection] = []
        self._listener = Listener(reactor, self._accepted)
        self.resource = f"tcp://127.0.0.1:{self._listener.port}"
        self.port = self._listener.port

    def hang_up(self) -> None:
        """Drop every host, and whoever comes."""
        self.hung_up = True
        for host in list(self._hosts):
            host.close()

    def plug_in(self) -> None:
        """Take hosts again."""
        self.hung_up = False

    def close(self) -> None:
        """Drop every host and stop listening."""
        self.hang_up()
        self._listener.close()

    def _accepted(self, peer: socket.socket) -> None:
        if self.hung_up:
            peer.close()
            return
        device = self._session()

        def came(data: bytes) -> None:
            self.heard()
            if not self.deaf:
                device.receive(data)

        def said(data: bytes) -> None:
            if self.fault is None:
                host.send(data)
            else:
                self.fault(data, host.send)

        host = Connection(self._reactor, peer, came, lambda: self._hosts.remove(host))
        device.attach(said)
        self._hosts.append(host)


class TcpServer:
    """A SerialDevice at `tcp://127.0.0.1:PORT`, unpaced."""

    def __init__(self, reactor: WriterReactor, device: SerialDevice, port: int = 0) -> None:
        self._reactor = reactor
        self._device = device
        self._host: Connection | None = None
        device.attach(self._send)
        self._listener = Listener(reactor, self._accepted, port)
        self.port = self._listener.port

    @property
    def resource(self) -> str:
        """The resource of this server for a rig file."""
        return f"tcp://127.0.0.1:{self.port}"

    def hang_up(self) -> None:
        """Drop the host; the listener stays."""
        if self._host is not None:
            self._host.close()

    def close(self) -> None:
        """Drop the host and stop listening."""
        self.hang_up()
        self._listener.close()

    def _accepted(self, peer: socket.socket) -> None:
        if self._host is not None:
            self._host.look()  # a host that has just left and comes again is no second one
        if self._host is not None:
            peer.close()
            return
        self._host = Connection(self._reactor, peer, self._device.receive, self._gone)

    def _gone(self) -> None:
        self._host = None

    def _send(self, data: bytes) -> None:
        if self._host is not None:
            self._host.send(data)
