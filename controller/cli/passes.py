"""`boresight passes`: which satellites pass over a rig's site, how high, and whether the mount can fly them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.connect import DEFAULT_RIG, read_rig
from controller.cli.sources import EphemerisOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controller.pointing.ephemeris.ephemeris import Ephemeris
    from controller.pointing.passes import Pass
    from controller.pointing.plan import AxisLimits
    from controller.pointing.prediction import Observer
    from hal.rig import Rig

COUNT = 20


def passes(
    tle: Annotated[Path | None, typer.Option("--tle", help="File of element sets; default: the built-in ones.")] = None,
    ephemeris: EphemerisOption = None,
    target: Annotated[str | None, typer.Option("--target", help="Name or catalogue number; default: all.")] = None,
    rig: Annotated[
        Path, typer.Option("--rig", "--site", help="Rig file, TOML; its [station] is the site.")
    ] = DEFAULT_RIG,
    count: Annotated[int, typer.Option("--count", min=1, help="How many of the highest, without --target.")] = COUNT,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """List passes within a day of each element set's epoch, or from now on in an ephemeris that covers it.

    One target's are listed in order of time, else the highest.
    """
    from controller.cli.sources import caution, load_targets
    from controller.pointing.elements import ElementSet
    from controller.pointing.passes import PassError
    from controller.pointing.plan import never_rises

    site = _Site.of(read_rig(rig))
    sets = load_targets(tle, ephemeris, target or "")
    plain = all(isinstance(s, ElementSet) for s in sets)
    found = _search(sets, site, count, every=target is not None or not plain)
    for item in {id(p.elements): p for p in found}.values() if not plain else ():
        caution(item.elements, item.rise_utc_ns)
    if not found:
        raise PassError(never_rises(sets, site.observer.site, site.mask_rad))
    rows = [_row(item, site) for item in found]
    if json_output:
        head = {"site": site.observer.site.name, "elevation_mask_deg": round(math.degrees(site.mask_rad), 6)}
        typer.echo(json.dumps({**head, "passes": rows}, indent=2))
    else:
        _print(rows, site)


@dataclass(frozen=True)
class _Site:
    """What of a rig decides about passes."""

    observer: Observer
    mask_rad: float
    limits: AxisLimits

    @classmethod
    def of(cls, rig: Rig) -> _Site:
        from controller.geometry.earth import load_earth_orientation
        from controller.geometry.frames import Site
        from controller.pointing.plan import AxisLimits
        from controller.pointing.prediction import Observer

        s, gimbal = rig.station, rig.gimbal
        air = (s.pressure_hpa, s.temperature_c, s.relative_humidity)
        place = Site(s.latitude_deg, s.longitude_deg, s.height_m, *air, s.name)
        limits = AxisLimits(math.radians(gimbal.rate_max_deg_s), math.radians(gimbal.acceleration_max_deg_s2))
        return cls(Observer(place, load_earth_orientation()), math.radians(s.elevation_mask_deg), limits)


def _search(sets: Sequence[Ephemeris], site: _Site, count: int, every: bool) -> list[Pass]:
    from controller.pointing.catalogue import highest_passes
    from controller.pointing.elements import ElementSet
    from controller.pointing.passes import find_passes, search_window
    from hal.clock import RealClock

    place, earth = site.observer.site, site.observer.earth
    if every:
        now_ns = RealClock().utc_ns()
        windows = [(s, search_window(s, now_ns)) for s in sets]
        return [p for s, window in windows for p in find_passes(s, place, earth, *window, site.mask_rad)]
    plain = [s for s in sets if isinstance(s, ElementSet)]
    found = list(islice(highest_passes(plain, place, earth, site.mask_rad), count))
    return sorted(found, key=lambda p: -p.elevation_max_rad)


def _row(item: Pass, site: _Site) -> dict[str, Any]:
    from controller.pointing.plan import plan

    planned = plan(item, site.observer, site.limits)
    azimuths = [
        math.degrees(planned.trajectory.receive(t).azimuth_rad) % 360 for t in (item.rise_utc_ns, item.set_utc_ns)
    ]
    rate, acceleration = (
        [round(math.degrees(value), 4) for value in values]
        for values in (planned.demand.rate_max_rad_s, planned.demand.acceleration_max_rad_s2)
    )
    return {
        "target": item.elements.name,
        "catalogue_number": getattr(item.elements, "catalogue_number", None),
        "rise_utc": _iso(item.rise_utc_ns),
        "culmination_utc": _iso(item.culmination_utc_ns),
        "set_utc": _iso(item.set_utc_ns),
        "duration_s": round(item.duration_s, 3),
        "elevation_max_deg": round(math.degrees(item.elevation_max_rad), 3),
        "azimuth_rise_deg": round(azimuths[0], 2),
        "azimuth_set_deg": round(azimuths[1], 2),
        "rate_max_deg_s": rate,
        "acceleration_max_deg_s2": acceleration,
        "cut": item.cut,
        "refusal": planned.demand.refusal(site.limits),
        "predicted_outage_s": round(planned.outage_s, 2),
    }


def _print(rows: list[dict[str, Any]], site: _Site) -> None:
    from rich.console import Console
    from rich.table import Table

    mask_deg = math.degrees(site.mask_rad)
    title = f"Passes over {site.observer.site.name} above {mask_deg:g}°; too fast: outage if flown anyway"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("target", "rise (UTC)", "lasts", "peak", "azimuth", "az °/s", "too fast"):
        table.add_column(name, justify="left" if name in {"target", "rise (UTC)"} else "right", no_wrap=True)
    for row in rows:
        table.add_row(
            row["target"],
            row["rise_utc"][:19].replace("T", " "),
            f"{row['duration_s']:.0f} s",
            f"{row['elevation_max_deg']:.1f}°",
            f"{row['azimuth_rise_deg']:.0f}→{row['azimuth_set_deg']:.0f}°",
            f"{row['rate_max_deg_s'][0]:.2f}",
            f"{row['predicted_outage_s']:.0f} s" if row["refusal"] else "-",
        )
    Console().print(table)
    for row in rows:
        if row["cut"]:
            typer.echo(f"boresight: {row['cut']}", err=True)


def _iso(t_utc_ns: int) -> str:
    seconds, rest_ns = divmod(t_utc_ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest_ns // 1_000_000:03d}Z"
