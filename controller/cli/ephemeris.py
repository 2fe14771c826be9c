"""`boresight ephemeris`: what a file of positions holds, how old it is, where its target stands over the station."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.connect import DEFAULT_RIG, read_rig

if TYPE_CHECKING:
    from controller.pointing.ephemeris.ephemeris import Ephemeris
    from hal.rig import Rig

SHOWN = 20


def ephemeris(
    file: Annotated[str, typer.Argument(help="File of positions or elements in any format, or moon, mars, ...")],
    at: Annotated[str, typer.Option("--at", help="UTC, 2026-04-05T15:00:00; default: now.")] = "",
    target: Annotated[str, typer.Option("--target", help="Name or number, when the file holds several.")] = "",
    rig: Annotated[
        Path, typer.Option("--rig", "--site", help="Rig file, TOML; its station is the site.")
    ] = DEFAULT_RIG,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Say what is in an ephemeris: format, span, age, jumps, and azimuth, elevation, range and rates from the site."""
    from controller.pointing.ephemeris.files import find_ephemeris

    found = _found(file)
    chosen = [find_ephemeris(found, target)] if target else found
    t_utc_ns = _time(at)
    rows = [_row(item, t_utc_ns, read_rig(rig), bool(at)) for item in chosen[: len(chosen) if json_output else SHOWN]]
    if json_output:
        typer.echo(json.dumps({"file": file, "targets": rows}, indent=2))
        return
    for row in rows:
        _print(row)
    if len(chosen) > len(rows):
        typer.echo(f"... and {len(chosen) - len(rows)} more; name one with --target.")


def _found(file: str) -> list[Ephemeris]:
    from controller.cli.sources import is_body
    from controller.pointing.ephemeris.bodies import body_named
    from controller.pointing.ephemeris.files import load_ephemerides

    return [body_named(file)] if is_body(file) else load_ephemerides(file)


def _time(at: str) -> int:
    from controller.errors import BoresightError
    from controller.geometry.timescales import utc_ns_of_tai
    from controller.pointing.ephemeris.epochs import parse_epoch, to_tai_ns
    from hal.clock import RealClock

    if not at:
        return RealClock().utc_ns()
    try:
        return int(utc_ns_of_tai(to_tai_ns([parse_epoch(at)], "UTC"))[0])
    except ValueError as error:
        raise BoresightError(f"--at {error}.") from None


def _row(item: Ephemeris, t_utc_ns: int, rig: Rig, must: bool) -> dict[str, Any]:
    import numpy as np

    from controller.geometry.earth import load_earth_orientation
    from controller.pointing.ephemeris.ephemeris import age_warning, iso

    row: dict[str, Any] = {
        "target": item.name,
        "source": item.source,
        "format": item.format,
        "frame": str(item.frame),
        "start_utc": iso(item.start_utc_ns),
        "end_utc": iso(item.end_utc_ns),
        "epoch_utc": iso(item.epoch_utc_ns) if item.epoch_utc_ns else None,
        "age_days": round((t_utc_ns - item.epoch_utc_ns) / 86_400e9, 3) if item.epoch_utc_ns else None,
        "notes": [*item.notes, *filter(None, [age_warning(item, t_utc_ns)])],
        "at": None,
    }
    if must or item.known(np.array([t_utc_ns])).all():
        row["at"] = _look(item, t_utc_ns, rig)
        row["notes"] += filter(None, [load_earth_orientation().warning(t_utc_ns)])
    else:
        row["notes"].append(f"{iso(t_utc_ns)} (now) is not covered; ask for a time with --at.")
    return row


def _look(item: Ephemeris, t_utc_ns: int, rig: Rig) -> dict[str, Any]:
    from controller.cli.factories import observer_of
    from controller.pointing.ephemeris.ephemeris import iso
    from controller.pointing.sighting import sight

    seen = sight(item, t_utc_ns, observer_of(rig))
    look, far = seen.look, not math.isfinite(seen.look.range_m)
    ahead = [round(value * 1e6, 3) for value in seen.point_ahead_rad]
    ellipse = seen.ellipse_rad()
    return {
        "utc": iso(t_utc_ns),
        "site": rig.station.name,
        "azimuth_deg": round(math.degrees(look.azimuth_rad) % 360, 6),
        "elevation_deg": round(math.degrees(look.elevation_rad), 6),
        "elevation_airless_deg": round(math.degrees(seen.elevation_airless_rad), 6),
        "azimuth_rate_deg_s": round(math.degrees(look.azimuth_rate_rad_s), 7),
        "elevation_rate_deg_s": round(math.degrees(look.elevation_rate_rad_s), 7),
        "range_m": None if far else round(look.range_m, 3),
        "range_rate_m_s": None if far else round(look.range_rate_m_s, 5),
        "light_time_s": None if far else round(seen.light_time_s, 9),
        "doppler_hz": None if far else round(seen.doppler_hz(rig.receive_wavelength_m)),
        "point_ahead_urad": {"cross_elevation": ahead[0], "elevation": ahead[1]},
        "one_sigma_urad": None if ellipse is None else [round(axis * 1e6, 3) for axis in ellipse[:2]],
    }


def _print(row: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{row['target']}, {row['format']}", title_justify="left", box=None, show_header=False)
    at = row["at"] or {}
    lines = {key.replace("_", " "): row[key] for key in ("frame", "start_utc", "end_utc", "epoch_utc", "age_days")}
    lines |= {key.replace("_", " "): value for key, value in at.items()}
    for what, value in lines.items():
        if value is not None:
            shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
            table.add_row(what, shown)
    console = Console()
    console.print(table)
    for note in row["notes"]:
        typer.echo(f"boresight: {note}", err=True)
