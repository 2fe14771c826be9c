"""The soak in real time: `boresight emulate` and `run` as processes, faults by `boresight fault`, kills by pid.

The passes are arcs of one long pass of a satellite at 8000 km, so that the emulated sky need not be exchanged.
"""

from __future__ import annotations

import heapq
import json
import math
import os
import random
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import sim_hw.scenarios
from benchmarks.soak.chance import Happening, Odds, draw
from benchmarks.soak.human import Human
from benchmarks.soak.memory import Use
from benchmarks.soak.passes import Cause
from benchmarks.soak.program import Flight, Outcome, Program
from benchmarks.soak.recordings import look_at
from benchmarks.soak.sky import bounds, rig_of
from benchmarks.soak.watch import STALL, Watch
from controller.bus.client import Client
from controller.bus.endpoints import STATION_SERVICES, static_table
from controller.bus.envelope import Envelope, Lease, body_of
from controller.bus.port import Reply
from controller.bus.topics import (
    SAFETY_STATE,
    SERVICE_HEARTBEAT,
    SIM_TRUTH,
    STATION_MODE,
    TRACKING_FINE,
    ModeState,
    SafetyState,
)
from controller.cli.demo import DEFAULT_RIG, choose_pass
from controller.cli.factories import MODEL_FILE, REALTIME
from controller.cli.rig import UTC_OFFSET
from controller.pointing.mount import MountModel
from controller.pointing.plan import LEAD_NS, Plan
from hal.clock import NS, ShiftedClock

TARGET = "O3B FM14"  # CelesTrak, active.txt of 2025-10-03
ELEMENTS = Path(__file__).with_name("high.tle")
SCENARIO = {  # levelled and aligned, and light as from 800 km: a narrower downlink from ten times as far
    "index_azimuth_urad": 0.0,
    "index_elevation_urad": 0.0,
    "collimation_urad": 0.0,
    "axis_north_urad": 0.0,
    "axis_west_urad": 0.0,
    "reference_range_m": 9.5e6,
    "downlink_divergence_urad": 10.0,
}
BACKLASH_RAD = 75e-6
EVERY_NS, ARC_NS, FIRST_NS = 600 * NS, 400 * NS, 20 * NS
LAST_NS = 40 * NS
START_BEFORE_S = 60.0
START_S, END_S, COMMAND_S = 240.0, 30.0, 60.0
STANDSTILL_NS = NS // 10  # three attempts to reach the beam board take 0.2 s
SILENT_NS = 3 * NS // 10  # of the supervisor's heartbeat, which is ten a second
ORDER_NS = 2 * NS  # what one service said may come so much after what another said later
MEMORY_NS = 20 * NS
FILE_MAX_MIN = 2.0  # a recording: its index has grown and gone thirty times in an hour
WARM_UP_S = 600.0  # of each process: one pass, five recordings
PERIOD_S = EVERY_NS / NS  # what may grow and shrink in it does so with each pass
LONG_S = PERIOD_S + 480.0  # what a slope needs after the warm-up
LOOKED_AT = frozenset({"sim/truth/line_of_sight", "safety/state", "station/mode", "safety/trip", "pointing/state"})
MORTALS = ("safety", "station", "pointing", "tracking", "link", "recorder")
Tell = Callable[[str], None]


def program_of(plan: Plan, begin_ns: int, hours: float, seed: int) -> Program:
    """A pass every ten minutes; processes are killed in the first half, so that in the second all of them grow old."""
    end_ns = begin_ns + round(hours * 3600 * NS)
    flights = []
    at_ns = begin_ns + FIRST_NS
    while at_ns + ARC_NS <= end_ns:
        flights.append(Flight(plan, at_ns, at_ns + ARC_NS))
        at_ns += EVERY_NS
    windows = [(flight.begin_ns + 60 * NS, flight.end_ns - LAST_NS) for flight in flights]
    early = len(windows) // 2
    often = Odds(first=1.0, second=0.7, between=1.0, death=0.8, stop=0.3)
    happenings = draw(seed, windows, end_ns - 60 * NS, often, MORTALS)
    until_ns = windows[early][0] if windows else end_ns
    kept = [h for h in happenings if not h.kill or h.t_ns < until_ns]
    return Program(flights, kept, begin_ns, end_ns, WARM_UP_S)


