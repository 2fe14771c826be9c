"""`boresight rig verify DEVICE`: the behavioural suite of its trait, on the device that a rig file names."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.connect import DEFAULT_RIG, RigOption
from controller.cli.rig import all_emulated, app, emulated_devices, resolve_in
from controller.errors import BoresightError
from hal.clock import NS, Clock, RealClock
from hal.errors import HalError
from hal.rig import DEVICES, OPTIONAL, Rig, load_rig, open_device
from hal.wires import wirelog

if TYPE_CHECKING:
    from hal.conformance import Finding, Report, Terms

BEFORE_RISE_NS = 60 * NS  # of the pass whose world the emulators live in
BARS = " ▁▂▃▄▅▆▇█"
MARKS = {"pass": "[green]pass[/]", "fail": "[red]FAIL[/]", "skipped": "[yellow]skip[/]"}


@app.command()
def verify(
    device: Annotated[str, typer.Argument(help=f"Section of the rig file: {', '.join((*DEVICES, *OPTIONAL))}.")],
    rig: RigOption = DEFAULT_RIG,
    speed: Annotated[
        float, typer.Option(help="Share of the device's limits of rate and stroke.", min=0.01, max=1)
    ] = 0.1,
    motion: Annotated[bool, typer.Option("--motion/--no-motion", help="Run the cases that move something.")] = True,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a real device moves.")] = False,
    run_dir: Annotated[
        Path | None, typer.Option("--run-dir", help="Of a running `boresight emulate`; else an emulator of our own.")
    ] = None,
    wire_log: Annotated[Path | None, typer.Option("--wire-log", help="Folder for a log of every byte.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Find out whether a device does what the loops expect of it: limits, timing, deviations from its emulator.

    A real device is moved at a tenth of its speed, after the envelope was shown and confirmed; nothing is made to emit.
    """
    from hal.conformance import Terms

    has = load_rig(rig, dict.fromkeys(emulated_devices(rig), "")).devices
    if device not in has:
        raise typer.BadParameter(f"{device!r} is no device of {rig}; there are {', '.join(has)}", param_hint="DEVICE")
    terms = Terms(speed=speed, motion=motion)
    ours = device in emulated_devices(rig) and run_dir is None
    with wirelog.logging_to(wire_log) if wire_log is not None else nullcontext():
        if ours:
            with _emulated(rig) as (resolved, clock):
                report = _run(device, resolved, clock, terms, not json_output)
        else:
            resolved = resolve_in(rig, run_dir) if run_dir is not None else _real(rig, device)
            if device not in resolved.emulated:
                _confirm(device, resolved, terms, yes)
            report = _run(device, resolved, RealClock(), terms, not json_output)
    reference = None if ours else _reference(device, resolved, terms)
    result = _result(report, resolved, terms, reference)
    if json_output:
        typer.echo(json.dumps(result, indent=2))
    else:
        _show(result)
    raise typer.Exit(0 if report.passed else 1)


def _real(path: Path, device: str) -> Rig:
    """The rig with its other, emulated devices left out of account."""
    return load_rig(path, {other: "" for other in emulated_devices(path) if other != device})


