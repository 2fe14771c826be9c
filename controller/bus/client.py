"""The bus for those who are no service: the command line, scripts, doors."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any

from controller.bus.endpoints import Table
from controller.bus.envelope import Envelope, Ids, Lease, topic_named
from controller.bus.inbox import Writer
from controller.bus.port import Reply, Sample
from controller.bus.requester import Requester
from controller.bus.security import Security, speaker
from controller.bus.socket_port import WAIT_MS, Listener, wait
from controller.bus.sockets import Dialler
from controller.bus.store import Store, sample_of
from controller.bus.topics import TOPICS, Topic
from controller.bus.transport import Transport
from hal.clock import NS, Clock, Deadline, RealClock


class Client:
    """Commands to, and telemetry from, a running station. Belongs to one thread; use it in a `with` block.

    With keys its name is that of its key.

    with Client(static_table()) as client:
        reply = client.call("station", "stop", control=True)
    """

    def __init__(
        self, table: Table, name: str = "cli", clock: Clock | None = None, security: Security | None = None
    ) -> None:
        self._clock = clock or RealClock()
        self._table = table
        self._transport = Transport(security)
        writer = Writer(speaker(name, security), self._clock, Ids(self._clock), simulated=False)
        self._listener = Listener(self._transport, self._clock, [endpoints.tlm for endpoints in table.values()])
        self._dialler = Dialler(self._transport, table)
        self._requester = Requester(self._dialler, writer, self._listener.boot_of, self._listener.utc_apart_ns)

    @property
    def store(self) -> Store:
        """The newest of everything subscribed to."""
        return self._listener.store

    def call(
        self,
        service: str,
        method: str,
        body: dict[str, Any] | None = None,
        timeout_s: float = 2.0,
        control: bool = False,
        lease: Lease | None = None,
    ) -> Reply:
        """Send a command and wait for its answer; `control` for stop, safe, abort, ping and lease.*."""
        return self.result(self.send(service, method, body, timeout_s, control, lease))

    def send(
        self,
        service: str,
        method: str,
        body: dict[str, Any] | None = None,
        timeout_s: float = 2.0,
        control: bool = False,
        lease: Lease | None = None,
    ) -> bytes:
        """Send a command and go on, to send others before waiting for the first; `result` has the answer."""
        return self._requester.send(service, method, body or {}, timeout_s, control, lease)

    def result(self, request_id: bytes) -> Reply:
        """Wait for the answer to a command sent with `send`; there is always one, by its time-out."""
        while (reply := self._requester.result(request_id)) is None:
            wait([self._listener.socket, *self._dialler.sockets], WAIT_MS)
            self._listener.turn()
        return reply

    def subscribe(self, *topics: Topic | str) -> None:
        """Receive topics from now on, of all services; last values first. Raises BusError on an unknown name."""
        for topic in topics:
            self._listener.subscribe(topic_named(topic) if isinstance(topic, str) else topic)

    def subscribe_all(self) -> None:
        """Receive every topic of the table, world truth included: for recordings and plots."""
        self.subscribe(*TOPICS.values())

    def envelopes(self, timeout_s: float) -> Iterator[Envelope]:
        """Telemetry as it comes, undecoded, for `timeout_s` (0: what is there now)."""
        deadline = Deadline(self._clock, timeout_s)
        while True:
            yield from self._listener.turn()
            if deadline.expired:
                return
            wait([self._listener.socket], max(1, round(deadline.remaining_s * 1000)))

    def samples(self, timeout_s: float) -> Iterator[Sample[Any]]:
        """Decoded telemetry as it comes for `timeout_s`. Raises BusError on a body that fits no topic."""
        for envelope in self.envelopes(timeout_s):
            yield sample_of(envelope, topic_named(envelope.m), self._clock.now_ns())

    def wait_for(self, topic: Topic, source: str = "", timeout_s: float = 1.0) -> Sample[Any] | None:
        """The newest sample of a topic as soon as there is one; None when none comes in time."""
        self.subscribe(topic)
        deadline = Deadline(self._clock, timeout_s)
        while (sample := self.store.latest(topic, source)) is None and not deadline.expired:
            wait([self._listener.socket], max(1, round(deadline.remaining_s * 1000)))
            self._listener.turn()
        return sample

    def pause(self, duration_s: float) -> None:
        """Take telemetry into `store` for a while."""
        until_ns = self._clock.now_ns() + round(duration_s * NS)
        while (left_ns := until_ns - self._clock.now_ns()) > 0:
            wait([self._listener.socket], max(1, left_ns // 1_000_000))
            self._listener.turn()

    def close(self) -> None:
        """Close all sockets."""
        self._listener.close()
        self._dialler.close()
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
