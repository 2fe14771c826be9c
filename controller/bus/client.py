"""The bus for those who are no service: the command line, scripts, doors."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any

from controller.bus.envelope import BusError, Envelope, Lease, topic_named
from controller.bus.port import Reply, Sample
from controller.bus.ring import TIMEOUT_S, Past
from controller.bus.roles import EVENTS_SINCE
from controller.bus.session import CLOSED, Session
from controller.bus.store import sample_of
from controller.bus.topics import Topic
from hal.clock import NS, Deadline


class Client(Session):
    """Commands to, and telemetry from, a running station. Belongs to one thread; use it in a `with` block.

    with Client(static_table()) as client:
        reply = client.call("station", "stop", control=True)
    """

    def call(
        self,
        service: str,
        method: str,
        body: dict[str, Any] | None = None,
        timeout_s: float = 2.0,
        control: bool = False,
        lease: Lease | None = None,
    ) -> Reply:
        """Send a command and wait for its answer; `control` for stop, safe, abort, ping and lease.*.

        Raises BusError when the client is closed.
        """
        if self._closed:
            raise BusError(CLOSED)
        return self._requester.call(service, method, body or {}, timeout_s, control, lease)

    def result(self, request_id: bytes) -> Reply:
        """Wait for the answer to a command sent with `send`; there is always one, by its time-out.

        Raises BusError when the client is closed.
        """
        self._refuse_when_closed()
        return self._requester.wait(request_id)

    def envelopes(self, timeout_s: float) -> Iterator[Envelope]:
        """Telemetry as it comes, undecoded, for `timeout_s` (0: what is there now).

        Raises BusError when the client is closed.
        """
        deadline = Deadline(self._clock, timeout_s)
        while True:
            self._refuse_when_closed()
            yield from self._turn()
            if deadline.expired:
                return
            self._transport.heard.wait(deadline.remaining_s)

    def samples(self, timeout_s: float) -> Iterator[Sample[Any]]:
        """Decoded telemetry as it comes for `timeout_s`. Raises BusError on a body that fits no topic."""
        for envelope in self.envelopes(timeout_s):
            yield sample_of(envelope, topic_named(envelope.m), self._clock.now_ns())

    def wait_for(self, topic: Topic, source: str = "", timeout_s: float = 1.0) -> Sample[Any] | None:
        """The newest sample of a topic as soon as there is one; None when none comes in time."""
        self.subscribe(topic)
        deadline = Deadline(self._clock, timeout_s)
        while (sample := self.store.latest(topic, source)) is None and not deadline.expired:
            self._transport.heard.wait(deadline.remaining_s)
            self._turn()
        return sample

    def events_since(
        self, topic: Topic, source: str, since_seq: int = 0, timeout_s: float = TIMEOUT_S
    ) -> list[Sample[Any]]:
        """Events of a service again, those after `since_seq`, in order: what a gap, or the time before us, has hidden.

        It keeps the latest 1024 of a topic: a first `seq` above `since_seq` + 1 says that what is between is gone.
        Numbers begin at 1 with each start of a service. Raises BusError when the service does not answer.
        """
        past = Past(topic, since_seq, self._clock.now_ns())
        while past.wish is not None:
            past.take(self.call(source, EVENTS_SINCE, past.wish, timeout_s))
        return past.samples

    def pause(self, duration_s: float) -> None:
        """Take telemetry into `store` for a while. Raises BusError when the client is closed."""
        self._refuse_when_closed()
        until_ns = self._clock.now_ns() + round(duration_s * NS)
        while (left_ns := until_ns - self._clock.now_ns()) > 0:
            self._transport.heard.wait(left_ns / NS)
            self._turn()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
