"""The door of a process with keys: answers libzmq's question who may connect (ZAP, RFC 27), and counts who may not.

A thread of its own, so that a connection waits for no loop, and a flood of strangers takes time from none.
"""

from __future__ import annotations

import os
import socket as tcp
import threading
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from controller.bus.envelope import BusError
from controller.bus.security import AllowList, dial_as

ENDPOINT: Final = "inproc://zeromq.zap.01"
VERSION: Final = b"1.0"
PROOF_MS: Final = 3000
REMEMBERED: Final = 16
GUESTS_MAX: Final = 256  # connections of one socket: a service's three stay below the usual 1024 descriptors
SHOWN_OUT: Final = "shown out"
NO_CURVE: Final = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
GUEST: Final = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED
HANDSHAKE: Final = NO_CURVE | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_SUCCEEDED
Socket = zmq.Socket[bytes]


@dataclass
class Watched:
    """A guarded socket: the descriptors of its connections, and from where they come.

    libzmq bounds neither; a process without a free descriptor could not open a device again.
    """

    socket: Socket
    monitor: Socket
    guests: dict[int, str] = field(default_factory=dict)
    without_key: bool = False  # the next connection that ends is one that has proven no key

    def hear(self, event: int, descriptor: int, endpoint: str) -> str:
        """What happened to a connection; a sentence when it was turned away without our being asked, else empty."""
        if event == zmq.EVENT_ACCEPTED:
            address = _peer(descriptor)
            if len(self.guests) >= GUESTS_MAX:  # whoever came before stays
                self.guests[descriptor] = SHOWN_OUT
                show_out(descriptor, endpoint)
                return f"a connection from {address or 'somewhere'} was refused: there are {GUESTS_MAX} already"
            self.guests[descriptor] = address
        elif event == zmq.EVENT_DISCONNECTED:
            address, known = self.guests.pop(descriptor, ""), not self.without_key
            self.without_key = False
            if not known and address != SHOWN_OUT:
                return f"a connection from {address or 'somewhere'} without a key was refused"
        elif event & NO_CURVE:  # libzmq says so, and then that this connection has ended
            self.without_key = True
        return ""


class Gatekeeper:
    """Make it before the sockets that it guards are bound, `watch` each, then `start`."""

    def __init__(self, context: zmq.Context[Socket], allowed: AllowList) -> None:
        self._context = context
        self._allowed = allowed
        self._zap = context.socket(zmq.REP)
        self._zap.setsockopt(zmq.LINGER, 0)
        self._zap.bind(ENDPOINT)
        self._watched: dict[Socket, Watched] = {}
        self._thread = threading.Thread(target=self._run, name="gatekeeper", daemon=True)
        self._lock = threading.Lock()
        self._refused: Counter[str] = Counter()
        self._latest: deque[str] = deque(maxlen=REMEMBERED)

    def watch(self, socket: Socket) -> None:
        """Also count who knocks at `socket` without speaking CURVE: libzmq turns them away without asking us."""
        monitor = socket.get_monitor_socket(NO_CURVE | GUEST)
        self._watched[monitor] = Watched(socket, monitor)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def refusals(self) -> tuple[int, str]:
        """How many connections were refused since the previous call, and a sentence about the last of them."""
        with self._lock:
            count, latest = self._refused.total(), self._latest[-1] if self._latest else ""
            self._refused.clear()
            self._latest.clear()
        return count, latest

    def close(self) -> None:
        """Stop answering: from then on nobody can connect."""
        if self._thread.ident is not None:
            self._tell_to_end()
            self._thread.join()
        for watched in self._watched.values():
            if not watched.socket.closed:
                watched.socket.disable_monitor()
            watched.monitor.close(0)
        self._zap.close(0)

    def _tell_to_end(self) -> None:
        """A question of one frame is no question of libzmq's."""
        bell = self._context.socket(zmq.REQ)
        bell.setsockopt(zmq.LINGER, 0)
        bell.connect(ENDPOINT)
        bell.send(b"end")
        bell.recv()
        bell.close()

    def _run(self) -> None:
        poller = zmq.Poller()
        for socket in (self._zap, *self._watched):
            poller.register(socket, zmq.POLLIN)
        while True:
            for socket, _ in poller.poll():
                if socket is not self._zap:
                    said = recv_monitor_message(socket, zmq.NOBLOCK)
                    if sentence := self._watched[socket].hear(said["event"], said["value"], said["endpoint"].decode()):
                        self._count("no key", sentence)
                elif not self._answer(self._zap.recv_multipart()):
                    return

    def _answer(self, question: list[bytes]) -> bool:
        if len(question) < 7 or question[0] != VERSION:
            self._zap.send(b"")
            return len(question) != 1
        _, request_id, _, address, _, mechanism, key = question[:7]
        public = z85.encode(key) if mechanism == b"CURVE" and len(key) == 32 else b""
        if self._allowed.find(public) is None:
            self._count(
                "unlisted key",
                f"a connection from {address.decode(errors='replace')} was refused: its key "
                f"{public.decode()} is not in the key folder",
            )
            reply = (b"400", b"not listed", b"")
        else:
            self._allowed.admitted()  # before any message of that connection can come
            reply = (b"200", b"", public)
        self._zap.send_multipart((VERSION, request_id, *reply, b""))
        return True

    def _count(self, why: str, sentence: str) -> None:
        with self._lock:
            self._refused[why] += 1
            self._latest.append(sentence)


def _peer(descriptor: int) -> str:
    """From where a connection of libzmq's comes; empty when it has gone already."""
    try:
        with tcp.socket(fileno=os.dup(descriptor)) as connection:
            return str(connection.getpeername()[0])
    except (OSError, IndexError):
        return ""


def show_out(descriptor: int, endpoint: str) -> None:
    """End a connection of libzmq's; a descriptor that has become something else in the meantime is left alone."""
    with suppress(OSError, IndexError), tcp.socket(fileno=os.dup(descriptor)) as connection:
        if str(connection.getsockname()[1]) == endpoint.rpartition(":")[2]:
            connection.shutdown(tcp.SHUT_RDWR)


def prove_refusal(context: zmq.Context[Socket], endpoint: str, server: bytes) -> None:
    """Knock at our own ROUTER with a key that was made this moment. Raises BusError unless it is turned away."""
    public, secret = zmq.curve_keypair()
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.RECONNECT_IVL, -1)
    dial_as(socket, public, secret, server)
    monitor = socket.get_monitor_socket(HANDSHAKE)
    try:
        socket.connect(endpoint)
        happened: Any = recv_monitor_message(monitor)["event"] if monitor.poll(PROOF_MS) else None
    finally:
        socket.disable_monitor()
        monitor.close(0)
        socket.close(0)
    if happened != zmq.EVENT_HANDSHAKE_FAILED_AUTH:
        raise BusError(
            f"{endpoint} let in a key that is not listed, or did not answer: this bus is not safe to open; report it, "
            "and until then use it on loopback without keys"
        )
