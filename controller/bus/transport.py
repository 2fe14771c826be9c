"""How the sockets of one process are made: options, loopback or keys, and who watches the door.

A high-water mark bounds memory, not age: freshness comes from time stamps, losses from sequence numbers. A DEALER
would queue for a dead server and deliver to its successor: IMMEDIATE, the deadline and the boot id forbid it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import zmq

from controller.bus.endpoints import host_of, refuse_remote
from controller.bus.envelope import BusError
from controller.bus.gatekeeper import Gatekeeper, prove_refusal
from controller.bus.security import Security
from controller.bus.watch import Channel, Socket, Watch

MESSAGE_BYTES_MAX: Final = 1 << 20  # whoever sends more is cut off by libzmq
HANDSHAKE_MS: Final = 2000  # whoever connects and does not say who it is goes after that
KEEPALIVE_S: Final = ((zmq.TCP_KEEPALIVE_IDLE, 2), (zmq.TCP_KEEPALIVE_INTVL, 1), (zmq.TCP_KEEPALIVE_CNT, 3))
HIGH_WATER: Final = 1000
ZERO_COPY_RECV: Final = 10  # of libzmq's contexts (zmq.h, among its drafts); pyzmq has no name for it


class Transport:
    """A ZeroMQ context and, on a bus with keys, our key, the allow-list and its gatekeeper.

    Bind everything, a ROUTER among it, then `open` it: only then does anybody get in.
    """

    def __init__(self, security: Security | None = None) -> None:
        self.context: zmq.Context[Socket] = zmq.Context()
        # Else a message that waits holds the 8 kB that it came in: of whoever does not read for a second, 4 MB that its
        # process keeps for good. A copy costs 0.3 us.
        with suppress(zmq.ZMQError):  # a libzmq without the option takes the memory
            self.context.set(ZERO_COPY_RECV, 0)
        self.heard = Watch()  # telemetry and answers
        self.door = Watch()  # commands and subscriptions
        self.security = security
        self._gatekeeper = None if security is None else Gatekeeper(self.context, security.allowed)
        self._router = ""

    def socket(self, kind: int) -> Socket:
        """A socket with the options common to all channels."""
        socket = self.context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        if kind == zmq.DEALER:  # queue for no dead server; on a SUB it would drop the last words of a service that ends
            socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.SNDTIMEO, 0)
        socket.setsockopt(zmq.MAXMSGSIZE, MESSAGE_BYTES_MAX)
        socket.setsockopt(zmq.SNDHWM, HIGH_WATER)
        socket.setsockopt(zmq.RCVHWM, 0 if kind == zmq.DEALER else HIGH_WATER)  # answers: as many as were asked for
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        socket.setsockopt(zmq.RECONNECT_IVL, 50)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 200)  # a service that starts late is found soon
        # The kernel finds a peer whose cable was pulled. ZMTP heartbeats must stay off: they cut off a reader that
        # stands still with a full queue, and libzmq aborts the reader when it goes on (ADR 0005).
        socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        for option, value in KEEPALIVE_S:
            socket.setsockopt(option, value)
        if self.security is not None and kind in {zmq.DEALER, zmq.SUB}:
            self.security.dial(socket)
        return socket

    def channel(self, kind: int) -> Channel:
        """Such a socket, watched."""
        watch = self.door if kind in {zmq.ROUTER, zmq.XPUB} else self.heard
        return watch.channel(self.socket(kind))

    def bind(self, socket: Socket, endpoint: str, owner: str) -> str:
        """Bind, with keys anywhere, else on loopback; returns the endpoint with the port that was given (0 or not).

        Raises:
            BusError: not a loopback address and no keys, or the port is taken.
        """
        if self._gatekeeper is None or self.security is None:
            refuse_remote(host_of(endpoint))
        else:
            self.security.serve(socket)
            self._gatekeeper.watch(socket)
        try:
            socket.bind(endpoint)
        except zmq.ZMQError as error:
            if error.errno == zmq.EADDRINUSE:
                raise BusError(
                    f"{endpoint} of service {owner!r} is in use: a station is running with this [bus] base_port; "
                    "stop it, or give this one another base_port"
                ) from None
            raise BusError(f"{endpoint} of service {owner!r} cannot be bound: {error}") from None
        bound = socket.getsockopt_string(zmq.LAST_ENDPOINT)
        if socket.type == zmq.ROUTER:
            self._router = bound
        return bound

    def open(self) -> None:
        """Let in who is listed. Raises BusError unless a key that is not listed is turned away."""
        if self._gatekeeper is None or self.security is None:
            return
        self._gatekeeper.start()
        prove_refusal(self.context, self._router, self.security.me.public)
        self._gatekeeper.refusals()

    def refusals(self) -> tuple[int, str]:
        """Connections that were refused since the previous call, and a sentence about the last."""
        return (0, "") if self._gatekeeper is None else self._gatekeeper.refusals()

    def close(self) -> None:
        """Close, once every socket is closed."""
        if self._gatekeeper is not None:
            self._gatekeeper.close()
        self.heard.close()
        self.door.close()
        self.context.term()

    def abandon(self) -> None:
        """Close with every socket that is still open: the start has failed."""
        if self._gatekeeper is not None:
            self._gatekeeper.close()
        self.heard.close()
        self.door.close()
        self.context.destroy(0)
