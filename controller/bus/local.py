"""The bus of lockstep: an ordered in-process queue with the real envelope, codec, numbering and command rules.

Every message is encoded and decoded as on a socket; what is missing is the socket. A message is delivered at the
moment it is sent, in the order of sending, so a run has one order of events. One thread runs at a time (lockstep).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final, Protocol, runtime_checkable

from controller.bus.envelope import BusError, Envelope, Ids, Lease, decode, decode_command, encode, frame, unframe
from controller.bus.fence import Fence
from controller.bus.inbox import Inbox
from controller.bus.lease import LEASE_KEEPER
from controller.bus.port import Reply, Request, Sample
from controller.bus.ring import Rings
from controller.bus.roles import Principal
from controller.bus.store import Newest, Numbering, Store, refuse_truth
from controller.bus.topics import STATION_LEASE, Body, Topic
from controller.bus.writer import Writer, reply_of
from hal.clock import NS, Clock

Tap = Callable[[str, Envelope], None]
POLL_NS: Final = NS // 1000


@runtime_checkable
class Waiter(Protocol):
    """The lockstep executor, as a blocking bus call sees it."""

    def wait(self, ready: Callable[[], int | None], deadline_ns: int | None) -> bool:
        """Block the calling service in simulated time; True when `ready` named a moment before the deadline."""
        ...


class LocalBus:
    """All services of one process on one ordered queue.

    `seed` draws boot and message ids. `waiter` lets a call block without polling; the lockstep executor is one, and
    is found by itself when it is also the clock.
    """

    def __init__(self, clock: Clock, seed: int | str = 0, simulated: bool = True, waiter: Waiter | None = None) -> None:
        self.clock = clock
        self._seed = seed
        self._simulated = simulated
        self._waiter = waiter or (clock if isinstance(clock, Waiter) else None)
        self._ports: dict[str, LocalPort] = {}
        self._starts: Counter[str] = Counter()
        self._newest = Newest()
        self._taps: list[Tap] = []
        self._stopped = False
        self.principals: dict[str, Principal] = {}  # who has which key, where a bus with keys is played

    def port(self, service: str) -> LocalPort:
        """The port of a service; made on first use, which is its start on the bus."""
        if service not in self._ports:
            self._starts[service] += 1
            again = f":{self._starts[service]}" if self._starts[service] > 1 else ""
            ids = Ids(f"{self._seed}:{service}{again}")
            writer = Writer(service, self.clock, ids, self._simulated)
            self._ports[service] = LocalPort(self, writer, Store(self._newest))
        return self._ports[service]

    def leave(self, service: str) -> None:
        """Forget a service that has ended: its next port is another start, with a boot id of its own."""
        if (port := self._ports.pop(service, None)) is not None:
            port.store.close()

    def tap(self, listener: Tap) -> None:
        """Call `listener(topic, envelope)` with every telemetry message, truth included: recorder and bench."""
        self._taps.append(listener)

    def untap(self, listener: Tap) -> None:
        """Call it no more."""
        self._taps.remove(listener)

    @property
    def stopped(self) -> bool:
        """True once `stop` was called."""
        return self._stopped

    def stop(self) -> None:
        """Tell every service to return from its loop."""
        self._stopped = True

    def gaps(self) -> int:
        """Telemetry messages that were missed: none, or somebody who drains a topic has stopped doing so."""
        return self._newest.gaps.total()

    def gaps_by_topic(self) -> dict[str, int]:
        """The same, by topic."""
        return dict(self._newest.gaps)

    def telemetry(self, data: bytes) -> None:
        """Deliver a telemetry frame to every port and tap."""
        envelope = unframe(data)
        self._newest.accept(envelope, self.clock.now_ns())
        for listener in self._taps:
            listener(envelope.m, envelope)

    def command(self, data: bytes, control: bool) -> bool:
        """Deliver a command; False when nobody by that name is on the bus."""
        envelope = decode_command(data)
        server, client = self._ports.get(envelope.dst), self._ports[envelope.src]
        if server is None:
            return False
        principal = self.principals.get(envelope.src)
        server.inbox.admit(envelope, control, lambda answer: client.answered(decode(answer)), principal)
        return True

    def boot_of(self, service: str) -> bytes:
        """Boot id of a service, empty when it is not on the bus."""
        port = self._ports.get(service)
        return port.writer.boot if port else b""

    def wait(self, ready: Callable[[], int | None], deadline_ns: int) -> None:
        """Block the caller in the Clock's time."""
        if self._waiter is not None:
            self._waiter.wait(ready, deadline_ns)
            return
        while ready() is None and (now_ns := self.clock.now_ns()) < deadline_ns:
            self.clock.sleep_until(min(deadline_ns, now_ns + POLL_NS))


