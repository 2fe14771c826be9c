"""A service's port on ZeroMQ: the real-time twin of the port of lockstep, with the same rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from controller.bus.ages import Ages
from controller.bus.endpoints import Endpoints, Table
from controller.bus.envelope import BusError, Envelope, Ids, Lease, frame, unframe
from controller.bus.fence import Fence
from controller.bus.inbox import Inbox
from controller.bus.lease import LEASE_KEEPER, SCOPE_OF
from controller.bus.port import Reply, Request, Sample
from controller.bus.publisher import Publisher
from controller.bus.refusals import Refusals
from controller.bus.requester import Requester, Where
from controller.bus.ring import Rings
from controller.bus.security import Security, speaker
from controller.bus.sockets import BLOCK_MS, Dialler, Server, Subscriber
from controller.bus.store import Numbering, Store, refuse_truth
from controller.bus.topics import (
    BUS_GAPS,
    BUS_REFUSALS,
    SERVICE_HEARTBEAT,
    STATION_EVENT,
    STATION_LEASE,
    TOPICS,
    Body,
    GapReport,
    LeaseState,
    RefusalReport,
    StationEvent,
    Topic,
)
from controller.bus.transport import Transport
from controller.bus.watch import BATCH
from controller.bus.writer import Writer
from hal.clock import NS, Clock

REPORT_NS: Final = NS
LEASES: Final = (STATION_LEASE.name, LEASE_KEEPER)
LEASE_STALE_NS: Final = STATION_LEASE.stale_after_s * NS
MS_NS: Final = NS // 1000
TURNS_MAX: Final = 20  # two of them empty what libzmq keeps of one service
LOOK_NS: Final = NS // 100  # whoever sends many commands looks at telemetry this often for a new start of a service
NONE: Final[list[Envelope]] = []


class Listener:
    """A SUB socket with what came out of it: the newest of every topic, events, gaps, boot ids.

    `heard` is called with whatever is new.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        endpoints: list[str],
        heard: Callable[[Envelope], object] = lambda envelope: None,
    ) -> None:
        self._heard = heard
        self._subscriber = Subscriber(transport, endpoints)
        self.channel = self._subscriber.channel
        self.store = Store()
        self._ages = Ages(clock)
        self._now_ns = clock.now_ns
        self._left = False  # whether the latest turn left anything
        self._whereabouts: dict[str, Where] = {}  # since the latest telemetry of anybody
        self.unreadable = 0
        self.subscribe(SERVICE_HEARTBEAT)
        for topic in TOPICS.values():
            if topic.kind == "event":
                self.subscribe(topic)

    def subscribe(self, topic: Topic) -> None:
        """Receive a topic from now on."""
        self._subscriber.subscribe(topic.name)

    def wait(self, timeout_ms: int) -> None:
        """Block until telemetry has come, at most `timeout_ms`."""
        self._subscriber.wait(timeout_ms)

    def turn(self) -> list[Envelope]:
        """Take what has come into the store; returns what was new, in order."""
        began_ns = self._now_ns()
        self._left = False
        if not self._subscriber.stirred():
            self._ages.emptied(began_ns)
            return NONE
        new: list[Envelope] = []
        count = 0
        for data in self._subscriber.frames():
            count += 1
            try:
                envelope = unframe(data)
            except BusError:
                self.unreadable += 1
                continue
            if self.accept(envelope):
                new.append(envelope)
                self._heard(envelope)
        self._left = count == BATCH
        if not self._left:
            self._ages.emptied(began_ns)
        return new

    def accept(self, envelope: Envelope) -> bool:
        """Take one message; False when it had come before."""
        for where in self._whereabouts.values():
            where.until_ns = 0
        self._whereabouts.clear()
        return self.store.accept(envelope, self._ages.sent_ns(envelope))

    def whereabouts(self, service: str, now_ns: int) -> Where:
        """The present boot id of a service, and our UTC minus its where these are two clocks.

        As its telemetry of 10 ms ago told, or tells; empty and 0 while none has come, or none but what has waited here
        since our last look and cannot tell its clock.
        """
        known = self._whereabouts.get(service)
        if known is not None and now_ns < known.until_ns:
            return known
        self._catch_up()
        boot, apart_ns = self.store.boot_of(service), self._ages.apart_ns(service)
        if apart_ns and not self._ages.sure(service):
            boot, apart_ns = b"", 0
        found = Where(boot, apart_ns, now_ns + LOOK_NS if boot else 0)
        if boot:
            self._whereabouts[service] = found
        return found

    def close(self) -> None:
        """Close."""
        self._subscriber.close()

    def _catch_up(self) -> None:
        """Who has not looked for a minute finds more than one turn takes, the oldest first."""
        for _ in range(TURNS_MAX):
            self.turn()
            if not self._left:
                return


