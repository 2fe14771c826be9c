"""`boresight arm`: the operator's consent to emission, for one pass, and for as long as the operator stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from controller.cli.connect import DEFAULT_RIG, PreemptOption, RigOption

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.bus.client import Client
    from controller.bus.envelope import Lease
    from controller.bus.topics import SafetyState

TIMEOUT_S: Final = 2.0
POLL_S: Final = 0.1
FIRST_STATE_S: Final = 1.0  # until telemetry says what the answer to the confirmation has said


def arm(
    rig: RigOption = DEFAULT_RIG,
    yes: Annotated[bool, typer.Option("--yes", help="Confirm without being asked.")] = False,
    alignment: Annotated[
        bool, typer.Option("--alignment", help="Low power for alignment: enclosed bench only, station at rest.")
    ] = False,
    preempt: PreemptOption = False,
) -> None:
    """Arm emission, confirm it, and stay: the laser emits whenever every vote says yes, until the pass or this ends.

    It holds the lease of the laser meanwhile, and emission ends with it. Ctrl-C disarms. With --alignment the laser
    emits at the rig's alignment current while the station rests: for ten minutes, until a stop, or until the station
    leaves its rest.
    """
    from controller.bus.holder import leased
    from controller.bus.topics import SAFETY_STATE
    from controller.cli.connect import connect, read_rig, station_answers
    from controller.errors import BoresightError
    from controller.safety.latch import CONFIRM_WINDOW_S
    from controller.services.signals import stop_signals

    described = read_rig(rig)
    with connect(described) as client:
        client.subscribe(SAFETY_STATE)
        station_answers(client, described)
        body = {"alignment": True} if alignment else {}
        with leased(client, "laser", "arms", CONFIRM_WINDOW_S, preempt) as lease:  # as long as the consent may take
            for method in ("safety.arm", "safety.confirm"):
                if method == "safety.confirm" and not yes:
                    typer.confirm(f"{described.station.name}: emission is armed; confirm it within 30 s?", abort=True)
                reply = client.call("safety", method, body, timeout_s=TIMEOUT_S, lease=lease)
                if reply.code:
                    raise BoresightError(f"{method} was refused: {reply.message} {reply.hint}".rstrip())
            typer.echo(reply.message)
            typer.echo("emission ends when this command does: Ctrl-C disarms", err=True)
            with stop_signals() as told:
                state = _stay(client, lease, told)
            if state is None:
                client.call("safety", "safety.disarm", {}, timeout_s=TIMEOUT_S, lease=lease)
    if state is not None and state.latched:
        raise BoresightError(f"emission has tripped: {state.locked_reason}")
    typer.echo(f"emission is off: {state.locked_reason if state is not None else 'disarmed'}", err=True)


def _stay(client: Client, lease: Lease, told: Callable[[], bool]) -> SafetyState | None:
    """Keep the lease until the consent is over; returns what ended it, None when told to. Raises BoresightError."""
    from controller.bus.holder import LOST, RENEWALS, TTL_S
    from controller.bus.lease import LEASE_KEEPER
    from controller.bus.topics import SAFETY_STATE
    from controller.errors import BoresightError
    from hal.clock import Deadline, RealClock

    clock = RealClock()
    renewal, first = Deadline(clock, 0.0), Deadline(clock, FIRST_STATE_S)
    armed = False
    while not told():
        if renewal.expired:
            reply = client.call(LEASE_KEEPER, "lease.renew", {"ttl_s": TTL_S}, TIMEOUT_S, True, lease)
            renewal = Deadline(clock, TTL_S / RENEWALS if not reply.code else 0.0)
            if reply.code in LOST:
                raise BoresightError(f"the lease of the laser is lost, and emission with it: {reply.message}")
        client.pause(POLL_S)
        state: SafetyState | None = client.store.fresh(SAFETY_STATE, "safety", clock.now_ns())
        armed = armed or (state is not None and state.armed)
        if state is not None and not state.armed and (armed or first.expired):
            return state
    return None
