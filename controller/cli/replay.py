"""`boresight replay`: a recording on the bus again, as if its station ran."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.connect import DEFAULT_RIG, RigOption
from controller.cli.damage import as_json, damage_told

if TYPE_CHECKING:
    from controller.record import Damage
    from controller.replay import Replayed


def replay(
    file: Annotated[Path, typer.Argument(help="A recording (*.mcap); files that follow it are included.")],
    rig: RigOption = DEFAULT_RIG,
    speed: Annotated[float, typer.Option("--speed", min=0.01, max=1000, help="Times as fast as recorded.")] = 1.0,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Publish a recording's telemetry in its station's place, marked as simulated, for `boresight watch` and others."""
    from controller.cli.connect import read_rig, service_security
    from controller.replay import Replay
    from controller.services.signals import stop_signals
    from hal.clock import RealClock

    described = read_rig(rig)
    bus, security = described.bus, service_security(described)
    with damage_told() as damage:
        with (
            Replay(file, RealClock(), bus.host, bus.base_port, security, damage.add) as publishing,
            stop_signals() as told,
        ):
            if not json_output:
                typer.echo(f"replaying {file} at {bus.host}:{bus.base_port}; `boresight watch` shows it")
            done = publishing.run(speed, told)
            ended = told()
        _tell(file, speed, done, ended, damage, json_output)


def _tell(file: Path, speed: float, done: Replayed, ended: bool, damage: set[Damage], json_output: bool) -> None:
    found: dict[str, Any] = {"file": str(file), "speed": speed, "messages": done.messages}
    found |= {"recorded_s": round(done.recorded_s, 3), "skipped": dict(done.skipped)}
    found |= {"interrupted": ended, "damage": as_json(damage)}
    if json_output:
        typer.echo(json.dumps(found, indent=2))
        return
    typer.echo(f"{done.messages} messages, {done.recorded_s:.1f} s of the recording{', interrupted' if ended else ''}")
    for reason, count in sorted(done.skipped.items()):
        typer.echo(f"{count} not replayed: {reason}")
