"""`boresight report`: draw the report of a recorded pass again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(folder: Annotated[Path, typer.Argument(help="Folder of a pass, with its recording.mcap.")]) -> None:
    """Draw report.html of a recorded pass, also of one that was cut off."""
    from controller.record import recover
    from controller.report import ReportError, write_report

    recording = folder / "recording.mcap"
    if not recording.is_file():
        raise ReportError(f"{folder} holds no recording.mcap; give the folder of a pass, such as one below runs/.")
    recover(recording)
    typer.echo(write_report(folder))