class Bench:
    """The processes, and an operator's client of them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.run_dir = folder, folder / "run"
        self.run_dir.mkdir(parents=True)
        self.plan = choose_pass(rig_of(), ELEMENTS, TARGET, above_limits=False)
        self.base_port = _free_ports(1 + 3 * len(STATION_SERVICES))
        self.rig_path = folder / "rig.toml"
        rig = DEFAULT_RIG.read_text()
        for key, value in (("base_port", self.base_port), ("file_max_min", FILE_MAX_MIN)):
            rig = _set(rig, key, value)
        self.rig_path.write_text(rig)
        MountModel(BA=BACKLASH_RAD, BE=BACKLASH_RAD).save(self.run_dir / MODEL_FILE, "simulated")
        self.emulate = self._boresight(
            *("emulate", "--seed", str(seed), "--scenario", str(self._scenario())),
            *("--tle", str(ELEMENTS), "--target", TARGET, "--start-before", str(START_BEFORE_S)),
            log="emulate",
        )
        addresses, wall = self.run_dir / "addresses.json", ShiftedClock(0)
        end_ns = wall.now_ns() + round(START_S * NS)
        while not addresses.exists():
            if self.emulate.poll() is not None or wall.now_ns() > end_ns:
                raise RuntimeError((folder / "emulate.log").read_text())
            wall.sleep_until(wall.now_ns() + NS // 10)
        self.clock = ShiftedClock(json.loads(addresses.read_text())[UTC_OFFSET])
        table = static_table(base_port=self.base_port)
        self.client = Client(table, "operator", self.clock)
        self.ear = Client(table, "watch", self.clock)  # of its own: a client that waits for an answer passes nothing on
        self.ear.subscribe_all()
        self.run = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        self.run = self._boresight("run", log="run")
        return self.run

    def fault(self, happening: Happening) -> subprocess.Popen[bytes]:
        """`boresight fault`, which takes a while on a busy machine."""
        return self._boresight(
            "fault", happening.device, happening.word, "--for", f"{happening.for_s:.2f}", log="fault", rig=False
        )

    def children(self) -> dict[str, int]:
        """Process ids by service, emulator and supervisor among them."""
        found = {"emulate": self.emulate.pid, "supervisor": self.run.pid}
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (entry / "cmdline").read_text()
                if f'"parent":{self.run.pid},' in words and (name := re.search(r'"service":"(\w+)"', words)):
                    found[name[1]] = int(entry.name)
        return found

    def close(self) -> None:
        for process in (self.run, self.emulate):
            _end(process)
        self.client.close()
        self.ear.close()

    def _boresight(self, verb: str, *arguments: str, log: str, rig: bool = True) -> subprocess.Popen[bytes]:
        common = ["--run-dir", str(self.run_dir), *(["--rig", str(self.rig_path)] if rig else [])]
        with (self.folder / f"{log}.log").open("ab") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "controller.cli", verb, *arguments, *common],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def _scenario(self) -> Path:
        text = Path(sim_hw.scenarios.__file__).with_name("default.toml").read_text()
        start = self.plan.trajectory.receive(self.plan.target.rise_utc_ns - LEAD_NS)
        at = {
            "start_azimuth_deg": math.degrees(start.azimuth_rad) % 360,
            "start_elevation_deg": math.degrees(start.elevation_rad),
        }
        for key, value in {**SCENARIO, **at}.items():
            text = _set(text, key, value)
        path = self.folder / "scenario.toml"
        path.write_text(text)
        return path


class Desk:
    """What the operator does takes place here; while he waits, telemetry is watched and things are broken."""

    def __init__(self, bench: Bench, program: Program, watch: Watch, tell: Tell) -> None:
        self._bench = bench
        self._watch = watch
        self._tell = tell
        self._coming = list(program.happenings)
        self._starting: list[tuple[subprocess.Popen[bytes], Happening, int, int]] = []
        self._memory_due_ns = 0
        self._counted_ns = 0
        self.use: dict[tuple[str, int], Use] = {}
        self.problems: list[str] = []
        self.late_s = 0.0  # the bench, at most
        self.stalls = 0
        self.late = 0  # times that the station's machine was
        self._beat = (b"", 0)
        self._came: list[tuple[int, int, Envelope, Any]] = []  # not heard yet: services are judged in the order of time
        self._order = count()
        self._late_ns = 0

    def call(
        self,
        service: str,
        method: str,
        body: dict[str, Any],
        timeout_s: float,
        control: bool = False,
        lease: Lease | None = None,
    ) -> Reply:
        return self._bench.client.call(service, method, body, timeout_s, control, lease)

    def utc_ns(self) -> int:
        return self._bench.clock.utc_ns()

    def pause(self, seconds: float) -> None:
        end_ns = self.utc_ns() + round(seconds * NS)
        while (left_ns := end_ns - self.utc_ns()) > 0:
            self._listen(min(left_ns / NS, 0.1))
            self._break_things()
            self._measure()

    def mode(self) -> ModeState | None:
        return self._bench.ear.store.fresh(STATION_MODE, "station", self._bench.clock.now_ns())

    def safety(self) -> SafetyState | None:
        return self._bench.ear.store.fresh(SAFETY_STATE, "safety", self._bench.clock.now_ns())

    def latched(self) -> bool:
        fine = self._bench.ear.store.fresh(TRACKING_FINE, "tracking", self._bench.clock.now_ns())
        return fine is not None and fine.latched

    def absent(self) -> list[str]:
        store, now_ns = self._bench.ear.store, self._bench.clock.now_ns()
        return [name for name in REALTIME if store.fresh(SERVICE_HEARTBEAT, name, now_ns) is None]

    def start_again(self) -> None:
        self._tell("  the operator ends the station and starts it again")
        run = self._bench.run
        run.terminate()
        end_ns = self.utc_ns() + round(END_S * NS)
        while run.poll() is None and self.utc_ns() < end_ns:
            self._listen(0.1)
        _end(run)
        self._bench.start()

    def _listen(self, seconds: float) -> None:
        watch = self._watch
        for envelope in self._bench.ear.envelopes(seconds):
            body = body_of(envelope) if envelope.m in LOOKED_AT else None
            if envelope.m == SIM_TRUTH.name and body is not None:
                self._stood_still(envelope.t, body.t_utc_ns)
            if envelope.m == SERVICE_HEARTBEAT.name and envelope.src == "supervisor":
                self._was_late(envelope.boot, envelope.t)
            true_ns = body.t_utc_ns if envelope.m == SIM_TRUTH.name and body is not None else envelope.t
            heapq.heappush(self._came, (true_ns, next(self._order), envelope, body))
        while self._came and self._came[0][0] < self.utc_ns() - ORDER_NS:
            _, _, envelope, body = heapq.heappop(self._came)
            watch.hear(envelope.m, envelope.src, envelope.boot, envelope.seq, envelope.t, body)
            if envelope.m == "pointing/state" and body is not None:
                watch.boresight(body.t_utc_ns, body.azimuth_rad, body.elevation_rad)
        if self.utc_ns() >= self._counted_ns:
            self._counted_ns = self.utc_ns() + NS
            watch.counted(self.utc_ns(), self._bench.ear.store.gaps)

    def _was_late(self, boot: bytes, sent_ns: int) -> None:
        """The supervisor waits for no device: where it is silent, the station's machine had no time for it."""
        (boot_before, before_ns), self._beat = self._beat, (boot, sent_ns)
        if boot == boot_before and sent_ns - before_ns > SILENT_NS:
            self.late += 1
            silent_s = (sent_ns - before_ns) / NS
            what = f"the station's machine was late: its supervisor was silent for {silent_s:.2f} s"
            self._watch.cause(what, before_ns, sent_ns)

    def _stood_still(self, sent_ns: int, true_ns: int) -> None:
        """The bench's machine had no time for it, and so every device was silent, which no real device does."""
        late_ns = sent_ns - true_ns
        self.late_s = max(self.late_s, late_ns / NS)
        if late_ns > STANDSTILL_NS and sent_ns - self._late_ns > NS:
            self._late_ns = sent_ns
            self.stalls += 1
            self._watch.cause(f"{STALL} for {late_ns / NS:.2f} s", true_ns, sent_ns)

    def _break_things(self) -> None:
        now_ns = self.utc_ns()
        for entry in list(self._starting):
            process, happening, began_ns, index = entry
            if (code := process.poll()) is not None:
                self._starting.remove(entry)
                end_ns = now_ns + round(happening.for_s * NS)
                self._watch.causes[index] = Cause(happening.what, began_ns, end_ns)
                if code:
                    self.problems.append(f"boresight fault {happening.device} {happening.word}: exit code {code}")
            elif now_ns - began_ns > COMMAND_S * NS:
                process.kill()
        while self._coming and self._coming[0].t_ns <= now_ns:
            self._do(self._coming.pop(0), now_ns)

    def _do(self, happening: Happening, now_ns: int) -> None:
        self._tell(f"  {happening.what}")
        if happening.word:
            at_most_ns = now_ns + round((COMMAND_S + happening.for_s) * NS)
            self._watch.cause(happening.what, now_ns, at_most_ns)
            process = self._bench.fault(happening)
            self._starting.append((process, happening, now_ns, len(self._watch.causes) - 1))
            return
        if happening.kill:
            if (pid := self._bench.children().get(happening.kill)) is None:
                self._tell(f"  {happening.kill} was not there to be killed")  # and so it is no death
                return
            self._watch.cause(happening.what, now_ns, now_ns)
            os.kill(pid, signal.SIGKILL)
            return
        self._watch.cause(happening.what, now_ns, now_ns)
        for service in ("station", "pointing", "safety"):
            self.call(service, "stop", {}, 1.0, control=True)

    def _measure(self) -> None:
        now_ns = self.utc_ns()
        if now_ns < self._memory_due_ns:
            return
        self._memory_due_ns = now_ns + MEMORY_NS
        for name, pid in self._bench.children().items():
            self.use.setdefault((name, pid), Use(period_s=PERIOD_S)).sample(now_ns / NS, pid)


