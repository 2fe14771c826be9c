"""Every topic of a recording into a file of its own, message by message: a recording may be larger than the memory."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from controller.export import ExportError
from controller.export.columns import HEAD, Column, columns_of, row_of
from controller.export.whole import whole
from controller.record import OnDamage, ignore, read_run


class Table(Protocol):
    """A file under way."""

    def write(self, row: list[Any]) -> None:
        """Add a row: a value a column, None where there is none."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


MakeTable = Callable[[Path, Sequence[Column]], Table]


class CsvTable:
    """Comma-separated, UTF-8, names of the columns in the first line; None is an empty field."""

    suffix = ".csv"

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow([column.name for column in columns])

    def write(self, row: list[Any]) -> None:
        """Add a row; true and false as JSON has them."""
        self._writer.writerow([str(value).lower() if isinstance(value, bool) else value for value in row])

    def close(self) -> None:
        """Close."""
        self._file.close()


def export_tables(
    first: Path, folder: Path, make: MakeTable, suffix: str, damaged: OnDamage = ignore
) -> dict[str, int]:
    """Write a file a topic into the folder; returns rows by file name. A file appears once it is complete.

    `damaged` is told what of the recording cannot be read.

    Raises:
        ExportError: a file is there already, or the recording is empty. RecordingError: it is no recording.
    """

    def name_of(topic: str) -> str:
        return topic.replace("/", "_") + suffix

    tables: dict[str, Table] = {}
    columns: dict[str, tuple[Column, ...]] = {}
    rows: Counter[str] = Counter()
    # All are closed before the first gets its name: each may be the one that finds no room.
    with ExitStack() as names, ExitStack() as under_way:
        for message in read_run(first, damaged):
            topic = message.topic
            if topic not in tables:  # not before: a recording that is under way gets topics meanwhile
                columns[topic] = columns_of(message.schema)
                path = names.enter_context(whole(folder / name_of(topic)))
                tables[topic] = make(path, (*HEAD, *columns[topic]))
                under_way.callback(tables[topic].close)
            tables[topic].write(row_of(message, columns[topic]))
            rows[topic] += 1
    if not rows:
        raise ExportError(f"{first}: the recording is empty; nothing was published before it ended")
    return {name_of(topic): count for topic, count in sorted(rows.items())}
