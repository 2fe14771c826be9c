"""An emulated bench and a station, each in processes of its own, and what a test may ask of them."""

from __future__ import annotations

import json
import math
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import sim_hw.scenarios
from controller.bus.client import Client
from controller.bus.endpoints import STATION_SERVICES
from controller.bus.envelope import Lease
from controller.bus.holder import TTL_S, leased
from controller.bus.keys import make_key, make_station_key
from controller.bus.lease import LEASE_KEEPER
from controller.bus.topics import SERVICE_HEARTBEAT, SIM_TRUTH, STATION_EVENT, STATION_MODE, Truth
from controller.cli.connect import operator_security, table_of
from controller.cli.demo import DEFAULT_RIG, choose_pass
from controller.cli.factories import REALTIME
from controller.cli.rig import UTC_OFFSET, emulated_devices
from controller.pointing.plan import LEAD_NS, Plan
from hal.clock import NS, Deadline, ShiftedClock
from hal.rig import load_rig

START_BEFORE_S = 15.0
TWICE_S = 1.0  # from the first word to the second
START_TIMEOUT_S = 90.0  # imports of eight processes on a busy machine
MISALIGNMENT = ("index_azimuth_urad", "index_elevation_urad", "collimation_urad", "axis_north_urad", "axis_west_urad")
SUPERVISOR = "supervisor"
TARGET = "STARLINK-1281"  # over the north: the mount need not unwind first, which takes it two minutes


def free_ports(count: int) -> int:
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


def boresight(*arguments: str, log: Path) -> subprocess.Popen[bytes]:
    """The command, as the head of a process group of its own."""
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "controller.cli", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )


def end(process: subprocess.Popen[bytes], timeout_s: float = 30.0) -> int:
    """Ask a process to end; what does not is killed with its group, and is an error."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    return int(process.returncode)


def end_at_once(process: subprocess.Popen[bytes]) -> int:
    """Tell a station twice to end: it does not wait until the gimbal is parked."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(TWICE_S)
    return end(process)


def children_of(group: int) -> dict[str, int]:
    """Process ids of a station by service, the supervisor among them."""
    found = {SUPERVISOR: group}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_text()
            if os.getpgid(int(entry.name)) != group:
                continue
        except OSError:
            continue
        if name := re.search(r'"service":"(\w+)"', words):
            found[name[1]] = int(entry.name)
    return found


@dataclass
class Seen:
    """What came over the bus, in order."""

    bench_late_s: float = 0.0  # the bench's machine stood still for so long, which no real device does
    truths: list[Truth] = field(default_factory=list)
    modes: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)


