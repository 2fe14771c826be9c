"""`boresight export`: a recording for other programs."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.damage import as_json, damage_told

if TYPE_CHECKING:
    from controller.record import OnDamage


class Format(StrEnum):
    """What a recording can become."""

    CSV = "csv"
    PARQUET = "parquet"
    SIGMF = "sigmf"
    TDM = "tdm"


def export(
    file: Annotated[Path, typer.Argument(help="A recording (*.mcap); files that follow it are included.")],
    to: Annotated[list[Format], typer.Option("--to", help="Repeat it for several formats.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder; default: beside FILE, with its name.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Write a recording as CSV or Parquet (a file a topic), its signals as SigMF, or its angles as a CCSDS TDM."""
    from controller.export import ExportError

    if file.is_dir():
        raise ExportError(f"{file} is a folder: give a recording in it (*.mcap)")
    folder = out or file.with_suffix("")
    written: dict[str, int] = {}
    with damage_told() as damage:
        for form in dict.fromkeys(to):
            written |= _export(file, folder, form, damage.add)
        if json_output:
            found = {"folder": str(folder), "rows": written, "damage": as_json(damage)}
            typer.echo(json.dumps(found, indent=2))
            return
        for name, rows in written.items():
            typer.echo(f"{folder / name}: {rows} rows")


def _export(file: Path, folder: Path, form: Format, damaged: OnDamage) -> dict[str, int]:
    from controller.export import ExportError
    from controller.export.tables import CsvTable, export_tables
    from controller.export.tdm import export_tdm
    from hal.clock import RealClock

    if form is Format.SIGMF:
        from controller.export.sigmf import export_sigmf

        return export_sigmf(file, folder, damaged)
    if form is Format.TDM:
        path = folder / f"{file.stem}.tdm"
        return {path.name: export_tdm(file, path, RealClock().utc_ns(), damaged)}
    if form is Format.CSV:
        return export_tables(file, folder, CsvTable, CsvTable.suffix, damaged)
    try:
        from controller.export.parquet import ParquetTable
    except ModuleNotFoundError:
        raise ExportError("Parquet needs pyarrow, which is not installed; install boresight[parquet]") from None
    return export_tables(file, folder, ParquetTable, ParquetTable.suffix, damaged)
