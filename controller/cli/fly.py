"""`boresight fly`: what an operator does for one pass of the running station, from calibration to its end."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.connect import DEFAULT_RIG, DEFAULT_RUN_DIR, PreemptOption, RigOption, RunDirOption
from controller.cli.sources import EphemerisOption

if TYPE_CHECKING:
    from controller.pointing.plan import Plan
    from hal.rig import Rig

AFTER_S = 3.0  # the station parks
CalibrateOption = Annotated[bool, typer.Option("--calibrate/--no-calibrate", help="Calibrate on stars first.")]
TargetOption = Annotated[str, typer.Option(help="Satellite; default: the one in the emulated sky.")]
TleOption = Annotated[Path | None, typer.Option("--tle", help="File of element sets.")]
ArcOption = Annotated[float | None, typer.Option(help="Fly only this many seconds of the pass.")]


def fly(
    rig: RigOption = DEFAULT_RIG,
    run_dir: RunDirOption = DEFAULT_RUN_DIR,
    calibrate: CalibrateOption = True,
    target: TargetOption = "",
    tle: TleOption = None,
    ephemeris: EphemerisOption = None,
    arc: ArcOption = None,
    preempt: PreemptOption = False,
    parent: Annotated[int, typer.Option(hidden=True, help="Process id of the station that started this one.")] = 0,
) -> None:
    """Fly one pass: calibrate, track, arm and confirm, and stay until the station rests again.

    An RF station has no stars to calibrate on and nothing to arm.
    """
    from controller.bus.holder import holding
    from controller.cli.calibrate import run_calibration
    from controller.cli.connect import operating
    from controller.cli.factories import services_of
    from controller.cli.rig import resolve_in, station_clock
    from controller.errors import BoresightError
    from controller.operate import Operator
    from controller.services.signals import stop_signals
    from controller.station import Mode
    from hal.clock import NS
    from hal.rig import Terminal

    described, clock = resolve_in(rig, run_dir), station_clock(rig, run_dir)
    with ExitStack() as stack:
        told = stack.enter_context(stop_signals())

        def stopped() -> bool:
            """Also without the station that this pass is of: whoever outlives it would command the next one."""
            return told() or parent not in {0, os.getppid()}

        port = stack.enter_context(operating(described, clock, stopped))
        plan = _plan(described, run_dir, target, tle, ephemeris, clock.utc_ns())
        begin_ns, end_ns = plan.target.rise_utc_ns, plan.target.set_utc_ns
        if arc is not None:
            end_ns = min(end_ns, max(begin_ns, clock.utc_ns()) + round(arc * NS))
        services = services_of(described)
        Operator(clock, port, services).wait_for_services()
        name = plan.target.elements.name
        with holding(clock, port, "station", f"flies {name}", preempt) as held:
            operator = Operator(clock, held, services)
            if calibrate and isinstance(described, Terminal):
                run_calibration(operator, described, clock, held, run_dir)
            operator.track(plan, end_ns)
            if isinstance(described, Terminal):
                operator.arm()
                _say(f"tracking {name}; emission is armed and confirmed")
            else:
                _say(f"tracking {name}, open loop")
            ending = operator.watch(end_ns + round(AFTER_S * NS))
            if told() and isinstance(described, Terminal):  # Ctrl-C: emission ends with its operator, and in good order
                operator.disarm()
    sentence = f"the pass of {name} ended in {ending.mode or 'silence'}: {ending.reason}"
    if ending.mode != Mode.STOWED:
        raise BoresightError(sentence)
    _say(sentence)


def _say(sentence: str) -> None:
    """To the terminal, if there is one still: consent does not end because nobody reads."""
    with suppress(OSError):
        typer.echo(sentence, err=True)


def _plan(rig: Rig, run_dir: Path, target: str, tle: Path | None, ephemeris: str | None, now_utc_ns: int) -> Plan:
    """The next pass of what is named, else of what is in the emulated sky of the run directory."""
    from controller.cli.control import next_plan
    from controller.cli.emulate import EPHEMERIS_FILE, TARGET_FILE
    from controller.errors import BoresightError
    from controller.pointing.elements import load_elements

    emulated, described = run_dir / TARGET_FILE, run_dir / EPHEMERIS_FILE
    if tle is None and ephemeris is None and emulated.exists():
        tle = emulated
    if tle is None and ephemeris is None and described.exists():
        flies = json.loads(described.read_text(encoding="utf-8"))
        ephemeris, target = flies["ephemeris"], target or flies["target"]
    if ephemeris is None and not target:
        sets = load_elements(tle) if tle is not None else []
        if len(sets) != 1:
            raise BoresightError("which satellite? name it with --target.")
        target = sets[0].name
    return next_plan(rig, target, tle, now_utc_ns, 14.0, above_limits=False, ephemeris=ephemeris)
