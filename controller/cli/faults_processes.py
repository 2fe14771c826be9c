"""A bench and a station as processes of their own, for the rows of the fault table that need them, and benchmarks.

Everything is on loopback, and only what was started here is ended, by its process id.
"""

from __future__ import annotations

import json
import math
import os
import random
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import zmq

from controller.bus.client import Client
from controller.bus.endpoints import STATION_SERVICES, Endpoints, static_table
from controller.bus.envelope import Lease
from controller.bus.holder import TTL_S, LeaseRefusedError, acquire
from controller.bus.keys import SECRET, make_key, make_station_key
from controller.bus.lease import LEASE_KEEPER
from controller.bus.port import Sample
from controller.bus.roles import Role
from controller.bus.security import Security, client_security
from controller.bus.topics import (
    SAFETY_ENABLE,
    SAFETY_STATE,
    SAFETY_TRIP,
    SERVICE_HEARTBEAT,
    SIM_TRUTH,
    STATION_EVENT,
    STATION_MODE,
)
from controller.cli.bench import default_scenario
from controller.cli.demo import DEFAULT_RIG, choose_pass
from controller.cli.factories import REALTIME
from controller.cli.fault import tell_bench
from controller.cli.rig import ADDRESS_FILE, UTC_OFFSET, emulated_devices
from controller.errors import BoresightError
from controller.pointing.plan import LEAD_NS, Plan, order
from hal.clock import NS, Deadline, ShiftedClock
from hal.rig import load_rig

TARGET = "STARLINK-1281"
START_BEFORE_S = 15.0
MISALIGNMENT = ("index_azimuth_urad", "index_elevation_urad", "collimation_urad", "axis_north_urad", "axis_west_urad")
START_TIMEOUT_S = 300.0  # imports of eight processes on a busy machine
TWICE_S, END_S = 1.0, 30.0  # from the first word to the second, and to the end
LISTEN_S = 0.02
RENEWAL_NS = round(TTL_S / 3 * NS)  # two may be lost


class ProcessError(BoresightError):
    """A process does not do what it is there for."""


def _boresight(*arguments: str, log: Path) -> subprocess.Popen[bytes]:
    """The command, as the head of a process group of its own."""
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "controller.cli", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )


def _end(process: subprocess.Popen[bytes]) -> int:
    """Tell a process twice to end: a station then does not wait until it has parked. What does not end is killed."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(TWICE_S)
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_S)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return int(process.returncode)


def _free_ports(count: int) -> int:
    """A base port below the range that the kernel draws from."""
    for _ in range(1000):
        base = random.randrange(10_000, 30_000)
        with ExitStack() as held, suppress(OSError):
            for port in range(base, base + count):
                held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return base
    raise ProcessError("no free ports on 127.0.0.1; end what holds them.")


def state_of(pid: int) -> str:
    """The kernel's letter for what a process does: T where it is stopped; empty where there is none."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2][:1]
    return ""


