"""`boresight run`: the station that a rig file describes, a process a service."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated

import typer

from controller.cli.connect import DEFAULT_RIG, DEFAULT_RUN_DIR, RigOption, RunDirOption, key_folder
from controller.cli.fly import ArcOption, CalibrateOption, TargetOption, TleOption
from controller.cli.sources import EphemerisOption

WIRES = "wires"  # folder in the run directory
LEVELS = {"error": "<3>", "warning": "<4>", "info": "<6>"}
END_S = 5.0  # that the operator's process gets to end by itself


def run(
    rig: RigOption = DEFAULT_RIG,
    run_dir: RunDirOption = DEFAULT_RUN_DIR,
    fly: Annotated[bool, typer.Option("--fly", help="Also fly one pass, and end with it.")] = False,
    calibrate: CalibrateOption = True,
    target: TargetOption = "",
    tle: TleOption = None,
    ephemeris: EphemerisOption = None,
    arc: ArcOption = None,
    wire_log: Annotated[
        bool, typer.Option("--wire-log", help="Log every byte of every device to wires/ in the run directory.")
    ] = False,
) -> None:
    """Run a station until Ctrl-C. Without --fly it waits for `boresight track` and the like."""
    from controller.cli.factories import PRIORITIES, factories
    from controller.cli.rig import UTC_OFFSET, emulated_devices, read_addresses, resolve_in
    from controller.services.realtime import run_station
    from controller.services.rules import Rules
    from controller.services.signals import stop_signals

    resolved = resolve_in(rig, run_dir)
    found = read_addresses(run_dir) if emulated_devices(rig) else {}
    options = ["--run-dir", str(run_dir), "--calibrate" if calibrate else "--no-calibrate", "--target", target]
    options += ["--tle", str(tle)] if tle is not None else []
    options += ["--ephemeris", ephemeris] if ephemeris is not None else []
    options += ["--arc", str(arc)] if arc is not None else []
    flown: int | None = None  # its exit code, when it was the operator who ended

    def over() -> bool:
        nonlocal flown
        flown = operator.poll() if operator is not None else None
        return flown is not None

    # The signals first: SIGTERM must not leave an operator behind that has just been started.
    with stop_signals(), _operator(["fly", "--rig", str(rig), *options] if fly else None) as operator:
        code = run_station(
            factories(resolved),
            rig,
            {device: getattr(resolved, device).resource for device in sorted(resolved.emulated)},
            run_dir,
            utc_offset_ns=found.get(UTC_OFFSET, 0),
            host=resolved.bus.host,
            base_port=resolved.bus.base_port,
            priorities={**PRIORITIES, **resolved.supervisor.priority},
            cpus=resolved.supervisor.cpus,
            rules=Rules.from_section(resolved.supervisor),
            wire_log=run_dir / WIRES if wire_log else None,
            keys=key_folder(resolved),
            tell=_tell,
            stop_wanted=over,
        )
    raise typer.Exit(code or flown or 0)


def _tell(sentence: str) -> None:
    """To the terminal; to the journal with its level, as sd-daemon(3) has it, so that `journalctl -p` finds it.

    A terminal that is closed or a log on a full disk ends no station: the bus has the sentence, too.
    """
    mark = LEVELS.get(sentence.partition(":")[0], "") if "JOURNAL_STREAM" in os.environ else ""
    with suppress(OSError):
        typer.echo(mark + sentence, err=True)


@contextmanager
def _operator(arguments: list[str] | None) -> Iterator[subprocess.Popen[bytes] | None]:
    """The operator in a process of its own: what it computes never delays the supervisor."""
    if arguments is None:
        yield None
        return
    command = [sys.executable, "-m", "controller.cli", *arguments, "--parent", str(os.getpid())]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
