"""The recording of a run as several files: a new one begins when the old one is large or old enough.

The first file is NAME.mcap, those that follow are NAME-0002.mcap, NAME-0003.mcap: each has the metadata, the
attachments and the schemas, and opens by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from controller.bus.envelope import Envelope
from controller.record.damage import OnDamage, RecordingError, ignore
from controller.record.read import Recorded, read_messages
from controller.record.write import FLUSH_NS, Recorder
from hal.clock import NS

MEDIA_TYPE = "application/octet-stream"


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
        path = self._first if self._part == 1 else self._first.with_stem(f"{self._first.stem}-{self._part:04d}")
        place = {"file": {"run": self._first.stem, "part": str(self._part)}}
        recorder = Recorder(path, {**self._metadata, **place}, self._flush_ns)
        for name, data in self._attachments.items():
            recorder.attach(name, MEDIA_TYPE, data)
        return recorder


def parts_of(first: Path) -> list[Path]:
    """A recording and the files that follow it, in order; a later file stands for itself alone."""
    follows = re.compile(re.escape(first.stem) + r"-\d{4,}")
    beside = (path for path in first.parent.glob(f"*{first.suffix}") if follows.fullmatch(path.stem))
    return [first, *sorted(beside, key=lambda path: (len(path.stem), path.stem))]


def read_run(first: Path, damaged: OnDamage = ignore) -> Iterator[Recorded]:
    """Messages of a recording and of the files that follow it, in the order of writing; as `read_messages`."""
    for path in parts_of(first):
        yield from read_messages(path, damaged)


def rename_run(last: Path, stem: str) -> Path:
    """Name all files of a run anew, in place of an older run of that name; returns the first."""
    run = last.with_stem(re.sub(r"-\d{4,}$", "", last.stem))
    first = run.with_stem(stem)
    if first == run:
        return first
    for old in parts_of(first):
        old.unlink(missing_ok=True)  # else a later file of it would seem to follow this run
    for part in parts_of(run):
        part.rename(part.with_stem(stem + part.stem.removeprefix(run.stem)))
    return first
