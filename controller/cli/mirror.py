"""`boresight rig mirror`: where the steering mirror on a controller of its own is, and tipping it."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.connect import DEFAULT_RIG, DEFAULT_RUN_DIR, RigOption, RunDirOption
from controller.cli.rig import app, resolve_one, station_clock
from controller.errors import BoresightError
from hal.clock import NS, Clock, Deadline
from hal.errors import HalError
from hal.rig import open_device

if TYPE_CHECKING:
    from hal.rig import Rig
    from hal.traits import MirrorStatus, SteeringMirror

URAD = 1e-6
PATIENCE, LEAST_S = 50.0, 1.0  # times its settling, and what a slow host needs
NEAR_STEPS = 2.5  # of its resolution, within which it has arrived
Angles = tuple[float, float]


class MirrorError(BoresightError):
    """The mirror cannot do what was asked of it."""


@app.command()
def mirror(
    rig: RigOption = DEFAULT_RIG,
    run_dir: RunDirOption = DEFAULT_RUN_DIR,
    to: Annotated[Angles | None, typer.Option("--to", help="X Y in microradians from its middle.")] = None,
    by: Annotated[Angles | None, typer.Option("--by", help="X Y in microradians from where it is.")] = None,
    power: Annotated[str, typer.Option("--power", help="on: its servo holds it; off: it moves for nobody.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a real mirror moves.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Say where the rig's mirror is and whether its servo is on; or tip it, and wait until it stands there.

    Angles are its own: a beam that it reflects turns by twice. It stays inside the rig file's reach, which is inside
    its controller's. The fine loop's mirror is on the beam board: boresight rig poke.
    """
    if to is not None and by is not None:
        raise typer.BadParameter("either --to or --by", param_hint="--by")
    if power not in ("", "on", "off"):
        raise typer.BadParameter(f"{power!r}; on or off", param_hint="--power")
    described, clock = resolve_one(rig, "mirror", run_dir), station_clock(rig, run_dir)
    if described.mirror is None:
        raise MirrorError(f"{rig}: it has no [mirror]; write one (docs/reference.md).")
    if (to or by or power) and "mirror" not in described.emulated:
        _consent(described, yes)
    opened: SteeringMirror = open_device(described, "mirror", clock)
    try:
        if power:
            opened.power(power == "on")
        if to is not None or by is not None:
            _send(opened, clock, to, by)
        status = opened.status()
    finally:
        with suppress(HalError):
            opened.stop()
        opened.close()
    _tell(opened, status, json_output)


def _send(opened: SteeringMirror, clock: Clock, to: Angles | None, by: Angles | None) -> None:
    """Send it and wait. Raises MirrorError for an angle beyond its reach, and when it does not come there."""
    here = opened.status()
    x, y = to if to is not None else by if by is not None else (0.0, 0.0)
    start = (0.0, 0.0) if to is not None else (here.x_rad, here.y_rad)
    goal = start[0] + x * URAD, start[1] + y * URAD
    able = opened.capabilities
    for name, angle, (low, high) in zip("xy", goal, able.reach_rad, strict=True):
        if not low <= angle <= high:
            raise MirrorError(
                f"mirror: {name} = {angle / URAD:.1f} urad is beyond its reach of {low / URAD:.1f} to "
                f"{high / URAD:.1f} urad."
            )
    opened.go_to(*goal)
    deadline = Deadline(clock, LEAST_S + PATIENCE * able.settling_s)
    while True:
        status = opened.status()
        off = max(abs(status.x_rad - goal[0]), abs(status.y_rad - goal[1]))
        if status.on_target and off <= NEAR_STEPS * able.resolution_rad:
            return
        if deadline.expired:
            raise MirrorError(f"mirror: it stands {off / URAD:.2f} urad from where it was sent; see what holds it.")
        clock.sleep_until(clock.now_ns() + round(able.settling_s * NS))


def _tell(opened: SteeringMirror, status: MirrorStatus, json_output: bool) -> None:
    (x_low, x_high), (y_low, y_high) = opened.capabilities.reach_rad
    if json_output:
        told = {
            "x_urad": status.x_rad / URAD,
            "y_urad": status.y_rad / URAD,
            "powered": status.powered,
            "reach_urad": [[x_low / URAD, x_high / URAD], [y_low / URAD, y_high / URAD]],
            "identity": opened.identity,
        }
        typer.echo(json.dumps(told))
        return
    servo = "" if status.powered else ", its servo is off: --power on"
    typer.echo(
        f"mirror at x {status.x_rad / URAD:+.2f} urad, y {status.y_rad / URAD:+.2f} urad{servo}; reach "
        f"{x_low / URAD:.0f} to {x_high / URAD:.0f} and {y_low / URAD:.0f} to {y_high / URAD:.0f} urad"
    )


def _consent(rig: Rig, yes: bool) -> None:
    section = rig.mirror
    if section is None:
        return
    typer.echo(
        f"mirror: {section.resource} is real and will tip by up to {section.reach_urad:g} urad; a beam on it turns by "
        "twice that, at once.",
        err=True,
    )
    if yes:
        return
    if not sys.stdin.isatty():
        raise MirrorError("the mirror is real and nobody is at the terminal to confirm; say --yes.")
    typer.confirm("Go on?", abort=True, err=True)
