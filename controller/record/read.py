"""Reading a recording: up to its end, or to where it was cut off; its index is not needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
from mcap.records import Attachment, Channel, Message, Metadata, Schema

from controller.record.damage import OnDamage, ignore
from controller.record.frames import whole_records

LIBRARY: Final = "boresight"  # whose recordings these are
PARTIAL: Final = ".partial"  # at the end of the name of a file that is not one yet


@dataclass(frozen=True, slots=True)
class Recorded:
    """One message of a recording."""

    topic: str
    source: str
    simulated: bool
    seq: int
    log_time_ns: int  # UTC of sending, nanoseconds since 1970
    body: dict[str, Any]
    schema: dict[str, Any] = field(compare=False, repr=False)  # JSON Schema of the body, as the file has it


def read(path: Path) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Messages in the order of writing: topic, UTC of sending in nanoseconds since 1970, body.

    A file that was cut off ends at its last whole flush, and what is damaged is left out. Raises RecordingError when it
    is no recording at all.
    """
    for message in read_messages(path):
        yield message.topic, message.log_time_ns, message.body


def read_messages(path: Path, damaged: OnDamage = ignore) -> Iterator[Recorded]:
    """As `read`, with source, sequence number and the mark of emulated devices; `damaged` is told what is left out."""
    schemas: dict[int, dict[str, Any]] = {0: {}}
    channels: dict[int, Channel] = {}
    for record in whole_records(path, damaged):
        if isinstance(record, Message):
            channel = channels[record.channel_id]
            yield Recorded(
                topic=channel.topic,
                source=channel.metadata.get("source", ""),
                simulated=channel.metadata.get("simulated") == "true",
                seq=record.sequence,
                log_time_ns=record.log_time,
                body=msgspec.json.decode(record.data),
                schema=schemas[channel.schema_id],
            )
        elif isinstance(record, Schema):
            schemas[record.id] = msgspec.json.decode(record.data)
        elif isinstance(record, Channel):
            channels[record.id] = record


def read_metadata(path: Path) -> dict[str, dict[str, str]]:
    """Metadata records by name."""
    return {record.name: dict(record.metadata) for record in whole_records(path) if isinstance(record, Metadata)}


def read_attachments(path: Path) -> dict[str, bytes]:
    """Attached files by name."""
    return {record.name: record.data for record in whole_records(path) if isinstance(record, Attachment)}
