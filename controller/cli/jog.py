"""`boresight rig jog` and what moves a gimbal by hand: keys of a terminal, the Sun's cone, the operator's consent."""

from __future__ import annotations

import math
import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from controller.cli.connect import DEFAULT_RIG, DEFAULT_RUN_DIR, RigOption, RunDirOption
from controller.cli.rig import app, resolve_one, station_clock
from controller.errors import BoresightError
from hal.clock import Clock
from hal.rig import Rig

if TYPE_CHECKING:
    from controller.pointing.jog import Jog
    from hal.traits import AxisPosition, Gimbal, Pair, RateGimbal

ARROWS = {b"\x1b[A": "up", b"\x1b[B": "down", b"\x1b[C": "right", b"\x1b[D": "left"}
LETTERS = {b"k": "up", b"j": "down", b"l": "right", b"h": "left", b"q": "quit"}
QUITTING = (b"\x03", b"\x04", b"\x1a", b"")  # ^C, ^D, ^Z (a suspended dead-man is none), and a terminal that is gone
SLOWEST_DEG_S = 0.05


@app.command()
def jog(
    rig: RigOption = DEFAULT_RIG,
    run_dir: RunDirOption = DEFAULT_RUN_DIR,
    speed: Annotated[float, typer.Option("--speed", help="Degrees a second to begin with; + and - change it.")] = 0.5,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a real gimbal moves.")] = False,
) -> None:
    """Turn the gimbal by hand: hold an arrow key (or h j k l) to move, let go to stop. q ends.

    The axes stop a quarter of a second after the last key, at the soft limits, and at the Sun's cone.
    """
    from controller.pointing import hand
    from controller.pointing.jog import Bounds, Jog

    if not sys.stdin.isatty():
        raise BoresightError("jog needs a terminal: a key that is held is the dead-man.")
    with opened_gimbal(rig, run_dir, speed, yes) as (described, clock, gimbal, watch):
        section = described.gimbal
        bounds = Bounds(math.radians(section.elevation_min_deg), math.radians(section.elevation_max_deg))
        state = Jog(gimbal.capabilities, bounds, math.radians(speed))
        typer.echo("hold an arrow key to move, + and - change the speed, q ends", err=True)
        with _keys(state, section.rate_max_deg_s) as keys:
            hand.jog(cast("RateGimbal", gimbal), clock, state, keys, watch, lambda *now: _show(state.speed_rad_s, *now))
        typer.echo("\r\nat rest", err=True)


@contextmanager
def opened_gimbal(
    rig: Path, run_dir: Path, speed_deg_s: float, yes: bool, *, moves: bool = True
) -> Iterator[tuple[Rig, Clock, Gimbal, Callable[[AxisPosition], str]]]:
    """The rig's gimbal, guarded, after somebody has consented to its motion; and what must stop it."""
    from hal.guarded import open_gimbal

    described, clock = resolve_one(rig, "gimbal", run_dir), station_clock(rig, run_dir)
    if not 0 < speed_deg_s <= described.gimbal.rate_max_deg_s:
        raise typer.BadParameter(
            f"{speed_deg_s:g} deg/s; above 0 and at most {described.gimbal.rate_max_deg_s:g} of this mount",
            param_hint="--speed",
        )
    if moves and "gimbal" not in described.emulated:
        _consent(described, speed_deg_s, yes)
    watch = sun_watch(described, clock, run_dir) if moves else lambda position: ""
    gimbal = open_gimbal(described, clock)
    try:
        yield described, clock, gimbal, watch
    finally:
        gimbal.close()


def sun_watch(rig: Rig, clock: Clock, run_dir: Path) -> Callable[[AxisPosition], str]:
    """Why motion must end now: the telescope goes into the Sun's cone. Uses the last calibration where there is one."""
    from controller.cli.factories import MODEL_FILE, observer_of
    from controller.pointing.ground import Ground, GroundGuard
    from controller.pointing.keepout import SunGuard
    from controller.pointing.mount import MountModel
    from controller.pointing.mount_frame import MountFrame

    observer, file = observer_of(rig), run_dir / MODEL_FILE
    frame = MountFrame.of(rig)
    real = "gimbal" not in rig.emulated
    model = MountModel.load(file, frame, real=real) if file.exists() else MountModel(frame=frame)
    if not file.exists() and rig.safety.sun_cone_deg:
        typer.echo("the mount is not calibrated: the Sun's cone is as good as its zero points are", err=True)
    guard = SunGuard(math.radians(rig.safety.sun_cone_deg), observer.site, observer.earth)
    ground = GroundGuard(Ground.of(rig))

    def watch(position: AxisPosition) -> str:
        azimuth_rad, elevation_rad = frame.sky(*model.direction(position.azimuth_rad, position.elevation_rad))
        return guard.entering(clock.utc_ns(), azimuth_rad, elevation_rad) or ground.entering(azimuth_rad, elevation_rad)

    return watch


def _consent(rig: Rig, speed_deg_s: float, yes: bool) -> None:
    typer.echo(
        f"gimbal: {rig.gimbal.resource} is real and will turn at up to {speed_deg_s:g} deg/s. Nobody may be in reach, "
        f"no cable may be short. Motion cut-off: {rig.gimbal.motion_cut_off}.",
        err=True,
    )
    if yes:
        return
    if not sys.stdin.isatty():
        raise BoresightError("the gimbal is real and nobody is at the terminal to confirm; say --yes.")
    typer.confirm("Go on?", abort=True, err=True)


@contextmanager
def _keys(state: Jog, speed_max_deg_s: float) -> Iterator[Callable[[], str | None]]:
    """The keys of this terminal, unbuffered and without its signals: ^Z must not suspend whoever can stop the axes."""
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)

    def read() -> str | None:
        if not select.select([fd], [], [], 0)[0]:
            return None
        try:
            data = os.read(fd, 1)
            if data == b"\x1b":
                while len(data) < 3 and select.select([fd], [], [], 0)[0]:
                    data += os.read(fd, 1)
        except OSError:
            return "quit"
        if data in QUITTING:
            return "quit"
        if data in (b"+", b"-"):
            faster = state.speed_rad_s * (2 if data == b"+" else 0.5)
            slowest, fastest = math.radians(SLOWEST_DEG_S), math.radians(speed_max_deg_s)
            state.speed_rad_s = min(fastest, max(slowest, faster))
        return ARROWS.get(data) or LETTERS.get(data, "stop")

    tty.setraw(fd)
    try:
        yield read
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _show(speed_rad_s: float, position: AxisPosition, rates: Pair, why: str) -> None:
    azimuth, elevation = math.degrees(position.azimuth_rad), math.degrees(position.elevation_rad)
    does = f"{'moves' if any(rates) else 'rests'}  {math.degrees(speed_rad_s):.2f} deg/s  {why}"
    sys.stderr.write(f"\razimuth {azimuth:9.4f} deg  elevation {elevation:9.4f} deg  {does}\x1b[K")
    sys.stderr.flush()
