"""The four kinds of ZeroMQ sockets of the bus. They are not thread-safe: all of one object belong to one thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

import zmq

from controller.bus.endpoints import Endpoints, Table
from controller.bus.envelope import SEPARATOR, BusError, Envelope, decode, encode
from controller.bus.inbox import Inbox, Writer
from controller.bus.port import Reply
from controller.bus.roles import Principal
from controller.bus.topics import TOPICS
from controller.bus.transport import Socket, Transport, receive

COMMAND_BYTES_MAX: Final = 1 << 16
COMMANDS_AT_ONCE: Final = 50  # of a channel in one turn: each costs 0.3 ms, and the beam board waits 250 ms at most
BUFFER_BYTES: Final = 1 << 16
KEPT: Final = {"state": 1, "event": 64}  # messages of a topic that a new subscriber gets
TELEMETRY_LINGER_MS: Final = 200


class Publisher:
    """XPUB of one service; whoever subscribes gets the last value of every state, and the latest events, at once."""

    def __init__(self, transport: Transport, endpoint: str, owner: str) -> None:
        self._socket = transport.socket(zmq.XPUB)
        # Subscriptions take effect between two messages of ours, so that nobody joins in the middle of a replay.
        self._socket.setsockopt(zmq.XPUB_MANUAL, 1)
        self._socket.setsockopt(zmq.SNDBUF, BUFFER_BYTES)
        self._kept: dict[bytes, deque[bytes]] = {}
        self.endpoint = transport.bind(self._socket, endpoint, owner)

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

    def __init__(self, transport: Transport, endpoints: list[str]) -> None:
        self.socket = transport.socket(zmq.SUB)
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

    def __init__(self, transport: Transport, endpoints: Endpoints, writer: Writer, inbox: Inbox) -> None:
        self._security = transport.security
        self._writer = writer
        self._inbox = inbox
        self._ctl, self._cmd = transport.socket(zmq.ROUTER), transport.socket(zmq.ROUTER)
        for socket in (self._ctl, self._cmd):
            socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self.endpoints = (
            transport.bind(self._cmd, endpoints.cmd, writer.service),
            transport.bind(self._ctl, endpoints.ctl, writer.service),
        )

    def poll(self) -> None:
        """Admit what has arrived, control first."""
        for socket, control in ((self._ctl, True), (self._cmd, False)):
            if self._security is None:  # frames cost more than bytes, and say nothing here
                for parts in receive(socket, COMMANDS_AT_ONCE):
                    self._admit(socket, parts, control, None, "this machine")
            else:
                for frames in receive_frames(socket):
                    sender = self._security.principal(frames[-1])
                    known = sender.name if sender is not None else str(frames[-1].get("User-Id"))
                    who = f"{known} at {frames[-1].get('Peer-Address')}"
                    self._admit(socket, [frame.bytes for frame in frames], control, sender, who)

    def _admit(self, socket: Socket, parts: list[bytes], control: bool, principal: Principal | None, who: str) -> None:
        send = self._sender(socket, parts[0])
        try:
            envelope = decode_command(parts)
        except BusError as error:
            self._inbox.refuse(self._writer.write("req", ""), Reply("PROTOCOL", str(error)), send, who)
            return
        if self._security is not None and principal is None:
            self._inbox.refuse(envelope, Reply("AUTH", "this key is not listed any more"), send, who)
            return
        self._inbox.admit(envelope, control, send, principal)

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

    def __init__(self, transport: Transport, table: Table) -> None:
        self._transport = transport
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
            socket = self._transport.socket(zmq.DEALER)
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


def receive_frames(socket: Socket) -> Iterator[list[zmq.Frame]]:
    """As `receive`, with the frames, which know whose key they came with."""
    for _ in range(COMMANDS_AT_ONCE):
        try:
            yield socket.recv_multipart(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return


def decode_command(parts: list[bytes]) -> Envelope:
    """The envelope of a command: connection and one frame. Raises BusError when it is none or too long."""
    if len(parts) != 2:
        raise BusError(f"a command is one frame, this one has {len(parts) - 1}")
    if (size := len(parts[1])) > COMMAND_BYTES_MAX:
        raise BusError(f"a command of {size} bytes is too long: {COMMAND_BYTES_MAX} bytes at most")
    return decode(parts[1])
