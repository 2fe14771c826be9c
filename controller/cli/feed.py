"""`boresight feed`: an ephemeris, state by state as if it came from somebody who watches the target fly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.connect import DEFAULT_RIG, DEFAULT_RUN_DIR, PreemptOption, RigOption, RunDirOption

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.geometry.earth import EarthOrientation
    from controller.pointing.ephemeris.ephemeris import Ephemeris

NS = 1_000_000_000
HALF_NS = NS // 20  # velocities are differences over this much on both sides
TIMEOUT_S = 2.0
FIRST = 3  # states to begin with


def feed(
    file: Annotated[str, typer.Argument(help="File of positions in any format, or moon, ...")],
    rig: RigOption = DEFAULT_RIG,
    run_dir: RunDirOption = DEFAULT_RUN_DIR,
    target: Annotated[str, typer.Option("--target", help="Name or number, when the file holds several.")] = "",
    rate: Annotated[float, typer.Option("--rate", min=0.1, max=20.0, help="States a second.")] = 2.0,
    age_max: Annotated[float, typer.Option("--max-age", help="Seconds without a state until motion stops.")] = 3.0,
    from_now: Annotated[bool, typer.Option("--from-now", help="Fly the file from its beginning, now.")] = False,
    preempt: PreemptOption = False,
) -> None:
    """Have the running station follow a live stream of states, made of a file, until the file or Ctrl-C ends it."""
    from controller.bus.holder import holding
    from controller.bus.topics import STATION_MODE
    from controller.cli.connect import operating
    from controller.cli.factories import services_of
    from controller.cli.rig import resolve_in, station_clock
    from controller.cli.sources import open_ephemeris
    from controller.errors import BoresightError
    from controller.geometry.earth import load_earth_orientation
    from controller.operate import Operator
    from controller.services.signals import stop_signals

    (flown,) = open_ephemeris(file, target)
    described, clock = resolve_in(rig, run_dir), station_clock(rig, run_dir)
    every_ns, taken = round(NS / rate), 0
    with stop_signals() as told, operating(described, clock, told) as port:
        Operator(clock, port, services_of(described)).wait_for_services()
        begin_ns = clock.utc_ns()
        shift_ns = begin_ns - flown.start_utc_ns - (FIRST - 1) * every_ns - 2 * HALF_NS if from_now else 0
        at = states(flown, load_earth_orientation(), shift_ns)
        with holding(clock, port, "station", f"feeds {flown.name}", preempt) as held:
            first = [at(begin_ns - back * every_ns) for back in reversed(range(FIRST))]
            body = {"name": flown.name, "frame": "ITRF", "states": first, "age_max_s": age_max}
            span = {"start_utc_ns": begin_ns, "end_utc_ns": flown.end_utc_ns + shift_ns}
            reply = held.call("station", "station.follow", body | span, TIMEOUT_S)
            if reply.code:
                raise BoresightError(f"station.follow was refused: {reply.message} {reply.hint}".rstrip())
            typer.echo(f"feeding {flown.name}, {rate:g} states a second", err=True)
            due_ns = clock.now_ns() + every_ns
            while not told() and clock.utc_ns() + 2 * HALF_NS + every_ns < span["end_utc_ns"]:
                clock.sleep_until(due_ns)
                due_ns += every_ns
                body = {"name": flown.name, "frame": "ITRF", "states": [at(clock.utc_ns())]}
                reply = held.call("pointing", "pointing.feed", body, TIMEOUT_S)
                if reply.code:
                    typer.echo(f"boresight: {reply.message}", err=True)
                taken += not reply.code
                mode = held.fresh(STATION_MODE)
                if mode is not None and mode.since_utc_ns > begin_ns and mode.mode in {"HOLD", "SAFE", "FAULT"}:
                    raise BoresightError(f"the station is in {mode.mode}: {mode.reason}")
    typer.echo(f"{taken} states of {flown.name} were taken; without more of them the axes stop in {age_max:g} s")


def states(flown: Ephemeris, earth: EarthOrientation, shift_ns: int) -> Callable[[int], dict[str, Any]]:
    """The state at a UTC time, ITRF, of a target that flies `shift_ns` later. Raises EphemerisError outside it."""
    import numpy as np

    from controller.pointing.prediction import itrf_m

    def at(t_utc_ns: int) -> dict[str, Any]:
        t = t_utc_ns - shift_ns + np.array([-HALF_NS, 0, HALF_NS], dtype=np.int64)
        before, here, after = itrf_m(flown, t, earth)
        velocity = (after - before) * (NS / (2 * HALF_NS))
        return {"t_utc_ns": t_utc_ns, "position_m": here.tolist(), "velocity_m_s": velocity.tolist()}

    return at
