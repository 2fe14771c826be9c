"""`boresight zones`: how far the beam of a rig is a hazard to eyes and to pilots."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from controller.cli.connect import DEFAULT_RIG, RigOption, read_rig
from hal.rig import as_terminal

NANO, MICRO = 1e-9, 1e-6


def zones(
    rig: RigOption = DEFAULT_RIG,
    power_w: Annotated[float | None, typer.Option("--power", help="W; default: the rig's power cap or power.")] = None,
    wavelength_nm: Annotated[float | None, typer.Option("--wavelength", help="nm; default: the rig's.")] = None,
    divergence_urad: Annotated[
        float | None, typer.Option("--divergence", help="µrad, full angle at 1/e²; default: the rig's.")
    ] = None,
    diameter_m: Annotated[
        float | None, typer.Option("--diameter", help="m, of the beam at 1/e²; default: the rig's aperture.")
    ] = None,
    limit_w_m2: Annotated[
        float | None, typer.Option("--limit", help="W/m², in place of the table's exposure limit.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Print hazard distance and flight zones of the rig's beam, each with its limit and source."""
    from controller.errors import BoresightError
    from controller.safety.zones import Beam

    described = as_terminal(read_rig(rig))
    optics, cap_w = described.optics, described.safety.power_cap_w
    stated_w = optics.transmit_power_w if cap_w is None else max(cap_w, optics.transmit_power_w)
    given = {
        "--power": stated_w if power_w is None else power_w,
        "--wavelength": optics.transmit_wavelength_nm if wavelength_nm is None else wavelength_nm,
        "--diameter": optics.aperture_m if diameter_m is None else diameter_m,
        "--divergence": (optics.transmit_divergence_urad if divergence_urad is None else divergence_urad) * MICRO,
        "--limit": 1.0 if limit_w_m2 is None else limit_w_m2,
    }
    for option, value in given.items():
        if not 0.0 < value < float("inf"):
            raise BoresightError(f"{option} is {value:g}; write a number above zero.")
    beam = Beam.from_e2(given["--power"], given["--wavelength"], given["--diameter"], given["--divergence"])
    told = describe(beam, limit_w_m2)
    typer.echo(json.dumps(told, indent=2) if json_output else _text(told))


def describe(beam: Any, limit_w_m2: float | None) -> dict[str, Any]:
    """What `zones` reports, SI units in the names."""
    from controller.safety.zones import FLIGHT_ZONES_W_M2, FORMULA
    from controller.safety.zones import zones as zones_of

    found = zones_of(beam, limit_w_m2)
    named = {zone.name for zone in found}
    return {
        "power_w": beam.power_w,
        "wavelength_m": beam.wavelength_nm * NANO,
        "diameter_1e_m": beam.diameter_m,
        "divergence_1e_rad": beam.divergence_rad,
        "exit_irradiance_w_m2": beam.exit_w_m2,
        "formula": FORMULA,
        "zones": [
            {"name": z.name, "limit_w_m2": z.limit_w_m2, "range_m": z.range_m, "source": z.source} for z in found
        ],
        "not_applicable": [name for name in FLIGHT_ZONES_W_M2 if name not in named],
    }


def _text(told: dict[str, Any]) -> str:
    head = (
        f"{told['power_w']:g} W at {told['wavelength_m'] / NANO:g} nm, {told['diameter_1e_m']:.4g} m and "
        f"{told['divergence_1e_rad'] / MICRO:.4g} µrad at 1/e, {told['exit_irradiance_w_m2']:.4g} W/m² at the aperture"
    )
    lines = [head, told["formula"]]
    for zone in told["zones"]:
        lines.append(f"{zone['name']:>10}: {_range(zone['range_m'])} to {zone['limit_w_m2']:g} W/m² ({zone['source']})")
    if told["not_applicable"]:
        lines.append(f"not for an invisible beam: {', '.join(told['not_applicable'])}")
    return "\n".join(lines)


def _range(metres: float) -> str:
    return f"{metres / 1000:.4g} km" if metres >= 1000 else f"{metres:.4g} m"
