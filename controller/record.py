"""Recordings: MCAP files with a JSON channel per topic and source, readable up to the last flush after a kill.

JSON with its schema, because any log viewer opens it; zstd, because it repeats itself; flushed every 100 ms of the
Clock. A killed file has no index: `recover` writes one on the next start, and `read` does not need it. In lockstep the
bytes depend on the messages alone. `null` stands for a number that is not finite (JSON has none).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final

import msgspec
import zstandard
from mcap.exceptions import McapError
from mcap.reader import make_reader
from mcap.records import Attachment, Channel, DataEnd, Message, Metadata, Schema
from mcap.stream_reader import CRCValidationError, StreamReader
from mcap.writer import Writer

from controller.bus.envelope import Envelope, body_of, topic_named
from controller.errors import BoresightError
from hal.clock import NS

FLUSH_NS: Final = NS // 10
LIBRARY: Final = "boresight"
MAGIC: Final = b"\x89MCAP0\r\n"
PARTIAL: Final = ".partial"
_TORN = (McapError, CRCValidationError, struct.error, zstandard.ZstdError, ValueError, EOFError, IndexError)
_JSON = msgspec.json.Encoder()


class RecordingError(BoresightError):
    """A recording cannot be written or read; the message names the file."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One message of a recording."""

    topic: str
    source: str
    simulated: bool
    seq: int
    log_time_ns: int  # UTC of sending, nanoseconds since 1970
    body: dict[str, Any]


class Recorder:
    """Writes one recording. `write` has the signature of a LocalBus tap.

    Args:
        path: the file, which must not exist.
        metadata: named records of strings: rig, scenario, versions, seed.
        flush_ns: how much of the Clock's time a kill may cost.
    """

    def __init__(
        self, path: Path, metadata: Mapping[str, Mapping[str, str]] | None = None, flush_ns: int = FLUSH_NS
    ) -> None:
        try:
            self._file = path.open("xb")
        except OSError as error:
            raise RecordingError(f"the recording {path} cannot be written: {error.strerror}") from None
        self.path = path
        self._writer = Writer(self._file)
        self._writer.start(profile="", library=LIBRARY)
        for name, values in (metadata or {}).items():
            self._writer.add_metadata(name, dict(values))
        self._writer.flush()  # type: ignore[no-untyped-call]
        self._schemas: dict[str, int] = {}
        self._channels: dict[tuple[str, str, bool], int] = {}
        self._flush_ns = flush_ns
        self._flush_due_ns = 0
        self.messages = 0

    def write(self, topic: str, envelope: Envelope) -> None:
        """Record a telemetry message; flushes when that is due.

        Raises:
            BusError: the topic is unknown or the body does not fit it.
        """
        body = _JSON.encode(body_of(envelope))
        channel = self._channels.get((topic, envelope.src, envelope.sim)) or self._channel(topic, envelope)
        self._writer.add_message(channel, envelope.t, body, envelope.t, envelope.seq & 0xFFFF_FFFF)
        self.messages += 1
        self.tick(envelope.t)

    def tick(self, utc_ns: int) -> None:
        """Flush if it is due; to be called when no message comes, too."""
        if utc_ns >= self._flush_due_ns:
            self._flush_due_ns = utc_ns + self._flush_ns
            self._writer.flush()  # type: ignore[no-untyped-call]

    def attach(self, name: str, media_type: str, data: bytes) -> None:
        """Put a file into the recording: the rig, a calibration, a summary."""
        self._writer.add_attachment(0, 0, name, media_type, data)

    def close(self) -> None:
        """Write the index and close."""
        if not self._file.closed:
            self._writer.finish()  # type: ignore[no-untyped-call]
            self._file.close()

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


