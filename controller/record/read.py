"""Reading a recording: up to its end, or to where it was torn; its index is not needed."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
import zstandard
from mcap.exceptions import McapError
from mcap.records import Attachment, Channel, DataEnd, Message, Metadata, Schema
from mcap.stream_reader import CRCValidationError, StreamReader

from controller.errors import BoresightError

LIBRARY: Final = "boresight"  # whose recordings these are
PARTIAL: Final = ".partial"  # at the end of the name of a file that is not one yet
MAGIC: Final = b"\x89MCAP0\r\n"
TORN = (McapError, CRCValidationError, struct.error, zstandard.ZstdError, ValueError, EOFError, IndexError)


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


def read(path: Path) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Messages in the order of writing: topic, UTC of sending in nanoseconds since 1970, body.

    A file that was cut off ends at its last whole flush. Raises RecordingError when it is no recording at all.
    """
    for message in read_messages(path):
        yield message.topic, message.log_time_ns, message.body


def read_messages(path: Path) -> Iterator[Recorded]:
    """As `read`, with source, sequence number and the mark of emulated devices."""
    channels: dict[int, Channel] = {}
    for record in whole_records(path):
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
    return {record.name: dict(record.metadata) for record in whole_records(path) if isinstance(record, Metadata)}


def read_attachments(path: Path) -> dict[str, bytes]:
    """Attached files by name."""
    return {record.name: record.data for record in whole_records(path) if isinstance(record, Attachment)}


def read_schemas(path: Path) -> dict[str, dict[str, Any]]:
    """JSON Schema of each topic that has messages, as the file itself has it."""
    schemas: dict[int, dict[str, Any]] = {}
    topics: dict[str, dict[str, Any]] = {}
    for record in whole_records(path):
        if isinstance(record, Schema):
            schemas[record.id] = msgspec.json.decode(record.data)
        elif isinstance(record, Channel):
            topics[record.topic] = schemas.get(record.schema_id, {})
    return topics


def whole_records(path: Path) -> Iterator[Any]:
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
        except TORN:
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
