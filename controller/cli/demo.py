"""`boresight demo`: one pass of a real satellite on an emulated terminal, from rise to set."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.sources import EphemerisOption
from controller.errors import BoresightError

if TYPE_CHECKING:
    from controller.pointing.plan import Plan
    from hal.rig import Rig

DEFAULT_RIG = Path(__file__).parent.parent / "data" / "rigs" / "ogs.toml"
STAGES = 1000  # of the progress bar
SETTLES_S = 30.0  # before the rise, after the longest way that a gimbal may have to go


def demo(
    json_output: Annotated[bool, typer.Option("--json", help="Print summary.json and nothing else.")] = False,
    seed: Annotated[int, typer.Option(help="Draws misalignment, ephemeris error, jitter, turbulence and noise.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Folder for recording, report and summary; default runs/.")] = None,
    tle: Annotated[Path | None, typer.Option(help="File of element sets; default: those that are built in.")] = None,
    ephemeris: EphemerisOption = None,
    target: Annotated[str, typer.Option(help="Satellite by name or catalogue number; default: the best pass.")] = "",
    rig: Annotated[Path, typer.Option(help="Rig file, or the name of a shipped one.")] = DEFAULT_RIG,
    scenario: Annotated[str, typer.Option(help="World to put it in: a name or a TOML file.")] = "default",
    arc: Annotated[float | None, typer.Option(help="Fly only this many seconds of the pass.")] = None,
    above_limits: Annotated[bool, typer.Option(help="Fly a pass that asks too much of the gimbal.")] = False,
    realtime: Annotated[bool, typer.Option(help="In real time: every service a process, every wire real.")] = False,
) -> None:
    """Fly one pass of a real satellite on an emulated terminal and show it."""
    from rich.console import Console

    console = Console(stderr=True, quiet=json_output)
    rig = shipped_or(rig)
    summary = run_demo(console, Wish(seed, out, tle, target, rig, scenario, arc, above_limits, realtime, ephemeris))
    if json_output:
        typer.echo(json.dumps(summary, indent=2))


def shipped_or(rig: Path) -> Path:
    """The shipped rig of that name; whatever is a file, or has a suffix or a folder, is itself."""
    if rig.exists() or rig.name != str(rig) or rig.suffix:
        return rig
    names = sorted(path.stem for path in DEFAULT_RIG.parent.glob("*.toml"))
    if rig.name in names:
        return DEFAULT_RIG.parent / f"{rig.name}.toml"
    raise BoresightError(f"{rig}: no such rig file, and no shipped rig has that name; there are {', '.join(names)}.")


@dataclass(frozen=True, slots=True)
class Wish:
    """What to fly, as the command line says it."""

    seed: int
    out: Path | None
    tle: Path | None
    target: str
    rig: Path
    scenario: str
    arc_s: float | None
    above_limits: bool
    realtime: bool
    ephemeris: str | None = None


def run_demo(console: Any, wish: Wish) -> dict[str, Any]:
    """Plan, fly, report; returns the summary. Raises BoresightError and HalError with a sentence."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from controller.cli.rig import emulated_devices
    from hal.rig import load_rig

    rig = load_rig(wish.rig, dict.fromkeys(emulated_devices(wish.rig), ""))
    columns = (SpinnerColumn(), TextColumn("{task.fields[mode]:<10}"), BarColumn(), TextColumn("{task.description}"))
    shown = console.is_terminal and not console.quiet
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True, disable=not shown) as progress:
        bar = progress.add_task("choosing the pass", total=STAGES, mode="PLAN")
        plan = choose_pass(rig, wish.tle, wish.target, wish.above_limits, wish.ephemeris)
        folder = _folder(wish.out, plan, wish.seed)

        def tell(mode: str, what: str, share: float | None = None) -> None:
            done = None if share is None else share * STAGES
            progress.update(bar, completed=done, description=what or plan.target.elements.name, mode=mode)

        tell("COMPILE", "compiling the world (once; the next start is quick)")
        summary = (_in_real_time if wish.realtime else _in_lockstep)(rig, wish, plan, folder, tell)
        tell("REPORT", "drawing the report", 1.0)
        _report(folder)
    show(console, summary, folder)
    return summary