class SocketPort:
    """Implements `controller.bus.port.Port` on sockets. Belongs to one thread.

    Args:
        service: whose port this is; its row of `table` is bound, all others are connected to.
        clock: real time.
        table: endpoints of all services (a port of 0 is drawn by the kernel, see `endpoints`).
        simulated: marks every message: some device of this station is emulated.
        stop_wanted: asked by `stopped`; a signal handler's flag.
        seed: draws ids; None: unique ones.
        security: our key and who else is listed; None: loopback only, and whoever is on this machine may do all.
    """

    def __init__(
        self,
        service: str,
        clock: Clock,
        table: Table,
        simulated: bool = False,
        stop_wanted: Callable[[], bool] = lambda: False,
        seed: int | str | None = None,
        security: Security | None = None,
    ) -> None:
        if service not in table:
            raise BusError(f"no service {service!r} is in the bus table ({', '.join(table)})")
        self.service = service
        self.simulated = simulated
        self._clock = clock
        self._stop_wanted = stop_wanted
        self._stopped = False
        self._now_ns = clock.now_ns
        self._look_ns = 0
        self._report_due_ns = 0
        self._numbers = Numbering(service)
        self._writer = Writer(speaker(service, security), clock, Ids(seed), simulated)
        self._inbox = Inbox(self._writer)
        self.answer = self._inbox.finish  # `Port.answer`; a method around it would cost every command a call
        self._transport = Transport(security)
        try:
            self._publisher = Publisher(self._transport, table[service].tlm, service, clock, self._flooded)
            self._server = Server(self._transport, table[service], self._writer, self._inbox)
            self._transport.open()
        except BusError:
            self._transport.abandon()
            raise
        others = [endpoints.tlm for name, endpoints in table.items() if name != service]
        self._listener = Listener(self._transport, clock, others)
        self._news = self._listener.channel
        self._newest = self._listener.store.newest.items
        self._dialler = Dialler(self._transport, table)
        self._rings = Rings(lambda request, reply: self._inbox.finish(request, reply, remember=False))
        self._fence = Fence(service, clock, self._leases, self.answer)
        if service in SCOPE_OF:
            self._listener.subscribe(STATION_LEASE)
        self._refusals = Refusals(self._inbox, self._transport)
        self._requester = Requester(self._dialler, self._writer, self._listener.whereabouts, self._listener.turn)
        self.endpoints = Endpoints(*self._server.endpoints, self._publisher.endpoint)

    @property
    def boot(self) -> bytes:
        """This start's id."""
        return self._writer.boot

    @property
    def store(self) -> Store:
        """What this port has received."""
        return self._listener.store

    @property
    def stopped(self) -> bool:
        """True once the service should return from its loop."""
        return self._stopped or self._stop_wanted()

    def stop(self) -> None:
        """Ask the service to return from its loop."""
        self._stopped = True

    def publish(self, topic: Topic, body: Body) -> None:
        """Send telemetry; never blocks."""
        envelope = self._writer.telemetry(topic, body, self._numbers.next(topic, body))
        if topic.kind == "event":
            self._rings.keep(envelope)
        self._publisher.publish(topic.name, frame(envelope))
        self._listener.accept(envelope)
        if topic is STATION_LEASE:
            self._fence.look()
        if topic is SERVICE_HEARTBEAT:
            self._report()

    def _report(self) -> None:
        """Once a second: what was missed, and who was refused."""
        now_ns = self._clock.now_ns()
        if now_ns < self._report_due_ns:
            return
        self._report_due_ns = now_ns + REPORT_NS
        self.publish(BUS_GAPS, GapReport(dict(self.store.gaps)))
        if sentence := self._refusals.new():
            self.publish(BUS_REFUSALS, RefusalReport(dict(self._refusals.counts)))
            self.publish(STATION_EVENT, StationEvent("warning", "REFUSED_MESSAGE", f"{self.service} {sentence}"))

    def _flooded(self, who: str) -> None:
        self._inbox.count(Reply("PROTOCOL", "subscriptions without pause: its connection was ended"), who)

    def latest(self, topic: Topic, source: str = "") -> Sample[Any] | None:
        """The newest sample of a topic, however old."""
        self._listen(topic)
        return self.store.latest(topic, source)

    def fresh(self, topic: Topic, source: str = "") -> Any | None:
        """The newest body, or None when it is older than the topic's stale-after."""
        self._listen(topic)
        return self.store.fresh(topic, source, self._clock.now_ns())

    def drain(self, topic: Topic) -> list[Sample[Any]]:
        """All samples since the previous call (of a topic that is no event: from the first call on)."""
        self._listen(topic)
        return self.store.drain(topic)

    def listen(self, topics: tuple[Topic, ...], until_ns: int) -> bool:
        """Block until a message of these topics comes (True), or until monotonic `until_ns` (False)."""
        bell = self.store.bell(topics)
        for topic in topics:
            self._listen(topic)
        while not bell.rung and (left_ns := until_ns - self._clock.now_ns()) > 0:
            if left_ns < MS_NS:  # the poll knows milliseconds only
                self._clock.sleep_until(until_ns)
            else:
                self._listener.wait(left_ns // MS_NS)
            self._listener.turn()
        heard, bell.rung = bell.rung, False
        return heard

    def _leases(self) -> LeaseState | None:
        """Subscribed to from the start: every command asks, after `requests` has taken in what there is."""
        item = self._newest.get(LEASES)
        if item is None or self._now_ns() - item.received_ns > LEASE_STALE_NS:
            return None
        leases: LeaseState = (item.sample or item.read(STATION_LEASE)).body
        return leases

    def _listen(self, topic: Topic) -> None:
        refuse_truth(self.service, topic)
        self._listener.subscribe(topic)
        if self._listener.turn():
            self._fence.look()

    def requests(self, within_s: float = 0.0) -> list[Request]:
        """Commands that arrived since the previous call; control requests first.

        Where nothing has come it is waited for, at most `within_s`: a command ends that at once; control, telemetry,
        subscribers and changes of the key folder are seen within 2 ms. Telemetry is taken in, too: a service that asks
        for none would let it pile up in its socket.
        """
        if within_s and not self._server.overtaking:
            straight = self._server.wait() if self._now_ns() < self._look_ns else None
            if straight is not None or (straight := self._waited(within_s)) is not None:
                return [straight] if self._fence.as_before(straight) else self._fence.passed([straight])
        self._fence.look()
        self._server.look()
        self._publisher.look()
        self._transport.door.look(0)
        guests, news = self._publisher.channel, self._news
        if guests.rung or guests.used:
            self._publisher.welcome()
        if news.stirred():
            self._listener.turn()
        self._server.poll()
        return self._fence.passed(self._rings.served(self._inbox.take()))

    def _waited(self, within_s: float) -> Request | None:
        """Block until there is something to take in; a command that needs no more thought."""
        until_ns = self._now_ns() + round(within_s * NS)
        while not self._stirred():
            self._look_ns = (now_ns := self._now_ns()) + BLOCK_MS * MS_NS
            if now_ns >= until_ns:
                return None
            if (straight := self._server.wait()) is not None:
                return straight
        return None

    def _stirred(self) -> bool:
        """Whether there is anything for `requests` to take in; whoever blocks for commands asks every 2 ms."""
        self._server.look()
        self._publisher.look()
        self._fence.look()
        door, news = self._transport.door, self._news
        door.look(0)
        return self._inbox.waiting or door.pending() or (news.stirred() and news.pending())

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
        return self._requester.send(service, method, body, timeout_s, control, lease)

    def result(self, request_id: bytes) -> Reply | None:
        """The answer to a command sent with `send`, once; None while there is none."""
        return self._requester.result(request_id)

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
        return self._requester.call(service, method, body, timeout_s, control, lease)

    def close(self) -> None:
        """Close all sockets."""
        self._listener.close()
        self._dialler.close()
        self._server.close()
        self._publisher.close()
        self._transport.close()
