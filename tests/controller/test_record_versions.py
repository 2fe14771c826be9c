"""A recording of another version, whose messages lack a field, is named by those who need that field."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from mcap.writer import Writer

from controller.bus.topics import LINK_STATE, STATION_MODE
from controller.export.sigmf import export_sigmf
from controller.export.tables import CsvTable, export_tables
from controller.export.tdm import export_tdm
from controller.record import RecordingError
from controller.report import write_report


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """What version 0.0.1 said of power and mode: without the power, and without the target."""
    path = tmp_path / "older.mcap"
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start()
        writer.add_metadata("boresight", {"version": "0.0.1"})
        for topic, body in ((STATION_MODE, {"mode": "LINK", "t_utc_ns": 1}), (LINK_STATE, {"t_utc_ns": 1})):
            schema = {"type": "object", "properties": {field: {"type": "string"} for field in body}}
            kind = writer.register_schema(topic.name, "jsonschema", msgspec.json.encode(schema))
            channel = writer.register_channel(topic.name, "json", kind, {"source": "x", "simulated": "true"})
            writer.add_message(channel, 1, msgspec.json.encode(body), 1)
        writer.finish()  # type: ignore[no-untyped-call]
    return path


@pytest.mark.parametrize(
    "read",
    [
        lambda path: export_sigmf(path, path.parent / "out"),
        lambda path: export_tdm(path, path.with_suffix(".tdm"), 0),
        write_report,
    ],
)
def test_a_field_that_another_version_did_not_have_is_named(older: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(
        RecordingError, match=r"older\.mcap has messages without the field '\w+', .* boresight 0\.0\.1;"
    ):
        read(older)


def test_a_table_takes_every_field_as_it_is(older: Path, tmp_path: Path) -> None:
    assert export_tables(older, tmp_path / "out", CsvTable, CsvTable.suffix) == {
        "link_state.csv": 1,
        "station_mode.csv": 1,
    }
