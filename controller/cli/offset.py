"""`boresight offset`: what the operator adds to a prediction, kept for each object."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from controller.cli.connect import DEFAULT_RIG, PreemptOption, RigOption

TIMEOUT_S = 2.0


def offset(
    rig: RigOption = DEFAULT_RIG,
    time: Annotated[
        float | None, typer.Option("--time", help="Seconds by which the target is ahead of its prediction.")
    ] = None,
    in_track: Annotated[float | None, typer.Option("--in-track", help="Degrees onwards along its track.")] = None,
    cross_track: Annotated[
        float | None, typer.Option("--cross-track", help="Degrees to the right of its track, as it goes up.")
    ] = None,
    target: Annotated[str, typer.Option("--target", help="Name of the object; default: the one that is tracked.")] = "",
    clear: Annotated[bool, typer.Option("--clear", help="Forget all three first.")] = False,
    preempt: PreemptOption = False,
) -> None:
    """Shift where a target is looked for, at once and in every later pass of it; without an option, tell the shift."""
    from controller.bus.holder import leased
    from controller.cli.connect import connect, read_rig, station_answers
    from controller.errors import BoresightError

    body: dict[str, float | str] = {"name": target}
    if clear:
        body |= {"time_s": 0.0, "in_track_rad": 0.0, "cross_track_rad": 0.0}
    body |= {} if time is None else {"time_s": time}
    for name, value in (("in_track_rad", in_track), ("cross_track_rad", cross_track)):
        body |= {} if value is None else {name: math.radians(value)}
    described = read_rig(rig)
    with connect(described) as client:
        station_answers(client, described)
        with leased(client, "station", "shifts a target", preempt=preempt) as lease:
            reply = client.call("pointing", "pointing.offset", body, TIMEOUT_S, lease=lease)
    if reply.code:
        raise BoresightError(f"the offset was refused: {reply.message} {reply.hint}".rstrip())
    typer.echo(reply.message)
