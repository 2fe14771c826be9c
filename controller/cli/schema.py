"""`boresight schema`: every message of the bus, for clients in other languages."""

from __future__ import annotations

import json

import typer


def schema() -> None:
    """Print the JSON Schema of envelope, telemetry, commands and answers."""
    from controller.bus.schema import schema as document

    typer.echo(json.dumps(document(), indent=2))
