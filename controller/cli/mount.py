"""`boresight mount`: the mount model that a table of star sightings gives, and what it leaves over the sky."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.connect import DEFAULT_RIG, RigOption, read_rig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controller.pointing.mount_fit import Fit
    from controller.pointing.observation import Observation

ARCSEC_PER_RAD = 180 * 3600 / math.pi


def mount(
    sightings: Annotated[
        Path,
        typer.Argument(help="Table of sightings, CSV; `boresight calibrate` leaves stars.csv in the run directory."),
    ],
    rig: RigOption = DEFAULT_RIG,
    save: Annotated[Path | None, typer.Option("--save", help="Write the model into this file, TOML.")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw what is left: .png, .pdf or .svg.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Fit a mount model to star sightings and show its terms, what it leaves at each star, and who was not believed.

    Nothing moves. The rig says where the sightings were made and how its mount stands: a clock or a place that is wrong
    is named when the stars show it. What is left is across and along the swing of the second axis.
    """
    from controller.cli.factories import site_of
    from controller.pointing.mount_fit import fit
    from controller.pointing.mount_frame import MountFrame
    from controller.pointing.setting_up import mistake
    from controller.pointing.star_log import load_stars
    from hal.clock import RealClock

    described = read_rig(rig)
    seen, frame = load_stars(sightings), MountFrame.of(described)
    suspicion = mistake(seen, site_of(described), RealClock().utc_ns(), frame)
    if suspicion:
        typer.echo(f"boresight: {suspicion}", err=True)
    found = fit(seen, frame=frame)
    if save is not None:
        found.model.save(save, f"{described.station.name}, from {sightings.name}", found.sky_sigma_rad())
    if plot is not None:
        from controller.cli.mount_plot import draw

        draw(seen, found, f"{described.station.name}: {sightings.name}", plot)
    told = report(seen, found) | {"suspicion": suspicion or None}
    if json_output:
        typer.echo(json.dumps(told, indent=2))
    else:
        _print(told)


def report(seen: Sequence[Observation], found: Fit) -> dict[str, Any]:
    """The fit as plain data: arc seconds, and degrees for directions."""
    from controller.pointing.mount_fit import REJECTED

    def seconds(value_rad: float) -> float:
        return round(value_rad * ARCSEC_PER_RAD, 3)

    axes = [name.replace("-", "_").replace(" ", "_") for name in across_and_along(found)]
    terms = {}
    for term in found.terms:
        name, value = found.model.published(term)
        terms[name] = {"arcsec": seconds(value), "sigma": seconds(found.sigma_rad(term))}
    stars = [
        {
            "star": o.star,
            "azimuth_deg": round(math.degrees(o.azimuth_rad) % 360, 4),
            "elevation_deg": round(math.degrees(o.elevation_rad), 4),
            **{f"{axis}_arcsec": seconds(float(left)) for axis, left in zip(axes, (x, y), strict=True)},
            "believed": bool(weight >= REJECTED),
        }
        for o, (x, y), weight in zip(seen, found.residuals_rad, found.weights, strict=True)
    ]
    return {
        "mount": found.model.frame.kind,
        "axes": found.model.frame.axis_names,
        "terms": terms,
        "residual_rms_arcsec": [seconds(v) for v in found.residual_rms_rad],
        "noise_arcsec": seconds(found.noise_rad),
        "pointing_sigma_arcsec": seconds(found.sky_sigma_rad()),
        "sightings": len(seen),
        "rejected": found.rejected,
        "stars": stars,
    }


def across_and_along(found: Fit) -> tuple[str, str]:
    """What is left at a star is told across and along the second axis; what those are called."""
    second = found.model.frame.axis_names[1]
    return f"cross-{second}", second


def _print(told: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    terms = Table("term", "value", "one sigma", title="Mount model, arc seconds", title_justify="left", box=None)
    for name, row in told["terms"].items():
        terms.add_row(name, f"{row['arcsec']:.1f}", f"{row['sigma']:.1f}")
    console.print(terms)
    table = Table(
        *("star", "azimuth", "elevation", f"cross-{told['axes'][1]}", f"{told['axes'][1]} left", ""),
        title="What is left, arc seconds (places in degrees)",
        title_justify="left",
        box=None,
    )
    for row in told["stars"]:
        numbers = [value for key, value in row.items() if key.endswith(("_deg", "_arcsec"))]
        table.add_row(row["star"], *(f"{n:.1f}" for n in numbers), "" if row["believed"] else "not believed")
    console.print(table)
    x, y = told["residual_rms_arcsec"]
    typer.echo(
        f"{told['sightings']} sightings, {told['rejected']} not believed; left {x:.1f} arcsec across and {y:.1f} in "
        f"{told['axes'][1]} (rms); the model is good to {told['pointing_sigma_arcsec']:.1f} arcsec over the sky."
    )
