"""`boresight rig drives`: whether the gimbal's drives are ready, and switching them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, cast

import typer

from controller.cli.connect import DEFAULT_RIG, DEFAULT_RUN_DIR, RigOption, RunDirOption
from controller.cli.rig import WITHOUT_POWER, app, resolve_one, station_clock
from controller.errors import BoresightError
from hal.rig import open_device

if TYPE_CHECKING:
    from hal.rig import Rig
    from hal.traits import DriveStatus, PoweredGimbal

SAYS = {"on": "on", "unheld": "on; nothing but its gears holds it at rest"}


class DrivesError(BoresightError):
    """The drives cannot be switched by somebody who is not there."""


@app.command()
def drives(
    rig: RigOption = DEFAULT_RIG,
    run_dir: RunDirOption = DEFAULT_RUN_DIR,
    power: Annotated[
        str, typer.Option("--power", help="on: ready to move, which ends a parking; off: let go of it at rest.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a real gimbal is switched.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Say what the gimbal's drives say of themselves: on, without power, parked, blocked; or switch them.

    Stops the axes, and moves none. What is parked, blocked or without power is left so unless --power on is said.
    """
    if power not in ("", "on", "off"):
        raise typer.BadParameter(f"{power!r}; on or off", param_hint="--power")
    described, clock = resolve_one(rig, "gimbal", run_dir), station_clock(rig, run_dir)
    if power and "gimbal" not in described.emulated:
        _consent(described, power, yes)
    gimbal = cast("PoweredGimbal", open_device(described, "gimbal", clock, wakes=False))
    try:
        able = gimbal.capabilities.drives
        if power and power not in able.takes:
            name = described.gimbal.driver
            raise DrivesError(f"gimbal: {name} has no command that switches its drives {power}; do it at the mount.")
        if power:
            gimbal.power(power == "on")
        status = gimbal.drives() if able.tells else None
    finally:
        gimbal.close()
    _tell(described, status, json_output)


def _tell(rig: Rig, status: DriveStatus | None, json_output: bool) -> None:
    if json_output:
        told = {
            "azimuth": status and status.azimuth,
            "elevation": status and status.elevation,
            "ready": status and status.ready,
            "without_power": rig.gimbal.without_power,
        }
        typer.echo(json.dumps(told))
        return
    if status is None:
        typer.echo(f"gimbal: {rig.gimbal.driver} says nothing of its drives; an axis without power just does not move")
        return
    from hal.devices.drive_watch import TO_DO

    for axis in ("azimuth", "elevation"):
        typer.echo(f"{axis}: {(SAYS | TO_DO)[getattr(status, axis)]}")


def _consent(rig: Rig, power: str, yes: bool) -> None:
    gimbal = rig.gimbal
    if power == "on":
        what = "its drives get power, or it is unparked: nobody may be in reach, or work on it"
    else:
        what = f"its drives let go of it. Its axes without power: {WITHOUT_POWER[gimbal.without_power]}"
    typer.echo(f"gimbal: {gimbal.resource} is real; {what}. Motion cut-off: {gimbal.motion_cut_off}.", err=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise DrivesError("the gimbal is real and nobody is at the terminal to confirm; say --yes.")
    typer.confirm("Go on?", abort=True, err=True)