class Bench:
    """The running emulator. Times are UTC nanoseconds of its world."""

    def __init__(self, folder: Path, plan: Plan, bus: str = "") -> None:
        """`bus`: further lines for [bus] of the rig."""
        self.folder = folder
        self.run_dir = folder / "run"
        self.base_port = free_ports(1 + 3 * len(STATION_SERVICES))
        self.rig_path = folder / "rig.toml"
        lines = f"base_port = {self.base_port}\n{bus}"
        self.rig_path.write_text(DEFAULT_RIG.read_text().replace("base_port = 5560\n", lines))
        self.rig = load_rig(self.rig_path, dict.fromkeys(emulated_devices(self.rig_path), ""))
        self.log = folder / "emulate.log"
        self.plan = plan
        self.process = boresight(
            *("emulate", "--rig", str(self.rig_path), "--run-dir", str(self.run_dir)),
            *("--scenario", str(self._scenario()), "--start-before", str(START_BEFORE_S)),
            *("--target", plan.target.elements.name),
            log=self.log,
        )
        addresses = self.run_dir / "addresses.json"
        deadline = Deadline(ShiftedClock(0), START_TIMEOUT_S)
        while not addresses.exists():
            assert self.process.poll() is None, self.log.read_text()
            assert not deadline.expired, self.log.read_text()
            ShiftedClock(0).sleep_until(ShiftedClock(0).now_ns() + NS // 20)
        self.clock = ShiftedClock(json.loads(addresses.read_text())[UTC_OFFSET])

    def _scenario(self) -> Path:
        """The default world with a mount that is levelled, aligned and turned towards the rise of the pass."""
        text = Path(sim_hw.scenarios.__file__).with_name("default.toml").read_text()
        start = self.plan.trajectory.receive(self.plan.target.rise_utc_ns - LEAD_NS)
        for key, value in {
            **dict.fromkeys(MISALIGNMENT, 0.0),
            "start_azimuth_deg": math.degrees(start.azimuth_rad) % 360,
            "start_elevation_deg": math.degrees(start.elevation_rad),
        }.items():
            text, count = re.subn(rf"(?m)^{key} = \S+", f"{key} = {value}", text)
            assert count == 1
        path = self.folder / "scenario.toml"
        path.write_text(text)
        return path

    def lateness(self) -> str:
        """What the bench says of itself, at its end."""
        return self.log.read_text().splitlines()[-1]


class Station:
    """`boresight run` and an operator's client of it."""

    def __init__(self, bench: Bench, *options: str) -> None:
        self.bench = bench
        self.clock = bench.clock
        self.log = bench.folder / "run.log"
        self.client = Client(table_of(bench.rig), "operator", bench.clock, operator_security(bench.rig))
        self.client.subscribe(STATION_MODE, STATION_EVENT, SERVICE_HEARTBEAT, SIM_TRUTH)
        self.seen = Seen()
        self._lease: Lease | None = None  # under which emission was armed: kept for as long as this listens
        self._renewal_due_ns = 0
        self.process = boresight(
            "run", "--rig", str(bench.rig_path), "--run-dir", str(bench.run_dir), *options, log=self.log
        )

    def watch(self, until: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Listen until a condition holds. Fails when it does not come to be."""
        deadline = Deadline(self.clock, timeout_s)
        while not until():
            assert not deadline.expired, f"{what} did not happen within {timeout_s:g} s:\n{self.told()}"
            self.listen(0.02)

    def listen(self, duration_s: float) -> None:
        """Take what comes for a while."""
        if self._lease is not None and self.clock.now_ns() >= self._renewal_due_ns:
            self._renewal_due_ns = self.clock.now_ns() + round(TTL_S / 3 * NS)
            self.client.send(LEASE_KEEPER, "lease.renew", {"ttl_s": TTL_S}, 2.0, True, self._lease)
        for sample in self.client.samples(duration_s):
            if sample.topic == SIM_TRUTH.name:
                self.seen.truths.append(sample.body)
                late_s = (sample.sent_utc_ns - sample.body.t_utc_ns) / NS
                self.seen.bench_late_s = max(self.seen.bench_late_s, late_s)
            elif sample.topic == STATION_MODE.name and self.seen.modes[-1:] != [sample.body.mode]:
                self.seen.modes.append(sample.body.mode)
            elif sample.topic == STATION_EVENT.name:
                self.seen.events.append(f"{sample.source}: {sample.body.message}")

    def told(self) -> str:
        """For a failed test: everything that anybody has said."""
        logs = sorted((self.bench.run_dir / "logs").glob("*.log"))
        parts = [f"{log.name}: {log.read_text()[-2000:]}" for log in (self.log, self.bench.log, *logs)]
        return "\n".join([*parts, f"modes: {self.seen.modes}", *self.seen.events[-20:]])

    @property
    def mode(self) -> Any:
        """The newest ModeState of this start of the station, or None while it is silent."""
        return self.client.store.fresh(STATION_MODE, "station", self.clock.now_ns())

    @property
    def truth(self) -> Truth:
        """The newest."""
        return self.seen.truths[-1]

    def alive(self) -> bool:
        """Every service has sent a heartbeat a moment ago."""
        now_ns = self.clock.now_ns()
        return all(self.client.store.fresh(SERVICE_HEARTBEAT, name, now_ns) is not None for name in REALTIME)

    def ask(self, service: str, *methods: str, body: dict[str, Any] | None = None) -> None:
        """Commands that are obeyed, under a lease of the station."""
        with leased(self.client, "station", "a test") as lease:
            for method in methods:
                reply = self.client.call(service, method, body, timeout_s=3.0, lease=lease)
                assert reply.code == "", f"{method}: {reply.message}\n{self.told()}"

    def order(self) -> dict[str, Any]:
        """Body of a track command for what is in the sky."""
        target = self.bench.plan.target
        return {
            "name": target.elements.name,
            "line1": target.elements.line1,
            "line2": target.elements.line2,
            "start_utc_ns": target.rise_utc_ns,
            "end_utc_ns": target.set_utc_ns,
        }

    def take_up(self) -> None:
        """Track what is in the sky and switch on, under a lease that is kept."""
        self.ask("station", "station.track", body=self.order())
        wish = {"scope": "laser", "ttl_s": TTL_S, "reason": "a test"}
        granted = self.client.call(LEASE_KEEPER, "lease.acquire", wish, 3.0, True)
        assert granted.body is not None, granted.message
        self._lease = Lease(granted.body["id"], granted.body["gen"])
        for method in ("safety.arm", "safety.confirm"):
            reply = self.client.call("safety", method, timeout_s=3.0, lease=self._lease)
            assert reply.code == "", f"{method}: {reply.message}\n{self.told()}"
        self.watch(lambda: self.truth.emitting and max(map(abs, self.truth.axis_command_rad_s)) > 0, 45.0, "emission")

    def children(self) -> dict[str, int]:
        """Process ids by service, the supervisor among them."""
        return children_of(self.process.pid)

    def end(self) -> int:
        """SIGTERM, twice."""
        try:
            return end_at_once(self.process)
        finally:
            self.client.close()


def planned() -> Plan:
    """The pass of the tests."""
    rig = load_rig(DEFAULT_RIG, dict.fromkeys(emulated_devices(DEFAULT_RIG), ""))
    return choose_pass(rig, None, TARGET, above_limits=False)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One emulated sky for the tests of a file: a pass lasts five minutes."""
    made = Bench(tmp_path_factory.mktemp("realtime"), planned())
    yield made
    end(made.process)


@pytest.fixture
def keyed_station(tmp_path: Path) -> Iterator[Station]:
    """A station with keys: anna commands, olga looks; mallory has its public half and is not listed."""
    folder = tmp_path / "keys"
    make_station_key(folder)
    make_key(folder, "anna", "operator")
    make_key(folder, "olga", "observer")
    make_key(tmp_path / "elsewhere", "mallory", "operator")
    shutil.copy2(folder / "station.public", tmp_path / "elsewhere")
    made = Bench(tmp_path, planned(), 'keys = "keys"\nkey = "anna"\n')
    with ExitStack() as stack:
        stack.callback(end, made.process)
        station = Station(made)
        stack.callback(station.end)
        station.watch(station.alive, 60.0, "the start")
        station.watch(lambda: station.mode is not None and bool(station.seen.truths), 5.0, "a mode")
        yield station


@pytest.fixture
def start(bench: Bench) -> Iterator[Callable[..., Station]]:
    """Starts stations; the last is ended at the latest with the test."""
    with ExitStack() as stack:

        def begin(*options: str) -> Station:
            station = Station(bench, *options)
            stack.callback(station.client.close)
            stack.callback(end_at_once, station.process)
            return station

        yield begin
