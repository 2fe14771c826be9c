"""Who is where: services announce themselves, anybody may ask; an announcement holds for 3 s.

The static table of the rig file works without it; it is for clients that know one address only, and for services whose
ports the kernel drew.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any, Final

import msgspec
import zmq

from controller.bus.endpoints import Endpoints, reached_through
from controller.bus.envelope import BusError, Envelope, Ids, body_as, decode, encode
from controller.bus.port import Reply
from controller.bus.roles import forbidden
from controller.bus.security import Security, speaker
from controller.bus.topics import TOPICS
from controller.bus.transport import Transport
from controller.bus.writer import Writer, reply_of
from hal.clock import NS, Clock

TTL_NS: Final = 3 * NS
NAME: Final = "registry"


class Announcement(msgspec.Struct, frozen=True):
    """Where a service listens, and which start and which topic table it is."""

    service: str
    cmd: str
    ctl: str
    tlm: str
    boot: bytes
    schema: str

    @property
    def endpoints(self) -> Endpoints:
        """The three sockets."""
        return Endpoints(self.cmd, self.ctl, self.tlm)


@cache
def schema_hash() -> str:
    """Twelve hex digits that change when a topic or its body does: who differ do not speak of the same things."""
    schemas = {name: msgspec.json.schema(topic.body) for name, topic in sorted(TOPICS.items())}
    return hashlib.sha256(msgspec.json.encode(schemas, order="sorted")).hexdigest()[:12]


class Registry:
    """Announcements that are younger than 3 s."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, tuple[int, Announcement]] = {}

    def announce(self, announcement: Announcement) -> None:
        """Remember or renew."""
        self._known[announcement.service] = (self._clock.now_ns(), announcement)

    def lookup(self) -> list[Announcement]:
        """Who is there, in alphabetical order."""
        oldest_ns = self._clock.now_ns() - TTL_NS
        self._known = {name: entry for name, entry in self._known.items() if entry[0] >= oldest_ns}
        return [self._known[name][1] for name in sorted(self._known)]


class RegistryServer:
    """A Registry on a ROUTER at the station's fixed port: methods `reg.announce` and `reg.lookup`."""

    def __init__(self, endpoint: str, clock: Clock, security: Security | None = None) -> None:
        self.registry = Registry(clock)
        self._writer = Writer(NAME, clock, Ids(), simulated=False)
        self._transport = Transport(security)
        try:
            self._channel = self._transport.channel(zmq.ROUTER)
            self.endpoint = self._transport.bind(self._channel.socket, endpoint, NAME)
            self._transport.open()
        except Exception:
            self._transport.abandon()
            raise

    def turn(self) -> None:
        """Answer what has come."""
        if not self._channel.stirred():
            return
        for received in self._channel.receive():
            if received.frames == 1:
                self._channel.send(self._answer(received.frame), received.peer)

    def _answer(self, frame: zmq.Frame) -> bytes:
        try:
            request = decode(frame.bytes)
        except BusError as error:
            return self._writer.answer(self._writer.write("req", ""), Reply("PROTOCOL", str(error)))
        security = self._transport.security
        principal = None if security is None else security.principal(frame)
        if security is not None and principal is None:
            return self._writer.answer(request, Reply("AUTH", "this key is not listed any more"))
        if principal is not None and (why := forbidden(principal, request.src, request.m)):
            return self._writer.answer(request, Reply("AUTH", why))
        return self._writer.answer(request, self._reply(request))

    def _reply(self, request: Envelope) -> Reply:
        method = request.m
        if method == "reg.lookup":
            found: dict[str, Any] = {
                item.service: msgspec.to_builtins(item, builtin_types=(bytes,)) for item in self.registry.lookup()
            }
            return Reply("", f"{len(found)} services", body=found)
        if method != "reg.announce":
            return Reply("SCHEMA", f"the registry has no method {method!r}", "reg.announce or reg.lookup")
        try:
            self.registry.announce(body_as(request, Announcement))
        except BusError as error:
            return Reply("SCHEMA", str(error))
        return Reply("", "announced")

    def close(self) -> None:
        """Close."""
        self._channel.close()
        self._transport.close()


class RegistryClient:
    """Announces to, and asks, the registry of a station."""

    def __init__(self, endpoint: str, clock: Clock, name: str = "cli", security: Security | None = None) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._security = security
        self._writer = Writer(speaker(name, security), clock, Ids(), simulated=False)

    def announce(self, announcement: Announcement, timeout_s: float = 1.0) -> None:
        """Announce a service. Raises BusError when nobody answers or the registry refuses."""
        self._ask("reg.announce", announcement, timeout_s)

    def lookup(self, timeout_s: float = 1.0) -> dict[str, Endpoints]:
        """The bus table of what runs now. Raises BusError when nobody answers."""
        found = msgspec.convert(self._ask("reg.lookup", {}, timeout_s).body or {}, dict[str, Announcement])
        return {name: self._reached(announcement) for name, announcement in found.items()}

    def _reached(self, at: Announcement) -> Endpoints:
        return Endpoints(*(reached_through(endpoint, self._endpoint) for endpoint in (at.cmd, at.ctl, at.tlm)))

    def _ask(self, method: str, body: object, timeout_s: float) -> Reply:
        transport = Transport(self._security)
        socket = transport.socket(zmq.DEALER)
        try:
            timeout_ms = max(1, round(timeout_s * 1000))
            socket.setsockopt(zmq.SNDTIMEO, timeout_ms)
            socket.setsockopt(zmq.RCVTIMEO, timeout_ms)
            socket.connect(self._endpoint)
            deadline_ns = self._clock.utc_ns() + round(timeout_s * NS)
            socket.send(encode(self._writer.request(NAME, method, body, deadline_ns, b"")))
            reply = reply_of(decode(socket.recv()))
        except zmq.Again:
            raise BusError(
                f"no station answers at {self._endpoint}: start one with `boresight run`, or check [bus] of the rig"
            ) from None
        finally:
            socket.close(0)
            transport.close()
        if reply.code:
            raise BusError(f"the registry at {self._endpoint} refuses: {reply.message}")
        return reply
