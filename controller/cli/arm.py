"""`boresight arm`: the operator's consent to emission, for one pass."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.connect import DEFAULT_RIG, PreemptOption, RigOption

TIMEOUT_S = 2.0


def arm(
    rig: RigOption = DEFAULT_RIG,
    yes: Annotated[bool, typer.Option("--yes", help="Confirm without being asked.")] = False,
    alignment: Annotated[
        bool, typer.Option("--alignment", help="Low power for alignment: enclosed bench only, station at rest.")
    ] = False,
    preempt: PreemptOption = False,
) -> None:
    """Arm emission and confirm it: from then on the laser emits whenever every vote says yes, until the pass ends.

    With --alignment it emits at the rig's alignment current while the station rests: for ten minutes, until a stop, or
    until the station leaves its rest.
    """
    from controller.bus.holder import leased
    from controller.cli.connect import connect, read_rig, station_answers
    from controller.errors import BoresightError
    from controller.safety.latch import CONFIRM_WINDOW_S

    described = read_rig(rig)
    with connect(described) as client:
        station_answers(client, described)
        body = {"alignment": True} if alignment else {}
        with leased(client, "laser", "arms", CONFIRM_WINDOW_S, preempt) as lease:  # as long as the consent may take
            for method in ("safety.arm", "safety.confirm"):
                if method == "safety.confirm" and not yes:
                    typer.confirm(f"{described.station.name}: emission is armed; confirm it within 30 s?", abort=True)
                reply = client.call("safety", method, body, timeout_s=TIMEOUT_S, lease=lease)
                if reply.code:
                    raise BoresightError(f"{method} was refused: {reply.message} {reply.hint}".rstrip())
        typer.echo(reply.message)
