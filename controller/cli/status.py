"""`boresight status`: the running station at one glance."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.connect import DEFAULT_RIG, RigOption

GATHER_S = 0.4  # last values come at once; this is for services that send rarely


def status(
    rig: RigOption = DEFAULT_RIG,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    timeout_s: Annotated[float | None, typer.Option("--timeout", help="Seconds to wait for a station.")] = None,
) -> None:
    """Show modes, services, loops and safety votes of the running station, once."""
    import json

    from rich.console import Console

    from controller.cli.connect import connect, read_rig, station_answers
    from controller.cli.snapshot import listen, render, snapshot
    from hal.clock import RealClock

    described = read_rig(rig)
    with connect(described) as client:
        listen(client)
        station_answers(client, described, timeout_s)
        client.pause(GATHER_S)
        seen = snapshot(client.store, RealClock().now_ns())
    if json_output:
        typer.echo(json.dumps(seen, indent=2))
    else:
        Console().print(render(seen))
