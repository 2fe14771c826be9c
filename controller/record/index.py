"""The index at the end of a recording, which is there once it was closed."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from mcap.opcode import Opcode
from mcap.records import Channel, Schema
from mcap.stream_reader import StreamReader

from controller.record.damage import RecordingError

MAGIC: Final = b"\x89MCAP0\r\n"
FOOTER: Final = struct.Struct("<BQQQI")  # opcode, length, where the index begins, and its offsets; checksum
FOOTER_LENGTH, CRC_LENGTH = 20, 4


def opened(path: Path) -> BinaryIO:
    """A file to be read. Raises RecordingError."""
    try:
        return path.open("rb")
    except OSError as error:
        raise RecordingError(f"the recording {path} cannot be read: {error.strerror}") from None


def finished(path: Path) -> bool:
    """True when the recording was closed, so that its index is there and whole (its checksum says so)."""
    with opened(path) as file:
        return index_at(file) is not None


def index_at(file: BinaryIO) -> int | None:
    """Byte at which the index begins; None when there is none, or a damaged one."""
    footer_at = file.seek(0, os.SEEK_END) - FOOTER.size - len(MAGIC)
    if footer_at < len(MAGIC):
        return None
    file.seek(footer_at)
    opcode, length, begin, _, crc = FOOTER.unpack(file.read(FOOTER.size))
    if (opcode, length) != (Opcode.FOOTER, FOOTER_LENGTH) or file.read() != MAGIC:
        return None
    if not len(MAGIC) <= begin <= footer_at:
        return None
    file.seek(begin)
    if crc and zlib.crc32(file.read(footer_at + FOOTER.size - CRC_LENGTH - begin)) != crc:
        return None
    return int(begin)


def described(file: BinaryIO, begin: int) -> Iterator[Any]:
    """Schemas and channels as an index that begins there has them once more."""
    file.seek(begin)
    for record in StreamReader(file, skip_magic=True).records:
        if isinstance(record, Schema | Channel):
            yield record
