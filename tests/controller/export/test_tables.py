"""CSV and Parquet: a file a topic, nothing lost, nothing rounded."""

from __future__ import annotations

import csv
import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from scarce_disk import files_end_at

from controller.bus.topics import (
    LINK_STATE,
    POINTING_STATE,
    STATION_MODE,
    TOPICS,
    TRACKING_CORRECTION,
    Correction,
    LinkState,
    ModeState,
)
from controller.cli import main
from controller.export import ExportError
from controller.export.columns import HEAD, Column, columns_of, unit_of
from controller.export.parquet import ParquetTable
from controller.export.tables import CsvTable, export_tables
from controller.record import Recorder, RecordingError, RotatingRecorder, Rotation, json_schema, read_messages
from hal.clock import NS

from .conftest import METADATA, T0_NS, Night, pointing

# Numbers without a unit: counts, ratios, and positions in a sequence.
COUNTS = {
    "cycles", "late_steps", "frames_dropped", "saturated_ticks", "ticks", "sweep", "snr", "quad_sum",
    "predicted_success", "radius_sigma", "seq", "generation", "gen", "connections", "number",
    "taken", "refused",
}  # fmt: skip


def csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_topic_is_a_csv_with_as_many_rows_as_messages(recording: Path, tmp_path: Path) -> None:
    written = export_tables(recording, tmp_path / "out", CsvTable, CsvTable.suffix)
    counted: dict[str, int] = {}
    for message in read_messages(recording):
        name = message.topic.replace("/", "_") + ".csv"
        counted[name] = counted.get(name, 0) + 1
    assert written == counted
    assert {path.name: len(csv_rows(path)) for path in (tmp_path / "out").iterdir()} == counted


def test_a_row_holds_what_the_message_held(recording: Path, tmp_path: Path) -> None:
    export_tables(recording, tmp_path / "out", CsvTable, CsvTable.suffix)
    row = csv_rows(tmp_path / "out" / "tracking_coarse.csv")[0]
    assert row["sent_utc_ns"] == row["t_utc_ns"] == str(T0_NS)
    assert (row["source"], row["simulated"], row["detected"]) == ("tracking", "true", "true")
    assert float(row["error_cross_elevation_rad"]) == 100e-6
    assert float(row["error_elevation_rad"]) == -200e-6
    assert csv_rows(tmp_path / "out" / "tracking_coarse.csv")[-1]["error_cross_elevation_rad"] == "", "not finite"
    assert csv_rows(tmp_path / "out" / "station_event.csv")[0]["message"] == 'a "quoted" word,\nand a line µ'
    votes = json.loads(csv_rows(tmp_path / "out" / "safety_state.csv")[0]["votes"])
    assert [vote["name"] for vote in votes] == ["mode", "sun"]


def test_parquet_holds_the_same_with_types_and_units(recording: Path, tmp_path: Path) -> None:
    export_tables(recording, tmp_path / "csv", CsvTable, CsvTable.suffix)
    written = export_tables(recording, tmp_path / "out", ParquetTable, ParquetTable.suffix)
    assert len(written) == 6
    for name, count in written.items():
        table = pq.read_table(tmp_path / "out" / name)
        assert table.num_rows == count
        expected = csv_rows(tmp_path / "csv" / name.replace("parquet", "csv"))
        for column in table.column_names:
            assert [text_of(value) for value in table[column].to_pylist()] == [row[column] for row in expected]
    schema = pq.read_schema(tmp_path / "out" / "link_state.parquet")
    assert str(schema.field("received_power_w").type) == "double"
    assert str(schema.field("t_utc_ns").type) == "int64"
    assert schema.field("received_power_w").metadata == {b"unit": b"W"}


