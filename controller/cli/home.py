"""`boresight rig home`: to the mount's mark, and whether the encoders still know where it is."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.connect import DEFAULT_RIG, DEFAULT_RUN_DIR, RigOption, RunDirOption
from controller.cli.jog import opened_gimbal
from controller.cli.rig import app

if TYPE_CHECKING:
    from hal.traits import AxisPosition

MARK_FILE = "mark.toml"  # in the run directory


@app.command()
def home(
    rig: RigOption = DEFAULT_RIG,
    run_dir: RunDirOption = DEFAULT_RUN_DIR,
    set_mark: Annotated[bool, typer.Option("--set-mark", help="Keep where it stands now as the mark.")] = False,
    check: Annotated[bool, typer.Option("--check", help="It stands on its mark: do the encoders say so?")] = False,
    tolerance: Annotated[float, typer.Option("--tolerance", help="Degrees allowed by --check.", min=0.0)] = 0.05,
    speed: Annotated[float, typer.Option("--speed", help="Degrees a second.")] = 1.0,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a real gimbal moves.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Drive slowly to the mark that was set, or to the park position while there is none.

    A mount without index switches forgets its zero when its power goes or a clutch slips. Jog it onto a mark (a scribed
    line, a level, a pin) once and keep that with --set-mark; later stand on it again and ask with --check.
    """
    from controller.pointing.hand import HandError, Mark, drive
    from controller.pointing.targets import Fixed

    if set_mark and check:
        raise typer.BadParameter("either --set-mark or --check", param_hint="--check")
    path = run_dir / MARK_FILE
    mark = Mark.load(path) if check or (path.exists() and not set_mark) else None
    moves = not (set_mark or check)
    with opened_gimbal(rig, run_dir, speed, yes, moves=moves) as (described, clock, gimbal, watch):
        if not moves:
            position = gimbal.position()
        else:
            section = described.gimbal
            park = Fixed(math.radians(section.park_azimuth_deg), math.radians(section.park_elevation_deg))
            to = mark.direction if mark is not None else park
            position = drive(gimbal, clock, to, math.radians(speed), watch, lambda now: _show(now, json_output))
    here = Mark.of(position)
    if set_mark:
        here.save(path)
    off = mark.off_deg(position) if mark is not None else None
    if json_output:
        told = {"azimuth_deg": here.azimuth_deg, "elevation_deg": here.elevation_deg, "off_mark_deg": off}
        typer.echo(json.dumps(told))
    else:
        where = "" if off is None else f", off its mark by {off[0]:+.4f} deg and {off[1]:+.4f} deg"
        kept = f"; kept as the mark in {path}" if set_mark else ""
        typer.echo(f"azimuth {here.azimuth_deg:.4f} deg, elevation {here.elevation_deg:.4f} deg{where}{kept}")
    if check and off is not None and max(map(abs, off)) > tolerance:
        raise HandError(
            f"gimbal: the encoders have lost their zero by {off[0]:+.3f} deg in azimuth and {off[1]:+.3f} deg in "
            "elevation; tighten the clutches, then set the mark again and calibrate."
        )


def _show(position: AxisPosition, quiet: bool) -> None:
    if not quiet and sys.stderr.isatty():
        azimuth, elevation = math.degrees(position.azimuth_rad), math.degrees(position.elevation_rad)
        sys.stderr.write(f"\razimuth {azimuth:9.4f} deg  elevation {elevation:9.4f} deg\x1b[K\r")
        sys.stderr.flush()