def _children_of(pid: int) -> Iterator[tuple[int, str]]:
    """What a process's main thread has started, and with which words."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split():
        with suppress(OSError):
            yield int(child), Path(f"/proc/{child}/cmdline").read_text(encoding="utf-8")


def gone(pid: int) -> bool:
    """It has ended; whoever started it may not have asked for it yet."""
    return state_of(pid) in {"", "Z", "X"}


def pass_plan() -> Plan:
    """The pass that is flown: over the north, so that the mount need not unwind first."""
    rig = load_rig(DEFAULT_RIG, dict.fromkeys(emulated_devices(DEFAULT_RIG), ""))
    return choose_pass(rig, None, TARGET, above_limits=False)


class RunningBench:
    """`boresight emulate` of one pass, under a mount that is levelled, aligned and turned towards its rise.

    `clock` has its UTC and the machine's monotonic time.
    """

    def __init__(self, folder: Path, plan: Plan, keyed: bool = False) -> None:
        self.keys = folder / "keys" if keyed else None
        self.folder, self.run_dir, self.plan = folder, folder / "run", plan
        self.base_port = _free_ports(1 + 3 * len(STATION_SERVICES))
        self.rig_path = folder / "rig.toml"
        text = DEFAULT_RIG.read_text(encoding="utf-8")
        if self.keys is not None:
            make_station_key(self.keys)
            text = text.replace("[bus]\n", f'[bus]\nkeys = "{self.keys.name}"\n')
        self.rig_path.write_text(text.replace("base_port = 5560", f"base_port = {self.base_port}"), encoding="utf-8")
        self.log = folder / "emulate.log"
        options = ["--rig", str(self.rig_path), "--run-dir", str(self.run_dir), "--scenario", str(self._scenario())]
        options += ["--start-before", str(START_BEFORE_S), "--target", plan.target.elements.name]
        self.process = _boresight("emulate", *options, log=self.log)
        addresses, wall = self.run_dir / ADDRESS_FILE, ShiftedClock(0)
        deadline = Deadline(wall, START_TIMEOUT_S)
        while not addresses.exists():
            if self.process.poll() is not None or deadline.expired:
                self.close()
                raise ProcessError(f"the bench did not start: {self.log.read_text(encoding='utf-8')[-500:]}")
            wall.sleep_until(wall.now_ns() + NS // 20)
        self.clock = ShiftedClock(json.loads(addresses.read_text(encoding="utf-8"))[UTC_OFFSET])

    def _scenario(self) -> Path:
        text = default_scenario()
        start = self.plan.trajectory.receive(self.plan.target.rise_utc_ns - LEAD_NS)
        for key, value in {
            **dict.fromkeys(MISALIGNMENT, 0.0),
            "start_azimuth_deg": math.degrees(start.azimuth_rad) % 360,
            "start_elevation_deg": math.degrees(start.elevation_rad),
        }.items():
            text, count = re.subn(rf"(?m)^{key} = \S+", f"{key} = {value}", text)
            if count != 1:
                raise ProcessError(f"the default scenario has {count} keys {key}")
        path = self.folder / "scenario.toml"
        path.write_text(text, encoding="utf-8")
        return path

    @property
    def table(self) -> dict[str, Endpoints]:
        """Where the services of a station on this bench listen."""
        return static_table(base_port=self.base_port)

    def client(self, name: str, role: Role = "operator") -> Client:
        """Somebody of that name; where there are keys with one of that role."""
        return Client(self.table, name, self.clock, self._security(name, role))

    def dial(self, socket: zmq.Socket[bytes], name: str) -> None:
        """Let a bare socket in, as somebody of that name."""
        security = self._security(name, "operator")
        if security is not None:
            security.dial(socket)

    def _security(self, name: str, role: Role) -> Security | None:
        if self.keys is None:
            return None
        if not (self.keys / f"{name}{SECRET}").exists():
            make_key(self.keys, name, role)
        return client_security(self.keys, name)

    def fault(self, wish: dict[str, Any]) -> None:
        """A wish to its fault panel, as `boresight fault` sends it. Raises BoresightError."""
        answer = tell_bench(self.run_dir, wish)
        if "error" in answer:
            raise ProcessError(str(answer["error"]))

    def close(self) -> None:
        """Ctrl-C."""
        _end(self.process)


class RunningStation:
    """`boresight run` on a bench, and an operator's client of it. `heard` is called with every sample that comes."""

    def __init__(self, bench: RunningBench, heard: Callable[[Sample[Any]], None], *options: str) -> None:
        self.bench, self.clock, self._heard = bench, bench.clock, heard
        self.log = bench.folder / "run.log"
        self.client = bench.client("operator")
        topics = (STATION_MODE, STATION_EVENT, SERVICE_HEARTBEAT, SIM_TRUTH, SAFETY_ENABLE, SAFETY_STATE, SAFETY_TRIP)
        self.client.subscribe(*topics)
        self._lease: Lease | None = None  # under which emission is armed: kept for as long as this listens
        self._renewal_due_ns = 0
        places = ["--rig", str(bench.rig_path), "--run-dir", str(bench.run_dir)]
        self.process = _boresight("run", *places, *options, log=self.log)

    def listen(self, seconds: float = LISTEN_S) -> None:
        """Take what comes for a while, and keep the lease."""
        if self._lease is not None and self.clock.now_ns() >= self._renewal_due_ns:
            self._renew(self._lease, TTL_S)
        for sample in self.client.samples(seconds):
            self._heard(sample)

    def until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Listen until a condition holds; False when it does not come to be."""
        deadline = Deadline(self.clock, timeout_s)
        while not (met := condition()) and not deadline.expired:
            self.listen()
        return met

    def alive(self) -> bool:
        """Every service has sent a heartbeat a moment ago."""
        return not self.silent()

    def silent(self) -> list[str]:
        """Services that have not."""
        now_ns = self.clock.now_ns()
        return [name for name in REALTIME if self.client.store.fresh(SERVICE_HEARTBEAT, name, now_ns) is None]

    @property
    def mode(self) -> str:
        """The station's; empty while it is silent."""
        state = self.client.store.fresh(STATION_MODE, "station", self.clock.now_ns())
        return "" if state is None else str(state.mode)

    @property
    def consented(self) -> bool:
        """Emission is armed or on."""
        state = self.client.store.fresh(SAFETY_STATE, "safety", self.clock.now_ns())
        return state is not None and bool(state.armed)

    def ask(self, service: str, *methods: str, body: dict[str, Any] | None = None) -> str:
        """Commands under one lease of the station, which is kept; the first refusal, empty when all were obeyed."""
        try:
            if self._lease is None:
                self._lease = acquire(self.client, "station", "a fault campaign")
                self._renewal_due_ns = self.clock.now_ns() + RENEWAL_NS
        except LeaseRefusedError as refused:
            return str(refused)
        for method in methods:
            reply = self.client.call(service, method, body, timeout_s=3.0, lease=self._lease)
            if reply.code in {"LEASE_STALE", "NO_LEASE"}:
                self._lease = None
            if reply.code:
                return f"{method}: {reply.message}"
        return ""

    def vanish(self, ttl_s: float) -> bool:
        """Keep the lease for so long, and never again; False when none was held."""
        held, self._lease = self._lease, None
        if held is not None:
            self._renew(held, ttl_s)
        return held is not None

    def _renew(self, lease: Lease, ttl_s: float) -> None:
        """Ask for it, and wait for no answer: a lease that was lost is told by the next command."""
        self._renewal_due_ns = self.clock.now_ns() + RENEWAL_NS
        self.client.send(LEASE_KEEPER, "lease.renew", {"ttl_s": ttl_s}, 2.0, True, lease)

    def start_over(self) -> None:
        """Say safe: what has come half of its way is reset with the next step."""
        self.client.call("station", "safe", control=True)

    def bring_up(self, plan: Plan) -> None:
        """One step towards emission: reset what is latched, track, consent, each when it is its turn."""
        if self.mode in {"SAFE", "FAULT", "HOLD"}:
            self.ask("station", "station.reset")
            self.listen(0.2)
        elif self.mode == "STOWED":
            self.ask("station", "station.track", body=order(plan, plan.target.set_utc_ns))
        elif self.mode and not self.consented:
            self.ask("safety", "safety.arm", "safety.confirm")
        self.listen(0.1)

    def children(self) -> dict[str, int]:
        """Process ids by service, the supervisor among them, and the mount's guardian."""
        found = {"supervisor": self.process.pid}
        for pid, words in _children_of(self.process.pid):
            if (name := re.search(r'"service":"(\w+)"', words)) is not None:
                found[name[1]] = pid
        for pid, words in _children_of(found["pointing"]) if "pointing" in found else ():
            if "hal.guardian" in words:  # in a session of its own
                found["guardian"] = pid
        return found

    def close(self) -> int:
        """Ctrl-C, twice; the exit code."""
        try:
            return _end(self.process)
        finally:
            self.client.close()
