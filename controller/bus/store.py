"""What a subscriber keeps of telemetry: the newest of every topic and source, queues on request, and counted gaps."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import Any, Final

from controller.bus.envelope import BusError, Envelope, body_as, topic_named
from controller.bus.port import Sample
from controller.bus.topics import TOPICS, Topic
from hal.clock import NS

QUEUE_LENGTH: Final = 4096
TRUTH: Final = "sim/"


@dataclass(slots=True)
class _Newest:
    envelope: Envelope
    received_ns: int
    sample: Sample[Any] | None = None

    def read(self, topic: Topic) -> Sample[Any]:
        """Decode on first use: most telemetry is replaced before anybody looks at it."""
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


class Store:
    """Telemetry as one subscriber has received it. Not thread-safe."""

    def __init__(self) -> None:
        self._newest: dict[tuple[str, str], _Newest] = {}
        self._last_source: dict[str, str] = {}
        self._queues: dict[str, deque[_Newest]] = {}
        self.gaps: Counter[str] = Counter()
        self.received = 0
        for topic in TOPICS.values():
            if topic.kind == "event" and not topic.name.startswith(TRUTH):
                self.keep(topic)

    def keep(self, topic: Topic) -> None:
        """From now on keep every sample of the topic for `drain`."""
        self._queues.setdefault(topic.name, deque())

    def accept(self, envelope: Envelope, received_ns: int) -> bool:
        """Take a message; False when it had come before (a replayed last value)."""
        name, source = envelope.m, envelope.src
        key = (name, source)
        before = self._newest.get(key)
        if before is not None and before.envelope.boot == envelope.boot:
            step = envelope.seq - before.envelope.seq
            if step <= 0:
                return False
            if step > 1:
                self.gaps[name] += step - 1
        newest = _Newest(envelope, received_ns)
        self._newest[key] = newest
        self._last_source[name] = source
        self.received += 1
        queue = self._queues.get(name)
        if queue is not None:
            if len(queue) >= QUEUE_LENGTH:  # whoever does not drain loses the oldest, and is told
                queue.popleft()
                self.gaps[name] += 1
            queue.append(newest)
        return True

    def boot_of(self, source: str) -> bytes:
        """Boot id of a service by its newest telemetry; empty when it has sent none."""
        newest = [item for (_, name), item in self._newest.items() if name == source]
        return max(newest, key=lambda item: item.received_ns).envelope.boot if newest else b""

    def sources(self, topic: Topic) -> list[str]:
        """Services that have sent the topic, in alphabetical order."""
        return sorted(source for name, source in self._newest if name == topic.name)

    def latest(self, topic: Topic, source: str = "") -> Sample[Any] | None:
        """The newest sample of a source, or of whichever source sent last."""
        source = source or self._last_source.get(topic.name, "")
        newest = self._newest.get((topic.name, source))
        return None if newest is None else newest.read(topic)

    def fresh(self, topic: Topic, source: str, now_ns: int) -> Any | None:
        """The newest body, or None when it is older than the topic's stale-after."""
        source = source or self._last_source.get(topic.name, "")
        newest = self._newest.get((topic.name, source))
        if newest is None or now_ns - newest.received_ns > topic.stale_after_s * NS:
            return None
        return newest.read(topic).body

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
