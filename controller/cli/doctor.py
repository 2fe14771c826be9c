"""`boresight doctor`: what is wrong on this machine, and the command that mends it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.connect import DEFAULT_RUN_DIR, read_rig

MARKS = {"ok": "ok      ", "warning": "WARNING ", "wrong": "WRONG   "}


def doctor(
    rig: Annotated[Path | None, typer.Option("--rig", help="Also look for the devices of this rig file.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Look at this machine: permissions, udev rules, clock, real-time limits, disk. Opens no device."""
    from hal.machine import examine, picture

    resources = {}
    if rig is not None:
        checked = read_rig(rig)
        resources = {d: getattr(checked, d).resource for d in checked.devices if d not in checked.emulated}
    checks = examine(picture(DEFAULT_RUN_DIR, resources))
    well = all(check.state != "wrong" for check in checks)
    if json_output:
        typer.echo(json.dumps({"ok": well, "checks": [asdict(check) for check in checks]}, indent=2))
    else:
        for check in checks:
            typer.echo(f"{MARKS[check.state]}{check.name}: {check.finding}")
            if check.mend:
                typer.echo(f"        mend it: {check.mend}")
    raise typer.Exit(0 if well else 1)