class LocalPort:
    """A service's port on the LocalBus; implements `controller.bus.port.Port`."""

    def __init__(self, bus: LocalBus, writer: Writer, store: Store) -> None:
        self.service = writer.service
        self.writer = writer
        self.store = store
        self.inbox = Inbox(writer)
        self._bus = bus
        self._numbers = Numbering(writer.service)
        self._replies: dict[bytes, tuple[int, Reply] | None] = {}
        self._rings = Rings(lambda request, reply: self.inbox.finish(request, reply, remember=False))
        self._fence = Fence(self.service, bus.clock, lambda: self.fresh(STATION_LEASE, LEASE_KEEPER), self.answer)

    @property
    def stopped(self) -> bool:
        """True once the bus was told to stop."""
        return self._bus.stopped

    def publish(self, topic: Topic, body: Body) -> None:
        """Deliver telemetry to everybody, now."""
        seq = self._numbers.next(topic, body)
        envelope = self.writer.telemetry(topic, body, seq)
        if topic.kind == "event":
            self._rings.keep(envelope)
        self._bus.telemetry(frame(envelope))

    def latest(self, topic: Topic, source: str = "") -> Sample[Any] | None:
        """The newest sample of a topic, however old."""
        refuse_truth(self.service, topic)
        return self.store.latest(topic, source)

    def fresh(self, topic: Topic, source: str = "") -> Any | None:
        """The newest body, or None when it is older than the topic's stale-after."""
        refuse_truth(self.service, topic)
        return self.store.fresh(topic, source, self._bus.clock.now_ns())

    def drain(self, topic: Topic) -> list[Sample[Any]]:
        """All samples since the previous call (of a topic that is no event: from the first call on)."""
        refuse_truth(self.service, topic)
        return self.store.drain(topic)

    def listen(self, topics: tuple[Topic, ...], until_ns: int) -> bool:
        """Block until a message of these topics comes (True), or until monotonic `until_ns` (False)."""
        bell = self.store.bell(topics)
        self._bus.wait(lambda: 0 if bell.rung else None, until_ns)
        heard, bell.rung = bell.rung, False
        return heard

    def requests(self) -> list[Request]:
        """Commands that arrived since the previous call; control requests first."""
        return self._fence.passed(self._rings.served(self.inbox.take()))

    def answer(self, request: Request, reply: Reply) -> None:
        """Finish a command."""
        self.inbox.finish(request, reply)

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
        deadline_ns = self.writer.clock.utc_ns() + round(timeout_s * NS)
        request = self.writer.request(service, method, body, deadline_ns, self._bus.boot_of(service), lease)
        self._replies[request.id] = None
        if not self._bus.command(encode(request), control):
            self._replies[request.id] = (
                self.writer.clock.now_ns(),
                Reply("TRANSPORT", f"no service {service!r} is on the bus; {method} was not executed"),
            )
        return request.id

    def result(self, request_id: bytes) -> Reply | None:
        """The answer to a command sent with `send`, once; None while there is none."""
        if self._replies.get(request_id) is None:
            return None
        answered = self._replies.pop(request_id)
        return None if answered is None else answered[1]

    def call(
        self,
        service: str,
        method: str,
        body: dict[str, Any],
        timeout_s: float,
        control: bool = False,
        lease: Lease | None = None,
    ) -> Reply:
        """Send a command and wait, in the Clock's time, for its answer."""
        deadline_ns = self.writer.clock.now_ns() + round(timeout_s * NS)
        request_id = self.send(service, method, body, timeout_s, control, lease)
        self._bus.wait(lambda: (self._replies[request_id] or (None,))[0], deadline_ns)
        reply = self.result(request_id)
        if reply is not None:
            return reply
        self._replies.pop(request_id, None)
        return Reply(
            "TIMEOUT_UNKNOWN",
            f"{service} did not answer {method} within {timeout_s:g} s; whether it was executed is unknown",
            "look at its state before sending it again",
        )

    def answered(self, envelope: Envelope) -> None:
        """Take an acknowledgement or answer from the bus."""
        if envelope.k in {"rep", "err"} and envelope.re in self._replies:
            self._replies[envelope.re] = (self.writer.clock.now_ns(), _reply(envelope))


def _reply(envelope: Envelope) -> Reply:
    try:
        return reply_of(envelope)
    except BusError as error:
        return Reply("INTERNAL", str(error))
