"""The holder's side of leases: acquire, keep renewed while there is work, give back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, Protocol

import msgspec

from controller.bus.envelope import BusError, Lease
from controller.bus.lease import LEASE_KEEPER, Granted
from controller.bus.port import Port, Reply, Request, Sample
from controller.bus.topics import Body, Topic
from hal.clock import NS, Clock

TTL_S: Final = 10.0
RENEWALS: Final = 4  # in that time: two may be lost
AGAIN_NS: Final = NS // 4  # a renewal that was not obeyed is asked for again so soon
LOST: Final = frozenset({"LEASE_STALE", "NO_LEASE", "AUTH"})  # what the keeper says of a lease that is
CALL_TIMEOUT_S: Final = 2.0


class LeaseRefusedError(BusError):
    """Somebody else holds the lease, or it was lost; the message says who."""


class Caller(Protocol):
    """A Port or a Client."""

    def call(
        self,
        service: str,
        method: str,
        body: dict[str, Any],
        timeout_s: float,
        control: bool = False,
        lease: Lease | None = None,
    ) -> Reply:
        """Send a command and wait for its answer."""
        ...


class AsyncCaller(Protocol):
    """An AsyncClient."""

    async def call(
        self,
        service: str,
        method: str,
        body: dict[str, Any],
        timeout_s: float,
        control: bool = False,
        lease: Lease | None = None,
    ) -> Reply:
        """Send a command and wait for its answer."""
        ...


def acquire(caller: Caller, scope: str, reason: str, ttl_s: float = TTL_S, preempt: bool = False) -> Lease:
    """A lease that ends when nobody renews it for `ttl_s`. Raises LeaseRefusedError."""
    wish = _wish(scope, reason, ttl_s, preempt)
    return _granted(caller.call(LEASE_KEEPER, "lease.acquire", wish, CALL_TIMEOUT_S, True))


@contextmanager
def leased(caller: Caller, scope: str, reason: str, ttl_s: float = TTL_S, preempt: bool = False) -> Iterator[Lease]:
    """Hold a lease for a few commands that are over before it is. Raises LeaseRefusedError."""
    token = acquire(caller, scope, reason, ttl_s, preempt)
    try:
        yield token
    finally:
        caller.call(LEASE_KEEPER, "lease.release", {}, CALL_TIMEOUT_S, True, token)


@asynccontextmanager
async def leased_async(
    caller: AsyncCaller, scope: str, reason: str, ttl_s: float = TTL_S, preempt: bool = False
) -> AsyncIterator[Lease]:
    """`leased` for an asyncio client; a task that is cancelled gives the lease back. Raises LeaseRefusedError."""
    wish = _wish(scope, reason, ttl_s, preempt)
    asked = asyncio.ensure_future(caller.call(LEASE_KEEPER, "lease.acquire", wish, CALL_TIMEOUT_S, True))
    token: Lease | None = None
    try:
        token = _granted(await asyncio.shield(asked))
        yield token
    finally:
        if token is None and not (reply := await asked).code:  # cancelled while it was on its way
            token = _granted(reply)
        if token is not None:
            await caller.call(LEASE_KEEPER, "lease.release", {}, CALL_TIMEOUT_S, True, token)


def _wish(scope: str, reason: str, ttl_s: float, preempt: bool) -> dict[str, Any]:
    return {"scope": scope, "ttl_s": ttl_s, "reason": reason, "preempt": preempt}


def _granted(reply: Reply) -> Lease:
    if reply.code:
        raise LeaseRefusedError(f"{reply.message}{f' ({reply.hint})' if reply.hint else ''}")
    granted = msgspec.convert(reply.body, Granted)
    return Lease(granted.id, granted.gen)


@contextmanager
def holding(clock: Clock, port: Port, scope: str, reason: str, preempt: bool = False) -> Iterator[HeldPort]:
    """Hold a lease for work of any length done with the port that comes. Raises LeaseRefusedError."""
    with leased(port, scope, reason, preempt=preempt) as token:
        yield HeldPort(clock, port, token)


class HeldPort:
    """A Port whose commands carry a lease, and whose use keeps it: whoever stops working stops holding.

    Any use raises LeaseRefusedError once the lease is lost.
    """

    def __init__(self, clock: Clock, port: Port, lease: Lease, ttl_s: float = TTL_S) -> None:
        self.service = port.service
        self._clock = clock
        self._port = port
        self._lease = lease
        self._ttl_s = ttl_s
        self._renewal: bytes | None = None
        self._due_ns = clock.now_ns() + self._pause_ns

    @property
    def stopped(self) -> bool:
        """True once the service should return from its loop."""
        return self._port.stopped

    def publish(self, topic: Topic, body: Body) -> None:
        """Send telemetry; never blocks."""
        self._port.publish(topic, body)

    def latest(self, topic: Topic, source: str = "") -> Sample[Any] | None:
        """The newest sample of a topic, however old."""
        return self._kept().latest(topic, source)

    def fresh(self, topic: Topic, source: str = "") -> Any | None:
        """The newest body, or None when it is older than the topic's stale-after."""
        return self._kept().fresh(topic, source)

    def drain(self, topic: Topic) -> list[Sample[Any]]:
        """All samples since the previous call."""
        return self._kept().drain(topic)

    def listen(self, topics: tuple[Topic, ...], until_ns: int) -> bool:
        """Block until a message of these topics comes (True), or until monotonic `until_ns` (False)."""
        return self._kept().listen(topics, until_ns)

    def requests(self) -> list[Request]:
        """Commands that arrived since the previous call; control requests first."""
        return self._kept().requests()

    def answer(self, request: Request, reply: Reply) -> None:
        """Finish a command."""
        self._port.answer(request, reply)

    def send(
        self,
        service: str,
        method: str,
        body: dict[str, Any],
        timeout_s: float,
        control: bool = False,
        lease: Lease | None = None,
    ) -> bytes:
        """Send a command and go on; the id that comes back is what `result` asks for."""
        return self._kept().send(service, method, body, timeout_s, control, lease or self._lease)

    def result(self, request_id: bytes) -> Reply | None:
        """The answer to a command sent with `send`, once; None while there is none."""
        return self._kept().result(request_id)

    def call(
        self,
        service: str,
        method: str,
        body: dict[str, Any],
        timeout_s: float,
        control: bool = False,
        lease: Lease | None = None,
    ) -> Reply:
        """Send a command and wait for its answer."""
        return self._kept().call(service, method, body, timeout_s, control, lease or self._lease)

    @property
    def _pause_ns(self) -> int:
        return round(self._ttl_s / RENEWALS * NS)

    def _kept(self) -> Port:
        """The port, with the lease renewed when a part of its time has gone; never waits for the answer."""
        port = self._port
        if self._renewal is not None and (reply := port.result(self._renewal)) is not None:
            self._renewal = None
            self._due_ns = self._clock.now_ns() + AGAIN_NS if reply.code else self._due_ns
            if reply.code in LOST:
                raise LeaseRefusedError(f"{reply.message}: somebody took it, or this process was held up for too long")
        if self._renewal is None and self._clock.now_ns() >= self._due_ns:
            self._due_ns = self._clock.now_ns() + self._pause_ns
            body = {"ttl_s": self._ttl_s}
            self._renewal = port.send(LEASE_KEEPER, "lease.renew", body, CALL_TIMEOUT_S, True, self._lease)
        return port
