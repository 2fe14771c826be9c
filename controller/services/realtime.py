"""The real-time executor: a process for each service, watched by a supervisor that tells and never resumes.

A service that dies is told to the operator. Nothing that moves or emits is started again by itself; what only reads
(named in `restart`) is. The supervisor's own death ends every service within a cycle, and a death of the whole group
leaves the devices to their own watchdogs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import current_thread, main_thread
from typing import IO, Final, Literal

from controller.bus.endpoints import DEFAULT_BASE_PORT, DEFAULT_HOST, STATION_SERVICES, registry_endpoint
from controller.bus.port import Reply
from controller.bus.registry import Announcement, RegistryServer, schema_hash
from controller.bus.socket_port import SocketPort
from controller.bus.topics import SERVICE_HEARTBEAT, STATION_EVENT, Heartbeat, StationEvent
from controller.services.host import EXIT_REFUSED, take_priority
from controller.services.launch import REAL_CLOCK, RIG_LOADER, Launch, LaunchError
from hal.clock import NS, Clock, Deadline

SUPERVISOR: Final = "supervisor"
PERIOD_NS: Final = NS // 50
GRACE_S: Final = 3.0
RESTART_PAUSE_NS: Final = 2 * NS
LOGS: Final = "logs"

Tell = Callable[[str], None]
Level = Literal["info", "warning", "error"]


@dataclass
class Child:
    """A service's process and what is known of it."""

    launch: Launch
    process: subprocess.Popen[bytes]
    log: Path
    started_ns: int
    seen: bool = False  # a heartbeat of this start has come
    gone: bool = False
    restart_due_ns: int | None = None
    restarts: int = field(default=0)


class Supervisor:
    """Starts, watches and ends the services of one station; serves the registry.

    Args:
        launches: the services, in the order of starting; they end in the reverse order.
        tell: called with every sentence that the operator should read.
        restart: services that may be started again by themselves, after 2 s: those that only read.
    """

    def __init__(
        self,
        launches: list[Launch],
        clock: Clock,
        tell: Tell,
        restart: Collection[str] = (),
    ) -> None:
        if not launches:
            raise LaunchError("a station needs at least one service")
        first = launches[0]
        self._launches = launches
        self._clock = clock
        self._tell = tell
        self._restart = frozenset(restart)
        self._table = first.table()
        security = first.security()
        self._port = SocketPort(SUPERVISOR, clock, self._table, bool(first.addresses), security=security)
        try:
            self._registry = RegistryServer(registry_endpoint(first.host, first.base_port), clock, security)
        except Exception:
            self._port.close()
            raise
        self._run_dir = Path(first.run_dir)
        self._cycles = 0
        self._late_steps = 0
        self._heartbeat_due_ns = 0
        self._stop_told = False
        self.children: dict[str, Child] = {}
        self.failed = False

    @property
    def stop_told(self) -> bool:
        """True when a client asked for the station's end (`supervisor.end`) or the start has failed."""
        return self._stop_told

    def start(self) -> None:
        """Start every service."""
        (self._run_dir / LOGS).mkdir(parents=True, exist_ok=True)
        for launch in self._launches:
            self.children[launch.service] = self._spawn(launch)

    def run(self, stop_wanted: Callable[[], bool], priority: int = 0) -> None:
        """Watch, with SCHED_FIFO when allowed, until told to stop; then end the services."""
        try:
            self.start()
            if warning := take_priority(priority, self._clock):
                self._event("warning", "PRIORITY", f"the supervisor {warning}")
            due_ns = self._clock.now_ns()
            while not (stop_wanted() or self._stop_told):
                self.turn()
                due_ns += PERIOD_NS
                if self._clock.now_ns() > due_ns:
                    self._late_steps += 1
                    due_ns = self._clock.now_ns()
                self._clock.sleep_until(due_ns)
        finally:
            self.end()

    def turn(self) -> None:
        """One look at everything."""
        self._registry.turn()
        for request in self._port.requests():
            self._port.answer(request, self._obey(request.method))
        self._announce()
        for sample in self._port.drain(STATION_EVENT):
            if sample.source != SUPERVISOR and sample.body.code != "REFUSED":  # told when the process has ended
                self._tell(f"{sample.body.level}: {sample.body.message}")
        for child in self.children.values():
            self._look(child)
        self._cycles += 1
        now_ns = self._clock.now_ns()
        if now_ns >= self._heartbeat_due_ns:
            self._heartbeat_due_ns = now_ns + NS // 10
            beat = Heartbeat(self._clock.utc_ns(), self._cycles, self._late_steps)
            self._port.publish(SERVICE_HEARTBEAT, beat)

    def end(self) -> None:
        """End the services in the reverse order of starting, by force after 3 s each; close the bus."""
        for child in reversed(list(self.children.values())):
            if child.process.poll() is None:
                child.process.terminate()
                self._await(child)
        self._registry.close()
        self._port.close()

    def _await(self, child: Child) -> None:
        deadline = Deadline(self._clock, GRACE_S)
        while child.process.poll() is None and not deadline.expired:
            self._port.requests()
            self._clock.sleep_until(self._clock.now_ns() + PERIOD_NS)
        if child.process.poll() is None:
            child.process.kill()
            child.process.wait()
            self.failed = True
            self._event("error", "KILLED", f"{child.launch.service} did not end within {GRACE_S:g} s and was killed")

    def _obey(self, method: str) -> Reply:
        if method == "supervisor.end":
            self._stop_told = True
            return Reply("", "the station ends")
        if method in {"stop", "safe", "abort"}:
            return Reply("", f"{method} is for the services; the supervisor moves nothing")
        return Reply("SCHEMA", f"the supervisor has no method {method!r}", "supervisor.end")

    def _spawn(self, launch: Launch) -> Child:
        log = self._run_dir / LOGS / f"{launch.service}.log"
        with log.open("ab") as file:
            process = _start(launch, file)
        return Child(launch, process, log, self._clock.now_ns())

    def _announce(self) -> None:
        """Whose heartbeat is heard is in the registry."""
        for name in (SUPERVISOR, *self.children):
            if self._port.fresh(SERVICE_HEARTBEAT, name) is None:
                continue
            at, boot = self._table[name], self._port.store.boot_of(name)
            self._registry.registry.announce(Announcement(name, at.cmd, at.ctl, at.tlm, boot, schema_hash()))
            if name in self.children and not self.children[name].gone:
                self.children[name].seen = True

    def _look(self, child: Child) -> None:
        name = child.launch.service
        if child.gone:
            if child.restart_due_ns is not None and self._clock.now_ns() >= child.restart_due_ns:
                fresh = self._spawn(child.launch)
                child.process, child.started_ns = fresh.process, fresh.started_ns
                child.gone, child.seen, child.restart_due_ns = False, False, None
                child.restarts += 1
                self._event("warning", "RESTARTED", f"{name} was started again; it only reads")
            return
        code = child.process.poll()
        if code is None:
            return
        child.gone = True
        if not child.seen and not child.restarts and code == EXIT_REFUSED:
            self.failed = self._stop_told = True
            self._event("error", "REFUSED", f"{name} refused to start: {_last_line(child.log)}")
        elif name in self._restart:
            child.restart_due_ns = self._clock.now_ns() + RESTART_PAUSE_NS
            self._event("error", "DIED", f"{name} {_how(code)}; it is started again in {RESTART_PAUSE_NS / NS:g} s")
        else:
            self.failed = True
            self._event(
                "error",
                "DIED",
                f"{name} {_how(code)} and is not started again by itself: stop the station, look at "
                f"{LOGS}/{child.log.name}, and run it again",
            )

    def _event(self, level: Level, code: str, message: str) -> None:
        self._tell(f"{level}: {message}")
        self._port.publish(STATION_EVENT, StationEvent(level, code, message))


