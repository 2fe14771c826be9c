"""The safety service owns the laser: it asks the votes fifty times a second and enables emission while all say yes.

Off is always the same three steps in this order: the enable heartbeat says no (the beam board drops its line when it
hears so, and by its watchdog when it hears nothing), the laser's output is switched off, the state tells why.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from controller.bus.port import Port, Reply, Request
from controller.bus.topics import (
    POINTING_STATE,
    SAFETY_ENABLE,
    SAFETY_LASER,
    SAFETY_STATE,
    SERVICE_HEARTBEAT,
    STATION_EVENT,
    STATION_MODE,
    TRACKING_COARSE,
    TRACKING_FINE,
    EnableState,
    LaserState,
    SafetyState,
    StationEvent,
    Topic,
)
from controller.geometry.bodies import Place
from controller.safety import latch as steps
from controller.safety.inputs import Inputs, Limits, Reading, TimeQuality
from controller.safety.latch import Latch, Phase, RefusedError
from controller.safety.votes import Ballot, ballot
from controller.services.deaths import deaths
from controller.services.service import Service
from hal.clock import NS, Clock
from hal.errors import HalError
from hal.traits import Laser, LaserStatus

CONSENTED = frozenset({Phase.ARMED, Phase.CONFIRMED, Phase.EMITTING})

STATE_NS = NS // 20
LASER_NS = NS // 10
LOST_LASER_NS = NS  # how often a lost laser is tried again
BODIES_NS = 10 * NS  # the sky turns 0.04 deg
TIME_NS = NS

Bodies = Callable[[int], tuple[Place, Place]]
TimeSource = Callable[[], TimeQuality | None]


class SafetyService(Service):
    """The only service that may enable emission.

    `bodies(t_utc_ns)` gives the places of Sun and Moon, `time_source` the quality of UTC (`time_simulated` when it
    comes from a bench); `locks` are reasons for which emission stays locked as long as this process lives.
    """

    name = "safety"
    period_s = 0.02

    def __init__(
        self,
        clock: Clock,
        port: Port,
        laser: Laser,
        limits: Limits,
        bodies: Bodies,
        time_source: TimeSource,
        time_simulated: bool = False,
        locks: tuple[str, ...] = (),
    ) -> None:
        super().__init__(clock, port)
        self._laser = laser
        self._limits = limits
        self._bodies = bodies
        self._time_source = time_source
        self._time_simulated = time_simulated
        self._locks = locks
        self._latch = Latch(reason="; ".join(locks) or "not armed")
        self._status: LaserStatus | None = None
        self._laser_ready = False
        self._laser_due_ns = 0
        self._enabled_ns: int | None = None
        self._commanded_ns: int | None = None
        self._places: tuple[Place, Place] | None = None
        self._places_due_ns = 0
        self._time: tuple[int, TimeQuality] | None = None
        self._time_due_ns = 0
        self._state_due_ns = 0

    def open(self) -> None:
        """Switch the laser off, whatever it was doing, and set its limits. Raises HalError."""
        self._prepare_laser()

    def cycle(self) -> None:
        """Obey, ask the votes, turn the latch, act."""
        before = self._latch
        for request in self.port.requests():
            self.port.answer(request, self._obey(request))
        self._hear_of_deaths()
        self._look_around()
        inputs = self._inputs()
        votes = ballot(inputs, self._limits)
        self._latch = steps.turn(self._latch, self.clock.now_ns() * 1e-9, self._mode(inputs), votes)
        self._act()
        self._poll_laser()
        self._tell(before, votes)

    def close(self) -> None:
        """Emission off on every way out."""
        self._latch = steps.disarm(self._latch, self.clock.now_ns() * 1e-9, "the safety service ended")
        with suppress(HalError):
            self._act()
            self._laser.output(False)
        self._laser.close()

    # Commands

    def _obey(self, request: Request) -> Reply:
        now_s = self.clock.now_ns() * 1e-9
        hand = f"{request.source} ({request.lease.id})" if request.lease is not None else request.source
        try:
            match request.method:
                case "safety.arm":
                    mode = self.port.fresh(STATION_MODE)
                    name = mode.mode if mode is not None else ""
                    self._latch = steps.arm(self._latch, now_s, hand, name, self._locks)
                case "safety.confirm":
                    self._latch = steps.confirm(self._latch, now_s, hand)
                case "safety.disarm" | "stop":
                    self._latch = steps.disarm(self._latch, now_s, f"{request.method} by {request.source}")
                case "safe":
                    self._latch = steps.trip(self._latch, now_s, f"safe by {request.source}")
                case "ping":
                    pass
                case unknown:
                    return Reply("SCHEMA", f"safety has no method {unknown!r}", "see docs/protocol.md")
        except RefusedError as refused:
            return Reply("INTERLOCK", str(refused), "boresight status shows the votes")
        body = {"phase": str(self._latch.phase), "confirm_within_s": steps.CONFIRM_WINDOW_S}
        return Reply("", f"emission is {self._latch.phase}", body=body)

    # Inputs

    def _hear_of_deaths(self) -> None:
        """The supervisor sees a process die within 20 ms, long before its heartbeat is stale."""
        for name, sentence in deaths(self.port).items():
            if name in self._limits.services and self._latch.phase in CONSENTED:
                self._latch = steps.trip(self._latch, self.clock.now_ns() * 1e-9, sentence)

    def _look_around(self) -> None:
        now_ns = self.clock.now_ns()
        if now_ns >= self._places_due_ns:
            self._places_due_ns = now_ns + BODIES_NS
            self._places = self._bodies(self.clock.utc_ns())
        if now_ns >= self._time_due_ns:
            self._time_due_ns = now_ns + TIME_NS
            quality = self._time_source()
            self._time = None if quality is None else (now_ns, quality)

    def _inputs(self) -> Inputs:
        now_ns = self.clock.now_ns()
        sun, moon = self._places if self._places is not None else (None, None)
        heartbeats = {name: self._reading(SERVICE_HEARTBEAT, name) for name in self._limits.services}
        return Inputs(
            t_utc_ns=self.clock.utc_ns(),
            realtime=self.clock.realtime,
            mode=self._reading(STATION_MODE),
            pointing=self._reading(POINTING_STATE),
            coarse=self._reading(TRACKING_COARSE),
            fine=self._reading(TRACKING_FINE),
            laser=self._laser_reading(now_ns),
            time=self._time_reading(now_ns),
            sun=sun,
            moon=moon,
            heartbeats={name: beat for name, beat in heartbeats.items() if beat is not None},
            enabled_s=_since(self._enabled_ns, now_ns),
            commanded_s=_since(self._commanded_ns, now_ns),
        )

    def _reading(self, topic: Topic, source: str = "") -> Reading[Any] | None:
        sample = self.port.latest(topic, source)
        if sample is None:
            return None
        return Reading(sample.body, sample.age_s(self.clock.now_ns()), sample.simulated)

    def _mode(self, inputs: Inputs) -> str:
        """The station's mode, empty when it is not known or old."""
        reading = inputs.mode
        return reading.body.mode if reading is not None and reading.age_s <= self._limits.mode_age_max_s else ""

    def _laser_reading(self, now_ns: int) -> Reading[LaserStatus] | None:
        if self._status is None:
            return None
        return Reading(self._status, (now_ns - self._status.t_ns) * 1e-9, self._limits.laser_emulated)

    def _time_reading(self, now_ns: int) -> Reading[TimeQuality] | None:
        if self._time is None:
            return None
        t_ns, quality = self._time
        return Reading(quality, (now_ns - t_ns) * 1e-9, self._time_simulated)

    # Outputs

    def _act(self) -> None:
        """Say yes or no to the beam board first, then to the laser."""
        now_ns = self.clock.now_ns()
        allowed = self._latch.phase is Phase.EMITTING
        self.port.publish(SAFETY_ENABLE, EnableState(self.clock.utc_ns(), allowed))
        if allowed:
            if self._enabled_ns is None:
                self._enabled_ns = now_ns
                self._laser_due_ns = now_ns
            if self._commanded_ns is None and self._status is not None and self._status.interlock_closed:
                self._switch(True)
        else:
            self._enabled_ns = None
            if self._commanded_ns is not None or (self._status is not None and self._status.output_on):
                self._switch(False)

    def _switch(self, on: bool) -> None:
        try:
            self._laser.output(on)
        except HalError as error:
            self._lose_laser(error)
            return
        self._commanded_ns = self.clock.now_ns() if on else None
        if self._status is not None and not on:
            self._status = replace(self._status, output_on=False, t_ns=self.clock.now_ns())
        self._laser_due_ns = self.clock.now_ns()

    def _poll_laser(self) -> None:
        """Read the laser back ten times a second, every cycle while its interlock is about to close."""
        now_ns = self.clock.now_ns()
        closing = self._enabled_ns is not None and self._commanded_ns is None
        if now_ns < self._laser_due_ns and not (closing and self._laser_ready):
            return
        self._laser_due_ns = now_ns + LASER_NS
        try:
            if not self._laser_ready:
                self._prepare_laser()
            self._status = status = self._laser.status()
        except HalError as error:
            self._lose_laser(error)
            return
        self.port.publish(
            SAFETY_LASER,
            LaserState(
                self.clock.utc_ns(),
                status.output_on,
                status.current_a,
                status.measured_power_w,
                status.interlock_closed,
                status.tripped,
            ),
        )

    def _prepare_laser(self) -> None:
        self._laser.output(False)
        self._laser.configure(self._limits.current_a, self._limits.current_limit_a)
        self._laser_ready = True

    def _lose_laser(self, error: HalError) -> None:
        """A laser that does not obey: emission off by the enable line, and tried again later, never resumed."""
        if self._laser_ready:
            self.port.publish(STATION_EVENT, StationEvent("error", "DEVICE", str(error)))
        self._laser_ready = False
        self._status = None
        self._commanded_ns = self._enabled_ns = None
        self._laser_due_ns = self.clock.now_ns() + LOST_LASER_NS
        if self._latch.phase is Phase.EMITTING:
            self._latch = steps.trip(self._latch, self.clock.now_ns() * 1e-9, str(error))
        self.port.publish(SAFETY_ENABLE, EnableState(self.clock.utc_ns(), False))

    def _tell(self, before: Latch, votes: Ballot) -> None:
        latch, now_ns = self._latch, self.clock.now_ns()
        moved = latch.phase is not before.phase
        if moved:
            tripped = latch.phase is Phase.LATCHED
            message = f"emission {before.phase} -> {latch.phase}: {latch.reason}"
            self.port.publish(STATION_EVENT, StationEvent("error" if tripped else "info", "EMISSION", message))
        if now_ns < self._state_due_ns and not moved:
            return
        self._state_due_ns = now_ns + STATE_NS
        self.port.publish(
            SAFETY_STATE,
            SafetyState(
                t_utc_ns=self.clock.utc_ns(),
                emission_allowed=latch.phase is Phase.EMITTING,
                armed=latch.phase in CONSENTED,
                latched=latch.phase is Phase.LATCHED,
                locked_reason="" if latch.phase is Phase.EMITTING else latch.reason,
                votes=list(votes.votes),
            ),
        )


def _since(t_ns: int | None, now_ns: int) -> float | None:
    return None if t_ns is None else (now_ns - t_ns) * 1e-9
