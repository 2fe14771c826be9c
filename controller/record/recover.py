"""Giving a recording that was cut off its index back."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Final

from mcap.opcode import Opcode
from mcap.records import Attachment, Channel, Message, Metadata, Schema
from mcap.writer import Writer

from controller.record.read import LIBRARY, MAGIC, PARTIAL, RecordingError, whole_records
from controller.record.sink import being_written, claim

FOOTER: Final = struct.Struct("<BQQQI")  # opcode, length, where the index begins, and its offsets; checksum
FOOTER_LENGTH, CRC_LENGTH = 20, 4
Tell = Callable[[str], None]
Stopped = Callable[[], bool]


class _StoppedError(Exception):
    """There is no time to go on."""


class NoRoomError(RecordingError):
    """The disk does not take the mended copy; the recording is as it was."""


def finished(path: Path) -> bool:
    """True when the recording was closed, so that its index is there and whole (its checksum says so)."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise RecordingError(f"the recording {path} cannot be read: {error.strerror}") from None
    with file:
        size = file.seek(0, os.SEEK_END)
        footer_at = size - FOOTER.size - len(MAGIC)
        if footer_at < len(MAGIC):
            return False
        file.seek(footer_at)
        opcode, length, index_at, _, crc = FOOTER.unpack(file.read(FOOTER.size))
        if (opcode, length) != (Opcode.FOOTER, FOOTER_LENGTH) or file.read() != MAGIC:
            return False
        if not len(MAGIC) <= index_at <= footer_at:
            return False
        file.seek(index_at)
        return not crc or zlib.crc32(file.read(footer_at + FOOTER.size - CRC_LENGTH - index_at)) == crc


def recover(path: Path, stopped: Stopped = lambda: False) -> int | None:
    """Give a recording that was cut off its index back; the original is replaced once the new file is whole.

    Returns the number of messages that it holds, or None when nothing was done: it was finished, a recorder is writing
    it, another process is mending it, or `stopped`, asked at each record, said so. Raises RecordingError when it is no
    recording, NoRoomError when the disk has none for a second copy.
    """
    if finished(path) or being_written(path):
        return None
    records = whole_records(path)
    header = next(records, None)  # raises before anything is written
    try:
        return _mend(path, _until(stopped, chain((header,), records)))
    except _StoppedError:
        return None
    except OSError as error:
        raise NoRoomError(
            f"the recording {path} was cut off and gets no index ({error.strerror}): make room for a second copy"
        ) from None


def _mend(path: Path, records: Iterable[Any]) -> int | None:
    partial = path.with_name(path.name + PARTIAL)
    with partial.open("ab") as copy:  # not emptied before it is ours
        if not claim(copy, partial):
            return None
        try:
            if finished(path):  # whoever had the copy until now has replaced it
                return None
            copy.truncate(0)
            count = _copy(records, copy)
            partial.replace(path)
            return count
        finally:
            partial.unlink(missing_ok=True)


def _until(stopped: Stopped, records: Iterable[Any]) -> Iterator[Any]:
    for record in records:
        if stopped():
            raise _StoppedError
        yield record


def _copy(records: Iterable[Any], file: BinaryIO) -> int:
    """Write the records anew with an index; returns the number of messages."""
    count = 0
    writer = Writer(file)
    writer.start(profile="", library=LIBRARY)
    ids: dict[int, int] = {0: 0}
    channels: dict[int, int] = {}
    for record in records:
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
    return count


def recover_all(
    paths: Iterable[Path], tell: Tell = lambda sentence: None, stopped: Stopped = lambda: False
) -> dict[str, int]:
    """Recover recordings; returns messages by file name of those that were cut off.

    `tell` is called with a sentence for each that the disk has no room to mend; it stays readable as it is.
    """
    mended: dict[str, int] = {}
    for path in paths:
        try:
            count = recover(path, stopped)
        except NoRoomError as error:
            tell(str(error))
            continue
        except RecordingError:  # not ours, or killed before its first byte: nothing to win, nothing to lose
            continue
        if count is not None:
            mended[path.name] = count
    return mended


def recordings_in(folder: Path) -> list[Path]:
    """Every recording below a run directory, the oldest name first."""
    return sorted(folder.rglob("*.mcap"))


def sweep(folder: Path) -> None:
    """Remove what a killed process left of files that were none yet."""
    for path in folder.rglob(f"*.mcap{PARTIAL}"):
        with suppress(FileNotFoundError), path.open("r+b") as file:
            if claim(file, path):
                path.unlink()


def recover_folder(folder: Path, tell: Tell = lambda sentence: None) -> dict[str, int]:
    """Recover every recording below a run directory; as `recover_all`."""
    return recover_all(recordings_in(folder), tell)
