"""`boresight keys`: who may use the bus of a station, as files in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from controller.bus.keys import Key

app = typer.Typer(help="Makes and checks the keys of the bus.", no_args_is_help=True, add_completion=False)

FolderOption = Annotated[Path, typer.Option("--folder", help="Key folder, as the rig's bus section names it.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
DEFAULT_FOLDER = Path("keys")


@app.callback()
def keys() -> None:
    """Makes and checks the keys of the bus."""


@app.command()
def make(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    role: Annotated[
        Literal["observer", "operator", "supervisor"],
        typer.Option("--role", help="What its owner may do: look and stop; command; take leases from others."),
    ],
    folder: FolderOption = DEFAULT_FOLDER,
    json_output: JsonOption = False,
) -> None:
    """Make a key, readable by you alone; with the first one, also the key of the station itself."""
    from controller.bus.keys import PUBLIC, SECRET, make_key, make_station_key
    from controller.bus.roles import STATION

    made = [key for key in (make_station_key(folder), make_key(folder, name, role)) if key is not None]
    if json_output:
        typer.echo(json.dumps({"folder": str(folder), "made": [_described(key) for key in made]}, indent=2))
        return
    for key in made:
        typer.echo(f"made {folder / key.name}{PUBLIC} and {SECRET}: {key.role}")
    typer.echo(
        f"{name} elsewhere needs {name}{SECRET} and {STATION}{PUBLIC} in a folder there; move the secret, keep no copy"
    )


@app.command("list")
def list_keys(folder: FolderOption = DEFAULT_FOLDER, json_output: JsonOption = False) -> None:
    """Who is listed, and with which role; a public file that is deleted is a right that ends at once."""
    from controller.bus.keys import listed

    found = listed(folder)
    if json_output:
        typer.echo(json.dumps({"folder": str(folder), "keys": [_described(key) for key in found]}, indent=2))
        return
    for key in found:
        typer.echo(f"{key.name:<16} {key.role:<10} {key.public.decode()}")


@app.command()
def check(folder: FolderOption = DEFAULT_FOLDER, json_output: JsonOption = False) -> None:
    """Check every file of a key folder: all that is wrong at once, exit code 1 if anything is."""
    from controller.bus.keys import problems

    found = problems(folder)
    if json_output:
        typer.echo(json.dumps({"folder": str(folder), "ok": not found, "problems": found}, indent=2))
    else:
        typer.echo(
            "\n".join(found) if found else f"{folder}: every key is well, and readable by you alone", err=bool(found)
        )
    raise typer.Exit(1 if found else 0)


def _described(key: Key) -> dict[str, str]:
    return {"name": key.name, "role": key.role, "public": key.public.decode()}
