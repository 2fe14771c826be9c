"""Processes that hang, loop or eat: each is noticed, told by its name, and ended; what may come back does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.bus.client import Client
from controller.bus.endpoints import static_table
from controller.bus.topics import LINK_STATE, SERVICE_PROCESSES, STATION_EVENT, ServiceProcess
from controller.services import child
from controller.services.notify import ServiceManager
from controller.services.resources import Usage
from controller.services.rules import DEFAULT_RULES

SERVICES = ("supervisor", "first", "second", "recorder")
QUICK = {"restart": {"first"}, "restart_delay_s": 0.05}


def told(running: Any, words: str) -> bool:
    return any(words in sentence for sentence in running.told)


def test_the_supervisor_tells_of_its_own_memory_and_goes_on(
    station: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.services.supervisor.usage", lambda pid: Usage(2 * 10**9, 10, 3))
    running = station({"memory_max_bytes": DEFAULT_RULES.memory_max_bytes}, first="toy")
    running.supervisor.turn()
    assert running.told == ["warning: supervisor takes 2000 MB, more than 1500 MB"]
    assert running.supervisor.children["first"].state == "ending", "it is the one that can be started again"


@pytest.mark.parametrize("how", ["suspended", "spinning"])
def test_a_service_that_hangs_is_told_by_name_killed_and_started_again(station: Callable[..., Any], how: str) -> None:
    running = station({**QUICK, "hung_after_s": 0.6}, first="toy", second="toy")
    running.until(lambda: running.alive("first", "second") and running.supervisor.children["first"].seen)
    pid, boot = running.pid("first"), running.client.store.boot_of("first")
    if how == "suspended":
        os.kill(pid, signal.SIGSTOP)
    else:
        running.client.send("first", "toy.hang", timeout_s=5.0)
        running.client.call("first", "toy.hang", timeout_s=0.2)
    running.until(lambda: told(running, "s) and is being killed"), 5.0)
    running.until(lambda: told(running, "s) and was killed and is started again in 0.05 s"), 5.0)
    running.until(lambda: running.client.store.boot_of("first") != boot)
    assert running.pid("first") != pid
    assert running.supervisor.children["second"].restarts == 0
    assert told(running, "first was started again: nothing moves or emits by that")


def test_a_service_without_a_heartbeat_after_its_start_is_killed(station: Callable[..., Any]) -> None:
    running = station({"start_timeout_s": 0.01}, first="toy")
    running.until(lambda: told(running, "first hangs (no heartbeat since its start for"), 5.0)
    running.until(lambda: running.supervisor.failed)


def test_a_service_that_waits_for_a_device_does_not_hang(station: Callable[..., Any]) -> None:
    running = station({**QUICK, "hung_after_s": 0.6}, first="waits")
    running.until(lambda: running.supervisor.children["first"].seen)
    begun_ns = running.clock.now_ns()
    running.until(lambda: running.clock.now_ns() - begun_ns > 1_200_000_000)
    assert running.supervisor.children["first"].state == "running"
    assert running.told == []


def test_a_crash_loop_ends_in_a_service_that_is_down_and_told_to_be(station: Callable[..., Any]) -> None:
    running = station({**QUICK, "restarts_max": 1}, first="toy", second="toy")
    for _ in range(2):
        child = running.supervisor.children["first"]
        running.until(lambda child=child: child.seen and not child.gone)
        running.kill("first")
        running.until(lambda child=child: child.gone)
    assert told(running, "first was killed by SIGKILL (2 deaths in 10 min): it stays down")
    assert told(running, "first is down for good; the others go on without it")
    assert (child.state, child.restarts) == ("down", 1)
    assert running.supervisor.failed
    codes: list[str] = []

    def heard() -> bool:
        codes.extend(sample.body.code for sample in running.client.store.drain(STATION_EVENT))
        return "CRASH_LOOP" in codes

    running.until(heard)
    assert codes == ["DIED", "RESTARTED", "DIED", "CRASH_LOOP"]


def test_a_service_that_refuses_to_start_again_is_told_once_and_tried_on(
    station: Callable[..., Any], tmp_path: Path
) -> None:
    running = station({**QUICK, "restart_delay_max_s": 0.05}, first="unplugged")
    running.until(lambda: running.supervisor.children["first"].seen)
    (tmp_path / "run" / "unplugged").touch()
    running.kill("first")
    running.until(lambda: running.supervisor.children["first"].restarts == 3)
    assert sum("first refused to start again (gimbal: /dev/ttyUSB7" in sentence for sentence in running.told) == 1
    (tmp_path / "run" / "unplugged").unlink()
    running.until(lambda: running.supervisor.children["first"].seen)
    assert not running.supervisor.failed


def test_a_service_for_which_there_is_no_process_to_be_had_is_told_once_and_tried_on(
    station: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = station({**QUICK, "restart_delay_max_s": 0.05}, first="toy", second="toy")
    running.until(lambda: running.alive("first", "second") and running.supervisor.children["first"].seen)
    made, tries = child._process, []

    def refuse_thrice(*asked: Any) -> Any:
        tries.append(asked)
        if len(tries) <= 3:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return made(*asked)

    monkeypatch.setattr(child, "_process", refuse_thrice)
    running.kill("first")
    running.until(lambda: len(tries) == 4 and running.supervisor.children["first"].seen)
    sentences = [sentence for sentence in running.told if "cannot be started again" in sentence]
    assert sentences == [
        "error: first cannot be started again (Resource temporarily unavailable) and is tried again every 0.05 s"
    ]
    assert not running.supervisor.failed


def test_a_service_whose_log_cannot_be_opened_is_started_again_without_it(station: Callable[..., Any]) -> None:
    running = station(QUICK, first="toy")
    running.until(lambda: running.supervisor.children["first"].seen)
    log = running.supervisor.children["first"].log
    log.unlink()
    log.mkdir()
    running.kill("first")
    running.until(lambda: running.supervisor.children["first"].restarts and running.supervisor.children["first"].seen)
    assert told(running, f"warning: first runs without a log: {log} cannot be opened: Is a directory; mend that")


def test_what_the_processes_take_is_published_and_too_much_memory_ends_one_in_good_order(
    station: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.services.supervisor.LOOK_NS", 50_000_000)
    rules = {**QUICK, "memory_told_bytes": 150e6, "memory_max_bytes": 160e6, "open_files_told": 60}
    running = station(rules, first="toy", second="toy")
    running.client.subscribe(SERVICE_PROCESSES)

    def rows() -> dict[str, ServiceProcess]:
        sample = running.client.store.latest(SERVICE_PROCESSES, "supervisor")
        return {row.service: row for row in sample.body.processes} if sample is not None else {}

    running.until(lambda: {row.state for row in rows().values()} == {"running"})
    first = rows()["first"]
    assert set(rows()) == {"supervisor", "first", "second"}
    assert first.pid == running.pid("first")
    assert 20e6 < first.resident_bytes < 150e6
    running.client.call("first", "toy.open")
    running.until(lambda: rows()["first"].open_files >= first.open_files + 60)
    running.until(lambda: told(running, "first has "))
    running.client.call("first", "toy.eat")
    running.until(lambda: told(running, "MB, more than 160 MB: it was ended in good order and is started again"))
    assert (running.run_dir / "closed").read_text().split() == ["first"], "its devices were left safe"
    running.until(lambda: rows()["first"].state == "running" and rows()["first"].restarts == 1)
    assert rows()["first"].resident_bytes < 150e6


class Manager:
    """Reads what systemd would."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.setblocking(False)
        self.heard: list[str] = []

    def read(self) -> list[str]:
        while True:
            try:
                self.heard.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return self.heard


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path)
    with made.socket:
        yield made


