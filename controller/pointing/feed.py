"""A stream of states as others send it: bodies of commands to states, one feeder a stream, and what is told of it.

Whoever holds the lease feeds. A state that is refused is left out and named; the stream lives on what it has, and ends
with the greatest age of that.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
import numpy as np

from controller.bus.methods import Feed, Follow, TargetState
from controller.bus.port import Port, Reply, Request
from controller.bus.topics import POINTING_STREAM, STATION_EVENT, StationEvent, StreamState
from controller.errors import BoresightError
from controller.pointing.commands import CommandError
from controller.pointing.ephemeris.ephemeris import nearest
from controller.pointing.ephemeris.frames import axes_of
from controller.pointing.ephemeris.live import Live, State
from controller.pointing.live_target import LiveTarget
from controller.pointing.prediction import Observer
from hal.clock import Clock

NS = 1_000_000_000
STATES_MAX = 64  # in one command
TOLD_NS = NS // 2
EVENT_NS = NS

B = TypeVar("B", Follow, Feed)


class Streams:
    """Makes streams of commands, goes on with the one that is followed, and tells of it."""

    def __init__(self, clock: Clock, port: Port, observer: Observer) -> None:
        self._clock = clock
        self._port = port
        self._observer = observer
        self._told_due_ns = self._event_due_ns = 0

    def open(self, body: dict[str, Any]) -> LiveTarget:
        """The target of `pointing.follow`. Raises CommandError; EphemerisError names what is wrong with a state."""
        wish = _read(body, Follow, "pointing.follow")
        axes = axes_of(wish.frame, f"{wish.name}: frame")
        stream = Live(wish.name, axes, wish.age_max_s, wish.acceleration_sigma_m_s2)
        for state in wish.states:
            stream.take(_state(state, wish.name), self._clock.utc_ns())
        return LiveTarget(stream, self._observer)

    def feed(self, request: Request, target: object) -> Reply:
        """Go on with the states of `pointing.feed`; says how many were taken, and why one was not."""
        if not isinstance(target, LiveTarget):
            return Reply("LIMIT", "no stream of states is followed", "begin with station.follow")
        stream, told = target.stream, 0
        try:
            wish = _read(request.body, Feed, "pointing.feed")
            if wish.name != stream.name:
                raise CommandError("LIMIT", f"{stream.name} is followed, not {wish.name}", "begin with station.follow")
            if target.feeder not in {"", request.source}:
                raise CommandError("AUTH", f"{stream.name} is fed by {target.feeder}, not by {request.source}")
            if (axes := axes_of(wish.frame, f"{wish.name}: frame")) is not stream.axes:
                raise CommandError("SCHEMA", f"{stream.name} is followed in {stream.axes}, and this is {axes}")
            for told, state in enumerate(wish.states):  # noqa: B007  (how many were taken, where one is not)
                stream.take(_state(state, wish.name), self._clock.utc_ns())
            told = len(wish.states)
        except CommandError as error:
            return self._refuse(target, error.code, str(error), error.hint, told)
        except BoresightError as error:
            return self._refuse(target, "LIMIT", f"{error} {told} of {len(wish.states)} states were taken", taken=told)
        target.feeder = request.source
        self._go_on(target, told)
        return Reply("", f"{stream.name}: {told} states taken", body={"taken": told})

    def tell(self, target: object) -> None:
        """Twice a second, while there is a stream."""
        if isinstance(target, LiveTarget) and self._clock.now_ns() >= self._told_due_ns:
            self._publish(target)

    def _refuse(self, target: LiveTarget, code: str, message: str, hint: str = "", taken: int = 0) -> Reply:
        target.refused += 1
        target.reason = message
        if taken:
            self._go_on(target, taken)
        if self._clock.now_ns() >= self._event_due_ns:
            self._event_due_ns = self._clock.now_ns() + EVENT_NS
            self._port.publish(STATION_EVENT, StationEvent("warning", "STREAM", f"a state was refused: {message}"))
        return Reply(code, message, hint)

    def _go_on(self, target: LiveTarget, taken: int) -> None:
        target.taken += taken
        target.renew()
        self._publish(target)

    def _publish(self, target: LiveTarget) -> None:
        self._told_due_ns = self._clock.now_ns() + TOLD_NS
        stream, t_utc_ns = target.stream, self._clock.utc_ns()
        newest = stream.states[-1]
        self._port.publish(
            POINTING_STREAM,
            StreamState(
                t_utc_ns=t_utc_ns,
                name=stream.name,
                frame=str(stream.axes),
                fed_by=target.feeder,
                newest_utc_ns=newest.t_utc_ns,
                age_max_s=stream.age_max_s,
                position_m=_three(newest.position_m),
                velocity_m_s=_three(newest.velocity_m_s),
                sigma_rad=target.sigma_rad(t_utc_ns),
                taken=target.taken,
                refused=target.refused,
                reason=target.reason,
            ),
        )


def _read(body: dict[str, Any], kind: type[B], method: str) -> B:
    known = [field.name for field in msgspec.structs.fields(kind)]
    for key in body:
        if key not in known:
            raise CommandError("SCHEMA", f"{key} is no field of {method}; {nearest(str(key), known)}")
    try:
        wish = msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        raise CommandError("SCHEMA", f"{method}: {error}", "see docs/protocol.md, A live stream of states") from None
    if not wish.name or not 0 < len(wish.states) <= STATES_MAX:
        raise CommandError("SCHEMA", f"{method} needs a name, and 1 to {STATES_MAX} states")
    return wish


def _state(told: TargetState, name: str) -> State:
    covariance = None
    if told.covariance:
        if [len(row) for row in told.covariance] != [6] * 6:
            raise CommandError("SCHEMA", f"{name}: a covariance has six rows of six numbers")
        covariance = np.array(told.covariance, dtype=float)
    return State(told.t_utc_ns, np.array(told.position_m), np.array(told.velocity_m_s), covariance)


def _three(values: Any) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
