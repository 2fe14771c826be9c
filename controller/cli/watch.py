"""`boresight watch`: the running station, live."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.connect import DEFAULT_RIG, RigOption

REFRESH_HZ = 5


def watch(
    rig: RigOption = DEFAULT_RIG,
    seconds: Annotated[float | None, typer.Option("--seconds", help="End after this time; default: Ctrl-C.")] = None,
) -> None:
    """Show the running station, refreshed five times a second, until Ctrl-C."""
    import math

    from rich.console import Console
    from rich.live import Live

    from controller.bus.topics import STATION_EVENT
    from controller.cli.connect import connect, read_rig, station_answers
    from controller.cli.snapshot import EVENTS_SHOWN, listen, render, snapshot
    from hal.clock import NS, RealClock

    described, clock = read_rig(rig), RealClock()
    events: list[tuple[str, str]] = []
    with connect(described) as client:
        listen(client)
        station_answers(client, described)
        end_ns = clock.now_ns() + round(seconds * NS) if seconds is not None else math.inf
        with Live(console=Console(), auto_refresh=False) as live:
            try:
                while True:
                    for sample in client.store.drain(STATION_EVENT):
                        events.append((sample.body.level, f"{sample.source}: {sample.body.message}"))
                    del events[:-EVENTS_SHOWN]
                    live.update(render(snapshot(client.store, clock.now_ns()), events), refresh=True)
                    left_s = (end_ns - clock.now_ns()) / NS
                    if left_s <= 0:
                        return
                    client.pause(min(1 / REFRESH_HZ, left_s))
            except KeyboardInterrupt:
                return  # how one leaves
