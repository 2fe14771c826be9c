"""`boresight rig freeze FILE`: what a station with this rig is, in every detail that matters later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.connect import DEFAULT_RUN_DIR, RunDirOption, read_rig
from controller.cli.rig import app


@app.command()
def freeze(
    file: Annotated[Path, typer.Argument(help="Rig file, TOML.")],
    run_dir: RunDirOption = DEFAULT_RUN_DIR,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Print every setting in force (defaults, too), versions and hashes: what each recording keeps of its station."""
    from controller.cli.factories import MODEL_FILE
    from controller.freeze import frozen

    rig = read_rig(file)
    record = frozen(rig, [run_dir / MODEL_FILE, *rig.companions.values()])
    if json_output:
        typer.echo(json.dumps(record, indent=2))
        return
    for name in ("boresight", "libraries", "files"):
        typer.echo(f"[{name}]")
        for key, value in record[name].items():
            typer.echo(f"{key} = {json.dumps(value)}")
        typer.echo("")
    for section, values in record["settings"].items():
        typer.echo(f"[{section}]")
        for key, value in values.items():
            typer.echo(f"{key} = {json.dumps(value)}")
        typer.echo("")
