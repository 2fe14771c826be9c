"""Plays rows of the fault table in lockstep: many on one pass, an operator bringing the station back in between.

Times are simulated. That the station comes back to LINK by an operator's reset, track and arm, and by nothing less, is
part of every row.
"""

from __future__ import annotations

import math
import random
import resource
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from controller.bus.envelope import Envelope, body_as
from controller.bus.holder import HeldPort, LeaseRefusedError, acquire
from controller.bus.lease import LEASE_KEEPER
from controller.bus.local import LocalBus
from controller.bus.topics import (
    SAFETY_STATE,
    SERVICE_HEARTBEAT,
    STATION_EVENT,
    STATION_MODE,
    StationEvent,
    TripRecord,
)
from controller.cli.bench import open_bench
from controller.cli.demo import DEFAULT_RIG, choose_pass
from controller.cli.faults_guests import GUESTS
from controller.cli.faults_recorder import TappedRecorder
from controller.cli.faults_table import Row
from controller.cli.faults_verdict import Found, dead_of, problems_of
from controller.cli.rig import emulated_devices
from controller.errors import BoresightError
from controller.pointing.plan import LEAD_NS, Plan, order
from hal.clock import NS
from hal.rig import load_rig

if TYPE_CHECKING:
    from controller.cli.bench import Bench

TARGET = "STARLINK-1281"  # over the north: the mount need not unwind first
LEAD_S = 8.0  # before the rise; the mount stands ready, its mirror is identified in that time
LINK_S = 30.0  # that a station may take to come to LINK
TURN_S, SETTLE_S, RESET_S = 0.1, 0.5, 0.2
RESERVE_S = 10.0  # a row is not begun later than this before the set
DEATH_NS = NS // 50  # after which the supervisor says so
STEP_NS = NS // 50
TURN_NS = NS // 50  # of safety and tracking: a fault comes at any moment of it
BACKLASH_RAD = 75e-6  # half the scenario's play, which a calibration finds
FULL_BYTES = 1  # no file grows beyond that
SHUTTER = '\n[shutter]\ndriver = "sc10"\nresource = "emulated"\n'  # the built-in rig has none
MISALIGNMENT = ("index_azimuth_urad", "index_elevation_urad", "collimation_urad", "axis_north_urad", "axis_west_urad")
TRACKING = ("COARSE", "FINE", "LINK")
SUPERVISOR, OPERATOR = "supervisor", "operator"


class NoLinkError(BoresightError):
    """The station does not come to LINK."""


def play(rows: list[Row], tell: Callable[[Row, Found], None]) -> Iterator[tuple[Row, Found]]:
    """Play rows, flight after flight, those that end a flight last.

    Raises NoLinkError when a fresh station does not come to LINK.
    """
    left = sorted(rows, key=lambda row: row.cause.kind == "kill")
    while left:
        with tempfile.TemporaryDirectory() as folder:
            flight = Drill(left, Path(folder), tell)
            flight.fly()
        yield from flight.played
        left = left[len(flight.played) :]


@cache
def _plan() -> Plan:
    rig = load_rig(DEFAULT_RIG, dict.fromkeys(emulated_devices(DEFAULT_RIG), ""))
    return choose_pass(rig, None, TARGET, above_limits=False)


