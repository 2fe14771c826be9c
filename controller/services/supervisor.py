"""The supervisor of a station in real time: starts, watches and ends a process for each service.

A service that dies, hangs or takes too much memory is told to the operator, ended where it still runs, and started
again where the rules allow it. That brings its word and status back and nothing else: what moves or emits was stopped
by the death and waits for an operator. The supervisor's own death ends every service within a cycle, and a death of
the whole group leaves the devices to their own watchdogs.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from controller.bus.endpoints import registry_endpoint
from controller.bus.port import Reply
from controller.bus.registry import Announcement, RegistryServer, schema_hash
from controller.bus.socket_port import SocketPort
from controller.bus.topics import (
    SERVICE_HEARTBEAT,
    SERVICE_PROCESSES,
    SERVICE_WAITING,
    STATION_EVENT,
    STATION_MODE,
    Heartbeat,
    ProcessReport,
    ServiceProcess,
    StationEvent,
)
from controller.services.child import Child, start, start_again
from controller.services.ending import Ending
from controller.services.host import EXIT_REFUSED, take_cpus, take_priority
from controller.services.launch import Launch, LaunchError
from controller.services.libraries import read_libraries
from controller.services.notify import ServiceManager
from controller.services.resources import Usage, Watch, usage
from controller.services.rules import DEFAULT_RULES, Deaths, Rules, Verdict
from hal.clock import NS, Clock, Deadline

SUPERVISOR: Final = "supervisor"
PERIOD_NS: Final = NS // 50
GRACE_S: Final = 3.0
LOOK_NS: Final = NS  # at what the processes use
BLIND_NS: Final = NS  # a turn that comes so late has itself not seen what was said meanwhile
LOGS: Final = "logs"

Tell = Callable[[str], None]
Level = Literal["info", "warning", "error"]


class Supervisor:
    """Starts, watches and ends the services of one station; serves the registry.

    Args:
        launches: the services, in the order of starting; they end in the reverse order.
        tell: called with every sentence that the operator should read.
        rules: who is started again, when one counts as hung, and how much it may take.
        manager: the service manager that started this process.
    """

    def __init__(
        self,
        launches: list[Launch],
        clock: Clock,
        tell: Tell,
        rules: Rules = DEFAULT_RULES,
        manager: ServiceManager | None = None,
    ) -> None:
        if not launches:
            raise LaunchError("a station needs at least one service")
        first = launches[0]
        self._launches = launches
        self._clock = clock
        self._tell = tell
        self._rules = rules
        self._manager = manager or ServiceManager(clock)
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
        self._look_due_ns = 0
        self._turned_ns = self._watching_since_ns = clock.now_ns()
        self._own = Watch(rules, clock.now_ns())
        self._stop_told = False
        self._start_failed = False
        self._cpus: set[int] = set()  # before this process took its own: of whoever names none and is started again
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
            log = self._run_dir / LOGS / f"{launch.service}.log"
            process, now_ns = start(launch, log), self._clock.now_ns()
            deaths, watch = Deaths(launch.service, self._rules), Watch(self._rules, now_ns)
            self.children[launch.service] = Child(launch, process, log, deaths, watch, now_ns)

    def run(
        self,
        stop_wanted: Callable[[], bool],
        priority: int = 0,
        cpus: Sequence[int] = (),
        urgent: Callable[[], bool] = lambda: False,
    ) -> None:
        """Watch, with SCHED_FIFO when allowed, until told to stop; park, unless that is urgent; end the services."""
        try:
            self.start()
            read_libraries()
            self._cpus = os.sched_getaffinity(0)
            for warning in (take_cpus(cpus), take_priority(priority)):
                if warning:
                    self._event("warning", "PRIORITY", f"the supervisor {warning}")
            self._turn_until(lambda: stop_wanted() or self._stop_told)
            self._manager.stopping()
            if "station" in self.children and not self._start_failed:
                emits = "safety" in self.children
                ending = Ending(self._clock, self._port, self._rules.park_timeout_s, emits)
                self._turn_until(lambda: ending.turn(urgent()))
                self._hear()
        finally:
            self.end()

    def _turn_until(self, over: Callable[[], bool]) -> None:
        due_ns = self._clock.now_ns()
        while not over():
            self.turn()
            due_ns += PERIOD_NS
            if self._clock.now_ns() > due_ns:
                self._late_steps += 1
                due_ns = self._clock.now_ns()
            self._clock.sleep_until(due_ns)

    def turn(self) -> None:
        """One look at everything."""
        now_ns = self._clock.now_ns()
        if now_ns - self._turned_ns > BLIND_NS:
            self._watching_since_ns = now_ns
        self._turned_ns = now_ns
        self._registry.turn()
        for request in self._port.requests():
            self._port.answer(request, self._obey(request.method))
        self._announce()
        self._hear()
        for child in self.children.values():
            self._look(child)
        self._cycles += 1
        if now_ns >= self._heartbeat_due_ns:
            self._heartbeat_due_ns = now_ns + NS // 10
            beat = Heartbeat(self._clock.utc_ns(), self._cycles, self._late_steps)
            self._port.publish(SERVICE_HEARTBEAT, beat)
            self._tell_manager()
        if now_ns >= self._look_due_ns:
            self._look_due_ns = now_ns + LOOK_NS
            self._report()

    def end(self) -> None:
        """End the services in the reverse order of starting, by force after 3 s each; close the bus."""
        for child in reversed(list(self.children.values())):
            if not child.gone:
                child.process.terminate()
                self._await(child)
        self._registry.close()
        self._port.close()
        self._manager.close()

    def _await(self, child: Child) -> None:
        deadline = Deadline(self._clock, GRACE_S)
        waits = True
        while waits:  # and once more after its end, for its last words
            waits = child.process.poll() is None and not deadline.expired
            self._manager.alive()
            self._clock.sleep_until(self._clock.now_ns() + PERIOD_NS)
            self._port.requests()
            self._hear()  # what it says while it closes: of a mount that does not stop, for instance
        name, code = child.launch.service, child.process.poll()
        if code is None:
            child.process.kill()
            with suppress(subprocess.TimeoutExpired):  # the others are to end all the same
                child.process.wait(GRACE_S)
            self.failed = True
            self._event("error", "KILLED", f"{name} did not end within {GRACE_S:g} s and was killed")
        elif code not in {0, -signal.SIGTERM} and not child.reason:  # that signal before it could catch it
            self.failed = True
            how = f"{name} did not end in good order (it {child.how(code)}): {child.last_line()}"
            self._event("error", "NOT_IN_ORDER", how)
        child.gone = True

    def _obey(self, method: str) -> Reply:
        if method == "supervisor.end":
            self._stop_told = True
            return Reply("", "the station ends")
        if method in {"stop", "safe"}:
            return Reply("", f"{method} is for the services; the supervisor moves nothing")
        return Reply("SCHEMA", f"the supervisor has no method {method!r}", "supervisor.end")

    def _hear(self) -> None:
        """Tell what the services, and this process itself where it did not yet, want to be read."""
        for sample in self._port.drain(STATION_EVENT):
            own = sample.source == SUPERVISOR and sample.body.code not in {"ENDING", "REFUSED_MESSAGE"}
            if not own and sample.body.code != "REFUSED":  # told when the process has ended
                self._tell(f"{sample.body.level}: {sample.body.message}")

    def _announce(self) -> None:
        """Whose heartbeat is heard is in the registry, and who is heard is alive."""
        for name in (SUPERVISOR, *self.children):
            if self._port.fresh(SERVICE_HEARTBEAT, name) is not None:
                at, boot = self._table[name], self._port.store.boot_of(name)
                self._registry.registry.announce(Announcement(name, at.cmd, at.ctl, at.tlm, boot, schema_hash()))
        for name, child in self.children.items():
            for topic in (SERVICE_HEARTBEAT, SERVICE_WAITING):
                sample = self._port.latest(topic, name)
                if sample is not None and not child.gone and sample.received_ns > child.started_ns:
                    child.heard_ns = max(sample.received_ns, child.heard_ns or 0)

    # One process

    def _look(self, child: Child) -> None:
        now_ns = self._clock.now_ns()
        if child.gone:
            if child.restart_due_ns is not None and now_ns >= child.restart_due_ns:
                self._restart(child)
            return
        code = child.process.poll()
        if code is not None:
            self._died(child, code)
        elif child.kill_due_ns is not None:
            if now_ns >= child.kill_due_ns:
                child.process.kill()
        elif hangs := child.hung(now_ns, self._watching_since_ns, self._rules):
            child.reason, child.kill_due_ns = f"{hangs} and was killed", now_ns
            self._event("error", "HANGS", f"{child.launch.service} {hangs} and is being killed")
            child.process.kill()  # what is suspended takes no other signal

    def _restart(self, child: Child) -> None:
        name, now_ns = child.launch.service, self._clock.now_ns()
        try:
            child.process, unlogged = start_again(child.launch, child.log)
        except OSError as error:  # no descriptor, memory or process to be had now: the others run on
            verdict = child.deaths.refused(now_ns)
            child.restart_due_ns = verdict.due_ns
            self._tell_once(child, f"{name} cannot be started again ({error.strerror}) {verdict.sentence}")
            return
        if self._cpus and not child.launch.cpus:
            with suppress(OSError):  # gone already
                os.sched_setaffinity(child.process.pid, self._cpus)
        if unlogged:
            self._event("warning", "UNLOGGED", f"{name} runs without a log: {unlogged}; mend that")
        child.started_ns = now_ns
        child.watch = Watch(self._rules, child.started_ns)
        child.gone, child.heard_ns, child.reason = False, None, ""
        child.kill_due_ns = child.restart_due_ns = None
        child.restarts += 1
        if not child.told:
            self._event("warning", "RESTARTED", f"{name} was started again: nothing moves or emits by that")

    def _died(self, child: Child, code: int) -> None:
        name, now_ns = child.launch.service, self._clock.now_ns()
        child.gone, child.used = True, None
        refused = code == EXIT_REFUSED and not child.seen and not child.reason
        if refused and not child.restarts:
            self.failed = self._stop_told = True
            station = self.children.get("station")
            self._start_failed = station is None or not station.seen  # else it may have moved by now
            self._event("error", "REFUSED", f"{name} refused to start: {child.last_line()}")
            return
        if refused:
            verdict = child.deaths.refused(now_ns)
            child.restart_due_ns = verdict.due_ns
            self._tell_once(child, f"{name} refused to start again ({child.last_line()}) {verdict.sentence}")
            return
        child.told = ""
        self._follow(child, child.how(code), child.deaths.died(now_ns))

    def _tell_once(self, child: Child, sentence: str) -> None:
        if sentence != child.told:
            child.told = sentence
            self._event("error", "DIED", sentence)

    def _follow(self, child: Child, how: str, verdict: Verdict) -> None:
        name = child.launch.service
        child.restart_due_ns = verdict.due_ns
        told = f"{name} {how} {verdict.sentence}"
        if verdict.due_ns is None:
            self.failed = True
            told += f": stop the station, look at {LOGS}/{child.log.name}, and run it again"
        self._event("error", "DIED", told)
        if verdict.crash_loop:
            self._event("error", "CRASH_LOOP", f"{name} is down for good; the others go on without it")

    # All processes

    def _report(self) -> None:
        """What each process takes; one that takes too much is ended in good order."""
        rows = [self._row(SUPERVISOR, "running", os.getpid(), 0, usage(os.getpid()), self._own)]
        for name, child in self.children.items():
            child.used = None if child.gone else usage(child.process.pid)
            pid = 0 if child.gone else child.process.pid
            rows.append(self._row(name, child.state, pid, child.restarts, child.used, child.watch))
        self._port.publish(SERVICE_PROCESSES, ProcessReport(self._clock.utc_ns(), rows))

    def _row(self, name: str, state: str, pid: int, restarts: int, used: Usage | None, watch: Watch) -> ServiceProcess:
        if used is None:
            return ServiceProcess(name, state, pid, restarts, 0, 0, 0, 0.0)
        for finding in watch.see(self._clock.now_ns(), used):
            child = self.children.get(name)
            if finding.code != "MEMORY_MAX" or child is None:  # its own end would be that of the whole station
                self._event("warning", finding.code, f"{name} {finding.sentence}")
            elif not child.reason:
                child.reason = f"{finding.sentence}: it was ended in good order"
                child.kill_due_ns = self._clock.now_ns() + round(GRACE_S * NS)
                child.process.terminate()
        return ServiceProcess(
            name, state, pid, restarts, used.resident_bytes, used.open_files, used.threads, watch.growth_bytes_h
        )

    def _tell_manager(self) -> None:
        """Alive is said while every service that runs is heard; what is down is told, and no reason to be killed.

        Nor is it said for one that has outlived its SIGKILL: that is no longer being dealt with.
        """
        states, now_ns = {name: child.state for name, child in self.children.items()}, self._clock.now_ns()
        mode = self._port.fresh(STATION_MODE) if "station" in states else None
        if all(state == "running" for state in states.values()):
            self._manager.ready()
        stuck = any(child.stuck(now_ns) for child in self.children.values())
        if not stuck and all(state != "running" or self._fresh(name) for name, state in states.items()):
            self._manager.alive()
        apart = ", ".join(f"{name} {state}" for name, state in states.items() if state != "running")
        self._manager.status(f"{mode.mode if mode is not None else 'no mode'}; {apart or 'every service runs'}")

    def _fresh(self, name: str) -> bool:
        return any(self._port.fresh(topic, name) is not None for topic in (SERVICE_HEARTBEAT, SERVICE_WAITING))

    def _event(self, level: Level, code: str, message: str) -> None:
        self._tell(f"{level}: {message}")
        self._port.publish(STATION_EVENT, StationEvent(level, code, message))
