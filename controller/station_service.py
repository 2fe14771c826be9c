"""The station as a service: feeds the mode machine, obeys the operator, tells what happened."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from controller.bus.envelope import Lease
from controller.bus.inbox import LEASE_METHODS
from controller.bus.lease_desk import LeaseDesk
from controller.bus.port import Port, Reply, Request
from controller.bus.topics import (
    ACQUISITION_STATE,
    LINK_STATE,
    POINTING_STATE,
    SAFETY_STATE,
    SERVICE_HEARTBEAT,
    STATION_EVENT,
    STATION_MODE,
    STATION_PASS,
    TRACKING_COARSE,
    TRACKING_CORRECTION,
    TRACKING_FINE,
    ModeState,
    PassOrder,
    StationEvent,
    Topic,
)
from controller.pointing.elements import ElementsError, ElementSet
from controller.services.deaths import deaths
from controller.services.service import Service
from controller.station import FAULT_MODES, RESTING, TIME_OUTS_S, Inputs, Mode, State, go, step, track
from hal.clock import NS, Clock

CALL_TIMEOUT_S = 0.4  # shorter than station/mode's stale-after: nobody loses the mode while a call is under way
REASK_S = 1.0
UNHEARD = frozenset({"TIMEOUT_UNKNOWN", "DEADLINE", "BUSY", "TRANSPORT"})  # not one that a stop has overtaken
ORDER_NS = round(NS / STATION_PASS.rate_hz)


class StationService(Service):
    """Owns the mode. `memory` is a file in the run directory that outlives a crash: the pass that was being flown.

    Without a `quad_half_field_rad` it is an RF station's, which has no service but pointing beside it to lose.
    `slow_line_s` is how much longer than others pointing may be silent, for a gimbal whose line takes so long.
    """

    name = "station"
    period_s = 0.05

    def __init__(
        self,
        clock: Clock,
        port: Port,
        elevation_mask_deg: float,
        quad_half_field_rad: float | None,
        memory: Path | None = None,
        slow_line_s: float = 0.0,
    ) -> None:
        super().__init__(clock, port)
        self._mask_rad = math.radians(elevation_mask_deg)
        self._quad_half_field_rad = quad_half_field_rad
        self._memory = memory
        self._slow_line_s = slow_line_s
        self._needs = tuple(FAULT_MODES) if quad_half_field_rad is not None else ("pointing",)
        self._leases = LeaseDesk(clock, port)
        self._state = State(since_s=clock.now_ns() * 1e-9)
        self._epoch_utc_ns = 0
        self._live = False  # what is tracked is a stream of states
        self._order: dict[str, Any] | None = None  # the pass under way, as it was told
        self._order_due_ns = 0
        self._tracked_ns = 0
        self._warned: Mode | None = None
        self._park_due_s: float | None = None
        self._died_ns: dict[str, int] = {}  # whom the supervisor saw die, and when that was heard

    def open(self) -> None:
        """Come back in SAFE when the previous run ended in it, and with the pass when it was cut off in one."""
        if self._memory is None or not self._memory.exists():
            return
        try:
            plan = json.loads(self._memory.read_text())
            start_ns, end_ns, target = int(plan["start_utc_ns"]), int(plan["end_utc_ns"]), str(plan["name"])
        except (OSError, ValueError, KeyError, TypeError):
            self._tell("warning", "MEMORY", f"{self._memory} is unreadable: the interrupted pass is forgotten")
            return
        if not target:
            reason = f"in SAFE before this start: {plan.get('reason', 'the reason was not written')}"
            self._state = go(self._state, Mode.SAFE, self._now_s(), reason)
            return
        self._order = plan
        reloaded = track(self._state, self._now_s(), target, start_ns, end_ns)
        self._state = go(
            reloaded, Mode.SAFE, self._now_s(), f"restarted during the pass of {target}: reset, then track to go on"
        )

    def cycle(self) -> None:
        """Commands first, then one turn of the machine, then the word to everybody."""
        for request in self.port.requests():
            self.port.answer(request, self._leases.over(request) or self._obey(request))
        self._leases.turn()
        before = self._state.mode
        self._state = step(self._state, self._inputs())
        if self._state.mode is not before:
            self._entered(before)
        self._warn_when_long()
        self._park_when_stowed()
        self._publish()

    def close(self) -> None:
        """A station that ends at rest forgets the pass; one that ends in the middle of it comes back to it, in SAFE."""
        if self._state.mode in {Mode.OFF, Mode.STOWED, Mode.HOLD}:
            self._forget()

    # Commands

    def _obey(self, request: Request) -> Reply:
        if request.method in LEASE_METHODS:
            return self._leases.obey(request)
        mode = self._state.mode
        match request.method:
            case "stop" if mode in {Mode.SAFE, Mode.FAULT}:
                pass  # at rest already, and left by a reset alone
            case "stop":
                self._force(Mode.HOLD, "the operator said stop")
            case "safe":
                self._force(Mode.SAFE, "the operator said safe")
            case "ping":
                pass
            case "station.reset" if mode in RESTING:
                self._force(Mode.STOWED, "reset by the operator")
                self._park_due_s = None
            case "station.reset":
                return Reply("BUSY", f"the station is in {mode}", "stop it first: boresight stop")
            case "station.park" if mode not in {Mode.SAFE, Mode.FAULT}:
                self._force(Mode.STOWED, f"parked by {request.source}")
                self._park_due_s = self._now_s()
            case "station.track" | "station.follow" if mode not in {Mode.SAFE, Mode.FAULT}:
                return self._track(request.method.removeprefix("station."), request.body, request.lease)
            case "station.park" | "station.track" | "station.follow":
                return Reply("INTERLOCK", f"the station is in {mode}: {self._state.reason}", "boresight reset first")
            case unknown:
                return Reply("SCHEMA", f"the station has no method {unknown!r}", "see docs/protocol.md")
        return Reply("", f"the station is in {self._state.mode}")

    def _track(self, how: str, body: dict[str, Any], lease: Lease | None) -> Reply:
        """`track`: along a path; `follow`: by a stream of states."""
        try:
            start_ns, end_ns, target = int(body["start_utc_ns"]), int(body["end_utc_ns"]), str(body["name"])
        except (KeyError, TypeError, ValueError, OverflowError):
            rest, hint = ("frame and states", "boresight feed FILE") if how == "follow" else (
                "line1 and line2 or segments", "boresight track NAME",
            )  # fmt: skip
            return Reply("SCHEMA", f"{how} needs name, start_utc_ns, end_utc_ns, and {rest}", hint)
        reply = self.port.call("pointing", f"pointing.{how}", body, CALL_TIMEOUT_S + self._slow_line_s, lease=lease)
        if reply.code:
            return reply
        before = self._state.mode
        self._state = track(self._state, self._now_s(), target, start_ns, end_ns)
        self._epoch_utc_ns, self._tracked_ns = _epoch_utc_ns(body), self.clock.now_ns()
        self._live = how == "follow"
        self._remember(body)
        self._entered(before)
        return Reply("", f"the station is in {self._state.mode}: {self._state.reason}")

    def _force(self, mode: Mode, reason: str) -> None:
        before = self._state.mode
        self._state = go(self._state, mode, self._now_s(), reason)
        self._entered(before)

    # Inputs and outputs

    def _inputs(self) -> Inputs:
        port = self.port
        pointing = self._heard(POINTING_STATE)
        lost = self._lost()
        if pointing is not None and pointing.activity == "fault" and self._since_track(POINTING_STATE):
            lost.append("pointing")
        return Inputs(
            now_s=self._now_s(),
            utc_ns=self.clock.utc_ns(),
            elevation_mask_rad=self._mask_rad,
            quad_half_field_rad=self._quad_half_field_rad,
            pointing=pointing,
            coarse=port.fresh(TRACKING_COARSE),
            correction=port.fresh(TRACKING_CORRECTION),
            fine=port.fresh(TRACKING_FINE),
            acquisition=port.fresh(ACQUISITION_STATE),
            safety=port.fresh(SAFETY_STATE),
            link=port.fresh(LINK_STATE),
            lost=tuple(lost),
            silent=pointing is not None and pointing.activity == "silent" and self._since_track(POINTING_STATE),
        )

    def _heard(self, topic: Topic, source: str = "") -> Any | None:
        """The newest body, or None when it is older than this station allows."""
        body = self.port.fresh(topic, source)
        if body is not None or not self._slow_line_s:
            return body
        sample, allowed_s = self.port.latest(topic, source), topic.stale_after_s + self._slow_line_s
        waits = sample is not None and self.clock.now_ns() - sample.received_ns <= allowed_s * NS
        return sample.body if sample is not None and waits else None

    def _since_track(self, topic: Topic) -> bool:
        """Whether the newest word was said after the last track was accepted: what was so before is over."""
        sample = self.port.latest(topic)
        return sample is not None and sample.received_ns > self._tracked_ns

    def _lost(self) -> list[str]:
        """Services that are silent, or of which the supervisor says that they died."""
        died = deaths(self.port)
        self._died_ns.update(dict.fromkeys(died, self.clock.now_ns()))
        if "pointing" in died:
            self._park_due_s = None  # what was not yet begun is not begun by a restart
        return [name for name in self._needs if self._silent(name)]

    def _silent(self, name: str) -> bool:
        if self._heard(SERVICE_HEARTBEAT, name) is None:
            return True
        if name not in self._died_ns:
            return False
        beat = self.port.latest(SERVICE_HEARTBEAT, name)
        return beat is None or beat.received_ns <= self._died_ns[name]

    def _entered(self, before: Mode) -> None:
        state = self._state
        level = "error" if state.mode in {Mode.SAFE, Mode.FAULT} else "info"
        self._tell(level, state.mode, f"{before} -> {state.mode}: {state.reason}")
        self._warned = None
        if state.mode is not Mode.STOWED:
            self._park_due_s = None
        if state.mode is Mode.STOWED and before is not Mode.STOWED:
            self._park_due_s = self._now_s()
            self._forget()
        elif state.mode is Mode.SAFE and self._memory is not None and not self._memory.exists():
            self._remember({"name": "", "start_utc_ns": 0, "end_utc_ns": 0, "reason": state.reason})

    def _warn_when_long(self) -> None:
        limit = TIME_OUTS_S.get(self._state.mode)
        if limit is None or self._warned is self._state.mode or self._state.age_s(self._now_s()) < limit[0]:
            return
        self._warned = self._state.mode
        self._tell("warning", "TIME_OUT", f"{self._state.mode} for {limit[0]:g} s: {limit[1]}")

    def _park_when_stowed(self) -> None:
        """Ask for the park position until pointing has heard it; asking twice moves nothing twice.

        What pointing refuses is told, and not asked again: nobody expects the axes to move by themselves later.
        """
        if self._park_due_s is None or self._now_s() < self._park_due_s:
            return
        reply = self.port.call("pointing", "pointing.park", {}, CALL_TIMEOUT_S + self._slow_line_s)
        again = reply.code in UNHEARD
        self._park_due_s = self._now_s() + REASK_S if again else None
        if reply.code and not again:
            self._tell("error", "PARK", f"the gimbal is not parked: {reply.message}; send park again")

    def _publish(self) -> None:
        state = self._state
        since_ns = self.clock.utc_ns() - round(state.age_s(self._now_s()) * 1e9)
        body = ModeState(
            state.mode,
            since_ns,
            state.reason,
            state.target,
            state.pass_start_utc_ns,
            state.pass_end_utc_ns,
            self._epoch_utc_ns if state.target else 0,
            self._live and bool(state.target),
        )
        self.port.publish(STATION_MODE, body)
        self._publish_order()

    def _publish_order(self) -> None:
        """At once, and again for those who come later: each file of a recording has it."""
        order, now_ns = self._order, self.clock.now_ns()
        if order is None or now_ns < self._order_due_ns:
            return
        self._order_due_ns = now_ns + ORDER_NS
        lines = str(order.get("line1", "")), str(order.get("line2", ""))
        times_ns = int(order["start_utc_ns"]), int(order["end_utc_ns"])
        told = str(order.get("source", "")), order.get("segments", [])
        self.port.publish(STATION_PASS, PassOrder(self.clock.utc_ns(), str(order["name"]), *lines, *times_ns, *told))

    def _tell(self, level: Any, code: str, message: str) -> None:
        self.port.publish(STATION_EVENT, StationEvent(level, str(code), message))

    def _now_s(self) -> float:
        return self.clock.now_ns() * 1e-9

    # Memory of the pass

    def _remember(self, plan: dict[str, Any]) -> None:
        self._order, self._order_due_ns = plan, 0
        if self._memory is not None:
            self._memory.write_text(json.dumps(plan))

    def _forget(self) -> None:
        self._order = None
        if self._memory is not None:
            self._memory.unlink(missing_ok=True)


def _epoch_utc_ns(body: dict[str, Any]) -> int:
    """Epoch of what a track command carries; 0, a no for emission, where it carries none."""
    epoch = body.get("epoch_utc_ns", 0)
    if "segments" in body:
        return epoch if isinstance(epoch, int) else 0
    if "states" in body:
        return int(body["states"][-1]["t_utc_ns"])  # pointing has read them
    try:
        return ElementSet(str(body["name"]), str(body["line1"]), str(body["line2"])).epoch_utc_ns
    except (KeyError, ElementsError):
        return 0
