"""Events again, by sequence number: what a subscriber missed, or came too late for, it asks the service for.

The port of each service keeps the latest events of every topic, and answers `events.since`, in every role, without a
lease.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

from controller.bus.envelope import BusError, Envelope, decode, encode, topic_named
from controller.bus.port import Reply, Request, Sample
from controller.bus.roles import EVENTS_SINCE
from controller.bus.store import sample_of
from controller.bus.topics import Topic

RING_LENGTH: Final = 1024  # events of a topic
PAGE_BYTES: Final = 1 << 16  # of one answer, if it has more than one event
TIMEOUT_S: Final = 2.0


class Since(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `events.since`: the events of a topic after that number."""

    topic: str
    since_seq: int = 0


class Events(msgspec.Struct, frozen=True, kw_only=True):
    """Data of its answer: envelopes as they were published. Ask again from the last while that is not `newest_seq`."""

    oldest_seq: int  # that is kept; 0 when there is none
    newest_seq: int
    events: list[bytes]


class Rings:
    """The latest events of one service. `finish` answers a command."""

    def __init__(self, finish: Callable[[Request, Reply], None]) -> None:
        self._finish = finish
        self._rings: defaultdict[str, deque[Envelope]] = defaultdict(lambda: deque(maxlen=RING_LENGTH))

    def keep(self, envelope: Envelope) -> None:
        """Remember an event that is being published."""
        self._rings[envelope.m].append(envelope)

    def served(self, requests: list[Request]) -> list[Request]:
        """Answer those that ask for events; returns the others."""
        others: list[Request] = []
        for request in requests:
            if request.method == EVENTS_SINCE:
                self._finish(request, self._answer(request))
            else:
                others.append(request)
        return others

    def _answer(self, request: Request) -> Reply:
        try:
            wish = msgspec.convert(request.body, Since)
            topic = topic_named(wish.topic)
        except (msgspec.ValidationError, BusError) as error:
            return Reply("SCHEMA", f"the body of {EVENTS_SINCE} is wrong: {error}", "see docs/protocol.md")
        if topic.kind != "event":
            return Reply("SCHEMA", f"{topic.name} is a {topic.kind}: of events alone the past is kept")
        ring = self._rings[topic.name]
        page: list[bytes] = []
        size = 0
        for envelope in ring:
            if envelope.seq <= wish.since_seq:
                continue
            data = encode(envelope)
            size += len(data)
            if page and size > PAGE_BYTES:
                break
            page.append(data)
        oldest, newest = (ring[0].seq, ring[-1].seq) if ring else (0, 0)
        return Reply("", f"{len(page)} events", body={"oldest_seq": oldest, "newest_seq": newest, "events": page})


class Past:
    """The asking side, one page after the other: send `wish` as the body of `events.since`, `take` the answer."""

    def __init__(self, topic: Topic, since_seq: int, now_ns: int) -> None:
        self.samples: list[Sample[Any]] = []
        self.wish: dict[str, Any] | None = {"topic": topic.name, "since_seq": since_seq}
        self._topic = topic
        self._now_ns = now_ns

    def take(self, reply: Reply) -> None:
        """Add a page. Raises BusError when it was refused or is none."""
        if reply.code:
            raise BusError(f"{reply.code}: {reply.message}")
        try:
            page = msgspec.convert(reply.body, Events)
        except msgspec.ValidationError as error:
            raise BusError(f"the answer to {EVENTS_SINCE} is wrong: {error}") from None
        self.samples += [sample_of(decode(data), self._topic, self._now_ns) for data in page.events]
        last = self.samples[-1].seq if self.samples else 0
        more = page.events and last < page.newest_seq
        self.wish = {"topic": self._topic.name, "since_seq": last} if more else None