def test_the_manager_hears_ready_when_all_run_and_nothing_while_one_is_silent(
    station: Callable[..., Any], manager: Manager
) -> None:
    running = station({"hung_after_s": 30.0}, first="toy", second="toy")
    running.supervisor._manager = ServiceManager(running.clock, manager.path, 0.3)
    running.until(lambda: "READY=1" in manager.read())
    assert all(child.seen for child in running.supervisor.children.values())
    running.until(lambda: manager.read().count("WATCHDOG=1") > 2)
    running.until(lambda: "STATUS=no mode; every service runs" in manager.read())
    os.kill(running.pid("second"), signal.SIGSTOP)
    begun_ns = running.clock.now_ns()
    running.until(lambda: running.clock.now_ns() - begun_ns > 700_000_000)  # its last heartbeat is stale
    manager.read()
    manager.heard.clear()
    begun_ns = running.clock.now_ns()
    running.until(lambda: running.clock.now_ns() - begun_ns > 700_000_000)
    assert "WATCHDOG=1" not in manager.read()
    os.kill(running.pid("second"), signal.SIGKILL)
    running.until(lambda: "WATCHDOG=1" in manager.read())
    running.until(lambda: any("second down" in text for text in manager.read()))


def test_what_outlives_its_kill_is_told_at_once_and_the_manager_hears_no_more_that_all_is_alive(
    station: Callable[..., Any], manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "STUCK_NS", 800_000_000)
    running = station({"hung_after_s": 0.6}, first="toy", second="toy")
    running.supervisor._manager = ServiceManager(running.clock, manager.path, 0.3)
    running.until(lambda: "READY=1" in manager.read())
    process, real = running.supervisor.children["first"].process, subprocess.Popen.kill
    monkeypatch.setattr(process, "kill", lambda: None)  # as a process in state D takes it
    os.kill(process.pid, signal.SIGSTOP)
    running.until(lambda: told(running, "error: first hangs (no heartbeat for 0.6 s) and is being killed"))
    manager.read()
    manager.heard.clear()
    running.until(lambda: "WATCHDOG=1" in manager.read())
    running.until(lambda: running.supervisor.children["first"].stuck(running.clock.now_ns()))
    manager.read()
    manager.heard.clear()
    begun_ns = running.clock.now_ns()
    running.until(lambda: running.clock.now_ns() - begun_ns > 700_000_000)
    assert "WATCHDOG=1" not in manager.read()
    real(process)
    running.until(lambda: "WATCHDOG=1" in manager.read())


