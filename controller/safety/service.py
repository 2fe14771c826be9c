"""The safety service owns laser and shutter: it asks the votes and enables emission while all say yes.

All of them fifty times a second; while it emits also those that rest on a message, when the message comes, and those
that rest on none every 8 ms.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from controller.bus.envelope import Lease
from controller.bus.port import Port, Reply, Request
from controller.bus.topics import (
    SAFETY_STATE,
    SAFETY_TRIP,
    STATION_EVENT,
    STATION_MODE,
    ModeState,
    SafetyState,
    StationEvent,
)
from controller.safety import latch as steps
from controller.safety.clearance.live import Clearance
from controller.safety.emitter import Emitter
from controller.safety.failures import Failures
from controller.safety.inputs import Inputs
from controller.safety.latch import Latch, Pass, Phase, RefusedError
from controller.safety.limits import Limits
from controller.safety.lookout import HEARD, Bodies, Lookout, TimeSource
from controller.safety.traffic.live import Traffic
from controller.safety.trips import TripLog
from controller.safety.votes import ALIGNMENT_VOTERS, VOTERS, Ballot, ballot
from controller.services.deaths import SUPERVISOR, deaths
from controller.services.service import Service
from hal.clock import NS, Clock
from hal.errors import HalError
from hal.traits import Identity, Laser, Shutter

CONSENTED = frozenset({Phase.ARMED, Phase.CONFIRMED, Phase.EMITTING})

STATE_NS = NS // 20
SOON_NS = NS // 500  # a ballot of which a vote is about to change is not repeated sooner
SAID = (*HEARD, STATION_EVENT)  # what votes rest on, and what the supervisor says


class SafetyService(Service):
    """The only service that may enable emission.

    `bodies(t_utc_ns)` gives the places of Sun and Moon, `time_source` the quality of UTC (`time_simulated` when it
    comes from a bench); `locks` are reasons for which emission stays locked as long as this process lives;
    `clearance` is the clearinghouse's message, `traffic` the aircraft feed and `shutter` opens what stands in the beam,
    where the rig has them; a trip that `trips` remembers from before this start stands.
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
        clearance: Clearance | None = None,
        traffic: Traffic | None = None,
        trips: TripLog | None = None,
        shutter: Callable[[], Shutter] | None = None,
    ) -> None:
        super().__init__(clock, port)
        self._limits = limits
        self._emitter = Emitter(clock, port, laser, limits.current_a, limits.current_limit_a, self._lost, shutter)
        self._failures = Failures(port)
        self._lookout = Lookout(
            clock, port, limits, bodies, time_source, time_simulated, clearance, traffic, self._failures
        )
        self._locks = locks
        self._trips = trips or TripLog()
        self._latch = Latch(reason="; ".join(locks) or "not armed")
        if self._trips.standing:
            self._latch = Latch(Phase.LATCHED, reason=f"before this start: {self._trips.standing}")
        self._votes: Ballot | None = None  # of the previous cycle
        self._state_due_ns = 0
        self._holds_until_ns = 0
        self._lost_utc_ns: int | None = None  # of the vote that tripped in this cycle
        self._told: object = None  # what the supervisor said last

    def open(self) -> None:
        """Shutter closed, laser off, whatever they were doing, and its limits set. Raises HalError."""
        self._emitter.open()

    def cycle(self) -> None:
        """Obey, ask the votes, turn the latch, act."""
        before = self._latch
        for request in self.port.requests():
            self.port.answer(request, self._obey(request))
        self._hear_of_deaths()
        inputs_ns, inputs = self.clock.now_ns(), self._inputs()
        votes = ballot(inputs, self._in_force, self._latch.alignment)
        for name, failed in votes.failed.items():
            self._failures.note(f"the vote {name}", failed)
        self._turn(inputs, votes)
        with suppress(HalError):  # it is off; `poll` goes on trying, and tells
            self._emitter.use(self._in_force.current_a)  # after an arm that the laser did not take, too
        allowed = self._latch.phase is Phase.EMITTING
        self._emitter.allow(allowed)
        self._emitter.poll()
        if allowed and self._latch.phase is not Phase.EMITTING:  # laser or shutter was found lost: not a turn later
            self._emitter.allow(False)
        self._log_trips(votes)
        self._tell(before, votes)
        self._votes = votes
        self._holds_until_ns = inputs_ns + max(SOON_NS, round(votes.holds_s(self._in_force) * NS) + 1)

    def rest(self, until_ns: int) -> None:
        """Listen until the next turn; a no while it emits is acted on when it comes, not when the turn does."""
        while self._latch.phase is Phase.EMITTING and self.clock.now_ns() < until_ns:
            if self._objection() or self.clock.now_ns() >= self._holds_until_ns:
                self.cycle()
            self.port.listen(SAID, min(until_ns, self._holds_until_ns, self._lookout.glance_ns))
        self.clock.sleep_until(until_ns)

    def close(self) -> None:
        """Emission off on every way out."""
        self._latch = steps.disarm(self._latch, self.clock.now_ns() * 1e-9, "the safety service ended")
        self._emitter.close()
        self._lookout.close()

    def identities(self) -> dict[str, Identity]:
        """Laser and shutter."""
        return self._emitter.identities()

    # Commands

    def _obey(self, request: Request) -> Reply:
        now_s = self.clock.now_ns() * 1e-9
        hand = f"{request.source} ({request.lease.id})" if request.lease is not None else request.source
        try:
            match request.method:
                case "safety.arm":
                    mode = self.port.fresh(STATION_MODE)
                    name = mode.mode if mode is not None else ""
                    self._arm(now_s, hand, name, request.body.get("alignment") is True, request.lease)
                case "safety.confirm":
                    self._latch = steps.confirm(self._latch, now_s, hand)
                case "safety.disarm" | "stop":
                    self._latch = steps.disarm(self._latch, now_s, f"{request.method} by {request.source}")
                case "safe":
                    self._trip(f"safe by {request.source}")
                case "ping":
                    pass
                case unknown:
                    return Reply("SCHEMA", f"safety has no method {unknown!r}", "see docs/protocol.md")
        except HalError as error:
            return Reply("DEVICE", str(error))
        except RefusedError as refused:
            return Reply("INTERLOCK", str(refused), "boresight status shows the votes")
        body = {"phase": str(self._latch.phase), "confirm_within_s": steps.CONFIRM_WINDOW_S}
        return Reply("", f"emission is {self._latch.phase}", body=body)

    def _arm(self, now_s: float, hand: str, mode: str, alignment: bool, lease: Lease | None) -> None:
        """Raises RefusedError, and HalError when the laser does not take the current."""
        if alignment and (why := self._limits.alignment_refusal):
            raise RefusedError(why)
        latch = steps.arm(self._latch, now_s, hand, mode, self._locks, lease, alignment=alignment)
        self._emitter.use(self._limits.alignment_current_a if alignment else self._limits.current_a)
        self._latch = latch
        self._trips.answer()

    @property
    def _in_force(self) -> Limits:
        """The limits of what was armed."""
        return self._limits.for_alignment() if self._latch.alignment else self._limits

    # Inputs

    def _inputs(self) -> Inputs:
        emitter = self._emitter
        return self._lookout.inputs(
            emitter.status,
            emitter.gate.status,
            emitter.enabled_ns,
            emitter.withdrawn_ns,
            emitter.commanded_ns,
            self._latch.lease,
        )

    def _hear_of_deaths(self) -> None:
        """The supervisor sees a process die within 20 ms, long before its heartbeat is stale."""
        for name, sentence in deaths(self.port).items():
            if name in self._limits.services and (self._latch.phase in CONSENTED or self._trips.standing):
                self._trip(sentence)

    def _objection(self) -> bool:
        """A vote that rests on what has just come says no, or a process has died."""
        told = self.port.latest(STATION_EVENT, SUPERVISOR)
        if told is not self._told:
            self._told = told
            return True
        if self._lookout.utc_stepped():
            return True
        news = self._lookout.news(self._emitter.status, self._emitter.gate.status)
        voters = ALIGNMENT_VOTERS if self._latch.alignment else VOTERS
        asked = [voter for voter in voters.values() if any(what in voter.rests_on for what in news)]
        if not asked:
            return False
        inputs = self._inputs()
        return not all(voter(inputs, self._in_force).ok for voter in asked)

    def _trip(self, cause: str) -> None:
        """Off and latched; the cause is noted beside that of a trip that stands."""
        self._latch = steps.trip(self._latch, self.clock.now_ns() * 1e-9, cause)
        self._trips.note(cause)

    def _lost(self, sentence: str) -> None:
        """Laser or shutter does not obey: what is plugged in again may be another, or set otherwise."""
        if self._latch.phase in CONSENTED:
            self._trip(sentence)

    def _turn(self, inputs: Inputs, votes: Ballot) -> None:
        before = self._latch.phase
        mode = self._mode(inputs)
        flown = None if mode is None else Pass(mode.target, mode.pass_start_utc_ns, mode.pass_end_utc_ns)
        name = "" if mode is None else mode.mode
        self._latch = steps.turn(self._latch, self.clock.now_ns() * 1e-9, name, votes, flown)
        if self._latch.phase is Phase.LATCHED and before is not Phase.LATCHED:
            self._trips.note(self._latch.reason)
            lost_s = votes.lost_s(self._in_force)
            self._lost_utc_ns = None if lost_s is None else self.clock.utc_ns() - round(lost_s * NS)

    def _mode(self, inputs: Inputs) -> ModeState | None:
        """The station's mode, None when it is not known or old."""
        reading = inputs.mode
        return reading.body if reading is not None and reading.age_s <= self._limits.mode_age_max_s else None

    # Outputs

    def _log_trips(self, votes: Ballot) -> None:
        """After the laser is off: what was lost in this cycle may be none of its votes yet, so they are asked again."""
        if not self._trips.noted:
            return
        after = ballot(self._inputs(), self._in_force, self._latch.alignment)
        before = (self._votes or votes).votes(self._limits)
        for record in self._trips.take(self.clock.utc_ns(), before, after.votes(self._limits), self._lost_utc_ns):
            self.port.publish(SAFETY_TRIP, record)
        self._lost_utc_ns = None

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
                votes=votes.votes(self._limits),
            ),
        )