def run_station(
    factories: Mapping[str, str],
    rig_path: Path,
    addresses: Mapping[str, str],
    run_dir: Path,
    *,
    loader: str = RIG_LOADER,
    clock: str = REAL_CLOCK,
    utc_offset_ns: int = 0,
    host: str = DEFAULT_HOST,
    base_port: int = DEFAULT_BASE_PORT,
    services: tuple[str, ...] = STATION_SERVICES,
    priorities: Mapping[str, int] | None = None,
    restart: Collection[str] = (),
    wire_log: Path | None = None,
    keys: Path | None = None,
    tell: Tell = lambda sentence: None,
    stop_wanted: Callable[[], bool] = lambda: False,
) -> int:
    """Run a station until Ctrl-C, SIGTERM, `supervisor.end` or `stop_wanted`; returns the exit code.

    Args:
        factories: service name -> "module:function" of a ServiceFactory, in the order of starting.
        rig_path: the rig file, given to `loader` in every process.
        addresses: resources of emulated devices; when there are any, all telemetry is marked `sim`.
        run_dir: logs, recordings and the memory of the pass.
        loader: "module:function" called with rig file and addresses.
        clock: "module:function" that makes each process's Clock.
        utc_offset_ns: UTC minus monotonic time of an emulated world of another epoch; 0: `clock` decides.
        host: address of the bus; without keys a loopback one.
        base_port: first port of the bus.
        services: all names of the bus table, those that run elsewhere (bench) included.
        priorities: SCHED_FIFO priority by service, "supervisor" among them.
        restart: services that may be started again by themselves.
        wire_log: folder for a log of every wire; None: none is written.
        keys: folder of the bus keys; None: a bus on loopback without keys.
        tell: takes each sentence for the operator.
        stop_wanted: asked at 50 Hz.

    Raises:
        BusError: the ports are taken or not on loopback, a key file is wrong or open to others. LaunchError: a service
            is not in `services`.
    """
    for name in factories:
        if name not in services or name == SUPERVISOR:
            raise LaunchError(f"service {name!r} is not in the bus table ({', '.join(services)})")
    if not factories:
        raise LaunchError("a station needs at least one service")
    launches = [
        Launch(
            service=name,
            factory=factory,
            rig=str(rig_path),
            run_dir=str(run_dir),
            addresses=dict(addresses),
            loader=loader,
            clock=clock,
            utc_offset_ns=utc_offset_ns,
            host=host,
            base_port=base_port,
            services=services,
            parent=os.getpid(),
            wire_log=str(wire_log) if wire_log is not None else "",
            keys=str(keys) if keys is not None else "",
            priority=(priorities or {}).get(name, 0),
        )
        for name, factory in factories.items()
    ]
    supervisor = Supervisor(launches, launches[0].make_clock(), tell, restart)
    with stop_signals() as told:
        supervisor.run(lambda: told() or stop_wanted(), (priorities or {}).get(SUPERVISOR, 0))
    return 1 if supervisor.failed else 0


def _start(launch: Launch, log: IO[bytes]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "controller.services.host", launch.encode()]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


@contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM set a flag; elsewhere than in the main thread there are none to catch."""
    told: list[int] = []
    if current_thread() is not main_thread():
        yield lambda: False
        return
    before = {
        number: signal.signal(number, lambda number, where: told.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield lambda: bool(told)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _how(code: int) -> str:
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return "ended by itself" if code == 0 else f"died with exit code {code}"


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"{log.name} is empty"
