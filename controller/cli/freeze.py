"""`boresight rig freeze FILE`: what a station with this rig is, in every detail that matters later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.connect import DEFAULT_RUN_DIR, RunDirOption, read_rig
from controller.cli.rig import app, resolve_in
from hal.clock import RealClock
from hal.rig import open_device

if TYPE_CHECKING:
    from hal.traits import Identity


@app.command()
def freeze(
    file: Annotated[Path, typer.Argument(help="Rig file, TOML.")],
    run_dir: RunDirOption = DEFAULT_RUN_DIR,
    ask: Annotated[bool, typer.Option("--ask", help="Open the devices, too; add what they say of themselves.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Print every setting in force (defaults, too), versions and hashes: what each recording keeps of its station."""
    from controller.cli.factories import MODEL_FILE
    from controller.freeze import frozen

    described = read_rig(file)
    record = frozen(described, [run_dir / MODEL_FILE, *described.companions.values()])
    if ask:
        record["devices"] = _identities(file, run_dir)
    if json_output:
        typer.echo(json.dumps(record, indent=2))
        return
    for name in ("boresight", "libraries", "files"):
        typer.echo(f"[{name}]")
        for key, value in record[name].items():
            typer.echo(f"{key} = {json.dumps(value)}")
        typer.echo("")
    for section, values in record["settings"].items():
        if values is None:  # a device that this rig has not
            continue
        typer.echo(f"[{section}]")
        for key, value in values.items():
            typer.echo(f"{key} = {json.dumps(value)}")
        for key, value in record.get("devices", {}).get(section, {}).items():
            typer.echo(f"# says of itself: {key} = {json.dumps(value)}")
        typer.echo("")


def _identities(file: Path, run_dir: Path) -> dict[str, Identity]:
    """What each device says of itself; opening brings a mount to rest and changes nothing else."""
    resolved, clock, told = resolve_in(file, run_dir), RealClock(), {}
    for name in resolved.devices:
        device = open_device(resolved, name, clock)
        try:
            told[name] = device.identity
        finally:
            device.close()
    return told
