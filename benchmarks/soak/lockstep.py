"""The soak in simulated time: one process, every service a thread of the lockstep executor, one sky, one recording."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.soak.chance import Happening
from benchmarks.soak.human import Human
from benchmarks.soak.memory import Use
from benchmarks.soak.program import Outcome, Program
from benchmarks.soak.recordings import between, examine
from benchmarks.soak.sky import Sky, bounds
from benchmarks.soak.watch import Watch
from controller.bus.envelope import Envelope, Lease, body_of
from controller.bus.local import LocalBus, LocalPort
from controller.bus.port import Reply
from controller.bus.topics import (
    SAFETY_STATE,
    SERVICE_HEARTBEAT,
    SIM_TRUTH,
    STATION_EVENT,
    STATION_MODE,
    TRACKING_FINE,
    Body,
    ModeState,
    SafetyState,
    StationEvent,
    Topic,
    Truth,
)
from controller.cli import factories
from controller.cli.bench import open_bench
from controller.cli.demo import DEFAULT_RIG
from controller.errors import BoresightError
from controller.pointing.mount import MountModel
from controller.record import RotatingRecorder, Rotation, parts_of
from hal.clock import NS, RealClock
from hal.errors import HalError
from sim_hw.plant.coarse_block import LOAD

MISALIGNMENT = ("index_azimuth_urad", "index_elevation_urad", "collimation_urad", "axis_north_urad", "axis_west_urad")
BACKLASH_RAD = 75e-6  # half the scenario's play, which a calibration finds
KEEP_S = 60.0
SEEN_DEAD_NS = NS // 50  # the supervisor polls its children so often
LOOKED_AT = frozenset({"sim/truth/line_of_sight", "safety/state", "station/mode", "safety/trip"})
MEMORY_NS = 60 * NS
Tell = Callable[[str], None]


class DeathError(Exception):
    """A fault of a service's own, injected."""


class MortalPort:
    """A service's port that can end it: at its next word by an exception, or in good order."""

    def __init__(self, port: LocalPort) -> None:
        self._port = port
        self.doomed = False
        self.ended = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    @property
    def stopped(self) -> bool:
        return self.ended or self._port.stopped

    def publish(self, topic: Topic, body: Body) -> None:
        if self.doomed:
            self.doomed = False
            raise DeathError
        self._port.publish(topic, body)


