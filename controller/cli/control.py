"""The operator's commands to a running station: `track`, `stop`, `park`, `reset`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.connect import DEFAULT_RIG, PreemptOption, RigOption
from controller.cli.sources import EphemerisOption

if TYPE_CHECKING:
    from controller.bus.port import Reply
    from controller.pointing.plan import Plan

TIMEOUT_S = 3.0
LOOK_BACK_NS = 900 * 1_000_000_000  # a pass that has begun culminated, or will, within a quarter of an hour
STOPPED_BY = ("station", "safety", "pointing")  # each is told to stop on its own control channel


def track(
    target: Annotated[str, typer.Argument(help="Name or number; may be left out with --ephemeris.")] = "",
    rig: RigOption = DEFAULT_RIG,
    tle: Annotated[Path | None, typer.Option("--tle", help="File of element sets; default: the built-in ones.")] = None,
    ephemeris: EphemerisOption = None,
    age_max_days: Annotated[float, typer.Option("--max-age-days", help="Refuse older element sets.")] = 14.0,
    above_limits: Annotated[bool, typer.Option("--above-limits", help="Fly it with its predicted outage.")] = False,
    preempt: PreemptOption = False,
) -> None:
    """Follow a target over its next pass, or the one that has begun."""
    from controller.bus.holder import leased
    from controller.cli.connect import connect, read_rig, station_answers

    if not target and ephemeris is None:
        raise typer.BadParameter("name a target, or a file with --ephemeris", param_hint="TARGET")
    described = read_rig(rig)
    with connect(described) as client:
        now_ns = station_answers(client, described).sent_utc_ns  # the station's UTC decides, not this machine's
        body = next_pass(described, target, tle, now_ns, age_max_days, above_limits, ephemeris)
        with leased(client, "station", f"tracks {body['name']}", preempt=preempt) as lease:
            reply = client.call("station", "station.track", body, TIMEOUT_S, lease=lease)
    _say(reply)


def stop(rig: RigOption = DEFAULT_RIG) -> None:
    """Stop now: axes held, emission off. Goes to every service that moves or emits, and needs no station's leave."""
    from controller.bus.port import Reply
    from controller.cli.connect import connect, read_rig

    described = read_rig(rig)
    with connect(described) as client:
        sent = {name: client.send(name, "stop", {}, 1.0, control=True) for name in STOPPED_BY}
        replies = {name: client.result(request_id) for name, request_id in sent.items()}
    failed = {name: reply for name, reply in replies.items() if reply.code}
    if len(failed) == len(STOPPED_BY):
        _say(
            Reply(
                "TRANSPORT",
                f"no station answers at {described.bus.host}:{described.bus.base_port}: nothing was stopped by this "
                "command",
                "if something moves or emits, use the emergency stop",
            )
        )
    for name, reply in failed.items():
        typer.echo(
            f"boresight: {name} did not stop: {reply.message}; if it moves or emits, use the emergency stop", err=True
        )
    if failed:
        raise typer.Exit(1)
    _say(replies["station"])


def park(rig: RigOption = DEFAULT_RIG, preempt: PreemptOption = False) -> None:
    """Leave the target and go to the park position."""
    _command(rig, "station.park", "parks", preempt)


def reset(rig: RigOption = DEFAULT_RIG, preempt: PreemptOption = False) -> None:
    """Leave HOLD, SAFE or FAULT; the operator's word that it is safe to go on."""
    _command(rig, "station.reset", "resets", preempt)


def next_pass(
    rig: Any,
    target: str,
    tle: Path | None,
    now_utc_ns: int,
    age_max_days: float,
    above_limits: bool,
    ephemeris: str | None = None,
) -> dict[str, Any]:
    """Body of `station.track`: target, rise and set of the pass that has begun or comes within a day.

    Raises:
        BoresightError: as `next_plan`.
    """
    from controller.pointing.plan import order

    planned = next_plan(rig, target, tle, now_utc_ns, age_max_days, above_limits, ephemeris)
    return order(planned) | {"age_max_days": age_max_days, "above_limits": above_limits}


def next_plan(
    rig: Any,
    target: str,
    tle: Path | None,
    now_utc_ns: int,
    age_max_days: float,
    above_limits: bool,
    ephemeris: str | None = None,
) -> Plan:
    """The pass of a target that has begun or comes within a day, and what it asks of the mount.

    Raises:
        BoresightError: no such target, elements too old, nothing rises, or the pass asks too much of the mount.
    """
    import math

    from controller.cli.sources import caution, load_targets
    from controller.geometry.earth import load_earth_orientation
    from controller.geometry.frames import Site
    from controller.pointing.elements import ElementSet
    from controller.pointing.keepout import KeepOut
    from controller.pointing.passes import DAY_NS, PassError, find_passes
    from controller.pointing.plan import AxisLimits, never_rises, plan
    from controller.pointing.prediction import Observer

    (elements,) = load_targets(tle, ephemeris, target)
    if isinstance(elements, ElementSet):
        elements.check_age(now_utc_ns, age_max_days)
    else:
        caution(elements, now_utc_ns)
    station = rig.station
    site = Site(
        station.latitude_deg,
        station.longitude_deg,
        station.height_m,
        station.pressure_hpa,
        station.temperature_c,
        station.relative_humidity,
        station.name,
    )
    earth, mask_rad = load_earth_orientation(), math.radians(station.elevation_mask_deg)
    found = find_passes(elements, site, earth, now_utc_ns - LOOK_BACK_NS, now_utc_ns + DAY_NS, mask_rad)
    coming = [item for item in found if item.set_utc_ns > now_utc_ns]
    if coming and coming[0].cut:
        typer.echo(f"boresight: {coming[0].cut}", err=True)
    if not coming:
        raise PassError(never_rises([elements], site, mask_rad))
    limits = AxisLimits.of(rig)
    cones = KeepOut(math.radians(rig.safety.sun_cone_deg), math.radians(rig.safety.moon_cone_deg))
    planned = plan(coming[0], Observer(site, earth), limits, cones)
    refusal = planned.demand.refusal(limits)
    if refusal and not above_limits:
        raise PassError(
            f"the next pass of {elements.name} is not flown: {refusal}; --above-limits flies it all the same"
        )
    if old := earth.warning(coming[0].rise_utc_ns):
        typer.echo(f"boresight: {old}", err=True)
    if planned.way is not None:
        typer.echo(f"boresight: {planned.way.sentence}", err=True)
    return planned


def _command(rig: Path, method: str, reason: str, preempt: bool) -> None:
    from controller.bus.holder import leased
    from controller.cli.connect import connect, read_rig, station_answers

    described = read_rig(rig)
    with connect(described) as client:
        station_answers(client, described)
        with leased(client, "station", reason, preempt=preempt) as lease:
            reply = client.call("station", method, {}, TIMEOUT_S, lease=lease)
    _say(reply)


def _say(reply: Reply) -> None:
    """Print a success; a refusal is one sentence on stderr and exit code 1."""
    if not reply.code:
        typer.echo(reply.message)
        return
    hint = f" ({reply.hint})" if reply.hint else ""
    typer.echo(f"boresight: {reply.message}{hint}", err=True)
    raise typer.Exit(1)
