"""A SCPI instrument over HiSLIP (IVI-6.1, revision 1.1), synchronised mode: two connections a session.

A reply carries the number of the message that it answers, and a message that comes before the reply was sent makes that
reply void: a late reply is never taken for the next one. Locks are granted to whoever asks (one host is one session).
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field
from typing import Final

from sim_hw.devices.scpi import Exchange
from sim_hw.wires.tcp import Connection, Listener, WriterReactor

HEADER: Final = struct.Struct(">2sBBIQ")  # prologue, type, control code, parameter, payload length
PROLOGUE: Final = b"HS"
VERSION, VENDOR = 0x0100, 0x4253
# IVI-6.1, table 4
INITIALIZE, INITIALIZE_RESPONSE, FATAL_ERROR, ERROR, ASYNC_LOCK, ASYNC_LOCK_RESPONSE = range(6)
DATA, DATA_END, CLEAR_COMPLETE, CLEAR_ACKNOWLEDGE, REMOTE_LOCAL, REMOTE_LOCAL_RESPONSE, TRIGGER = range(6, 13)
MAXIMUM_SIZE, MAXIMUM_SIZE_RESPONSE, ASYNC_INITIALIZE, ASYNC_INITIALIZE_RESPONSE, ASYNC_CLEAR = range(15, 20)
STATUS_QUERY, STATUS_RESPONSE, ASYNC_CLEAR_ACKNOWLEDGE, LOCK_INFO, LOCK_INFO_RESPONSE = range(21, 26)
# Fatal error and error codes, tables 14 and 16
BAD_HEADER, NOT_BOTH_CHANNELS, BAD_INITIALIZATION = 1, 2, 3
UNKNOWN_TYPE, MESSAGE_TOO_LARGE = 1, 4
LARGEST_MESSAGE: Final = 1 << 20
LOCK_GRANTED = 1


@dataclass
class _Session:
    """Both connections of one host."""

    number: int
    sync: _Channel
    other: _Channel | None = None
    message: bytearray = field(default_factory=bytearray)  # program message until its end
    newest: int = -1  # number of the message that a reply must answer
    reply_max: int = LARGEST_MESSAGE


class HislipServer:
    """Listens on loopback and carries any number of sessions to one instrument."""

    def __init__(self, reactor: WriterReactor, exchange: Exchange, port: int = 0) -> None:
        self._reactor = reactor
        self.exchange = exchange
        self._channels: set[_Channel] = set()
        self._sessions: dict[int, _Session] = {}
        self._numbered = 0
        self._listener = Listener(reactor, self._accepted, port)
        self.port = self._listener.port

    @property
    def resource(self) -> str:
        """The VISA resource of this server."""
        return f"TCPIP0::127.0.0.1::hislip0,{self.port}::INSTR"

    def hang_up(self) -> None:
        """Drop every connection; the listener stays."""
        for channel in list(self._channels):
            channel.close()

    def close(self) -> None:
        """Drop every connection and stop listening."""
        self.hang_up()
        self._listener.close()

    def begin(self, channel: _Channel) -> _Session:
        """A new session on its synchronous channel."""
        self._numbered = self._numbered % 0xFFFF + 1
        self._sessions[self._numbered] = session = _Session(self._numbered, channel)
        return session

    def session(self, number: int) -> _Session | None:
        """The session that an asynchronous channel asks for."""
        return self._sessions.get(number)

    def gone(self, channel: _Channel) -> None:
        """A connection ended, and the session with it."""
        self._channels.discard(channel)
        session = channel.session
        if session is None or self._sessions.pop(session.number, None) is None:
            return
        for other in (session.sync, session.other):
            if other is not None and other is not channel:
                other.close()

    def _accepted(self, peer: socket.socket) -> None:
        self._channels.add(_Channel(self, self._reactor, peer))


class _Channel:
    """One connection: messages in, messages out."""

    def __init__(self, server: HislipServer, reactor: WriterReactor, peer: socket.socket) -> None:
        self.session: _Session | None = None
        self._server = server
        self._pending = bytearray()
        self._connection = Connection(reactor, peer, self._came, lambda: server.gone(self))

    def close(self) -> None:
        self._connection.close()

    def send(self, kind: int, control: int = 0, parameter: int = 0, payload: bytes = b"") -> None:
        self._connection.send(HEADER.pack(PROLOGUE, kind, control, parameter, len(payload)) + payload)

    def _came(self, data: bytes) -> None:
        self._pending += data
        while self._connection.open and len(self._pending) >= HEADER.size:
            prologue, kind, control, parameter, length = HEADER.unpack_from(self._pending)
            if prologue != PROLOGUE or length > LARGEST_MESSAGE:
                self.send(FATAL_ERROR, BAD_HEADER, 0, b"no HiSLIP message")
                self.close()
                return
            end = HEADER.size + length
            if len(self._pending) < end:
                return
            payload = bytes(self._pending[HEADER.size : end])
            del self._pending[:end]
            self._take(kind, control, parameter, payload)

    def _take(self, kind: int, control: int, parameter: int, payload: bytes) -> None:
        session = self.session
        if session is None:
            self._initialize(kind, parameter)
        elif self is session.sync:
            self._synchronous(session, kind, parameter, payload)
        else:
            self._asynchronous(session, kind, control, payload)

    def _initialize(self, kind: int, parameter: int) -> None:
        if kind == INITIALIZE:
            self.session = self._server.begin(self)
            self.send(INITIALIZE_RESPONSE, 0, VERSION << 16 | self.session.number)
        elif kind == ASYNC_INITIALIZE and (session := self._server.session(parameter)) and session.other is None:
            self.session, session.other = session, self
            self.send(ASYNC_INITIALIZE_RESPONSE, 0, VENDOR)
        else:
            self.send(FATAL_ERROR, BAD_INITIALIZATION, 0, b"initialize first")
            self.close()

    def _synchronous(self, session: _Session, kind: int, parameter: int, payload: bytes) -> None:
        exchange = self._server.exchange
        if kind in (DATA, DATA_END):
            session.message += payload
            if len(session.message) > LARGEST_MESSAGE:
                session.message.clear()
                self.send(ERROR, MESSAGE_TOO_LARGE, 0, b"message too large")
            elif kind == DATA_END:
                text = session.message.decode("latin-1").rstrip("\r\n")
                session.message.clear()
                session.newest = parameter
                exchange.submit(text, lambda reply: self._reply(session, parameter, reply))
        elif kind == TRIGGER:
            exchange.submit("*TRG", lambda reply: None)
        elif kind == CLEAR_COMPLETE:
            self.send(CLEAR_ACKNOWLEDGE)
        else:
            self.send(ERROR, UNKNOWN_TYPE, 0, b"unknown message type")

    def _asynchronous(self, session: _Session, kind: int, control: int, payload: bytes) -> None:
        if kind == MAXIMUM_SIZE and len(payload) == 8:
            session.reply_max = max(64, min(LARGEST_MESSAGE, int.from_bytes(payload, "big")))
            self.send(MAXIMUM_SIZE_RESPONSE, payload=LARGEST_MESSAGE.to_bytes(8, "big"))
        elif kind == STATUS_QUERY:
            self.send(STATUS_RESPONSE, self._server.exchange.core.status_byte())
        elif kind == ASYNC_CLEAR:
            session.message.clear()
            session.newest = -1
            self._server.exchange.clear()
            self.send(ASYNC_CLEAR_ACKNOWLEDGE)
        elif kind == ASYNC_LOCK:
            self.send(ASYNC_LOCK_RESPONSE, LOCK_GRANTED)
        elif kind == LOCK_INFO:
            self.send(LOCK_INFO_RESPONSE)
        elif kind == REMOTE_LOCAL:
            self.send(REMOTE_LOCAL_RESPONSE)
        else:
            self.send(ERROR, UNKNOWN_TYPE, 0, b"unknown message type")

    def _reply(self, session: _Session, number: int, reply: str) -> None:
        if number != session.newest:  # interrupted: the host has gone on
            return
        data = reply.encode("latin-1") + b"\n"
        pieces = [data[at : at + session.reply_max] for at in range(0, len(data), session.reply_max)]
        for piece in pieces[:-1]:
            self.send(DATA, 0, number, piece)
        self.send(DATA_END, 0, number, pieces[-1])