def read(path: Path) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Messages in the order of writing: topic, UTC of sending in nanoseconds since 1970, body.

    A file that was cut off ends at its last whole flush. Raises RecordingError when it is no recording at all.
    """
    for message in read_messages(path):
        yield message.topic, message.log_time_ns, message.body


def read_messages(path: Path) -> Iterator[Recorded]:
    """As `read`, with source, sequence number and the mark of emulated devices."""
    channels: dict[int, Channel] = {}
    for record in _records(path):
        if isinstance(record, Channel):
            channels[record.id] = record
        elif isinstance(record, Message) and record.channel_id in channels:
            channel = channels[record.channel_id]
            yield Recorded(
                topic=channel.topic,
                source=channel.metadata.get("source", ""),
                simulated=channel.metadata.get("simulated") == "true",
                seq=record.sequence,
                log_time_ns=record.log_time,
                body=msgspec.json.decode(record.data),
            )


def read_metadata(path: Path) -> dict[str, dict[str, str]]:
    """Metadata records by name."""
    return {record.name: dict(record.metadata) for record in _records(path) if isinstance(record, Metadata)}


def read_attachments(path: Path) -> dict[str, bytes]:
    """Attached files by name."""
    return {record.name: record.data for record in _records(path) if isinstance(record, Attachment)}


def finished(path: Path) -> bool:
    """True when the recording was closed, so that its index is there."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        if file.tell() < 2 * len(MAGIC):
            return False
        file.seek(-len(MAGIC), os.SEEK_END)
        if file.read() != MAGIC:
            return False
        file.seek(0)
        try:
            return make_reader(file).get_summary() is not None
        except _TORN:
            return False


def recover(path: Path) -> int | None:
    """Give a recording that was cut off its index back; the original is replaced once the new file is whole.

    Returns the number of messages that it holds, or None when it was finished and nothing was done. Raises
    RecordingError when it is no recording.
    """
    if finished(path):
        return None
    records = _records(path)
    header = next(records, None)  # raises before anything is written
    mended = path.with_name(path.name + PARTIAL)
    count = 0
    with mended.open("wb") as file:
        writer = Writer(file)
        writer.start(profile="", library=LIBRARY)
        ids: dict[int, int] = {0: 0}
        channels: dict[int, int] = {}
        for record in chain((header,), records):
            if isinstance(record, Schema) and record.id not in ids:
                ids[record.id] = writer.register_schema(record.name, record.encoding, record.data)
            elif isinstance(record, Channel) and record.id not in channels:
                channels[record.id] = writer.register_channel(
                    record.topic, record.message_encoding, ids[record.schema_id], record.metadata
                )
            elif isinstance(record, Message):
                writer.add_message(
                    channels[record.channel_id], record.log_time, record.data, record.publish_time, record.sequence
                )
                count += 1
            elif isinstance(record, Metadata):
                writer.add_metadata(record.name, record.metadata)
            elif isinstance(record, Attachment):
                writer.add_attachment(record.create_time, record.log_time, record.name, record.media_type, record.data)
        writer.finish()  # type: ignore[no-untyped-call]
        file.flush()
        os.fsync(file.fileno())
    mended.replace(path)
    return count


def recover_folder(folder: Path) -> dict[str, int]:
    """Recover every recording below a run directory; returns messages by file name of those that were cut off."""
    mended: dict[str, int] = {}
    for path in sorted(folder.rglob("*.mcap")):
        try:
            count = recover(path)
        except RecordingError:  # not ours, or killed before its first byte: nothing to win, nothing to lose
            continue
        if count is not None:
            mended[path.name] = count
    return mended


def _records(path: Path) -> Iterator[Any]:
    """Records of a file up to its end, or to where it was torn."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise RecordingError(f"the recording {path} cannot be read: {error.strerror}") from None
    with file:
        if file.read(len(MAGIC)) != MAGIC:
            raise RecordingError(f"{path} is no recording: it does not begin as an MCAP file does")
        whole = _WholeRecords(file, _whole_length(file))
        try:
            for record in StreamReader(whole, validate_crcs=True).records:  # type: ignore[arg-type]
                if isinstance(record, DataEnd):
                    return
                yield record
        except _TORN:
            return


class _WholeRecords:
    """A file up to its last whole record: the reader would take a torn string for a short one."""

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._file = file
        self._left = length
        file.seek(0)

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end of the last whole record."""
        if size > self._left:
            return b""
        self._left -= size
        return self._file.read(size)


def _whole_length(file: BinaryIO) -> int:
    """Bytes up to the end of the last whole record; a record is an opcode, a 64-bit length, and its content."""
    total = file.seek(0, os.SEEK_END)
    end = len(MAGIC)
    while end + 9 <= total:
        file.seek(end + 1)
        (length,) = struct.unpack("<Q", file.read(8))
        if end + 9 + length > total:
            break
        end += 9 + length
    return end
