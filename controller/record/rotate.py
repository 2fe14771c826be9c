"""The recording of a run as several files: a new one begins when the old one is large or old enough.

The first file is NAME.mcap, those that follow are NAME-0002.mcap, NAME-0003.mcap: each has the metadata, the
attachments and the schemas, and opens by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from mcap.records import Message, Metadata

from controller.bus.envelope import Envelope
from controller.record.damage import Damage, OnDamage, RecordingError, ignore
from controller.record.frames import whole_records
from controller.record.read import Recorded, read_messages
from controller.record.write import FLUSH_NS, Recorder
from hal.clock import NS

MEDIA_TYPE = "application/octet-stream"
PLACE = "file"  # the metadata that join the files of a run


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a new file begins: whichever comes first.

    A file's index stays in memory until the file ends: 1.4 kB a flush of fifteen channels, 13 MB in a quarter of an
    hour and 51 MB in an hour, which the supervisor would take for a leak.
    """

    file_max_bytes: int = 256_000_000
    file_max_ns: int = 900 * NS


class RotatingRecorder:
    """Records into the files of one run. Times are the owner's monotonic clock.

    Args:
        first: the first file; those that follow stand beside it.
        now_ns: the present.
        metadata: named records of strings, in each file; "file" with run and part joins them.
        attachments: files by name, in each file.
        rotation: when a new file begins.
        flush_ns: time between two flushes.
    """

    def __init__(
        self,
        first: Path,
        now_ns: int,
        metadata: Mapping[str, Mapping[str, str]] | None = None,
        attachments: Mapping[str, bytes] | None = None,
        rotation: Rotation | None = None,
        flush_ns: int = FLUSH_NS,
    ) -> None:
        self._first = first
        self._metadata = metadata or {}
        self._attachments = attachments or {}
        self._rotation = rotation or Rotation()
        self._flush_ns = flush_ns
        self._part = 1
        self._dropped = 0  # of the files that are closed
        self._closing: Thread | None = None
        self._current = self._begin()
        self._began_ns = now_ns

    @property
    def path(self) -> Path:
        """The file that is being written."""
        return self._current.path

    @property
    def refused(self) -> str:
        """Why the disk takes nothing at present; empty while it does."""
        return self._current.refused

    @property
    def dropped(self) -> int:
        """Messages that found no room since the start."""
        return self._dropped + self._current.dropped

    def write(self, topic: str, envelope: Envelope) -> None:
        """Record a telemetry message. Raises BusError when the topic is unknown or the body does not fit it."""
        self._current.write(topic, envelope)

    def tick(self, now_ns: int) -> None:
        """Flush, and begin a new file, when that is due."""
        if not self._current.tick(now_ns) or self._current.refused:
            return
        large = self._current.size_bytes >= self._rotation.file_max_bytes
        if large or now_ns - self._began_ns >= self._rotation.file_max_ns:
            self._rotate(now_ns)

    def close(self) -> None:
        """Write the index and close."""
        self._current.close()
        if self._closing is not None:
            self._closing.join()

    def _rotate(self, now_ns: int) -> None:
        """The old file is closed once the new one is on the disk; until then it goes on.

        Its index (a part of a second's work) is written beside the recording, which a kill must not cost more.
        """
        self._part += 1
        try:
            fresh = self._begin()
        except RecordingError:
            return  # no room for a name: the next flush tries again
        if fresh.refused:
            fresh.close()
            fresh.path.unlink(missing_ok=True)
            return
        self._dropped += self._current.dropped
        if self._closing is not None:
            self._closing.join()
        self._closing = Thread(target=self._current.close, name="index", daemon=True)
        self._closing.start()
        self._current, self._began_ns = fresh, now_ns

    def _begin(self) -> Recorder:
        path = _part(self._first, self._part)
        place = {PLACE: {"run": self._first.stem, "part": str(self._part)}}
        recorder = Recorder(path, {**self._metadata, **place}, self._flush_ns)
        for name, data in self._attachments.items():
            recorder.attach(name, MEDIA_TYPE, data)
        return recorder


def parts_of(first: Path) -> list[Path]:
    """A recording and the files that follow it, in order; a later file stands for itself alone.

    A file follows when its name and its own "file" metadata say so: a name alone may be chance. Raises RecordingError
    when the first is no recording.
    """
    return [path for _, path in _numbered(first)]


def read_run(first: Path, damaged: OnDamage = ignore) -> Iterator[Recorded]:
    """Messages of a recording and of the files that follow it, in the order of writing; as `read_messages`."""
    expected = 1
    for part, path in _numbered(first):
        for missing in range(expected, part):
            damaged(Damage(_part(first, missing)))
        expected = part + 1
        yield from read_messages(path, damaged)


def _part(first: Path, part: int) -> Path:
    return first if part == 1 else first.with_stem(f"{first.stem}-{part:04d}")


def _numbered(first: Path) -> list[tuple[int, Path]]:
    run, part = _place(first)
    found = [(1, first)]
    if not run or part != 1:
        return found
    for path in first.parent.glob(f"*{first.suffix}"):
        named = re.fullmatch(re.escape(first.stem) + r"-(\d{4,})", path.stem)
        with suppress(RecordingError):  # what cannot be read follows nothing
            if named and _place(path) == (run, int(named[1])):
                found.append((int(named[1]), path))
    return sorted(found)


def _place(path: Path) -> tuple[str, int]:
    """Run of a file and its number in it; no run where the file stands alone."""
    for record in whole_records(path):
        if isinstance(record, Metadata) and record.name == PLACE:
            return record.metadata["run"], int(record.metadata["part"])
        if isinstance(record, Message):
            break  # all metadata stand before
    return "", 1


def rename_run(last: Path, stem: str) -> Path:
    """Name all files of a run anew, in place of an older run of that name; returns the first."""
    run = last.with_stem(re.sub(r"-\d{4,}$", "", last.stem))
    first = run.with_stem(stem)
    if first == run:
        return first
    if first.exists():
        for old in parts_of(first):
            old.unlink()
    for part in parts_of(run):
        part.rename(part.with_stem(stem + part.stem.removeprefix(run.stem)))
    return first
