"""The four kinds of ZeroMQ sockets of the bus, each with the options that its traps ask for.

A high-water mark bounds memory, not age: freshness comes from time stamps, losses from sequence numbers. A DEALER
would queue for a dead server and deliver to its successor: IMMEDIATE, the deadline and the boot id forbid it. Sockets
are not thread-safe: all of one object belong to one thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

import zmq

from controller.bus.endpoints import Endpoints, Table, host_of, refuse_remote
from controller.bus.envelope import SEPARATOR, BusError, Envelope, decode, encode
from controller.bus.inbox import Inbox, Writer
from controller.bus.port import Reply
from controller.bus.topics import TOPICS

MESSAGE_BYTES_MAX: Final = 1 << 20
HIGH_WATER: Final = 1000
BUFFER_BYTES: Final = 1 << 16
BATCH: Final = 1000  # messages taken at once, so that a flood cannot hold a cycle for ever
KEPT: Final = {"state": 1, "event": 64}  # messages of a topic that a new subscriber gets
TELEMETRY_LINGER_MS: Final = 200

Socket = zmq.Socket[bytes]


def new_socket(context: zmq.Context[Socket], kind: int) -> Socket:
    """A socket with the options common to all channels."""
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    if kind == zmq.DEALER:  # queue for no dead server; on a SUB it would drop the last words of a service that ends
        socket.setsockopt(zmq.IMMEDIATE, 1)
    socket.setsockopt(zmq.SNDTIMEO, 0)
    socket.setsockopt(zmq.MAXMSGSIZE, MESSAGE_BYTES_MAX)
    socket.setsockopt(zmq.SNDHWM, HIGH_WATER)
    socket.setsockopt(zmq.RCVHWM, HIGH_WATER)
    socket.setsockopt(zmq.HEARTBEAT_IVL, 500)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 1500)
    socket.setsockopt(zmq.HEARTBEAT_TTL, 2000)
    socket.setsockopt(zmq.RECONNECT_IVL, 50)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 200)  # loopback: a service that starts late is found soon
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    return socket


def bind(socket: Socket, endpoint: str, owner: str) -> str:
    """Bind on loopback; returns the endpoint with the port that was given (asked for as 0 or not).

    Raises:
        BusError: not a loopback address, or the port is taken.
    """
    refuse_remote(host_of(endpoint))
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        if error.errno == zmq.EADDRINUSE:
            raise BusError(
                f"{endpoint} of service {owner!r} is in use: a station is running with this [bus] base_port; "
                "stop it, or give this one another base_port"
            ) from None
        raise BusError(f"{endpoint} of service {owner!r} cannot be bound: {error}") from None
    return socket.getsockopt_string(zmq.LAST_ENDPOINT)


def receive(socket: Socket, limit: int = BATCH) -> Iterator[list[bytes]]:
    """Messages that are there now, at most `limit`; never waits."""
    for _ in range(limit):
        try:
            yield socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return


class Publisher:
    """XPUB of one service; whoever subscribes gets the last value of every state, and the latest events, at once."""

    def __init__(self, context: zmq.Context[Socket], endpoint: str, owner: str) -> None:
        self._socket = new_socket(context, zmq.XPUB)
        # Subscriptions take effect between two messages of ours, so that nobody joins in the middle of a replay.
        self._socket.setsockopt(zmq.XPUB_MANUAL, 1)
        self._socket.setsockopt(zmq.SNDBUF, BUFFER_BYTES)
        self._kept: dict[bytes, deque[bytes]] = {}
        self.endpoint = bind(self._socket, endpoint, owner)

    def publish(self, name: str, data: bytes) -> None:
        """Send a telemetry frame; a subscriber that does not keep up loses it and sees a gap."""
        self.welcome()
        kind = TOPICS[name].kind
        if kind in KEPT:
            self._kept.setdefault(name.encode(), deque(maxlen=KEPT[kind])).append(data)
        self._socket.send(data, zmq.NOBLOCK)

    def welcome(self) -> None:
        """Replay what is kept to new subscribers; the others drop it as seen."""
        for parts in receive(self._socket):
            prefix, what = parts[0][1:], parts[0][:1]
            if what == b"\x00":
                self._socket.setsockopt(zmq.UNSUBSCRIBE, prefix)
            elif what == b"\x01":
                self._socket.setsockopt(zmq.SUBSCRIBE, prefix)
                for name, kept in self._kept.items():
                    if (name + SEPARATOR).startswith(prefix):
                        for data in kept:
                            self._socket.send(data, zmq.NOBLOCK)

    def close(self) -> None:
        """Close; what was published last still leaves."""
        self._socket.close(TELEMETRY_LINGER_MS)


class Subscriber:
    """SUB connected to the telemetry of several services."""

    def __init__(self, context: zmq.Context[Socket], endpoints: list[str]) -> None:
        self.socket = new_socket(context, zmq.SUB)
        self.socket.setsockopt(zmq.RCVBUF, BUFFER_BYTES)
        self._topics: set[str] = set()
        for endpoint in endpoints:
            self.socket.connect(endpoint)

    def subscribe(self, name: str) -> None:
        """From now on receive a topic; its last value comes first."""
        if name not in self._topics:
            self._topics.add(name)
            self.socket.setsockopt(zmq.SUBSCRIBE, name.encode() + SEPARATOR)

    def frames(self) -> Iterator[bytes]:
        """Frames that are there now."""
        for parts in receive(self.socket):
            if len(parts) == 1:
                yield parts[0]

    def close(self) -> None:
        """Close."""
        self.socket.close(0)


class Server:
    """The two ROUTERs of one service: commands, and control that never queues behind them."""

    def __init__(self, context: zmq.Context[Socket], endpoints: Endpoints, writer: Writer, inbox: Inbox) -> None:
        self._writer = writer
        self._inbox = inbox
        self._ctl, self._cmd = new_socket(context, zmq.ROUTER), new_socket(context, zmq.ROUTER)
        for socket in (self._ctl, self._cmd):
            socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self.endpoints = (
            bind(self._cmd, endpoints.cmd, writer.service),
            bind(self._ctl, endpoints.ctl, writer.service),
        )

    def poll(self) -> None:
        """Admit what has arrived, control first."""
        for socket, control in ((self._ctl, True), (self._cmd, False)):
            for parts in receive(socket):
                if len(parts) == 2:
                    self._admit(socket, parts[0], parts[1], control)

    def _admit(self, socket: Socket, peer: bytes, data: bytes, control: bool) -> None:
        send = self._sender(socket, peer)
        try:
            envelope = decode(data)
        except BusError as error:
            unreadable = self._writer.write("req", "")
            send(self._writer.answer(unreadable, Reply("PROTOCOL", str(error))))
            return
        self._inbox.admit(envelope, control, send)

    @staticmethod
    def _sender(socket: Socket, peer: bytes) -> Callable[[Envelope], None]:
        def send(answer: Envelope) -> None:
            try:
                socket.send_multipart((peer, encode(answer)), zmq.NOBLOCK)
            except zmq.ZMQError as error:
                if error.errno not in {zmq.EHOSTUNREACH, zmq.EAGAIN}:
                    raise  # whoever asked and has gone misses the answer; anything else is a fault of ours

        return send

    def close(self) -> None:
        """Close."""
        self._ctl.close(0)
        self._cmd.close(0)


class Dialler:
    """DEALERs to the other services, made on first use."""

    def __init__(self, context: zmq.Context[Socket], table: Table) -> None:
        self._context = context
        self._table = table
        self._sockets: dict[tuple[str, bool], Socket] = {}

    @property
    def sockets(self) -> list[Socket]:
        """All sockets that answers may come from."""
        return list(self._sockets.values())

    def socket(self, service: str, control: bool) -> Socket:
        """The socket to a channel of a service. Raises BusError when the table does not have the service."""
        key = (service, control)
        if key not in self._sockets:
            if service not in self._table:
                raise BusError(f"no service {service!r} is in the bus table ({', '.join(self._table)})")
            endpoints = self._table[service]
            socket = new_socket(self._context, zmq.DEALER)
            socket.connect(endpoints.ctl if control else endpoints.cmd)
            self._sockets[key] = socket
        return self._sockets[key]

    def answers(self) -> Iterator[Envelope]:
        """Answers that are there now; unreadable ones are dropped (the command then times out)."""
        for socket in self.sockets:
            for parts in receive(socket):
                try:
                    yield decode(parts[-1])
                except BusError:
                    continue

    def close(self) -> None:
        """Close all."""
        for socket in self.sockets:
            socket.close(0)