def _in_lockstep(rig: Rig, wish: Wish, plan: Plan, folder: Path, tell: Any) -> dict[str, Any]:
    import numpy as np

    from controller.cli.flight import Flight
    from controller.cli.summary import summary_of
    from controller.freeze import as_metadata, frozen
    from hal.rig import Terminal

    calibrate = isinstance(rig, Terminal)
    lead_s = None if calibrate else SETTLES_S + 360 / rig.gimbal.rate_max_deg_s
    try:
        flight = Flight(
            wish.rig, plan, folder, wish.seed, wish.scenario, wish.arc_s, calibrate=calibrate, lead_s=lead_s, tell=tell
        )
    except BaseException:
        with suppress(OSError):
            folder.rmdir()  # nothing was flown: what we made goes, what was there stays
        raise
    try:
        record = as_metadata(
            frozen(flight.bench.rig, flight.bench.rig.companions.values()), seed=str(wish.seed), scenario=wish.scenario
        )
        flown = flight.fly(record)
        summary = summary_of(flown, wish.seed)
        (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        capture = flight.bench.world.fine_capture_rad().astype(np.float32)
        np.savez_compressed(folder / "truth.npz", fine_10khz_rad=capture)
    finally:
        flight.close()
    return summary


def _in_real_time(rig: Rig, wish: Wish, plan: Plan, folder: Path, tell: Any) -> dict[str, Any]:
    from controller.cli.realtime import fly_in_real_time

    options = ["--seed", str(wish.seed), "--scenario", wish.scenario, "--target", plan.target.elements.name]
    options += ["--tle", str(wish.tle)] if wish.tle is not None else []
    options += ["--ephemeris", wish.ephemeris] if wish.ephemeris is not None else []
    options += ["--above-limits"] if wish.above_limits else []
    return fly_in_real_time(rig, folder, options, wish.arc_s, tell)


def choose_pass(rig: Rig, tle: Path | None, name: str, above_limits: bool, ephemeris: str | None = None) -> Plan:
    """The pass to fly. Raises ElementsError, PassError."""
    from controller.cli.factories import cones_of, observer_of
    from controller.cli.sources import caution, load_targets
    from controller.pointing.plan import AxisLimits, choose

    sets = load_targets(tle, ephemeris, name)
    limits = AxisLimits.of(rig)
    mask_rad, cones = math.radians(rig.station.elevation_mask_deg), cones_of(rig)
    chosen = choose(sets, observer_of(rig), limits, mask_rad, above_limits, cones)
    if ephemeris is not None:
        caution(chosen.target.elements, chosen.target.rise_utc_ns)
    if chosen.target.cut:
        typer.echo(f"boresight: {chosen.target.cut}", err=True)
    return chosen


def _folder(out: Path | None, plan: Plan, seed: int) -> Path:
    if out is None:
        start = datetime.fromtimestamp(plan.target.rise_utc_ns * 1e-9, UTC).strftime("%Y%m%dT%H%M%S")
        stem = f"{start}-{plan.target.elements.name.replace(' ', '-')}-seed{seed}"
        out = next(
            p for n in range(1, 10_000) if not (p := Path("runs") / (stem if n == 1 else f"{stem}-{n}")).exists()
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BoresightError(f"{out}: cannot be made ({error.strerror}); choose another folder with --out.") from None
    if (out / "recording.mcap").exists():
        raise BoresightError(
            f"{out} holds a recording already; choose another folder with --out, nothing is overwritten."
        )
    return out


def _report(folder: Path) -> None:
    from controller.report import write_report

    write_report(folder)


def show(console: Any, summary: dict[str, Any], folder: Path) -> None:
    """The summary as a person reads it."""
    from rich.table import Table

    table = Table(title=f"{summary['target']}, simulated, seed {summary['seed']}", show_header=False)
    for what, value in (_open_loop_rows if "beamwidth_rad" in summary else _rows)(summary):
        table.add_row(what, value)
    console.print(table)
    for name, why in summary["failures"].items():
        console.print(f"[red]{name} died: {why}[/red]")
    console.print(f"report: {folder / 'report.html'}")


def _number(value: float | None, unit: str, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f} {unit}"


def _modes(summary: dict[str, Any]) -> str:
    return ", ".join(f"{mode} {seconds:.0f} s" for mode, seconds in summary["mode_times_s"].items())


def _open_loop_rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    def degrees(key: str) -> str:
        value = summary[key]
        return _number(None if value is None else math.degrees(value), "deg", 2)

    return [
        ("pass", f"{summary['pass_start_utc']}, up to {summary['max_elevation_deg']:.1f}°"),
        ("gimbal", summary["gimbal"]),
        ("modes", _modes(summary)),
        (
            "tracking error, open loop",
            f"{degrees('tracking_error_rms_rad')} rms, {degrees('tracking_error_max_rad')} max",
        ),
        ("of the beam", f"{degrees('beamwidth_rad')} wide; {_number(summary['pointing_loss_mean_db'], 'dB', 2)} lost"),
        ("speed", _number(summary["realtime_factor"], "times real time")),
        ("ended", f"{summary['final_mode']}: {summary['final_reason']}"),
    ]


def _rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    def micro(pair: list[float | None] | None) -> str:
        return " / ".join("-" if v is None else f"{v * 1e6:.2f}" for v in pair or [None]) + " µrad"

    before, after = micro(summary["open_loop_error_before_rms_rad"]), micro(summary["open_loop_error_after_rms_rad"])
    found = _number(summary["acquisition_time_s"], "s")
    predicted = _number(summary["acquisition_time_predicted_s"], "s")
    return [
        ("pass", f"{summary['pass_start_utc']}, up to {summary['max_elevation_deg']:.1f}°"),
        ("gimbal", summary["gimbal"]),
        ("modes", _modes(summary)),
        ("open loop before / after calibration", f"{before}; {after} rms"),
        ("acquisition", f"{found}, {predicted} predicted"),
        ("coarse error", f"{micro(summary['coarse_error_rms_rad'])} rms"),
        ("fine error", f"{micro(summary['fine_error_rms_rad'])} rms, bound {micro([summary['predictor_bound_rad']])}"),
        ("transmit error", f"{micro(summary['transmit_error_rms_rad'])} rms"),
        ("link", f"{(summary['link_fraction'] or 0) * 100:.1f} % of the time after first light"),
        ("speed", f"{_number(summary['realtime_factor'], 'times real time')}"),
        ("ended", f"{summary['final_mode']}: {summary['final_reason']}"),
    ]
