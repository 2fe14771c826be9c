"""ZeroMQ sockets of the bus but the one that publishes. Not thread-safe: all of one object belong to one thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

import zmq

from controller.bus.endpoints import Endpoints, Table
from controller.bus.envelope import SEPARATOR, BusError, Command, decode_command
from controller.bus.inbox import Inbox, Sender
from controller.bus.port import Reply, Request
from controller.bus.roles import Principal
from controller.bus.security import USER_ID, Everybody
from controller.bus.transport import Transport
from controller.bus.watch import Channel, Received
from controller.bus.writer import Writer

OVERTAKEN_TURNS: Final = 20  # a thousand commands: what libzmq keeps of one connection
COMMANDS_AT_ONCE: Final = 50  # of a channel in one turn: each costs 0.3 ms, and the beam board waits 250 ms at most
PEERS_MAX: Final = 1000  # whose kinds of commands are remembered,
KINDS_MAX: Final = 4  # so many of each
BLOCK_MS: Final = 2  # whoever waits for commands looks at everything else this often
BUFFER_BYTES: Final = 1 << 16


class Subscriber:
    """SUB connected to the telemetry of several services."""

    def __init__(self, transport: Transport, endpoints: list[str]) -> None:
        self.channel = transport.channel(zmq.SUB)
        self.channel.socket.setsockopt(zmq.RCVBUF, BUFFER_BYTES)
        self.stirred = self.channel.stirred  # whether there may be frames
        self._topics: set[str] = set()
        for endpoint in endpoints:
            self.channel.socket.connect(endpoint)

    def subscribe(self, name: str) -> None:
        """From now on receive a topic; its last value comes first."""
        if name not in self._topics:
            self._topics.add(name)
            self.channel.socket.setsockopt(zmq.SUBSCRIBE, name.encode() + SEPARATOR)
            self.channel.used = True

    def wait(self, timeout_ms: int) -> None:
        """Block until there is something to read, at most `timeout_ms`."""
        self.channel.wait_readable(timeout_ms)

    def frames(self) -> Iterator[bytes]:
        """Frames that are there now."""
        for received in self.channel.receive():
            if received.frames == 1:
                yield received.frame.bytes

    def close(self) -> None:
        """Close."""
        self.channel.close()


class Server:
    """The two ROUTERs of one service: commands, and control that never queues behind them."""

    def __init__(self, transport: Transport, endpoints: Endpoints, writer: Writer, inbox: Inbox) -> None:
        self._security = transport.security
        self._rights = Everybody() if self._security is None else self._security.allowed
        self._epoch = self._rights.epoch
        self._writer = writer
        self._inbox = inbox
        self._senders: dict[bytes, deque[Sender]] = {}  # by connection, of this epoch
        self._again = inbox.again
        self._overtaken_turns = 0  # in which what is read has been sent before a stop
        self._ctl, self._cmd = transport.channel(zmq.ROUTER), transport.channel(zmq.ROUTER)
        for channel in (self._ctl, self._cmd):
            channel.socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
            channel.socket.setsockopt(zmq.RCVTIMEO, BLOCK_MS)
        self._recv = self._cmd.recv
        self.endpoints = (
            transport.bind(self._cmd.socket, endpoints.cmd, writer.service),
            transport.bind(self._ctl.socket, endpoints.ctl, writer.service),
        )

    def poll(self) -> None:
        """Admit what has arrived, control first, at most 50 of each. The door must have been looked at.

        A stop has overtaken every command that is there, and those that are not read in this turn.
        """
        ctl, cmd, inbox = self._ctl, self._cmd, self._inbox
        if ctl.used or ctl.rung:
            self._drain(ctl, True)
        if inbox.stopping:
            self._overtaken_turns = OVERTAKEN_TURNS
        if self._overtaken_turns:
            empty = self._drain(cmd, False)
            self._overtaken_turns = 0 if empty else self._overtaken_turns - 1
            inbox.overtake()
        elif cmd.used or cmd.rung:
            self._drain(cmd, False)

    @property
    def overtaking(self) -> bool:
        """Whether a stop has overtaken commands that are not read yet: `poll`, which refuses them, comes first."""
        return self._overtaken_turns > 0

    def wait(self) -> Request | None:
        """Block for a command, at most 2 ms; returns it if it needs no more thought (`Inbox.straight`).

        Whoever waits again and again must call `look` meanwhile, as often: then keys are known that are listed no more.
        To block for one socket costs a tenth of a round trip less than to wait for several (docs/benchmarks.md).
        """
        cmd, recv = self._cmd, self._recv
        cmd.used = True
        try:
            peer = recv()
            frame = recv(0, False)
        except zmq.Again:
            return None
        if self._rights.epoch is not self._epoch:  # asked after the message has come: it may be a newcomer's
            self._epoch = self._rights.epoch
            self._senders.clear()
        senders = self._senders.get(peer)
        if senders is not None and not frame.more:
            data = frame.bytes
            for sender in senders:
                if (request := self._again(sender, data)) is not None:
                    return request
        return self._admit(cmd, cmd.whole(peer, frame), False, True)

    def look(self) -> None:
        """Take in who is listed now."""
        self._rights.look()

    def _drain(self, channel: Channel, control: bool) -> bool:
        """Admit 50 messages; returns whether there are no more."""
        for _ in range(COMMANDS_AT_ONCE):
            if (received := channel.next()) is None:
                return True
            self._admit(channel, received, control, False)
        return False

    def _admit(self, channel: Channel, received: Received, control: bool, straight: bool) -> Request | None:
        principal, frame, inbox = None, received.frame, self._inbox
        send = channel.back(received.peer)
        if self._security is not None:
            principal = self._security.principal(frame)
        try:
            envelope = decode_command(frame.bytes, received.frames)
        except BusError as error:
            who = self._who(received, principal)
            inbox.refuse(self._writer.write("req", ""), Reply("PROTOCOL", str(error)), send, who)
            return None
        if self._security is not None and principal is None:
            refusal = Reply("AUTH", "this key is not listed any more")
            inbox.refuse(envelope, refusal, send, self._who(received, principal))
            return None
        if straight and (request := inbox.straight(envelope, send, principal)) is not None:
            if isinstance(envelope, Command):
                self._know(received.peer, inbox.known(envelope, send, principal))
            return request
        inbox.admit(envelope, control, send, principal)
        return None

    def _know(self, peer: bytes, sender: Sender) -> None:
        """The next command like this one takes less time. Of a connection a few kinds are remembered."""
        if peer not in self._senders and len(self._senders) >= PEERS_MAX:
            self._senders.clear()
        self._senders.setdefault(peer, deque(maxlen=KINDS_MAX)).appendleft(sender)

    def _who(self, received: Received, principal: Principal | None) -> str:
        """Who sent what is refused, for the log: the owner of a key, or the key, and where it is."""
        if self._security is None:
            return "this machine"
        known = received.frame.get(USER_ID) if principal is None else principal.name
        return f"{known} at {received.frame.get('Peer-Address')}"

    def close(self) -> None:
        """Close."""
        self._ctl.close()
        self._cmd.close()


class Dialler:
    """DEALERs to the other services, made on first use."""

    def __init__(self, transport: Transport, table: Table) -> None:
        self._transport = transport
        self._table = table
        self.known: dict[tuple[str, bool], Channel] = {}

    def channel(self, service: str, control: bool) -> Channel:
        """The way to a channel of a service. Raises BusError when the table does not have the service."""
        key = (service, control)
        if (known := self.known.get(key)) is not None:
            return known
        if service not in self._table:
            raise BusError(f"no service {service!r} is in the bus table ({', '.join(self._table)})")
        endpoints = self._table[service]
        channel = self.known[key] = self._transport.channel(zmq.DEALER)
        channel.socket.connect(endpoints.ctl if control else endpoints.cmd)
        return channel

    def look(self) -> list[Channel]:
        """The channels on which an answer may be."""
        self._transport.heard.look(0)
        return [channel for channel in self.known.values() if channel.used or channel.rung]

    def wait(self, timeout_s: float) -> None:
        """Block until telemetry or an answer has come, at most `timeout_s`."""
        self._transport.heard.wait(timeout_s)

    def close(self) -> None:
        """Close all."""
        for channel in self.known.values():
            channel.close()
