"""A client's side of the bus without its waiting, which the plain client and the asyncio client share.

Whatever comes goes into the store and to the commands under way, whoever is waiting for it: nobody's wait can lose it.
"""

from __future__ import annotations

from typing import Any, Final

from controller.bus.endpoints import Table
from controller.bus.envelope import BusError, Envelope, Ids, Lease, topic_named
from controller.bus.requester import Requester
from controller.bus.security import Security, speaker
from controller.bus.socket_port import Listener
from controller.bus.sockets import Dialler
from controller.bus.store import Store
from controller.bus.topics import TOPICS, Topic
from controller.bus.transport import Transport
from controller.bus.writer import Writer
from hal.clock import Clock, RealClock

CLOSED: Final = "the client was closed"


class Session:
    """Sockets, store and commands of one client. With keys its name is that of its key."""

    def __init__(
        self, table: Table, name: str = "cli", clock: Clock | None = None, security: Security | None = None
    ) -> None:
        self._clock = clock or RealClock()
        self._closed = False
        self._transport = Transport(security)
        writer = Writer(speaker(name, security), self._clock, Ids(), simulated=False)
        sources = [endpoints.tlm for endpoints in table.values()]
        self._listener = Listener(self._transport, self._clock, sources, self._heard)
        self._dialler = Dialler(self._transport, table)
        listener = self._listener
        self._requester = Requester(self._dialler, writer, listener.whereabouts, listener.turn, self._answered)

    @property
    def store(self) -> Store:
        """The newest of everything subscribed to, queues of events, and counted gaps."""
        return self._listener.store

    def send(
        self,
        service: str,
        method: str,
        body: dict[str, Any] | None = None,
        timeout_s: float = 2.0,
        control: bool = False,
        lease: Lease | None = None,
    ) -> bytes:
        """Send a command and go on, to send others before waiting for the first; `result` has the answer.

        Raises BusError when the client is closed.
        """
        self._refuse_when_closed()
        return self._requester.send(service, method, body or {}, timeout_s, control, lease)

    def subscribe(self, *topics: Topic | str) -> None:
        """Receive topics from now on, of all services; last values first.

        Raises BusError on an unknown name and when the client is closed.
        """
        self._refuse_when_closed()
        for topic in topics:
            self._listener.subscribe(topic_named(topic) if isinstance(topic, str) else topic)

    def subscribe_all(self) -> None:
        """Receive every topic of the table, world truth included: for recordings and plots."""
        self.subscribe(*TOPICS.values())

    def _heard(self, envelope: Envelope) -> None:
        """Called with telemetry that is new."""

    def _answered(self, request_id: bytes) -> None:
        """Called when a command has its answer."""

    def _turn(self) -> list[Envelope]:
        """Take what has come; returns the telemetry among it that is new, in order."""
        self._requester.turn()
        return self._listener.turn()

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise BusError(CLOSED)

    def close(self) -> None:
        """Close all sockets; a second time does nothing."""
        if self._closed:
            return
        self._closed = True
        self._listener.close()
        self._dialler.close()
        self._transport.close()