class Drill:
    """One flight: plays the first of `rows`, as many as fit into the pass."""

    def __init__(self, rows: list[Row], folder: Path, tell: Callable[[Row, Found], None]) -> None:
        from controller.cli.factories import MODEL_FILE, SERVICES
        from controller.pointing.mount import MountModel

        self.played: list[tuple[Row, Found]] = []
        self._rows, self._folder, self._tell = rows, folder, tell
        self._services = SERVICES
        MountModel(BA=BACKLASH_RAD, BE=BACKLASH_RAD).save(folder / MODEL_FILE)
        self._bench = _bench(folder)
        if self._bench.lockstep is None:
            raise ValueError("a drill is in lockstep")
        self._clock = self._bench.lockstep
        self._bus = LocalBus(self._clock, 1)
        self._port = self._bus.port(OPERATOR)
        self._held: HeldPort | None = None  # with the lease under which emission is armed: its end is a trip
        self._said: list[str] = []
        self._died: list[str] = []  # whom the supervisor says to be dead, in its words
        self._wrong: list[str] = []  # answers to a guest
        self._lost_ns: list[int] = []
        self._turns: list[Callable[[], None]] = []  # of what is no service here

    def fly(self) -> None:
        """Until a row ends the flight, or the pass is over. Raises what stopped the operator."""
        factories = import_module("controller.cli.factories")
        self._bus.tap(self._hear)
        for name in self._services:
            self._clock.spawn(name, partial(self._serve, getattr(factories, name), name))
        self._clock.spawn(OPERATOR, self._operate)
        try:
            self._clock.run()
        finally:
            self._bench.close()
        failures = dict(self._clock.failures)
        error = failures.pop(OPERATOR, None)
        for name, failure in failures.items():  # a service must not die of a fault
            raise NoLinkError(f"{name} died of {self._rows[len(self.played) - 1].name}: {failure!r}") from failure
        if error is not None:
            raise error

    def _serve(self, factory: Callable[..., Any], name: str) -> None:
        factory(self._clock, self._bus.port(name), self._bench.rig, self._folder).run()

    def _hear(self, topic: str, envelope: Envelope) -> None:
        if topic == "station/event":
            event = body_as(envelope, StationEvent)
            self._said.append(event.message)
            if event.code == "DIED":
                self._died.append(event.message)
        elif topic == "safety/trip":
            lost_utc_ns = body_as(envelope, TripRecord).lost_utc_ns
            if lost_utc_ns is not None:
                self._lost_ns.append(self._clock.now_ns() - (self._clock.utc_ns() - lost_utc_ns))

    # The operator

    def _operate(self) -> None:
        try:
            for row in self._rows:
                if not self._ready(row.linked):
                    return
                found = self._play(row)
                self.played.append((row, found))
                self._tell(row, found)
                if row.cause.kind == "kill":
                    return  # nobody starts it again here
        finally:
            self._bus.stop()

    def _ready(self, linked: bool) -> bool:
        """Bring the station to LINK, or only to the beacon; False when this pass has no time for a row any more."""
        wanted = TRACKING[-1:] if linked else TRACKING
        end_utc_ns = _plan().target.set_utc_ns
        give_up_ns = self._clock.now_ns() + round(LINK_S * NS)
        settled = False
        while not settled:
            if self._mode in wanted and self._lit():
                self._sleep(SETTLE_S)
                settled = self._mode in wanted and self._lit()
                continue
            if self._clock.utc_ns() > end_utc_ns - RESERVE_S * NS:
                return False
            if self._clock.now_ns() > give_up_ns:
                if self.played:
                    return False  # a fresh station plays the rest
                told = "; ".join(self._said[-5:])
                raise NoLinkError(f"the station is in {self._mode or 'no mode'} and not in LINK: {told}")
            if all(self._port.fresh(SERVICE_HEARTBEAT, name) is not None for name in self._services):
                self._nudge(end_utc_ns)
            self._sleep(TURN_S)
        return self._clock.utc_ns() < end_utc_ns - RESERVE_S * NS

    def _lit(self) -> bool:
        """It emits and moves."""
        truth = self._bench.world.truth()
        return bool(truth["emitting"]) and truth["axis_command_rad_s"] != (0.0, 0.0)

    def _nudge(self, end_utc_ns: int) -> None:
        """Reset what is latched, track what is in the sky, consent to emission: each when it is its turn."""
        mode, safety = self._mode, self._port.fresh(SAFETY_STATE)
        consented = safety is not None and safety.armed
        if mode in {"SAFE", "FAULT", "HOLD"}:
            self._ask("station", "station.reset")
            self._sleep(RESET_S)
        elif mode == "STOWED":
            self._ask("station", "station.track", body=order(_plan(), end_utc_ns))
        elif mode and not consented:
            self._ask("safety", "safety.arm", "safety.confirm")

    def _ask(self, service: str, *methods: str, body: dict[str, Any] | None = None) -> None:
        """Under the lease that is kept for as long as the drill goes on: who arms confirms, and stays."""
        try:
            if self._held is None:
                lease = acquire(self._port, "station", "a fault campaign")
                self._held = HeldPort(self._clock, self._port, lease)
            for method in methods:
                reply = self._held.call(service, method, body or {}, 1.0)
                if reply.code:
                    self._said.append(f"{method}: {reply.message}")
        except LeaseRefusedError as refused:
            self._held = None
            self._said.append(str(refused))

    def _keep(self) -> None:
        """The lease; who does not call this for long loses it."""
        try:
            if self._held is not None:
                self._held.fresh(STATION_MODE)
        except LeaseRefusedError as lost:
            self._held = None
            self._said.append(str(lost))

    @property
    def _mode(self) -> str:
        state = self._port.fresh(STATION_MODE)
        return state.mode if state is not None else ""

    def _sleep(self, seconds: float) -> None:
        self._keep()
        self._clock.sleep_until(self._clock.now_ns() + round(seconds * NS))

    # One row

    def _play(self, row: Row) -> Found:
        clock = self._clock
        clock.sleep_until(clock.now_ns() // TURN_NS * TURN_NS + TURN_NS + phase_ns(row))
        for heard in (self._said, self._died, self._wrong, self._lost_ns):
            heard.clear()
        lit, moving_ns, t_ns = self._lit(), clock.now_ns(), clock.now_ns()
        end_ns, cleared_ns = t_ns + round(row.after_s * NS), None
        if row.cause.for_s is not None:
            cleared_ns = t_ns + round(row.cause.for_s * NS)
        with ExitStack() as mending:
            touched = self._break(row, mending)
            while clock.now_ns() < end_ns:
                if cleared_ns is not None and clock.now_ns() >= cleared_ns:
                    mending.close()
                    cleared_ns = None
                self._sleep(STEP_NS / NS)
                for turn in self._turns:
                    turn()
                if self._bench.world.truth()["axis_command_rad_s"] != (0.0, 0.0):
                    moving_ns = clock.now_ns()
            return self._judge(row, t_ns, moving_ns, touched(), lit)

    def _judge(self, row: Row, t_ns: int, moving_ns: int, touched: int, lit: bool) -> Found:
        now_ns = self._clock.now_ns()
        truth = self._bench.world.log.rows([(t_ns, now_ns)])
        moving = now_ns - moving_ns < 2 * STEP_NS
        found = Found(
            name=row.name,
            place="lockstep",
            mode=self._mode,
            emitting=bool(truth.emitting[-1:].any()),
            moving=moving,
            off_ms=_ended_ms(truth.t_ns, truth.emitting, t_ns),
            line_ms=_ended_ms(truth.t_ns, truth.enabled, t_ns),
            still_ms=None if moving else (moving_ns + STEP_NS - t_ns) / 1e6,
            lost_ms=(self._lost_ns[0] - t_ns) / 1e6 if self._lost_ns else None,
            touched=touched,
            lit=lit,
            samples=len(truth.t_ns),
            came_back=bool((truth.emitting[1:] & ~truth.emitting[:-1]).any()),
            more=(*self._wrong, *dead_of(row, self._died, self._silent())),
            told=next((said for said in self._said if "latched" in said or "->" in said), next(iter(self._said), "")),
        )
        return replace(found, problems=problems_of(row, found, "\n".join(self._said)))

    def _break(self, row: Row, mending: ExitStack) -> Callable[[], int]:
        """Do what the row says; `mending` undoes it. What comes back says how much the fault has touched so far."""
        clock, cause, faults = self._clock, row.cause, self._bench.faults
        spoiled, withheld = faults.touched, clock.withheld
        if cause.kind == "device":
            faults.start(cause.target, cause.word, parameters=cause.numbers)
            mending.callback(faults.clear)
        elif cause.kind == "kill":
            clock.kill(cause.target)
            clock.sleep_until(clock.now_ns() + DEATH_NS)
            event = StationEvent("error", "DIED", f"{cause.target} was killed by SIGKILL and is not started again")
            self._bus.port(SUPERVISOR).publish(STATION_EVENT, event)
        elif cause.kind == "suspend":
            clock.suspend(cause.target, cause.for_s or 0.0)
        elif cause.kind == "starve":
            clock.starve(cause.target, cause.numbers["pause_s"])
            mending.callback(clock.starve, cause.target, 0.0)
        elif cause.kind == "utc":
            return self._step_utc(cause.numbers["step_s"], mending)
        elif cause.kind == "disk":
            recorder = TappedRecorder(clock, self._bus, self._folder / "recordings")
            recorder.open()
            mending.enter_context(_no_room())
            mending.callback(recorder.close)  # while there is no room yet
            self._turns.append(recorder.cycle)
            mending.callback(self._turns.clear)
            self._say_safe()
            return lambda: recorder.lost
        elif cause.kind == "vanish":
            held, self._held = self._held, None
            if held is not None:
                held.send(LEASE_KEEPER, "lease.renew", {"ttl_s": cause.numbers["ttl_s"]}, 1.0, True)
            return lambda: int(held is not None)
        elif cause.kind == "guest":
            visit = GUESTS[cause.word](clock, self._bus)
            mending.callback(self._bus.leave, "deaf")  # what it keeps would grow
            self._said += visit.told
            self._wrong += visit.wrong
            return lambda: visit.touched
        if cause.safe:
            self._say_safe()
        return lambda: faults.touched - spoiled + clock.withheld - withheld

    def _silent(self) -> list[str]:
        return [name for name in self._services if self._port.fresh(SERVICE_HEARTBEAT, name) is None]

    def _say_safe(self) -> None:
        for service in ("station", "safety"):
            self._port.call(service, "safe", {}, 1.0, True)

    def _step_utc(self, step_s: float, mending: ExitStack) -> Callable[[], int]:
        clock = self._clock
        ahead_ns = clock.utc_ns() - clock.now_ns()
        clock.step_utc(step_s)
        mending.callback(clock.step_utc, -step_s)
        return lambda: int(clock.utc_ns() - clock.now_ns() != ahead_ns)


def phase_ns(row: Row) -> int:
    """At which moment of a turn its fault comes: the same whenever it is played, another one for every row."""
    return random.Random(row.name).randrange(TURN_NS)


def _ended_ms(t_ns: NDArray[np.int64], on: NDArray[np.bool_], from_ns: int) -> float | None:
    """From the fault to the first row after the last that was on; None where that is the last of all, or none is."""
    last = int(np.flatnonzero(on)[-1]) if on.any() else -1
    return None if last + 1 >= len(on) else (int(t_ns[last + 1]) - from_ns) / 1e6


def _bench(folder: Path) -> Bench:
    """The pass, seen from a mount that is levelled, aligned and turned towards its rise; with a shutter in the beam."""
    rig_path = folder / "rig.toml"
    rig_path.write_text(DEFAULT_RIG.read_text(encoding="utf-8") + SHUTTER, encoding="utf-8")
    plan = _plan()
    start = plan.trajectory.receive(plan.target.rise_utc_ns - LEAD_NS)
    ready: dict[str, object] = {
        "start_azimuth_deg": math.degrees(start.azimuth_rad) % 360.0,
        "start_elevation_deg": math.degrees(start.elevation_rad),
    }
    overrides: dict[str, dict[str, object]] = {"misalignment": dict.fromkeys(MISALIGNMENT, 0.0), "gimbal": ready}
    utc0_ns = plan.target.rise_utc_ns - round(LEAD_S * NS)
    return open_bench(rig_path, plan.target.elements, utc0_ns, overrides=overrides)


@contextmanager
def _no_room() -> Iterator[None]:
    """No file of this process grows any more: what is refused is what a full disk refuses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
