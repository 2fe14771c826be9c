"""The records of an MCAP file in the order of writing; what is damaged is told and stepped over.

A record is an opcode, a 64-bit length, and its content. Messages, with what describes them, are in chunks, which have a
checksum: one that does not hold is left out, and the next begins where its length says. Where a length is wrong too,
the next chunk is found by how chunks begin. Only a record that is cut off at the end of a file without index is no
damage: a kill leaves that.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Attachment, Channel, Chunk, Header, Message, Metadata, Schema
from mcap.stream_reader import breakup_chunk

from controller.record.damage import Damage, OnDamage, RecordingError, ignore
from controller.record.index import MAGIC, described, index_at, opened

FRAME: Final = struct.Struct("<BQ")
KINDS: Final[dict[int, Any]] = {
    Opcode.HEADER: Header,
    Opcode.CHUNK: Chunk,
    Opcode.ATTACHMENT: Attachment,
    Opcode.METADATA: Metadata,
}
KNOWN: Final = frozenset({*KINDS, Opcode.MESSAGE_INDEX, Opcode.DATA_END})
BROKEN: Final = (
    McapError,
    struct.error,
    zstandard.ZstdError,
    ValueError,
    EOFError,
    IndexError,
    OverflowError,
    MemoryError,
)
COMPRESSION: Final = b"\x04\0\0\0zstd"  # in the head of each chunk, behind its times, its size and its checksum
COMPRESSION_AT, RECORDS_AT = FRAME.size + 28, FRAME.size + 44
WINDOW = 1 << 20  # bytes that are searched at once


def whole_records(path: Path, damaged: OnDamage = ignore) -> Iterator[Any]:
    """Records of a file up to its end, or to where it was cut off.

    `damaged` is called for each place that cannot be read. Raises RecordingError when the file is no recording.
    """
    with opened(path) as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise RecordingError(f"{path} is no recording: it does not begin as an MCAP file does")
        yield from _Walk(path, file, damaged).records()


class _Walk:
    def __init__(self, path: Path, file: BinaryIO, damaged: OnDamage) -> None:
        self._path, self._file, self._damaged = path, file, damaged
        self._index_at = index_at(file)
        total = file.seek(0, os.SEEK_END)
        self._end = total if self._index_at is None else self._index_at
        file.seek(total - len(MAGIC))
        self._closed = file.read() == MAGIC
        self._schemas, self._channels = {0}, set[int]()

    def records(self) -> Iterator[Any]:
        """All that can be read, each message behind its channel."""
        at, orphans, first_orphan_at = len(MAGIC), 0, 0
        while at < self._end:
            try:
                opcode, content = self._frame(at)
                found = _records(opcode, content)
            except BROKEN:
                following = self._after(at)
                if following == self._end and self._cut_off(at):
                    break
                self._damaged(Damage(self._path, at, following - at))
                yield from self._again()
                at = following
                continue
            if opcode == Opcode.DATA_END:
                break
            for record in found:
                if self._is_described(record):
                    yield record
                elif isinstance(record, Message):
                    orphans, first_orphan_at = orphans + 1, first_orphan_at or at
            at += FRAME.size + len(content)
        if orphans:
            self._damaged(Damage(self._path, first_orphan_at, 0, orphans))

    def _frame(self, at: int) -> tuple[int, bytes]:
        opcode, length = self._head(at)
        if at + FRAME.size + length > self._end:
            raise EOFError
        return opcode, self._file.read(length)

    def _head(self, at: int) -> tuple[int, int]:
        self._file.seek(at)
        opcode, length = FRAME.unpack(self._file.read(FRAME.size))
        return opcode, length

    def _is_described(self, record: Any) -> bool:
        """True when what a record refers to was read."""
        if isinstance(record, Message):
            return record.channel_id in self._channels
        if isinstance(record, Schema):
            self._schemas.add(record.id)
        elif isinstance(record, Channel):
            if record.schema_id not in self._schemas:
                return False
            self._channels.add(record.id)
        return True

    def _again(self) -> Iterator[Any]:
        """What the damage may have described, from the index."""
        if self._index_at is not None:
            yield from filter(self._is_described, described(self._file, self._index_at))

    def _cut_off(self, at: int) -> bool:
        """True where a record ends with the file before its length says so, in a file that was never closed."""
        if self._closed:
            return False
        if at + FRAME.size > self._end:
            return True
        opcode, length = self._head(at)
        if at + FRAME.size + length <= self._end:
            return False
        if opcode == Opcode.CHUNK and at + RECORDS_AT <= self._end:
            return self._agrees(at)
        return opcode in KNOWN

    def _after(self, at: int) -> int:
        """Where the next record begins after one that does not hold."""
        if at + FRAME.size <= self._end:
            following = at + FRAME.size + self._head(at)[1]
            if following == self._end or self._fits(following):
                return following
        return self._next_chunk(at + 1)

    def _fits(self, at: int) -> bool:
        if at + FRAME.size > self._end:
            return False
        opcode, length = self._head(at)
        return opcode in KNOWN and at + FRAME.size + length <= self._end

    def _next_chunk(self, at: int) -> int:
        """Where the next chunk begins at this byte or after it; the end when there is none."""
        place = at + COMPRESSION_AT
        while place < self._end:
            self._file.seek(place)
            window = self._file.read(WINDOW)
            found = window.find(COMPRESSION)
            if found < 0:
                place += max(len(window) - len(COMPRESSION) + 1, 1)
                continue
            begin = place + found - COMPRESSION_AT
            if self._is_chunk(begin):
                return begin
            place += found + 1
        return self._end

    def _is_chunk(self, at: int) -> bool:
        return (
            self._fits(at) and self._head(at)[0] == Opcode.CHUNK and at + RECORDS_AT <= self._end and self._agrees(at)
        )

    def _agrees(self, at: int) -> bool:
        """True where the length of a chunk is what the length of the records in it makes it."""
        _, length = self._head(at)
        self._file.seek(at + RECORDS_AT - 8)
        (records_length,) = struct.unpack("<Q", self._file.read(8))
        return bool(FRAME.size + length == RECORDS_AT + records_length)


def _records(opcode: int, content: bytes) -> list[Any]:
    """What a frame holds, of a chunk the records in it; raises one of BROKEN when it is not as it was written."""
    stream = ReadDataStream(BytesIO(content))
    if opcode in KINDS:
        record = KINDS[opcode].read(stream)
        if stream.count != len(content) or (opcode == Opcode.ATTACHMENT and not _holds(content)):
            raise ValueError
        return breakup_chunk(record, validate_crc=True) if opcode == Opcode.CHUNK else [record]
    # What is not needed is looked at as well: a chunk whose opcode is damaged must not pass for it.
    if opcode == Opcode.MESSAGE_INDEX and struct.unpack_from("<I", content, 2)[0] == len(content) - 6:
        return []
    if opcode == Opcode.DATA_END and len(content) == 4:
        return []
    raise ValueError


def _holds(attachment: bytes) -> bool:
    (crc,) = struct.unpack("<I", attachment[-4:])
    return crc in {0, zlib.crc32(attachment[:-4])}