def _confirm(device: str, rig: Rig, terms: Terms, yes: bool) -> None:
    from hal.conformance.gimbal import envelope_deg

    resource = getattr(rig, device).resource
    what = f"{device}: {resource} is real. Emission stays off"
    if device == "gimbal" and terms.motion:
        rate_deg_s = math.degrees(terms.speed * rig.gimbal.rate_max_rad_s)
        reach_deg = envelope_deg(terms.speed, rig.gimbal.rate_max_rad_s)
        what += (
            f"; each axis turns at {rate_deg_s:.2f} deg/s, at most {reach_deg:.1f} deg to either side of here. "
            "Nobody may be in reach, no cable may be short, and the Sun must be further away than that"
        )
    elif device == "beam_board" and terms.motion:
        what += f"; the mirror moves by at most {terms.speed * 1e3:.2f} mrad"
    elif device == "shutter" and terms.motion:
        what += "; it opens and closes: the laser must be off"
    elif device == "stage" and terms.motion and rig.stage is not None:
        what += (
            f"; it goes home, then from end to end of its soft limits of {rig.stage.travel_min_mm:g} to "
            f"{rig.stage.travel_max_mm:g} mm, and its motor lets go of it: what hangs on it may fall"
        )
    elif device == "mirror" and terms.motion and rig.mirror is not None:
        reach_urad = terms.speed * rig.mirror.reach_urad
        what += f"; it tips by at most {reach_urad:.0f} urad, and its servo goes off and on: no beam may be on it"
    typer.echo(f"{what}. Motion cut-off: {rig.gimbal.motion_cut_off}.", err=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise BoresightError(f"{device} is real and nobody is at the terminal to confirm; say --yes.")
    typer.confirm("Go on?", abort=True, err=True)


@contextmanager
def _emulated(path: Path) -> Iterator[tuple[Rig, Clock]]:
    """An emulated bench of our own, in simulated time."""
    from controller.cli.bench import open_bench
    from controller.cli.demo import choose_pass

    rig = load_rig(path, dict.fromkeys(emulated_devices(path), ""))
    target = choose_pass(rig, None, "", above_limits=False).target
    with open_bench(path, target.elements, target.rise_utc_ns - BEFORE_RISE_NS) as bench:
        if bench.lockstep is None:
            raise BoresightError("the emulated bench has no simulated time")
        yield bench.rig, bench.lockstep


def _reference(device: str, rig: Rig, terms: Terms) -> Report | None:
    """The same suite on an emulator of the same driver, to compare with; None where no emulated bench is installed."""
    try:
        with TemporaryDirectory() as folder, _emulated(all_emulated(rig, Path(folder))) as (ours, clock):
            return _run(device, ours, clock, terms, tell=False)
    except (ModuleNotFoundError, BoresightError, HalError):  # what was found on the device is told all the same
        return None


def _run(device: str, rig: Rig, clock: Clock, terms: Terms, tell: bool) -> Report:
    from rich.console import Console

    from hal.conformance import SUITES, run_suite
    from hal.guarded import open_gimbal, open_stage

    console = Console(highlight=False)

    def told(finding: Finding) -> None:
        detail = f": {finding.detail}" if finding.detail else ""
        console.print(f"{MARKS[finding.verdict]}  it {finding.sentence}{detail}  [dim]{finding.took_s:.2f} s[/]")

    opened: Callable[[], Any] = lambda: open_device(rig, device, clock)  # noqa: E731
    if device == "gimbal":
        opened = lambda: open_gimbal(rig, clock)  # noqa: E731
    elif device == "stage":
        opened = lambda: open_stage(rig, clock)  # noqa: E731
    return run_suite(device, SUITES[device], opened, clock, terms, told if tell else lambda finding: None)


def _result(report: Report, rig: Rig, terms: Terms, reference: Report | None) -> dict[str, Any]:
    from hal.conformance import compare

    device = report.device
    emulated = device in rig.emulated
    return {
        "device": device,
        "driver": rig.driver(device).name,
        "resource": getattr(rig, device).resource,
        "emulated": emulated,
        "speed": terms.speed,
        "passed": report.passed,
        "findings": [
            {"it": f.sentence, "verdict": f.verdict, "detail": f.detail, "took_s": f.took_s} for f in report.findings
        ],
        "measured": report.measured,
        "timing": report.timing(),
        "histogram": report.histogram(),
        "deviations_from_emulator": compare(report, reference) if reference is not None else {},
    }


def _show(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    timing = Table("call", "count", "median ms", "99 % ms", "longest ms", "histogram", title="Timing")
    for name, row in result["timing"].items():
        times = (f"{row[key] * 1e3:.2f}" for key in ("median_s", "p99_s", "max_s"))
        timing.add_row(name, str(row["count"]), *times, _bars(result["histogram"][name]))
    console.print(timing)
    measured = Table("measured", "value", title="Limits and quantities")
    for name, value in result["measured"].items():
        measured.add_row(name, f"{value:.6g}")
    console.print(measured)
    if result["deviations_from_emulator"]:
        deviations = Table(
            "more than twice or less than half", "here", "emulator", title="Deviations from the emulator"
        )
        for name, (here, there) in result["deviations_from_emulator"].items():
            deviations.add_row(name, f"{here:.4g}", f"{there:.4g}")
        console.print(deviations)
    verdict = "does what its trait says" if result["passed"] else "does NOT do what its trait says"
    simulated = " (simulated)" if result["emulated"] else ""
    console.print(f"{result['device']}, {result['driver']} at {result['resource']}{simulated}: {verdict}")


def _bars(bins: dict[str, int]) -> str:
    """A histogram in a line: a bar for each power of two, from the shortest call's to the longest one's."""
    most, edges = max(bins.values()), list(bins)
    bars = "".join(BARS[-(-count * (len(BARS) - 1) // most)] for count in bins.values())
    return f"{edges[0]} {bars} {edges[-1]}" if len(edges) > 1 else f"{bars} {edges[0]}"
