"""`boresight elements update`: element sets of today, for `--tle`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from controller.errors import BoresightError

app = typer.Typer(help="Element sets.", no_args_is_help=True, add_completion=False)
FOLDER = Path("runs/elements")


@app.callback()
def elements() -> None:
    """Element sets."""


@app.command()
def update(
    group: Annotated[str, typer.Argument(help="CelesTrak's name of the group: starlink, active, stations, ...")],
    to: Annotated[Path | None, typer.Option("--to", help="File to write; default: runs/elements/GROUP.tle.")] = None,
    url: Annotated[str | None, typer.Option("--url", help="Another source of two-line sets.")] = None,
    hurry: Annotated[bool, typer.Option("--hurry", help="Ask although it was asked within two hours.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Fetch element sets; they are checked before they replace the file. Without a network the file stays as it is.

    Nothing else in Boresight asks the network for them: what is tracked is what --tle names or what is built in.
    """
    from controller.pointing.element_fetch import SOURCE, fetch
    from hal.clock import RealClock

    if not group.replace("-", "").replace("_", "").isalnum():
        raise BoresightError(f"{group} is no name of a group; one is made of letters, digits and hyphens.")
    found = fetch(url or SOURCE.format(group=group), to or FOLDER / f"{group}.tle", RealClock().utc_ns(), hurry)
    if json_output:
        typer.echo(json.dumps(asdict(found) | {"path": str(found.path)}))
    else:
        typer.echo(found.sentence)
