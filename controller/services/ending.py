"""How a station ends in good order: emission off, then the gimbal parked, and only then the processes.

From SAFE, FAULT and HOLD nothing moves, since those are left by an operator's command alone; nor does anything while
the laser has not said that it is off.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from controller.bus.port import Port
from controller.bus.topics import (
    POINTING_STATE,
    SAFETY_LASER,
    SAFETY_STATE,
    SERVICE_HEARTBEAT,
    STATION_EVENT,
    STATION_MODE,
    ModeState,
    PointingState,
    StationEvent,
    Topic,
)
from hal.clock import NS, Clock

DARK_NS: Final = NS // 2  # five reports of the laser
KNOWN_NS: Final = NS  # the states that are only listened to now have come
CALL_S: Final = 1.0
STAYS: Final = frozenset({"OFF", "HOLD", "SAFE", "FAULT"})
HELD_NS: Final = NS * 3 // 2  # at rest at the goal for so long: the station has passed the command on by then

Phase = Literal["dark", "ask", "asked", "park"]


class Ending:
    """`turn` it until it says that the processes may end. A station that has no safety service has no light to end."""

    def __init__(self, clock: Clock, port: Port, park_timeout_s: float, emits: bool = True) -> None:
        self._clock = clock
        self._port = port
        self._timeout_s = park_timeout_s
        self._phase: Phase = "dark" if emits else "ask"
        self._phase_ns = clock.now_ns()
        self._begin_utc_ns = clock.utc_ns()
        self._held_since_ns: int | None = None
        self._asked = b""
        self._stop = port.send("safety", "stop", {}, CALL_S, control=True) if emits else b""

    def turn(self, urgent: bool = False) -> bool:
        """One look, 50 times a second. True: there is nothing more to wait for; `urgent`: nothing but the light."""
        if self._phase == "dark":
            return self._darken()
        if urgent:
            return self._over("warning", "told again: the station ends at once, the axes are stopped where they are")
        if self._phase == "ask":
            return self._ask()
        if self._phase == "asked":
            return self._answered()
        return self._park()

    def _darken(self) -> bool:
        self._port.result(self._stop)  # sends it as soon as there is a connection
        states = [self._since(topic) for topic in (SAFETY_STATE, SAFETY_LASER)]
        if self._port.fresh(SERVICE_HEARTBEAT, "safety") is None:
            self._enter("ask")  # its death was told, and the enable line fell with it
        elif None not in states and not states[0].emission_allowed and not states[1].output_on:
            self._enter("ask")
        elif self._waited_ns > DARK_NS:
            on = states[1] is None or states[1].output_on
            if on:
                return self._over("error", "the laser has not said that it is off: nothing is moved, all services end")
            self._enter("ask")
        return False

    def _ask(self) -> bool:
        mode, pointing = self._port.fresh(STATION_MODE), self._port.fresh(POINTING_STATE)
        if (mode is None or pointing is None) and self._waited_ns < KNOWN_NS:
            return False
        if mode is None or pointing is None or not self._timeout_s:
            return True
        if mode.mode in STAYS:
            return self._over("warning", f"the station ends in {mode.mode}: the axes stay where they are")
        if mode.mode == "STOWED" and pointing.activity == "idle":
            return True
        self._asked = self._port.send("station", "station.park", {}, CALL_S)
        self._enter("asked")
        return False

    def _answered(self) -> bool:
        reply = self._port.result(self._asked)
        if reply is None:
            return False
        if reply.code:
            return self._over("error", f"the station does not park ({reply.message}): the axes are stopped")
        self._tell("info", f"the gimbal is parked, in {self._timeout_s:g} s at most; say it again to end at once")
        self._enter("park")
        return False

    def _park(self) -> bool:
        mode, pointing = self._port.fresh(STATION_MODE), self._port.fresh(POINTING_STATE)
        now_ns = self._clock.now_ns()
        if self._waited_ns > self._timeout_s * NS:
            return self._over("error", f"not parked within {self._timeout_s:g} s: the axes are stopped where they are")
        if self._waited_ns > HELD_NS and (why := _lost(mode, pointing)):
            return self._over("error", f"the gimbal does not reach its park position ({why}): the axes are stopped")
        if pointing is None or pointing.activity != "hold":
            self._held_since_ns = None
        elif self._held_since_ns is None:
            self._held_since_ns = now_ns
        elif now_ns - self._held_since_ns > HELD_NS:
            return self._over("info", "the gimbal is parked")
        return False

    @property
    def _waited_ns(self) -> int:
        return self._clock.now_ns() - self._phase_ns

    def _enter(self, phase: Phase) -> None:
        self._phase, self._phase_ns = phase, self._clock.now_ns()

    def _since(self, topic: Topic) -> Any:
        """What a topic says since the end began."""
        sample = self._port.latest(topic)
        return sample.body if sample is not None and sample.sent_utc_ns >= self._begin_utc_ns else None

    def _over(self, level: Literal["info", "warning", "error"], sentence: str) -> bool:
        self._tell(level, sentence)
        return True

    def _tell(self, level: Literal["info", "warning", "error"], sentence: str) -> None:
        self._port.publish(STATION_EVENT, StationEvent(level, "ENDING", sentence))


def _lost(mode: ModeState | None, pointing: PointingState | None) -> str:
    """Why a park position will not be reached; empty while it may be."""
    if mode is None or pointing is None:
        return f"{'the station' if mode is None else 'pointing'} is silent"
    if mode.mode != "STOWED":
        return f"the station is in {mode.mode}"
    return f"pointing is in {pointing.activity}" if pointing.activity in {"idle", "fault"} else ""
