"""Parquet through pyarrow: typed columns, with the unit as metadata of each. Imported only where it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from controller.export.columns import Column, Kind

ROWS = 20_000  # of a row group, which is held in memory
TYPES: dict[Kind, Any] = {"float": pa.float64(), "int": pa.int64(), "bool": pa.bool_(), "text": pa.string()}


class ParquetTable:
    """One file. Times are integers, nanoseconds since 1970: no reader rounds them."""

    suffix = ".parquet"

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self._schema = pa.schema(
            [
                pa.field(column.name, TYPES[column.kind], metadata={"unit": column.unit} if column.unit else None)
                for column in columns
            ]
        )
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[list[Any]] = []

    def write(self, row: list[Any]) -> None:
        """Add a row."""
        self._rows.append(row)
        if len(self._rows) >= ROWS:
            self._write_group()

    def close(self) -> None:
        """Write what is left, and the footer."""
        if self._rows:
            self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        columns = [
            pa.array(values, field.type)
            for values, field in zip(zip(*self._rows, strict=True), self._schema, strict=True)
        ]
        self._writer.write_batch(pa.record_batch(columns, schema=self._schema))
        self._rows.clear()