class Soak:
    """`run` flies the program; `wall_s` ends it after the pass that is under way then."""

    def __init__(
        self,
        program: Program,
        folder: Path,
        seed: int = 1,
        wall_s: float = float("inf"),
        tell: Tell = print,
        so_far: Callable[[Outcome], None] = lambda outcome: None,
    ) -> None:
        self._program = program
        self._folder = folder
        self._tell = tell
        self._so_far = so_far
        self._wall = RealClock()
        self._wall_s = wall_s
        first = program.flights[0].plan.target
        targets = list({id(f.plan): f.plan.target for f in program.flights}.values())
        sky = Sky(targets) if len(targets) > 1 else first.elements
        overrides: dict[str, dict[str, object]] = {"misalignment": dict.fromkeys(MISALIGNMENT, 0.0)}
        self._bench = open_bench(DEFAULT_RIG, sky, program.begin_ns, "default", seed, overrides=overrides)
        assert self._bench.lockstep is not None
        self._bench.world.log.keep_s = KEEP_S
        self._clock = self._bench.lockstep
        MountModel(BA=BACKLASH_RAD, BE=BACKLASH_RAD).save(folder / factories.MODEL_FILE, "simulated")
        self._bus = LocalBus(self._clock, seed)
        self._watch = Watch(bounds(self._bench.rig, program.begin_ns, program.end_ns))
        self._desk = _Desk(self)
        self._human = Human(self._desk, self._watch.consent)
        self._outcome = Outcome(program, self._watch, self._human)
        self._use = Use()
        self._ports: dict[str, MortalPort] = {}
        self._start = 0  # of the station
        self._began_wall_ns = 0
        self._heard: list[tuple[str, Envelope]] = []

    def run(self) -> Outcome:
        """Fly, then look at the recordings. A service that dies of its own is a problem of the outcome."""
        outcome = self._outcome
        began_ns = self._began_wall_ns = self._wall.now_ns()
        first = self._folder / "soak.mcap"
        recorder = RotatingRecorder(first, 0, {}, rotation=Rotation(), flush_ns=NS)
        self._bus.tap(self._tap)
        for name in factories.SERVICES:
            self._clock.spawn(name, partial(self._serve, name))
        self._clock.spawn("bench", partial(self._publish_truth, recorder))
        self._clock.spawn("chance", self._break_things)
        self._clock.spawn("operator", self._operate)
        try:
            self._clock.run()
        finally:
            self._record(recorder)
            recorder.close()
            self._bench.close()
        outcome.simulated_s, outcome.wall_s = self._clock.now_ns() / NS, (self._wall.now_ns() - began_ns) / NS
        outcome.problems += [f"{name} ended: {error!r}" for name, error in self._clock.failures.items()]
        outcome.gaps = self._bus.gaps_by_topic()
        outcome.use["the whole station"] = self._use
        self._check_recordings(first)
        return outcome

    def _check_recordings(self, first: Path) -> None:
        outcome = self._outcome
        self._tell("looking at the recordings")
        outcome.recordings = [examine(path) for path in parts_of(first)]
        outcome.problems += [f"{part['file']} has no index" for part in outcome.recordings if not part["finished"]]
        missing = between(outcome.recordings)
        if missing:
            outcome.problems.append(f"recordings lack {dict(missing)}")
        recorded, said = sum(part["messages"] for part in outcome.recordings), sum(self._watch.heard.values())
        if recorded != said:
            outcome.problems.append(f"{said} messages were sent and {recorded} are recorded")

    # The station

    def _serve(self, name: str) -> None:
        bus, clock = self._bus, self._clock
        while not bus.stopped:
            start = self._start
            port = self._ports[name] = MortalPort(bus.port(name))
            try:
                getattr(factories, name)(clock, port, self._bench.rig, self._folder).run()
            except DeathError:
                self._seen_dead(name, "died with exit code 4")
            except (HalError, BoresightError) as error:
                self._seen_dead(name, f"refused to start: {error}")
            except Exception as error:
                if DeathError.__name__ not in "".join(traceback.format_exception(error)):
                    self._outcome.problems.append(f"{name}: {''.join(traceback.format_exception(error))}")
                self._seen_dead(name, "died with exit code 4")
            bus.leave(name)
            while self._start == start and not bus.stopped:
                clock.sleep_until(clock.now_ns() + NS // 10)

    def _seen_dead(self, name: str, how: str) -> None:
        """What the supervisor says of it."""
        self._clock.sleep_until(self._clock.now_ns() + SEEN_DEAD_NS)
        told = StationEvent("error", "DIED", f"{name} {how} and is not started again by itself")
        self._bus.port("supervisor").publish(STATION_EVENT, told)

    def start_again(self) -> None:
        """End what is left of the station and start it anew, as `boresight run` does."""
        self._start += 1
        for port in self._ports.values():
            port.ended = True

    # The world

    def _publish_truth(self, recorder: RotatingRecorder) -> None:
        port, clock, world = self._bus.port("bench"), self._clock, self._bench.world
        due_ns, memory_ns, turn = clock.now_ns(), 0, 0
        while not self._bus.stopped:
            port.publish(SIM_TRUTH, Truth(**world.truth()))
            self._record(recorder)
            if turn % round(SIM_TRUTH.rate_hz) == 0:
                azimuth, elevation = (float(axis[LOAD]) for axis in world.gimbal.state)
                self._watch.boresight(clock.utc_ns(), *world.axis_boresight_rad(azimuth, elevation))
                self._watch.counted(clock.utc_ns(), self._bus.gaps_by_topic())
            if clock.now_ns() >= memory_ns and self._watch.mode == "STOWED":
                memory_ns = clock.now_ns() + MEMORY_NS
                gc.collect()
                self._use.sample(clock.now_ns() / NS)
            turn += 1
            due_ns += round(NS / SIM_TRUTH.rate_hz)
            clock.sleep_until(due_ns)

    def _record(self, recorder: RotatingRecorder) -> None:
        heard, self._heard = self._heard, []
        for topic, envelope in heard:
            recorder.write(topic, envelope)
        recorder.tick(self._clock.now_ns())

    def _tap(self, topic: str, envelope: Envelope) -> None:
        self._heard.append((topic, envelope))
        body = body_of(envelope) if topic in LOOKED_AT else None
        self._watch.hear(topic, envelope.src, envelope.boot, envelope.seq, envelope.t, body)

    # What is done to it

    def _break_things(self) -> None:
        for happening in self._program.happenings:
            self._desk.sleep_to(happening.t_ns)
            if self._bus.stopped:
                return
            self._do(happening)

    def _do(self, happening: Happening) -> None:
        now_ns, port = self._clock.utc_ns(), self._bus.port("chance")
        end_ns = now_ns + round(happening.for_s * NS)
        self._watch.cause(happening.what, now_ns, end_ns)
        if happening.kill:
            self._ports[happening.kill].doomed = True
        elif happening.word:
            self._bench.faults.start(happening.device, happening.word, for_s=happening.for_s)
        else:
            for service in ("station", "pointing", "safety"):
                port.call(service, "stop", {}, 1.0, control=True)

    # The operator

    def _operate(self) -> None:
        human, watch, program = self._human, self._watch, self._program
        human.wait_for_station()
        for number, flight in enumerate(program.flights, 1):
            human.rest(flight.begin_ns)
            mode = watch.mode
            human.fly(flight.plan, flight.end_ns)
            verdict = self._outcome.over(flight, mode)
            wall_s = (self._wall.now_ns() - self._began_wall_ns) / NS
            self._outcome.simulated_s, self._outcome.wall_s = self._clock.now_ns() / NS, wall_s
            self._outcome.use["the whole station"] = self._use
            self._outcome.gaps = self._bus.gaps_by_topic()
            self._so_far(self._outcome)
            done = (self._clock.utc_ns() - program.begin_ns) / (program.end_ns - program.begin_ns)
            eta_min = wall_s / max(done, 1e-9) * (1 - done) / 60
            how = "held" if verdict.held else "lost"
            why = "; ".join(verdict.causes + [f"UNEXPLAINED {what}" for what in verdict.unexplained])
            self._tell(
                f"pass {number} of {len(program.flights)}, {verdict.target}: {how}, LINK {verdict.link_s:.0f} s"
                f"{f' ({why})' if why else ''}; {len(watch.unsafe)} unsafe seconds; "
                f"{self._use.rss_kb[-1] / 1024:.0f} MB; {done:.0%} done, {eta_min:.0f} min to go"
            )
            if wall_s > self._wall_s:
                break
        else:
            human.rest(program.end_ns)
        self._bus.stop()


class _Desk:
    """The operator's desk on the bus of lockstep."""

    def __init__(self, soak: Soak) -> None:
        self._soak = soak
        self._port = soak._bus.port("operator")

    def call(
        self,
        service: str,
        method: str,
        body: dict[str, Any],
        timeout_s: float,
        control: bool = False,
        lease: Lease | None = None,
    ) -> Reply:
        return self._port.call(service, method, body, timeout_s, control, lease)

    def utc_ns(self) -> int:
        return self._soak._clock.utc_ns()

    def pause(self, seconds: float) -> None:
        clock = self._soak._clock
        clock.sleep_until(clock.now_ns() + round(seconds * NS))

    def sleep_to(self, t_utc_ns: int) -> None:
        """In pieces, so that a soak that ends early is not waited for."""
        clock = self._soak._clock
        while clock.utc_ns() < t_utc_ns and not self._soak._bus.stopped:
            clock.sleep_until(clock.now_ns() + min(t_utc_ns - clock.utc_ns(), 10 * NS))

    def mode(self) -> ModeState | None:
        return self._port.fresh(STATION_MODE)

    def safety(self) -> SafetyState | None:
        return self._port.fresh(SAFETY_STATE)

    def latched(self) -> bool:
        fine = self._port.fresh(TRACKING_FINE)
        return fine is not None and fine.latched

    def absent(self) -> list[str]:
        return [name for name in factories.SERVICES if self._port.fresh(SERVICE_HEARTBEAT, name) is None]

    def start_again(self) -> None:
        self._soak.start_again()
