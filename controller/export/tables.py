"""Every topic of a recording into a file of its own, message by message: a recording may be larger than the memory."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from controller.export import ExportError
from controller.export.columns import HEAD, Column, columns_of, row_of
from controller.export.whole import whole
from controller.record import OnDamage, ignore, parts_of, read_run, read_schemas


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
    schemas = {topic: schema for part in parts_of(first) for topic, schema in read_schemas(part).items()}
    if not schemas:
        raise ExportError(f"{first}: the recording is empty; nothing was published before it ended")
    columns = {topic: columns_of(schema) for topic, schema in schemas.items()}
    paths = {topic: folder / (topic.replace("/", "_") + suffix) for topic in columns}
    rows = dict.fromkeys(columns, 0)
    with ExitStack() as stack:
        tables: dict[str, Table] = {}
        for topic, path in paths.items():
            tables[topic] = make(stack.enter_context(whole(path)), (*HEAD, *columns[topic]))
            stack.callback(tables[topic].close)
        for message in read_run(first, damaged):
            tables[message.topic].write(row_of(message, columns[message.topic]))
            rows[message.topic] += 1
    return {paths[topic].name: count for topic, count in sorted(rows.items())}
