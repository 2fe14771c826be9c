"""`boresight replay`: a recording on the bus again, as if its station ran."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.connect import DEFAULT_RIG, RigOption


def replay(
    file: Annotated[Path, typer.Argument(help="A recording (*.mcap); files that follow it are included.")],
    rig: RigOption = DEFAULT_RIG,
    speed: Annotated[float, typer.Option("--speed", min=0.01, max=1000, help="Times as fast as recorded.")] = 1.0,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Publish a recording's telemetry in its station's place, marked as simulated, for `boresight watch` and others."""
    import json

    from controller.cli.connect import read_rig, service_security
    from controller.replay import Replay
    from controller.services.signals import stop_signals
    from hal.clock import RealClock

    described = read_rig(rig)
    bus, security = described.bus, service_security(described)
    with Replay(file, RealClock(), bus.host, bus.base_port, security) as publishing, stop_signals() as told:
        if not json_output:
            typer.echo(f"replaying {file} at {bus.host}:{bus.base_port}; `boresight watch` shows it")
        done = publishing.run(speed, told)
        ended = told()
    found = {"file": str(file), "speed": speed, "messages": done.messages, "recorded_s": round(done.recorded_s, 3)}
    found |= {"skipped": dict(done.skipped), "interrupted": ended}
    if json_output:
        typer.echo(json.dumps(found, indent=2))
        return
    typer.echo(f"{done.messages} messages, {done.recorded_s:.1f} s of the recording{', interrupted' if ended else ''}")
    for reason, count in sorted(done.skipped.items()):
        typer.echo(f"{count} not replayed: {reason}")
