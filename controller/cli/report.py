"""`boresight report`: draw the report of a recorded pass again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.damage import damage_told


def report(
    source: Annotated[Path, typer.Argument(help="Folder of a pass with its recording.mcap, or a recording.")],
) -> None:
    """Draw the report of a recorded pass, also of one that was cut off."""
    from controller.record import parts_of, recover
    from controller.report import ReportError, write_report

    recording = source if source.is_file() else source / "recording.mcap"
    if not recording.is_file():
        raise ReportError(f"{source} holds no recording.mcap; give the folder of a pass, or a recording (*.mcap).")
    with damage_told() as damage:
        for part in parts_of(recording):
            recover(part, damaged=damage.add)
        typer.echo(write_report(source, damage.add))