STATION = """
import sys
from pathlib import Path
from controller.services.realtime import run_station

raise SystemExit(
    run_station(
        {"first": "boresight_toys:toy"},
        Path("toy.toml"),
        {},
        Path(sys.argv[1]),
        loader="boresight_toys:rig",
        base_port=int(sys.argv[2]),
        services=("supervisor", "first", "second", "recorder"),
        tell=lambda sentence: print(sentence, flush=True),
    )
)
"""


def test_a_station_speaks_to_the_manager_that_its_environment_names(
    toys: str, tmp_path: Path, base_port: int, manager: Manager
) -> None:
    environment = {**os.environ, "NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "600000"}
    command = [sys.executable, "-c", STATION, str(tmp_path / "run"), str(base_port)]
    with subprocess.Popen(command, env=environment) as process:
        try:
            with Client(static_table(base_port=base_port, services=SERVICES)) as client:
                assert client.wait_for(LINK_STATE, "first", timeout_s=20.0) is not None
                for _ in range(400):
                    if "READY=1" in manager.read() and manager.heard.count("WATCHDOG=1") > 1:
                        break
                    client.pause(0.02)
            process.terminate()
            assert process.wait(10) == 0
        finally:
            if process.poll() is None:
                process.kill()
    heard = [text for text in manager.read() if not text.startswith("STATUS=")]
    assert heard.count("READY=1") == 1
    assert heard.count("STOPPING=1") == 1
    assert heard.count("WATCHDOG=1") > 1
