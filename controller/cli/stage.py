"""`boresight rig stage`: where the stage beside the telescope is, and sending it somewhere."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, cast

import typer

from controller.cli.connect import DEFAULT_RIG, DEFAULT_RUN_DIR, RigOption, RunDirOption
from controller.cli.rig import app, resolve_one, station_clock
from controller.errors import BoresightError
from hal.clock import NS, Clock, Deadline
from hal.errors import HalError
from hal.rig import open_device

if TYPE_CHECKING:
    from hal.rig import Rig
    from hal.traits import Stage, StageStatus

TURN_NS = NS // 20
PATIENCE, SETTLING_S = 3.0, 5.0  # times what its whole travel takes at its speed, and
NEAR_STEPS = 2.5  # of its resolution, within which it has arrived


class StageError(BoresightError):
    """The stage cannot do what was asked of it."""


@app.command()
def stage(
    rig: RigOption = DEFAULT_RIG,
    run_dir: RunDirOption = DEFAULT_RUN_DIR,
    home: Annotated[bool, typer.Option("--home", help="To its reference; before that it is sent nowhere.")] = False,
    to: Annotated[float | None, typer.Option("--to", help="Millimetres from its home.")] = None,
    by: Annotated[float | None, typer.Option("--by", help="Millimetres from where it is.")] = None,
    stop: Annotated[bool, typer.Option("--stop", help="Stop it.")] = False,
    power: Annotated[str, typer.Option("--power", help="on: its motor holds it; off: it lets go.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a real stage moves.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Say where the stage is, whether its motor holds it and what it warns of; or move it, and wait until it is there.

    It stays inside the soft limits of the rig file, which are inside its controller's own. Ctrl-C stops it. With --home
    and --to it goes home first.
    """
    from hal.guarded import open_stage

    if to is not None and by is not None:
        raise typer.BadParameter("either --to or --by", param_hint="--by")
    if power not in ("", "on", "off"):
        raise typer.BadParameter(f"{power!r}; on or off", param_hint="--power")
    described = resolve_one(rig, "stage", run_dir)
    if described.stage is None:
        raise StageError(f"{rig}: it has no [stage]; write one (docs/reference.md).")
    clock, moves = station_clock(rig, run_dir), home or to is not None or by is not None
    if (moves or power) and "stage" not in described.emulated:
        _consent(described, yes)
    # Opening stops it; only what moves needs somebody who stops it when we are gone.
    opened: Stage = open_stage(described, clock) if moves else open_device(described, "stage", clock)
    try:
        if power:
            opened.power(power == "on")
        if home:
            opened.home()
            _rest(opened, clock, quiet=json_output)
        if to is not None or by is not None:
            _send(opened, clock, to, by, quiet=json_output)
        status = _rest(opened, clock, quiet=True)
    finally:
        with suppress(HalError):
            opened.stop()
        opened.close()
    _tell(opened, status, json_output)


def _send(opened: Stage, clock: Clock, to_mm: float | None, by_mm: float | None, *, quiet: bool) -> None:
    """Send it and wait. Raises StageError for a place beyond its travel, and when it comes to rest elsewhere."""
    goal_mm = to_mm if to_mm is not None else opened.status().position_mm + cast("float", by_mm)
    low, high = opened.capabilities.travel_mm
    if not low <= goal_mm <= high:
        raise StageError(f"stage: {goal_mm:g} mm is beyond its travel of {low:g} to {high:g} mm.")
    opened.go_to(goal_mm)
    off_mm = _rest(opened, clock, quiet=quiet).position_mm - goal_mm
    if abs(off_mm) > NEAR_STEPS * opened.capabilities.resolution_mm:
        raise StageError(f"stage: it came to rest {off_mm:+.4f} mm from where it was sent; see what holds it.")


def _rest(opened: Stage, clock: Clock, *, quiet: bool) -> StageStatus:
    able = opened.capabilities
    longest_s = PATIENCE * (able.travel_mm[1] - able.travel_mm[0]) / able.speed_max_mm_s + SETTLING_S
    deadline = Deadline(clock, longest_s)
    while (status := opened.status()).moving:
        if deadline.expired:
            raise StageError(f"stage: it moves still after {longest_s:.0f} s, and was stopped.")
        if not quiet and sys.stderr.isatty():
            sys.stderr.write(f"\rstage {status.position_mm:10.4f} mm\x1b[K\r")
            sys.stderr.flush()
        clock.sleep_until(clock.now_ns() + TURN_NS)
    return status


def _tell(opened: Stage, status: StageStatus, json_output: bool) -> None:
    low, high = opened.capabilities.travel_mm
    if json_output:
        typer.echo(
            json.dumps(
                {
                    "position_mm": status.position_mm if status.referenced else None,
                    "referenced": status.referenced,
                    "powered": status.powered,
                    "warnings": list(status.warnings),
                    "travel_mm": [low, high],
                    "identity": opened.identity,
                }
            )
        )
        return
    where = f"at {status.position_mm:.4f} mm" if status.referenced else "does not know where it is: --home"
    motor = "" if status.powered else ", its motor is off"
    warns = f"; it warns of {', '.join(status.warnings)}" if status.warnings else ""
    typer.echo(f"stage {where}{motor}; travel {low:g} to {high:g} mm{warns}")


def _consent(rig: Rig, yes: bool) -> None:
    section = rig.stage
    if section is None:
        return
    typer.echo(
        f"stage: {section.resource} is real and will move at up to {section.speed_max_mm_s:g} mm/s, home as fast as "
        "its controller has it. Nothing may be in its way.",
        err=True,
    )
    if yes:
        return
    if not sys.stdin.isatty():
        raise StageError("the stage is real and nobody is at the terminal to confirm; say --yes.")
    typer.confirm("Go on?", abort=True, err=True)
