"""The door of a process with keys: answers libzmq's question who may connect (ZAP, RFC 27), and counts who may not.

A thread of its own, so that a connection waits for no loop, and a flood of strangers takes time from none.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
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
NO_CURVE: Final = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
HANDSHAKE: Final = NO_CURVE | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_SUCCEEDED
Socket = zmq.Socket[bytes]


class Gatekeeper:
    """Make it before the sockets that it guards are bound, `watch` each, then `start`."""

    def __init__(self, context: zmq.Context[Socket], allowed: AllowList) -> None:
        self._context = context
        self._allowed = allowed
        self._zap = context.socket(zmq.REP)
        self._zap.setsockopt(zmq.LINGER, 0)
        self._zap.bind(ENDPOINT)
        self._guarded: list[Socket] = []
        self._monitors: list[Socket] = []
        self._thread = threading.Thread(target=self._run, name="gatekeeper", daemon=True)
        self._lock = threading.Lock()
        self._refused: Counter[str] = Counter()
        self._latest: deque[str] = deque(maxlen=REMEMBERED)

    def watch(self, socket: Socket) -> None:
        """Also count who knocks at `socket` without speaking CURVE: libzmq turns them away without asking us."""
        self._guarded.append(socket)
        self._monitors.append(socket.get_monitor_socket(NO_CURVE))

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
        for socket in self._guarded:
            if not socket.closed:
                socket.disable_monitor()
        for monitor in (*self._monitors, self._zap):
            monitor.close(0)

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
        for socket in (self._zap, *self._monitors):
            poller.register(socket, zmq.POLLIN)
        while True:
            for socket, _ in poller.poll():
                if socket is not self._zap:
                    recv_monitor_message(socket, zmq.NOBLOCK)
                    self._count("no key", "a connection without a key was refused")
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
            reply = (b"200", b"", public)
        self._zap.send_multipart((VERSION, request_id, *reply, b""))
        return True

    def _count(self, why: str, sentence: str) -> None:
        with self._lock:
            self._refused[why] += 1
            self._latest.append(sentence)


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
