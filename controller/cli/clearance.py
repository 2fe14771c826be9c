"""`boresight clearance request|check FILE`: what goes to the laser clearinghouse, and whether its answer fits."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.connect import DEFAULT_RIG, RigOption, read_rig
from hal.rig import as_terminal

NS = 1_000_000_000
HELP = "Requests to the laser clearinghouse, and its messages."
Satellites = Annotated[list[int] | None, typer.Option("--satellite", help="Catalogue number; may be repeated.")]

app = typer.Typer(help=HELP, no_args_is_help=True, add_completion=False)


@app.callback()
def clearance() -> None:
    """Requests to the laser clearinghouse, and its messages."""


@app.command()
def request(
    file: Annotated[Path, typer.Argument(help="File to write, JSON.")],
    start: Annotated[str, typer.Option("--start", help="UTC, as 2026-03-01T20:00:00.")],
    stop: Annotated[str, typer.Option("--stop", help="UTC, likewise.")],
    rig: RigOption = DEFAULT_RIG,
    satellite: Satellites = None,
    field: Annotated[
        str | None, typer.Option("--field", help="AZ1,AZ2,EL1,EL2 in degrees, eastwards from AZ1 to AZ2.")
    ] = None,
    test: Annotated[bool, typer.Option("--test", help="Mark it as test data.")] = False,
) -> None:
    """Write a request for open windows; the rig's section clearinghouse says whose it is. Nothing is sent from here."""
    from uuid import uuid4

    from controller.cli.factories import site_of
    from controller.safety.clearance.prm import Asked
    from controller.safety.clearance.prm import request as record_of
    from hal.clock import RealClock

    described = as_terminal(read_rig(rig))
    section = described.clearinghouse
    asked = Asked(
        section.mission_id,
        section.operator,
        described.station.name,
        tuple(section.emitters),
        site_of(described),
        section.cone_half_angle_deg,
        utc_ns(start),
        utc_ns(stop),
        None if field is None else _field(field),
        tuple(satellite or ()),
    )
    record = record_of(asked, str(uuid4()), RealClock().utc_ns(), "TEST" if test else "REAL")
    file.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    typer.echo(f"{file}: request {record['requestId']}, targets: {record['numTargets']}; send it to the clearinghouse")


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="Message of the clearinghouse, PAM text.")],
    rig: RigOption = DEFAULT_RIG,
    at: Annotated[str | None, typer.Option("--at", help="UTC, as 2026-03-01T20:00:00; default: now.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Say whether a message is for this rig, what it opens, and when; exit code 1 when it opens nothing here."""
    from hal.clock import RealClock

    told = describe(file, rig, RealClock().utc_ns() if at is None else utc_ns(at))
    if json_output:
        typer.echo(json.dumps(told, indent=2))
    else:
        typer.echo(_text(told))
    if told["refusals"]:
        raise typer.Exit(1)


def describe(file: Path, rig: Path, t_utc_ns: int) -> dict[str, Any]:
    """What `clearance check` reports. Raises PamError for a file that is no message."""
    import msgspec

    from controller.cli.factories import site_of
    from controller.safety.clearance.gates import Expected, mismatches
    from controller.safety.clearance.message import Window, at, padded
    from controller.safety.clearance.pam import load_pam
    from controller.safety.clearance.prm import iso_utc

    described, message = as_terminal(read_rig(rig)), load_pam(file)
    section = described.clearinghouse
    refusals = mismatches(message, Expected(section.mission_id, section.operator, site_of(described)))
    mission = Window(message.start_utc_ns, message.stop_utc_ns)
    targets = []
    for target in message.targets:
        windows = padded(target.windows, mission, round(section.pad_s * NS))
        is_open, changes_in_s = at(windows, t_utc_ns)
        targets.append(
            {
                "target": target.number,
                "method": type(target.geometry).__name__,
                "geometry": msgspec.to_builtins(target.geometry),
                "open": is_open and not refusals,
                "changes_in_s": changes_in_s,
                "windows_utc": [[iso_utc(w.open_utc_ns), iso_utc(w.close_utc_ns)] for w in windows],
            }
        )
    return {
        "file": file.name,
        "mission_id": message.mission_id,
        "operator": message.operator,
        "at_utc": iso_utc(t_utc_ns),
        "pad_s": section.pad_s,
        "refusals": refusals,
        "targets": targets,
    }


def utc_ns(text: str) -> int:
    """A moment that somebody typed. Raises BoresightError."""
    from controller.errors import BoresightError

    try:
        moment = datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        raise BoresightError(f'"{text}" is no time; write UTC as 2026-03-01T20:00:00.') from None
    if moment.tzinfo is not None:
        raise BoresightError(f'"{text}" names a time zone; write UTC as 2026-03-01T20:00:00.')
    return round(moment.replace(tzinfo=UTC).timestamp() * 1000) * 1_000_000


def _field(text: str) -> Any:
    from controller.errors import BoresightError
    from controller.safety.clearance.message import FieldOfView

    try:
        azimuth_from, azimuth_to, elevation_from, elevation_to = (float(part) for part in text.split(","))
    except ValueError:
        raise BoresightError(f'--field "{text}": write AZ1,AZ2,EL1,EL2 in degrees, as 350,10,20,90.') from None
    if not -90.0 <= elevation_from < elevation_to <= 90.0:
        raise BoresightError(f'--field "{text}": EL1 is below EL2, and both are from -90 to 90 degrees.')
    return FieldOfView(azimuth_from, azimuth_to, elevation_from, elevation_to)


def _text(told: dict[str, Any]) -> str:
    lines = [f"{told['file']}: mission {told['mission_id']}, operator {told['operator']}"]
    lines += [f"  REFUSED: {sentence}" for sentence in told["refusals"]]
    for target in told["targets"]:
        state = "open" if target["open"] else "closed"
        if target["changes_in_s"] is not None and not told["refusals"]:
            state += f", changes in {target['changes_in_s']:.0f} s"
        where = ", ".join(f"{name} {value:g}" for name, value in target["geometry"].items())
        lines.append(f"  target {target['target']}: {where}: {state} at {told['at_utc']}")
        lines += [f"    {opens} to {closes}" for opens, closes in target["windows_utc"]]
    return "\n".join(lines)
