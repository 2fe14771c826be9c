"""`boresight rig suggest`: sections of a rig file for what is plugged in."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from controller.cli.rig import app


@app.command()
def suggest(
    usbip: Annotated[str, typer.Option("--usbip", help="Also what HOST:PORT exports over USB/IP.")] = "",
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """List what is plugged in, as sections for a rig file with names that stay. Opens nothing that moves or emits."""
    from hal import plugged

    found = plugged.plugged_here()
    if usbip:
        host, colon, port = usbip.rpartition(":")
        if not (colon and host and port.isdigit()):
            raise typer.BadParameter(
                f"{usbip!r} is no exporter; write HOST:PORT, as 192.0.2.7:3240", param_hint="--usbip"
            )
        found += plugged.plugged_at(host, int(port))
    suggestions = plugged.suggest(found)
    if json_output:
        typer.echo(json.dumps({"devices": [asdict(suggestion) for suggestion in suggestions]}, indent=2))
        return
    if not suggestions:
        typer.echo("nothing is plugged in that a driver knows; `boresight doctor` says whether it could be seen.")
    for suggestion in suggestions:
        typer.echo(suggestion.toml())
