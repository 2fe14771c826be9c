"""Giving a recording that was cut off its index back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from typing import Any, BinaryIO

from mcap.records import Attachment, Channel, Message, Metadata, Schema
from mcap.writer import Writer

from controller.record.damage import KEPT, Damage, OnDamage, RecordingError, ignore
from controller.record.frames import whole_records
from controller.record.index import finished
from controller.record.read import LIBRARY, PARTIAL
from controller.record.sink import being_written, claim

Tell = Callable[[str], None]
Stopped = Callable[[], bool]


class _StoppedError(Exception):
    """There is no time to go on."""


class NoRoomError(RecordingError):
    """The disk does not take the mended copy; the recording is as it was."""


def recover(path: Path, stopped: Stopped = lambda: False, damaged: OnDamage = ignore) -> int | None:
    """Give a recording that was cut off its index back; the original is replaced once the new file is whole.

    Where a part of the original cannot be read, it stays beside the new file as NAME.mcap.damaged, and `damaged` is
    told what is missing, by places of that file.

    Returns the number of messages that it holds, or None when nothing was done: it was finished, a recorder is writing
    it, another process is mending it, or `stopped`, asked at each record, said so. Raises RecordingError when it is no
    recording, NoRoomError when the disk has none for a second copy.
    """
    if finished(path) or being_written(path):
        return None
    found: list[Damage] = []
    records = whole_records(path, found.append)
    header = next(records, None)  # raises before anything is written
    try:
        messages = _mend(path, _until(stopped, chain((header,), records)), found)
    except _StoppedError:
        return None
    except OSError as error:
        raise NoRoomError(
            f"the recording {path} was cut off and gets no index ({error.strerror}): make room for a second copy"
        ) from None
    for damage in found if messages is not None else ():
        damaged(damage)
    return messages


def _mend(path: Path, records: Iterable[Any], found: list[Damage]) -> int | None:
    """Put a copy in the place of a recording; what was `found` damaged meanwhile is then in the file that is kept."""
    partial = path.with_name(path.name + PARTIAL)
    with partial.open("ab") as copy:  # not emptied before it is ours
        if not claim(copy, partial):
            return None
        try:
            if finished(path):  # whoever had the copy until now has replaced it
                return None
            copy.truncate(0)
            messages = _copy(records, copy)
            if found:
                kept = _keep(path)
                found[:] = [replace(damage, path=kept) for damage in found]
            partial.replace(path)
            return messages
        finally:
            partial.unlink(missing_ok=True)


def _keep(path: Path) -> Path:
    """Give a file a second name, which stays when another file takes the first."""
    endings = chain((KEPT,), (f"{KEPT}-{number}" for number in count(2)))
    names = (path.with_name(path.name + ending) for ending in endings)
    kept = next(name for name in names if not name.exists() or name.samefile(path))
    if not kept.exists():
        kept.hardlink_to(path)
    return kept


def _until(stopped: Stopped, records: Iterable[Any]) -> Iterator[Any]:
    for record in records:
        if stopped():
            raise _StoppedError
        yield record


def _copy(records: Iterable[Any], file: BinaryIO) -> int:
    """Write the records anew with an index; returns the number of messages."""
    messages = 0
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
            messages += 1
        elif isinstance(record, Metadata):
            writer.add_metadata(record.name, record.metadata)
        elif isinstance(record, Attachment):
            writer.add_attachment(record.create_time, record.log_time, record.name, record.media_type, record.data)
    writer.finish()  # type: ignore[no-untyped-call]
    file.flush()
    os.fsync(file.fileno())
    return messages


def recover_all(
    paths: Iterable[Path],
    tell: Tell = lambda sentence: None,
    stopped: Stopped = lambda: False,
    damaged: OnDamage = ignore,
) -> dict[str, int]:
    """Recover recordings; returns messages by file name of those that were cut off.

    `tell` is called with a sentence for each that the disk has no room to mend; it stays readable as it is. `damaged`
    is that of `recover`.
    """
    mended: dict[str, int] = {}
    for path in paths:
        try:
            messages = recover(path, stopped, damaged)
        except NoRoomError as error:
            tell(str(error))
            continue
        except RecordingError:  # not ours, or killed before its first byte: nothing to win, nothing to lose
            continue
        if messages is not None:
            mended[path.name] = messages
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
