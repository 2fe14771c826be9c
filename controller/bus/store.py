"""What a subscriber keeps of telemetry: the newest of every topic and source, queues on request, and counted gaps."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from controller.bus.envelope import BusError, Envelope, body_as, topic_named
from controller.bus.port import Sample
from controller.bus.topics import TOPICS, Topic
from hal.clock import NS

QUEUE_LENGTH: Final = 4096
TRUTH: Final = "sim/"
NO_BOOT: Final = (0, b"")


@dataclass(slots=True)
class Item:
    """A received message, decoded on first use: most telemetry is replaced before anybody looks at it."""

    envelope: Envelope
    received_ns: int
    sample: Sample[Any] | None = None

    def read(self, topic: Topic) -> Sample[Any]:
        """The decoded sample. Raises BusError when the body does not fit the topic."""
        if self.sample is None:
            self.sample = sample_of(self.envelope, topic, self.received_ns)
        return self.sample


def sample_of(envelope: Envelope, topic: Topic, received_ns: int) -> Sample[Any]:
    """Decode a telemetry message. Raises BusError when its body does not fit the topic."""
    return Sample(
        topic=topic.name,
        source=envelope.src,
        seq=envelope.seq,
        sent_utc_ns=envelope.t,
        received_ns=received_ns,
        simulated=envelope.sim,
        body=body_as(envelope, topic.body),
    )


def refuse_truth(service: str, topic: Topic) -> None:
    """World truth is for recordings and plots: a service that reads it would be tuned to what it cannot know.

    Raises:
        BusError: the topic is truth.
    """
    if topic.name.startswith(TRUTH):
        raise BusError(f"service {service!r} may not subscribe to {topic.name}: truth is for recordings alone")


class Bell:
    """Rung by whatever it was hung for; whoever hears it silences it."""

    __slots__ = ("rung",)

    def __init__(self) -> None:
        self.rung = False


class Newest:
    """The newest message of every topic and source; gaps in the sequence numbers are counted by topic."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], Item] = {}
        self.last: dict[str, Item] = {}
        self._queues: defaultdict[str, list[deque[Item]]] = defaultdict(list)
        self._bells: defaultdict[str, list[Bell]] = defaultdict(list)
        self.boots: dict[str, tuple[int, bytes]] = {}  # by source: when it was told, and what
        self.gaps: Counter[str] = Counter()
        self.received = 0

    def accept(self, envelope: Envelope, received_ns: int) -> bool:
        """Take a message; False when it had come before (a replayed last value).

        Whoever keeps a topic and does not drain it loses the oldest, and is told by `gaps`.
        """
        name = envelope.m
        key = (name, envelope.src)
        before = self.items.get(key)
        if before is not None and before.envelope.boot == envelope.boot:
            step = envelope.seq - before.envelope.seq
            if step <= 0:
                return False
            if step > 1:
                self.gaps[name] += step - 1
        item = Item(envelope, received_ns)
        self.items[key] = self.last[name] = item
        self.received += 1
        for bell in self._bells.get(name, ()):
            bell.rung = True
        if envelope.boot and received_ns >= self.boots.get(envelope.src, (received_ns,))[0]:
            self.boots[envelope.src] = (received_ns, envelope.boot)
        for queue in self._queues.get(name, ()):
            if len(queue) >= QUEUE_LENGTH:
                queue.popleft()
                self.gaps[name] += 1
            queue.append(item)
        return True

    def feed(self, topic: Topic, queue: deque[Item]) -> None:
        """From now on put every new message of the topic into `queue`, too."""
        self._queues[topic.name].append(queue)

    def hang(self, topics: Iterable[Topic]) -> Bell:
        """A bell that every new message of these topics rings."""
        bell = Bell()
        for topic in topics:
            self._bells[topic.name].append(bell)
        return bell

    def unhang(self, bell: Bell) -> None:
        """Nothing rings it any more."""
        for name, bells in self._bells.items():
            self._bells[name] = [other for other in bells if other is not bell]

    def starve(self, topic: str, queue: deque[Item]) -> None:
        """Nothing goes into `queue` any more."""
        self._queues[topic] = [other for other in self._queues[topic] if other is not queue]

    def find(self, topic: Topic, source: str = "") -> Item | None:
        """The newest of a source, or of whichever source sent last."""
        return self.items.get((topic.name, source)) if source else self.last.get(topic.name)

    def sources(self, topic: Topic) -> list[str]:
        """Services that have sent the topic, in alphabetical order."""
        return sorted(source for name, source in self.items if name == topic.name)

    def boot_of(self, source: str) -> bytes:
        """Boot id of a service by its newest telemetry; empty when it has sent none."""
        return self.boots.get(source, NO_BOOT)[1]


