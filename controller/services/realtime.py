"""The real-time executor: a process for each service of a station, and the supervisor in this one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from controller.bus.endpoints import DEFAULT_BASE_PORT, DEFAULT_HOST, STATION_SERVICES
from controller.services.launch import REAL_CLOCK, RIG_LOADER, Launch, LaunchError
from controller.services.notify import ServiceManager
from controller.services.rules import DEFAULT_RULES, Rules
from controller.services.run_lock import run_lock
from controller.services.signals import stop_signals
from controller.services.supervisor import SUPERVISOR, Supervisor, Tell


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
    cpus: Mapping[str, Sequence[int]] | None = None,
    rules: Rules = DEFAULT_RULES,
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
        cpus: processors by service; who is not named may run on all.
        rules: who is started again, when one counts as hung, and how much it may take.
        wire_log: folder for a log of every wire; None: none is written.
        keys: folder of the bus keys; None: a bus on loopback without keys.
        tell: takes each sentence for the operator.
        stop_wanted: asked at 50 Hz.

    Raises:
        BusError: the ports are taken or not on loopback, a key file is wrong or open to others. LaunchError: a service
            is not in `services`. RunDirTakenError: another station runs in `run_dir`.
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
            cpus=tuple((cpus or {}).get(name, ())),
        )
        for name, factory in factories.items()
    ]
    made = launches[0].make_clock()
    with run_lock(run_dir), stop_signals() as told:
        supervisor = Supervisor(launches, made, tell, rules, ServiceManager.of_this_process(made))
        supervisor.run(
            lambda: told() or stop_wanted(),
            (priorities or {}).get(SUPERVISOR, 0),
            (cpus or {}).get(SUPERVISOR, ()),
            told.urgent,
        )
    return 1 if supervisor.failed else 0
