"""Writing one recording: an MCAP file with a JSON channel per topic and source.

JSON with its schema, because any log viewer opens it; zstd, because it repeats itself; flushed every 100 ms. In
lockstep the bytes depend on the messages alone. `null` stands for a number that is not finite (JSON has none).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import msgspec
from mcap.writer import Writer

from controller.bus.envelope import Envelope, body_of, topic_named
from controller.record.read import LIBRARY
from controller.record.sink import Sink
from hal.clock import NS

FLUSH_NS: Final = NS // 10
RETRY_NS: Final = NS  # of a disk that takes nothing: its being full is told no more often than that
_JSON = msgspec.json.Encoder()


class Recorder:
    """Writes one recording. `write` has the signature of a LocalBus tap.

    A disk that is full never stops it: it drops messages, counts them, and goes on in the same file when a flush finds
    room again.

    Args:
        path: the file, which must not exist.
        metadata: named records of strings: rig, scenario, versions, seed.
        flush_ns: time between two flushes, which is what a kill may cost.
    """

    def __init__(
        self, path: Path, metadata: Mapping[str, Mapping[str, str]] | None = None, flush_ns: int = FLUSH_NS
    ) -> None:
        self.path = path
        self._sink = Sink(path)
        self._writer = Writer(self._sink)  # type: ignore[arg-type]
        self._writer.start(profile="", library=LIBRARY)
        for name, values in (metadata or {}).items():
            self._writer.add_metadata(name, dict(values))
        self._schemas: dict[str, int] = {}
        self._channels: dict[tuple[str, str, bool], int] = {}
        self._flush_ns = flush_ns
        self._due_ns: int | None = None
        self.messages = 0
        self.dropped = 0
        self._flush()

    @property
    def refused(self) -> str:
        """Why the disk takes nothing at present, in its own words; empty while it does."""
        return self._sink.refused

    @property
    def size_bytes(self) -> int:
        """What the file holds."""
        return self._sink.length

    def write(self, topic: str, envelope: Envelope) -> None:
        """Record a telemetry message; it is on the disk after the next flush.

        Raises:
            BusError: the topic is unknown or the body does not fit it.
        """
        body = _JSON.encode(body_of(envelope))
        if self._sink.refused:
            self.dropped += 1
            return
        channel = self._channels.get((topic, envelope.src, envelope.sim)) or self._channel(topic, envelope)
        self._writer.add_message(channel, envelope.t, body, envelope.t, envelope.seq & 0xFFFF_FFFF)
        self.messages += 1

    def tick(self, now_ns: int) -> bool:
        """Flush if that is due; True when it was. `now_ns` is the owner's clock, which no sender can step."""
        if self._due_ns is not None and now_ns < self._due_ns:
            return False
        self._flush()
        self._due_ns = now_ns + (RETRY_NS if self._sink.refused else self._flush_ns)
        return True

    def attach(self, name: str, media_type: str, data: bytes) -> None:
        """Put a file into the recording: the rig, a calibration, a summary."""
        self._writer.add_attachment(0, 0, name, media_type, data)

    def close(self) -> None:
        """Write the index and close. Without room for it the file stays as it was flushed, and `recover` mends it."""
        if not self._sink.closed:
            self._writer.finish()  # type: ignore[no-untyped-call]
            self._sink.close()

    def _flush(self) -> None:
        if not self._sink.refused:  # else what waits is a whole flush already
            self._writer.flush()  # type: ignore[no-untyped-call]
        self._sink.commit()

    def _channel(self, topic: str, envelope: Envelope) -> int:
        kind = topic_named(topic).body
        if kind.__name__ not in self._schemas:
            schema = _JSON.encode(json_schema(kind))
            self._schemas[kind.__name__] = self._writer.register_schema(kind.__name__, "jsonschema", schema)
        origin = {"source": envelope.src, "simulated": "true" if envelope.sim else "false"}
        channel: int = self._writer.register_channel(topic, "json", self._schemas[kind.__name__], origin)
        self._channels[topic, envelope.src, envelope.sim] = channel
        return channel

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def json_schema(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """JSON Schema of a body with `type: object` at its root, as log viewers expect it."""
    schema = msgspec.json.schema(kind)
    definitions = schema.pop("$defs", {})
    root = definitions.pop(kind.__name__, schema)
    return {**root, "$defs": definitions} if definitions else dict(root)