def soak(
    hours: float, folder: Path, seed: int, tell: Tell, so_far: Callable[[Outcome], None] = lambda outcome: None
) -> Outcome:
    """Fly it; `so_far` gets what is known after each pass. Everything that was started is ended again."""
    with ExitStack() as stack:
        tell("starting the bench and the station")
        bench = Bench(folder, seed)
        stack.callback(bench.close)
        rig, wall = rig_of(), ShiftedClock(0)
        begin_ns = max(bench.clock.utc_ns() + 45 * NS, bench.plan.target.rise_utc_ns)
        program = program_of(bench.plan, begin_ns, hours, seed)
        watch = Watch(bounds(rig, bench.clock.utc_ns(), program.end_ns + 600 * NS))
        desk = Desk(bench, program, watch, tell)
        human = Human(desk, watch.consent)
        outcome = Outcome(program, watch, human)
        began_ns, started_ns = wall.now_ns(), bench.clock.utc_ns()
        human.wait_for_station()
        for number, flight in enumerate(program.flights, 1):
            human.rest(flight.begin_ns)
            mode = watch.mode
            human.fly(flight.plan, flight.end_ns)
            desk.pause(1.0 + ORDER_NS / NS)  # what was sent in time has come, and is heard
            verdict = outcome.over(flight, mode)
            outcome.simulated_s = (bench.clock.utc_ns() - started_ns) / NS
            outcome.wall_s = (wall.now_ns() - began_ns) / NS
            outcome.gaps = dict(bench.ear.store.gaps)
            outcome.stalls, outcome.late_s, outcome.late = desk.stalls, desk.late_s, desk.late
            so_far(outcome)
            why = "; ".join(verdict.causes + [f"UNEXPLAINED {what}" for what in verdict.unexplained])
            left_min = (program.end_ns - bench.clock.utc_ns()) / NS / 60
            tell(
                f"pass {number} of {len(program.flights)}: {'held' if verdict.held else 'lost'}, "
                f"LINK {verdict.link_s:.0f} s ({why}); {len(watch.unsafe)} unsafe seconds; {left_min:.0f} min to go"
            )
        human.rest(program.end_ns)
        outcome.simulated_s = (bench.clock.utc_ns() - started_ns) / NS
        outcome.wall_s = (wall.now_ns() - began_ns) / NS
        outcome.gaps = dict(bench.ear.store.gaps)
    outcome.problems += desk.problems
    outcome.use = {f"{name} {pid}": _warm(use) for (name, pid), use in desk.use.items() if _long(use)}
    judged = {name for (name, _), use in desk.use.items() if _long(use)}
    outcome.problems += [f"no {name} lived long enough to judge its memory" for name in MORTALS if name not in judged]
    tell("looking at the recordings")
    outcome.recordings, problems = look_at(bench.run_dir)
    outcome.problems += problems
    return outcome


def _long(use: Use) -> bool:
    return bool(use.t_s) and use.t_s[-1] - use.t_s[0] > WARM_UP_S + LONG_S


def _warm(use: Use) -> Use:
    """With time since the process was first seen."""
    return replace(use, t_s=[t_s - use.t_s[0] for t_s in use.t_s])


def _set(text: str, key: str, value: float) -> str:
    """A TOML file with another value of one key."""
    text, found = re.subn(rf"(?m)^{key} = \S+", f"{key} = {value}", text)
    if found != 1:
        raise RuntimeError(f"there are {found} times {key}")
    return text


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _free_ports(count: int) -> int:
    """A base port below the range that the kernel draws from."""
    while True:
        base = random.randrange(10_000, 30_000)
        with ExitStack() as held:
            try:
                for port in range(base, base + count):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
        return base
