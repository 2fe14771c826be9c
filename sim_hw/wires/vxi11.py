"""A SCPI instrument over VXI-11 (VXIbus TCP/IP Instrument Protocol, revision 1.0): ONC RPC on a port of its own.

The core channel alone; there is no portmapper, since the port stands in the resource. A read waits on the instrument's
side, and what the host reads is what the newest message asked for.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import Final

from sim_hw.devices.scpi import Exchange
from sim_hw.timeline import Timeline
from sim_hw.wires.tcp import Connection, Listener, WriterReactor

CORE_PROGRAM, CORE_VERSION = 0x0607AF, 1
(CREATE_LINK, WRITE, READ, READ_STB, TRIGGER, CLEAR, REMOTE, LOCAL, LOCK, UNLOCK) = range(10, 20)
ENABLE_SRQ, DO_COMMAND, DESTROY_LINK, CREATE_INTERRUPT, DESTROY_INTERRUPT = 20, 22, 23, 25, 26
NO_ERROR, NO_LINK, NOT_SUPPORTED, TIMED_OUT, ABORTED = 0, 4, 8, 15, 23  # table B.2
FLAG_END, FLAG_TERMINATOR = 8, 128
REASON_COUNT, REASON_CHARACTER, REASON_END = 1, 2, 4
LAST_FRAGMENT: Final = 1 << 31
LARGEST_RECORD: Final = 1 << 20
RECEIVE_MAX: Final = 65_536
# RFC 5531
CALL, REPLY, ACCEPTED, SUCCESS, PROGRAM_UNAVAILABLE, PROCEDURE_UNAVAILABLE, GARBAGE = 0, 1, 0, 0, 1, 3, 4


class Vxi11Server:
    """Listens on loopback and carries any number of links to one instrument."""

    def __init__(self, reactor: WriterReactor, exchange: Exchange, timeline: Timeline, port: int = 0) -> None:
        self._reactor = reactor
        self.exchange = exchange
        self.timeline = timeline
        self._links = 0
        self._connections: set[_Rpc] = set()
        self._listener = Listener(reactor, self._accepted, port)
        self.port = self._listener.port

    @property
    def resource(self) -> str:
        """The VISA resource of this server."""
        return f"TCPIP0::127.0.0.1,{self.port}::inst0::INSTR"

    def next_link(self) -> int:
        """A number that no link had."""
        self._links += 1
        return self._links

    def hang_up(self) -> None:
        """Drop every connection; the listener stays."""
        for connection in list(self._connections):
            connection.close()

    def close(self) -> None:
        """Drop every connection and stop listening."""
        self.hang_up()
        self._listener.close()

    def _accepted(self, peer: socket.socket) -> None:
        self._connections.add(_Rpc(self, self._reactor, peer, self._connections.discard))


class _Link:
    """One open instrument: message being written, reply, and the read that waits for it."""

    def __init__(self, exchange: Exchange) -> None:
        self.message = bytearray()
        self.reply = b""
        self.waiting: Callable[[], None] | None = None
        self._exchange = exchange
        self._written = 0

    def write(self, data: bytes, end: bool) -> None:
        self.message += data
        if not end:
            return
        text = self.message.decode("latin-1").rstrip("\r\n")
        self.message.clear()
        self._written += 1
        self.reply = b""
        number = self._written
        self._exchange.submit(text, lambda reply: self._take(number, reply))

    def clear(self) -> None:
        self._written += 1
        self.message.clear()
        self.reply = b""
        self._exchange.clear()

    def _take(self, number: int, reply: str) -> None:
        if number != self._written:  # the host has gone on
            return
        self.reply = reply.encode("latin-1") + b"\n"
        if self.waiting is not None:
            self.waiting()


class _Rpc:
    """One host's connection: records in, replies out."""

    def __init__(
        self, server: Vxi11Server, reactor: WriterReactor, peer: socket.socket, gone: Callable[[_Rpc], None]
    ) -> None:
        self._server = server
        self._pending = bytearray()
        self._record = bytearray()
        self._links: dict[int, _Link] = {}
        self._connection = Connection(reactor, peer, self._came, lambda: gone(self))

    def close(self) -> None:
        self._connection.close()

    def _came(self, data: bytes) -> None:
        self._pending += data
        while len(self._pending) >= 4 and self._connection.open:
            (mark,) = struct.unpack_from(">I", self._pending)
            length = mark & ~LAST_FRAGMENT
            if length + len(self._record) > LARGEST_RECORD:
                self.close()
                return
            if len(self._pending) < 4 + length:
                return
            self._record += self._pending[4 : 4 + length]
            del self._pending[: 4 + length]
            if mark & LAST_FRAGMENT:
                record, self._record = bytes(self._record), bytearray()
                self._call(record)

    def _call(self, record: bytes) -> None:
        call = _Arguments(record)
        try:
            xid, kind, _, program, version, procedure = (call.number() for _ in range(6))
            for _ in range(2):  # credentials and verifier
                call.number()
                call.opaque()
        except ValueError:
            self.close()  # no call at all: nobody can be answered
            return
        if kind != CALL:
            return
        if (program, version) != (CORE_PROGRAM, CORE_VERSION):
            self._answer(xid, b"", PROGRAM_UNAVAILABLE)
            return
        try:
            self._procedure(xid, procedure, call)
        except ValueError:
            self._answer(xid, b"", GARBAGE)

    def _procedure(self, xid: int, procedure: int, call: _Arguments) -> None:
        if procedure == 0:
            self._answer(xid, b"")
            return
        if procedure == CREATE_LINK:
            number = self._server.next_link()
            self._links[number] = _Link(self._server.exchange)
            self._answer(xid, struct.pack(">IIII", NO_ERROR, number, 0, RECEIVE_MAX))
            return
        if not WRITE <= procedure <= DESTROY_INTERRUPT:
            self._answer(xid, b"", PROCEDURE_UNAVAILABLE)
            return
        number = call.number()
        link = self._links.get(number)
        if link is None:
            self._answer(xid, struct.pack(">III", NO_LINK, 0, 0)[: _result_bytes(procedure)])
        elif procedure == WRITE:
            _, _, flags = call.number(), call.number(), call.number()
            data = call.opaque()
            link.write(data, bool(flags & FLAG_END))
            self._answer(xid, struct.pack(">II", NO_ERROR, len(data)))
        elif procedure == READ:
            size, timeout_ms, _, flags, terminator = (call.number() for _ in range(5))
            self._read(xid, link, size, timeout_ms, terminator if flags & FLAG_TERMINATOR else None)
        elif procedure == READ_STB:
            self._answer(xid, struct.pack(">II", NO_ERROR, self._server.exchange.core.status_byte()))
        elif procedure == DESTROY_LINK:
            del self._links[number]
            self._answer(xid, struct.pack(">I", NO_ERROR))
        elif procedure in (TRIGGER, CLEAR, REMOTE, LOCAL, LOCK, UNLOCK):
            if procedure == TRIGGER:
                self._server.exchange.submit("*TRG", lambda reply: None)
            elif procedure == CLEAR:
                link.clear()
            self._answer(xid, struct.pack(">I", NO_ERROR))
        else:
            self._answer(xid, struct.pack(">III", NOT_SUPPORTED, 0, 0)[: _result_bytes(procedure)])

    def _read(self, xid: int, link: _Link, size: int, timeout_ms: int, terminator: int | None) -> None:
        answered = False

        def answer(error: int) -> None:
            nonlocal answered
            if answered:
                return
            answered = True
            link.waiting = None
            count = min(size, len(link.reply))
            reason = REASON_COUNT if count == size else 0
            if terminator is not None and (at := link.reply.find(terminator & 0xFF, 0, count)) >= 0:
                count, reason = at + 1, REASON_CHARACTER
            data, link.reply = link.reply[:count], link.reply[count:]
            reason |= REASON_END if data and not link.reply else 0
            self._answer(xid, struct.pack(">II", error, reason) + _opaque(data))

        if link.reply:
            answer(NO_ERROR)
            return
        link.waiting = lambda: answer(NO_ERROR)
        self._server.timeline.after(timeout_ms * 1e-3, lambda: answer(TIMED_OUT))

    def _answer(self, xid: int, result: bytes, status: int = SUCCESS) -> None:
        record = struct.pack(">IIIIII", xid, REPLY, ACCEPTED, 0, 0, status) + result
        self._connection.send(struct.pack(">I", LAST_FRAGMENT | len(record)) + record)


class _Arguments:
    """XDR (RFC 4506) from the front. Raises ValueError when there is too little."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self) -> int:
        if self._at + 4 > len(self._data):
            raise ValueError("too short")
        (value,) = struct.unpack_from(">I", self._data, self._at)
        self._at += 4
        return int(value)

    def opaque(self) -> bytes:
        length = self.number()
        if self._at + length > len(self._data):
            raise ValueError("too short")
        data = self._data[self._at : self._at + length]
        self._at += -(-length // 4) * 4
        return data


def _opaque(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)


def _result_bytes(procedure: int) -> int:
    """Length of a result that says only an error."""
    return {READ: 12, WRITE: 8, READ_STB: 8, DO_COMMAND: 8}.get(procedure, 4)
