"""Pointing as a service: owns the gimbal, runs its loop as fast as the mount answers, obeys the station.

Motion ends by itself when the station says HOLD, SAFE or FAULT, when the station falls silent, when the path ends, when
the stream of a live target falls silent, and when the mount does not answer; it never begins by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

from msgspec.structs import replace as changed

from controller.bus.envelope import Lease
from controller.bus.lease import FREE
from controller.bus.port import Port, Reply, Request
from controller.bus.topics import (
    POINTING_STATE,
    STATION_EVENT,
    STATION_MODE,
    TRACKING_CORRECTION,
    Pair,
    PointingState,
    StationEvent,
)
from controller.errors import BoresightError
from controller.geometry.trajectory import Trajectory
from controller.heap import give_back
from controller.pointing.commands import CommandError, fixed_of, trajectory_of
from controller.pointing.drive import loop_for, send
from controller.pointing.feed import Streams
from controller.pointing.ground import OPEN, Ground, GroundGuard
from controller.pointing.implied import implied_error
from controller.pointing.keepout import NO_CONES, KeepOut, SunGuard
from controller.pointing.live_target import LiveTarget
from controller.pointing.loop import GimbalLoop, Option
from controller.pointing.mount import MountModel
from controller.pointing.mount_sky import in_axes, on_sky
from controller.pointing.offsets import OffsetBook, Offsets
from controller.pointing.prediction import Observer
from controller.pointing.reopening import ReopeningGimbal
from controller.pointing.routes import HERE_RAD, UPRIGHT_RAD, Detour, Routes, reach
from controller.pointing.targets import Fixed, Target
from controller.pointing.wrap_memory import WrapMemory
from controller.services.deaths import deaths
from controller.services.service import Service
from hal.clock import NS, Clock
from hal.errors import HalError
from hal.traits import Gimbal, Identity

PLANNED = frozenset({"pointing.track", "pointing.follow", "pointing.slew", "pointing.park"})  # ways of megabytes
STILL_MODES = frozenset({"HOLD", "SAFE", "FAULT"})
LOCKED_MODES = frozenset({"SAFE", "FAULT"})
MODE_STALE_S = 0.35  # with a turn of 0.1 s, zero motion is commanded 0.5 s after the station died
IDLE_NS = NS // 20
RETRY_NS = NS // 10  # a mount that comes back on its last rate is told to stop so soon
STRIKES = 2  # a single reply that is late or garbled is passed over; the second in a row is a fault
STOP_TRIES = 3
SUN_PERIOD_NS = NS // 2  # 1.5 degrees of the fastest slew


class PointingService(Service):
    """The gimbal loop in its shell. `open_gimbal` is called on the service's own thread.

    `slow_line_s` is how much longer the station may say nothing, as it waits for a gimbal whose line takes so long.
    Below `ground` the telescope is not moved; `ends_rad` are the soft limits of the second axis.
    """

    name = "pointing"

    def __init__(
        self,
        clock: Clock,
        port: Port,
        open_gimbal: Callable[[], Gimbal],
        observer: Observer,
        park: Fixed,
        model: MountModel | None = None,
        cones: KeepOut = NO_CONES,
        wrap: WrapMemory | None = None,
        offsets: OffsetBook | None = None,
        slow_line_s: float = 0.0,
        ground: Ground = OPEN,
        ends_rad: Pair = UPRIGHT_RAD,
    ) -> None:
        super().__init__(clock, port)
        self._mode_stale_s = MODE_STALE_S + slow_line_s
        self._open_gimbal = open_gimbal
        self._observer = observer
        self._park = park
        self._wrap = wrap or WrapMemory()
        self._offsets = offsets or OffsetBook()
        self._tracked = ""  # the object's name
        self._ordered = ""  # the same, when it was the station that told us to follow it
        self._model = model or MountModel()
        self._frame = self._model.frame  # how the mount stands: from here down to the gimbal angles are its own axes'
        self._sun = SunGuard(cones.sun_cone_rad, observer.site, observer.earth)
        self._ground, self._guard = ground, GroundGuard(ground)
        self._sun_due_ns = 0
        self._streams = Streams(clock, port, observer)
        self._silent = False  # the stream that was followed has ended
        self._routes = Routes(observer, cones, self._sun, ends_rad)
        self._detour: Detour | None = None  # round the Sun, under way
        self._gimbal: Gimbal | None = None
        self._loop: GimbalLoop | None = None
        self._accepted_ns = 0  # modes that were sent before the last command do not end it
        self._trial: tuple[Lease | None, MountModel] | None = None  # whose model is tried, and the one before
        self._strikes = 0
        self._fault = ""
        self._last: PointingState | None = None

    def open(self) -> None:
        """Take the gimbal and bring it to rest.

        Raises HalError, and BoresightError when its turns are not known, or when it may not look where it is parked.
        """
        self._gimbal = ReopeningGimbal(self.clock, self._open_gimbal, lambda: self.waits_for("gimbal"))
        self._gimbal.stop()
        self._loop = loop_for(self._gimbal.capabilities, self._model, self._ground)
        self._guard = GroundGuard(self._loop.ground)
        if why := self._loop.ground.too_low(self._park.azimuth_rad, self._park.elevation_rad):
            raise BoresightError(f"The mount cannot be parked: that is {why}; change park_elevation_deg.")
        wound_rad = self._wrap.recall()
        if wound_rad is not None:
            self._loop.wind(wound_rad)

    def cycle(self) -> None:
        """Commands, then one turn of the loop."""
        gimbal, loop = self._gimbal, self._loop
        if gimbal is None or loop is None:
            raise BoresightError("The pointing service was not opened.")
        for request in self.port.requests():
            self.port.answer(request, self._obey(request, loop))
            if request.method in PLANNED:
                give_back()
        self._hold_if_told(loop)
        try:
            self._rest(gimbal, loop)
            self._turn(gimbal, loop)
            self._strikes = 0
        except HalError as error:
            self._strike(str(error), gimbal, loop)
        except BoresightError as error:
            self._tell("error", "POINTING", f"{error} The axes are held.")
            loop.follow(None)

    def close(self) -> None:
        """Stop the axes, whatever it takes, and let go of the port."""
        gimbal, self._gimbal = self._gimbal, None
        if gimbal is None:
            return
        for _ in range(STOP_TRIES):
            try:
                gimbal.stop()
                break
            except HalError as error:
                self._tell("error", "POINTING", f"{error} Stopping again; use the emergency stop.")
        gimbal.close()

    def identities(self) -> dict[str, Identity]:
        """The mount."""
        return {"gimbal": self._gimbal.identity} if self._gimbal is not None else {}

    # Commands

    def _obey(self, request: Request, loop: GimbalLoop) -> Reply:
        self._end_trial(request, loop)
        try:
            if request.method == "pointing.feed":
                return self._streams.feed(request, self._goal(loop))
            if request.method == "pointing.try":
                self._trial = request.lease, self._trial[1] if self._trial is not None else loop.model
            reply = self._do(request.method, request.body, loop)
            if request.method in PLANNED and not reply.code:
                self._ordered = str(request.body.get("name", "")) if request.source == "station" else ""
            return reply
        except CommandError as error:
            return Reply(error.code, str(error), error.hint)
        except BoresightError as error:
            return Reply("SCHEMA", str(error))

    def _end_trial(self, request: Request, loop: GimbalLoop) -> None:
        """The model that a calibration tries ends with its lease: whoever comes next has the one before."""
        if self._trial is None or request.control or request.method in FREE or request.lease == self._trial[0]:
            return
        (_, before), self._trial = self._trial, None
        loop.use(before)
        self._tell("warning", "MODEL", "a calibration did not come to its end: the mount model before it is in use")

    def _do(self, method: str, body: dict[str, Any], loop: GimbalLoop) -> Reply:
        match method:
            case "ping":
                return Reply("", "pointing is here")
            case "stop" | "safe" | "pointing.stop":
                loop.follow(None)
                self._fault, self._silent = "", False
                return Reply("", "the axes are held")
            case "pointing.model" | "pointing.try":
                if body:
                    loop.use(MountModel.from_body(body, method, self._frame))
                if body and method == "pointing.model":
                    self._trial = None
                return Reply("", "the mount model is in use", body=dict(loop.model.to_body()))
            case "pointing.track":
                able = reach(loop)
                name = str(body.get("name", body.get("star", "")))
                return self._go(loop, lambda: trajectory_of(body, self._observer, able, self.clock.utc_ns()), name)
            case "pointing.follow":
                return self._go(loop, lambda: self._streams.open(body), str(body.get("name", "")))
            case "pointing.offset":
                return self._shift(body, loop)
            case "pointing.slew":
                return self._go(loop, lambda: fixed_of(body))
            case "pointing.park":
                return self._go(loop, lambda: self._park)
        return Reply("SCHEMA", f"pointing has no method {method!r}", "see docs/protocol.md")

    def _shift(self, body: dict[str, Any], loop: GimbalLoop) -> Reply:
        """What the operator adds to a prediction; a body without any only asks."""
        name = str(body.get("name", "")) or self._tracked
        if not name:
            return Reply("LIMIT", "nothing is tracked", "name the object: boresight offset --target NAME")
        offsets = Offsets.from_body(body, self._offsets.of(name))
        try:
            self._offsets.keep(name, offsets)
        except OSError as error:
            return Reply("DEVICE", f"the offsets of {name} cannot be kept: {error.strerror}")
        if name == self._tracked:
            loop.offsets = offsets
        told = (
            f"{name}: {offsets.time_s:+g} s, {math.degrees(offsets.in_track_rad):+.4f} deg onwards, "
            f"{math.degrees(offsets.cross_track_rad):+.4f} deg to the right"
        )
        if body.keys() - {"name"}:
            self._tell("info", "OFFSET", told)
        return Reply("", told, body={"name": name, **asdict(offsets)})

    def _go(self, loop: GimbalLoop, target_of: Callable[[], Target], name: str = "", resumed: bool = False) -> Reply:
        """Follow a target, round the Sun if need be; `resumed` at the end of a detour, which no new word has begun."""
        mode = self.port.fresh(STATION_MODE)
        if mode is not None and mode.mode in LOCKED_MODES:
            return Reply("INTERLOCK", f"the station is in {mode.mode}: {mode.reason}", "boresight reset first")
        if self._strikes >= STRIKES:
            return Reply("DEVICE", f"the gimbal does not answer: {self._fault}")
        target = self._target(target_of)
        if isinstance(target, Trajectory) and target.end_utc_ns <= self.clock.utc_ns():
            return Reply("LIMIT", "that pass is over", "choose a later one: boresight passes")
        hidden, whole = loop.ground.hides(target)
        if whole:
            return Reply("LIMIT", hidden, "choose a higher one")
        turned = in_axes(target, self._frame)
        try:
            if self._gimbal is not None and loop.axes.stands is None:
                loop.see(self._gimbal.position())
        except HalError as error:
            return Reply("DEVICE", str(error))
        try:
            by = self._routes.straight(loop, target, turned, self.clock.utc_ns())
        except CommandError:
            legs = () if resumed else self._routes.round(loop, target, turned, self.clock.utc_ns())
            if not legs:
                raise
            self._begin()
            self._take_leg(loop, Detour(legs, target, name))
            told = f"round the Sun, by {len(legs)} way-point{'s' if len(legs) > 1 else ''}"
            self._tell("info", "SUN", f"{name or 'the target'}: the axes go {told}")
            return Reply("", f"the gimbal is on its way, {told}")
        loop.follow(turned, by.way, by)
        self._detour, self._tracked = None, name
        if name:
            loop.offsets = self._offsets.of(name)
        if loop.notice:
            self._tell("warning", "AXES", loop.notice)
        if hidden:
            self._tell("warning", "HORIZON", f"{name or 'the target'}: {hidden}")
        if why := self._routes.dark(target, by.way):
            self._tell("warning", "CONE", f"{name or 'the target'}: {why}: no emission there")
        if isinstance(target, Trajectory) and (old := self._observer.earth.warning(self.clock.utc_ns())):
            self._tell("warning", "EARTH", old)
        if not resumed:
            self._begin()
        implied = implied_error(turned, loop.capabilities).sentence(loop.capabilities)
        if implied:
            self._tell("info", "POINTING", f"gimbal: {implied}")
        return Reply("", "the gimbal is on its way" + (f"; {implied}" if implied else ""))

    def _target(self, target_of: Callable[[], Target]) -> Target:
        """What a command asks for. Raises CommandError, and BoresightError where a part of it says what is wrong."""
        try:
            return target_of()
        except (ArithmeticError, ValueError, TypeError, LookupError) as error:
            raise CommandError("SCHEMA", f"that is no target: {error}", "see docs/protocol.md") from error

    def _begin(self) -> None:
        """An operator's word begins a motion: what was before counts no more."""
        self._fault, self._silent = "", False
        self._accepted_ns = self.clock.now_ns()

    def _goal(self, loop: GimbalLoop) -> Target | None:
        """What is followed, or is going to be at the end of a way round the Sun."""
        return loop.target if loop.target is None or self._detour is None else self._detour.target

    def _take_leg(self, loop: GimbalLoop, detour: Detour) -> None:
        leg, self._detour = detour.legs[0], replace(detour, legs=detour.legs[1:])
        self._tracked = ""
        loop.follow(leg, None, Option(None, leg.azimuth_rad))

    def _go_on(self, loop: GimbalLoop, detour: Detour) -> None:
        """A way-point is reached: to the next one, or at last to the target; the Sun may have moved meanwhile."""
        try:
            if detour.legs:
                self._routes.check(loop, detour.legs[0], self.clock.utc_ns())
                self._take_leg(loop, detour)
                return
            reply = self._go(loop, lambda: detour.target, detour.name, resumed=True)
        except CommandError as error:
            reply = Reply(error.code, str(error), error.hint)
        if reply.code:
            self._tell("error", "SUN", f"{detour.name or 'the target'}: {reply.message}: the axes are held")
            loop.follow(None)

    # One turn

    def _hold_if_told(self, loop: GimbalLoop) -> None:
        station_died = deaths(self.port).get("station")
        if loop.target is None:
            return
        if station_died:
            self._tell("error", "STATION", "the station died: the axes are held")
            loop.follow(None)
            return
        goal = self._goal(loop)
        if isinstance(goal, LiveTarget) and goal.over(self.clock.utc_ns()):
            stream = goal.stream
            self._tell(
                "error", "STREAM",
                f"the stream of {stream.name} is silent: its newest state is more than {stream.age_max_s:g} s old: "
                "the axes are held",
            )  # fmt: skip
            loop.follow(None)
            self._silent = True
            return
        mode = self.port.latest(STATION_MODE)
        now_ns = self.clock.now_ns()
        waited_s = (now_ns - self._accepted_ns) * 1e-9
        if mode is None or mode.age_s(now_ns) > self._mode_stale_s:
            if waited_s > self._mode_stale_s:
                self._tell("error", "STATION", "the station says nothing: the axes are held; track again")
                loop.follow(None)
        elif mode.body.mode in STILL_MODES and mode.received_ns > self._accepted_ns:
            loop.follow(None)
        elif isinstance(goal, Trajectory) and self.clock.utc_ns() > goal.end_utc_ns:
            self._tell("info", "PASS_END", "the path has ended: the axes are held")
            loop.follow(None)

    def _rest(self, gimbal: Gimbal, loop: GimbalLoop) -> None:
        """Stop what has no target any more, before anything else is asked: the answer may be long in coming."""
        if loop.target is None and not loop.at_rest:
            gimbal.stop()
            loop.stopped(self.clock.now_ns())

    def _turn(self, gimbal: Gimbal, loop: GimbalLoop) -> None:
        sample = gimbal.position()
        self._hold_if_told(loop)  # meanwhile
        self._rest(gimbal, loop)
        begin_ns = self.clock.now_ns()
        offset_ns = self.clock.utc_ns() - begin_ns
        if self._strikes >= STRIKES:  # it answers again: bring it to rest before anything else
            gimbal.stop()
            loop.stopped(self.clock.now_ns())
            self._tell("info", "GIMBAL", "the gimbal answers again; it stays where it is until it is told to move")
        correction = self.port.latest(TRACKING_CORRECTION)
        body, age_s = (correction.body, correction.age_s(begin_ns)) if correction else (None, 0.0)
        rates, state = loop.step(begin_ns, offset_ns, sample, body, age_s)
        state = on_sky(state, self._frame)
        self._remember(loop.wound_rad)
        if isinstance(loop.target, LiveTarget):
            state = self._streamed(state, loop.target)
        if loop.target is None:
            self._detour = None
        elif self._detour is not None:
            if state.activity == "hold" or math.hypot(*state.deviation_rad) < HERE_RAD:
                self._go_on(loop, self._detour)
            state = changed(state, activity="slew", settled=False)  # nobody is to take a way-point for the target
        if begin_ns >= self._sun_due_ns:
            self._sun_due_ns = begin_ns + SUN_PERIOD_NS
            why = self._sun.entering(state.t_utc_ns, state.azimuth_rad, state.elevation_rad)
            if why and loop.target is not None:
                self._tell("error", "SUN", f"the telescope looks {why}: the axes are held")
                loop.follow(None)
                rates = (0.0, 0.0)
        why = self._guard.entering(state.azimuth_rad, state.elevation_rad)  # each turn: a wall is nearer than the Sun
        if why and loop.target is not None:
            self._tell("error", "HORIZON", f"the telescope looks {why}: the axes are held")
            loop.follow(None)
            rates = (0.0, 0.0)
        if loop.target is None and loop.at_rest:
            self._publish(state)
            self.clock.sleep_until(begin_ns + IDLE_NS)
            return
        said = send(gimbal, loop, rates, begin_ns, self.clock)
        self._publish(state)
        if not said:
            self.clock.sleep_until(begin_ns + IDLE_NS)

    def _streamed(self, state: PointingState, target: LiveTarget) -> PointingState:
        """With how old what is known of a live target is, and what that leaves unknown."""
        self._streams.tell(target)
        return changed(
            state,
            state_utc_ns=target.stream.epoch_utc_ns,
            state_age_max_s=target.stream.age_max_s,
            target_sigma_rad=target.sigma_rad(state.t_utc_ns),
        )

    def _remember(self, wound_rad: float | None) -> None:
        if wound_rad is None:
            return
        try:
            self._wrap.note(wound_rad)
        except OSError as error:
            self._wrap = WrapMemory()  # said once; motion does not wait for a disk
            axis = self._frame.axis_names[0]
            self._tell("warning", "AXES", f"how far {axis} is wound up cannot be kept ({error.strerror}); park it")

    def _publish(self, state: PointingState) -> None:
        if self._fault or self._silent:
            state = changed(state, activity="fault" if self._fault else "silent")
        if self._ordered and self._loop is not None and self._loop.target is not None:
            state = changed(state, target=self._ordered)
        if self._observer.earth.age_days(state.t_utc_ns) > 0:
            state = self._aged(state)
        self._last = state
        self.port.publish(POINTING_STATE, state)

    def _aged(self, state: PointingState) -> PointingState:
        """With how old the Earth's orientation is known: predictions go wrong slowly, and nobody sees it."""
        earth, t_utc_ns = self._observer.earth, state.t_utc_ns
        return changed(
            state,
            earth_age_days=earth.age_days(t_utc_ns),
            ut1_error_s=earth.ut1_error_s(t_utc_ns),
            degraded=earth.degraded(t_utc_ns),
        )

    def _strike(self, why: str, gimbal: Gimbal, loop: GimbalLoop) -> None:
        self._strikes += 1
        if self._strikes == STRIKES:
            self._fault = why
            loop.follow(None)
            self._tell("error", "GIMBAL", why)
        if self._strikes < STRIKES:
            return
        if self._last is not None:  # before the stop, whose answers take a tenth of a second: emission waits for none
            self.port.publish(POINTING_STATE, changed(self._last, activity="fault"))
        self._beat()  # before and after: either question may take nearly as long as a service may be silent
        with suppress(HalError):  # said already, and the next turn tries again; a dead port is the guardian's
            gimbal.stop()
        self._beat()
        self.clock.sleep_until(self.clock.now_ns() + RETRY_NS)

    def _tell(self, level: Any, code: str, message: str) -> None:
        self.port.publish(STATION_EVENT, StationEvent(level, code, message))
