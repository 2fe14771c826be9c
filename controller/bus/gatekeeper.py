"""The door of a process with keys: answers libzmq's question who may connect (ZAP, RFC 27), and counts who may not.

A thread of its own, so that a connection waits for no loop, and a flood of strangers takes time from none.
"""

from __future__ import annotations

import os
import socket as tcp
import threading
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
SOMEWHERE: Final = "somewhere"  # a connection that had gone before anybody could ask whose it was
GUESTS_MAX: Final = 256  # connections of one socket: a service's three stay below the usual 1024 descriptors
SHOWN_OUT: Final = "shown out"
NO_CURVE: Final = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
GUEST: Final = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED
HANDSHAKE: Final = NO_CURVE | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_SUCCEEDED
Socket = zmq.Socket[bytes]


class Tally:
    """Who was turned away since it was last asked. The gatekeeper's thread counts, the loop asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count, self._latest = 0, ""

    def add(self, sentence: str) -> None:
        """One more; a sentence that can say from where stays before one that cannot."""
        with self._lock:
            self._count += 1
            if SOMEWHERE not in sentence or not self._latest:
                self._latest = sentence

    def take(self) -> tuple[int, str]:
        """How many, and a sentence about the last of whom there is something to say."""
        with self._lock:
            taken = self._count, self._latest
            self._count, self._latest = 0, ""
        return taken


@dataclass
class Watched:
    """A guarded socket: the descriptors of its connections, and from where they come.

    libzmq bounds neither; a process without a free descriptor could not open a device again.
    """

    socket: Socket
    monitor: Socket
    allowed: AllowList
    removed: int = 0  # of the list, when these guests were last looked at
    guests: dict[int, str] = field(default_factory=dict)
    without_key: bool = False  # the next connection that ends is one that has proven no key

    def hear(self, event: int, descriptor: int, endpoint: str) -> str:
        """What happened to a connection; a sentence when it was turned away without our being asked, else empty."""
        if event == zmq.EVENT_ACCEPTED:
            address = _peer(descriptor, endpoint)
            if len(self.guests) >= GUESTS_MAX and not self._make_room(endpoint):  # whoever came before stays
                self.guests[descriptor] = SHOWN_OUT
                show_out(descriptor, endpoint)
                return f"a connection from {address} was refused: there are {GUESTS_MAX} already"
            self.guests[descriptor] = address
        elif event == zmq.EVENT_DISCONNECTED:
            address, known = self.guests.pop(descriptor, SOMEWHERE), not self.without_key
            self.without_key = False
            if not known and address != SHOWN_OUT:
                return f"a connection from {address} without a key was refused"
        elif event & NO_CURVE:  # libzmq says so, and then that this connection has ended
            self.without_key = True
        return ""

    def _make_room(self, endpoint: str) -> bool:
        """End all connections when keys have left the list since: whose they are libzmq does not say.

        Who is still listed connects again at once.
        """
        self.allowed.look()
        if self.removed == self.allowed.removed:
            return False
        self.removed = self.allowed.removed
        for descriptor in self.guests:
            show_out(descriptor, endpoint)
        return True


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
        self._tally = Tally()

    def watch(self, socket: Socket) -> None:
        """Also count who knocks at `socket` without speaking CURVE: libzmq turns them away without asking us."""
        monitor = socket.get_monitor_socket(NO_CURVE | GUEST)
        self._watched[monitor] = Watched(socket, monitor, self._allowed, self._allowed.removed)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def refusals(self) -> tuple[int, str]:
        """How many connections were refused since the previous call, and a sentence about the last of them."""
        return self._tally.take()

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
                        self._tally.add(sentence)
                elif not self._answer(self._zap.recv_multipart()):
                    return

    def _answer(self, question: list[bytes]) -> bool:
        if len(question) < 7 or question[0] != VERSION:
            self._zap.send(b"")
            return len(question) != 1
        _, request_id, _, address, _, mechanism, key = question[:7]
        public = z85.encode(key) if mechanism == b"CURVE" and len(key) == 32 else b""
        if self._allowed.find(public) is None:
            self._tally.add(
                f"a connection from {address.decode(errors='replace')} was refused: its key "
                f"{public.decode()} is not in the key folder",
            )
            later = public.decode() in self._allowed.known  # a slip in the key folder: libzmq tries again after 300
            reply = (b"300" if later else b"400", b"not listed", b"")
        else:
            self._allowed.admitted()  # before any message of that connection can come
            reply = (b"200", b"", public)
        self._zap.send_multipart((VERSION, request_id, *reply, b""))
        return True


def _still(descriptor: int, endpoint: str) -> tcp.socket | None:
    """A connection of libzmq's at `endpoint`; nothing when its descriptor has become something else meanwhile."""
    with suppress(OSError, IndexError):
        connection = tcp.socket(fileno=os.dup(descriptor))
        if str(connection.getsockname()[1]) == endpoint.rpartition(":")[2]:
            return connection
        connection.close()
    return None


def _peer(descriptor: int, endpoint: str) -> str:
    """From where a connection of libzmq's comes, while it is there."""
    with suppress(OSError):
        if connection := _still(descriptor, endpoint):
            with connection:
                return str(connection.getpeername()[0])
    return SOMEWHERE


def show_out(descriptor: int, endpoint: str) -> None:
    """End a connection of libzmq's; a descriptor that has become something else in the meantime is left alone."""
    with suppress(OSError):
        if connection := _still(descriptor, endpoint):
            with connection:
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