def text_of(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def test_the_header_names_the_unit_of_every_number_of_the_bus() -> None:
    for topic in TOPICS.values():
        for column in columns_of(json_schema(topic.body)):
            if column.kind in {"float", "int"} and column.name not in COUNTS:
                assert column.unit, f"{topic.name} {column.name}"
    assert unit_of("azimuth_rate_rad_s") == "rad/s"
    assert unit_of("cycles") == ""


def test_every_field_of_the_bus_has_a_column() -> None:
    for topic in TOPICS.values():
        fields = {field.name for field in msgspec.structs.fields(topic.body)}
        assert {column.field for column in columns_of(json_schema(topic.body))} == fields


def test_no_two_columns_of_a_table_have_one_name() -> None:
    for topic in TOPICS.values():
        names = [column.name for column in (*HEAD, *columns_of(json_schema(topic.body)))]
        assert len(set(names)) == len(names), topic.name


def test_only_lists_and_objects_are_text_of_json() -> None:
    nested = {
        column.name for topic in TOPICS.values() for column in columns_of(json_schema(topic.body)) if column.nested
    }
    assert nested == {
        "segments", "held", "way_ahead_rad", "position_m", "velocity_m_s", "votes", "before", "after", "devices",
        "processes", "gaps", "refused",
    }  # fmt: skip


def test_a_field_with_the_name_of_the_sender_stands_beside_it_and_one_that_may_be_null_keeps_its_type(
    tmp_path: Path,
) -> None:
    path = tmp_path / "night.mcap"
    with Recorder(path, METADATA) as recorder:
        night = Night(recorder)
        night.say(TRACKING_CORRECTION, T0_NS, Correction(T0_NS, (1e-6, 2e-6), (0.0, 0.0), (0.0, 0.0), "coarse"))
        for axis_rad in (None, (0.25, 0.5)):
            night.say(POINTING_STATE, T0_NS, msgspec.structs.replace(pointing(T0_NS, 0.0, 1.0), axis_rad=axis_rad))
    export_tables(path, tmp_path / "out", CsvTable, CsvTable.suffix)
    export_tables(path, tmp_path / "out", ParquetTable, ParquetTable.suffix)
    (row,) = csv_rows(tmp_path / "out" / "tracking_correction.csv")
    assert (row["source"], row["body_source"]) == ("tracking", "coarse")
    table = pq.read_table(tmp_path / "out" / "tracking_correction.parquet")
    assert table["body_source"].to_pylist() == ["coarse"]
    table = pq.read_table(tmp_path / "out" / "pointing_state.parquet")
    assert table["axis_1_rad"].to_pylist() == [None, 0.25]
    assert table["axis_2_rad"].to_pylist() == [None, 0.5]
    assert table.schema.field("axis_1_rad").metadata == {b"unit": b"rad"}


def test_files_that_follow_are_part_of_the_table(tmp_path: Path) -> None:
    first = tmp_path / "night.mcap"
    recorder = RotatingRecorder(first, T0_NS, METADATA, rotation=Rotation(file_max_ns=300_000_000))
    Night(recorder).follow("X", 0.0)
    recorder.close()
    assert len(list(tmp_path.glob("*.mcap"))) > 2
    written = export_tables(first, tmp_path / "out", CsvTable, CsvTable.suffix)
    assert written["tracking_coarse.csv"] == 51


@pytest.mark.parametrize("rotation", [Rotation(), Rotation(file_max_ns=1)])
def test_a_recording_under_way_may_get_a_topic_and_a_file_while_it_is_exported(
    rotation: Rotation, tmp_path: Path
) -> None:
    first = tmp_path / "night.mcap"
    recorder = RotatingRecorder(first, T0_NS, METADATA, rotation=rotation)
    night = Night(recorder)
    night.say(STATION_MODE, T0_NS, ModeState("STOWED", T0_NS, "at rest"))
    later = itertools.count(T0_NS + NS, NS)

    def meanwhile(path: Path, columns: Sequence[Column]) -> CsvTable:
        t_ns = next(later)
        night.say(LINK_STATE, t_ns, LinkState(t_ns, 2e-6, 1e-7, above=True))
        return CsvTable(path, columns)

    written = export_tables(first, tmp_path / "out", meanwhile, CsvTable.suffix)
    recorder.close()
    assert written["station_mode.csv"] == 1
    assert {path.name: len(csv_rows(path)) for path in (tmp_path / "out").iterdir()} == written


def test_nothing_is_overwritten(recording: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "station_mode.csv").write_text("precious")
    with pytest.raises(ExportError, match=r"station_mode\.csv exists and is not overwritten"):
        export_tables(recording, tmp_path / "out", CsvTable, CsvTable.suffix)
    assert [path.read_text() for path in (tmp_path / "out").iterdir()] == ["precious"]


@pytest.mark.parametrize("table", [CsvTable, ParquetTable])
def test_a_disk_that_fills_up_leaves_no_half_table(table: Any, recording: Path, tmp_path: Path) -> None:
    with files_end_at(200), pytest.raises(OSError, match="File too large"):
        export_tables(recording, tmp_path / "out", table, table.suffix)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("table", [CsvTable, ParquetTable])
def test_where_one_table_finds_no_room_none_of_them_stays(table: Any, recording: Path, tmp_path: Path) -> None:
    export_tables(recording, tmp_path / "room", table, table.suffix)
    largest = max(path.stat().st_size for path in (tmp_path / "room").iterdir())
    with files_end_at(largest - 1), pytest.raises(OSError, match="File too large"):
        export_tables(recording, tmp_path / "out", table, table.suffix)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_is_no_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["export", ".", "--to", "csv"])
    assert "is a folder: give a recording in it" in capsys.readouterr().err


def test_what_cannot_be_exported_is_named(tmp_path: Path) -> None:
    RotatingRecorder(tmp_path / "empty.mcap", 0).close()
    with pytest.raises(ExportError, match=r"empty\.mcap: the recording is empty"):
        export_tables(tmp_path / "empty.mcap", tmp_path / "out", CsvTable, CsvTable.suffix)
    with pytest.raises(RecordingError, match=r"absent\.mcap cannot be read"):
        export_tables(tmp_path / "absent.mcap", tmp_path / "out", CsvTable, CsvTable.suffix)
    assert not (tmp_path / "out").exists()


def test_the_command_writes_beside_the_recording_and_tells_what(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["export", str(recording), "--to", "csv", "--to", "tdm", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["folder"] == str(recording.with_suffix(""))
    assert told["rows"][STATION_MODE.name.replace("/", "_") + ".csv"] == 12
    assert {path.name for path in recording.with_suffix("").iterdir()} == set(told["rows"])
    assert "recording.tdm" in told["rows"]


def test_without_pyarrow_the_extra_is_named(
    recording: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "controller.export.parquet")
    with pytest.raises(SystemExit):
        main(["export", str(recording), "--to", "parquet"])
    assert "install boresight[parquet]" in capsys.readouterr().err


def test_a_format_that_does_not_exist_is_wrong_usage(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["export", str(recording), "--to", "hdf5"])
    assert ended.value.code == 2
    assert "'csv', 'parquet', 'sigmf', 'tdm'" in capsys.readouterr().err