class Store:
    """Telemetry as one subscriber sees it: the newest of everything, and queues of events. Not thread-safe.

    Subscribers of one process may share `newest`; then its `accept` feeds the queues of each.
    """

    def __init__(self, newest: Newest | None = None) -> None:
        self.newest = newest or Newest()
        self._queues: dict[str, deque[Item]] = {}
        self._bells: dict[tuple[str, ...], Bell] = {}
        for topic in TOPICS.values():
            if topic.kind == "event" and not topic.name.startswith(TRUTH):
                self.keep(topic)

    @property
    def gaps(self) -> Counter[str]:
        """Messages that were missed, by topic."""
        return self.newest.gaps

    @property
    def received(self) -> int:
        """Messages that came."""
        return self.newest.received

    def keep(self, topic: Topic) -> None:
        """From now on keep every sample of the topic for `drain`."""
        if topic.name not in self._queues:
            self._queues[topic.name] = deque()
            self.newest.feed(topic, self._queues[topic.name])

    def bell(self, topics: tuple[Topic, ...]) -> Bell:
        """The bell of these topics, hung on first use."""
        names = tuple(topic.name for topic in topics)
        if names not in self._bells:
            self._bells[names] = self.newest.hang(topics)
        return self._bells[names]

    def close(self) -> None:
        """Nobody reads here any more."""
        for name, queue in self._queues.items():
            self.newest.starve(name, queue)
        for bell in self._bells.values():
            self.newest.unhang(bell)
        self._queues.clear()
        self._bells.clear()

    def accept(self, envelope: Envelope, received_ns: int) -> bool:
        """Take a message; False when it had come before (a replayed last value)."""
        return self.newest.accept(envelope, received_ns)

    def boot_of(self, source: str) -> bytes:
        """Boot id of a service by its newest telemetry; empty when it has sent none."""
        return self.newest.boots.get(source, NO_BOOT)[1]

    def sources(self, topic: Topic) -> list[str]:
        """Services that have sent the topic, in alphabetical order."""
        return self.newest.sources(topic)

    def latest(self, topic: Topic, source: str = "") -> Sample[Any] | None:
        """The newest sample of a source, or of whichever source sent last."""
        item = self.newest.find(topic, source)
        return None if item is None else item.read(topic)

    def fresh(self, topic: Topic, source: str, now_ns: int) -> Any | None:
        """The newest body, or None when it is older than the topic's stale-after."""
        newest = self.newest
        item = newest.items.get((topic.name, source)) if source else newest.last.get(topic.name)
        if item is None or now_ns - item.received_ns > topic.stale_after_s * NS:
            return None
        return (item.sample or item.read(topic)).body

    def drain(self, topic: Topic) -> list[Sample[Any]]:
        """All samples since the previous call; of a topic that is no event, from the first call on."""
        self.keep(topic)
        queue = self._queues[topic.name]
        samples = [item.read(topic) for item in queue]
        queue.clear()
        return samples


class Numbering:
    """Sequence numbers of one publisher, from 1 per topic, and the check of what it may publish."""

    def __init__(self, service: str, truth_publisher: str = "bench") -> None:
        self._service = service
        self._truth_publisher = truth_publisher
        self._last: Counter[str] = Counter()

    def next(self, topic: Topic, body: object) -> int:
        """The number of the next message. Raises BusError on a topic that is unknown, not ours, or of another body."""
        if topic_named(topic.name).body is not type(body):
            raise BusError(f"{topic.name} carries {topic.body.__name__}, not {type(body).__name__}")
        if topic.name.startswith(TRUTH) and self._service != self._truth_publisher:
            raise BusError(f"service {self._service!r} may not publish {topic.name}: only the bench knows the truth")
        self._last[topic.name] += 1
        return self._last[topic.name]
