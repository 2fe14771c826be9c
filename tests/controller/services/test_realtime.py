"""A station of toy services: each in its own process, each death noticed, nothing resumed."""

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
from controller.bus.endpoints import registry_endpoint, static_table
from controller.bus.envelope import BusError
from controller.bus.keys import KeyFileError, make_key, make_station_key
from controller.bus.registry import RegistryClient
from controller.bus.security import client_security
from controller.bus.topics import LINK_STATE, STATION_EVENT
from controller.record import finished, read_messages
from controller.services.launch import LaunchError
from controller.services.realtime import run_station
from controller.services.rules import Rules
from hal.clock import NS, Deadline, RealClock

SERVICES = ("supervisor", "first", "second", "recorder")


def test_services_run_in_processes_of_their_own_and_end_in_reverse_order(
    station: Callable[..., Any], tmp_path: Path
) -> None:
    running = station(first="toy", second="toy")
    running.until(lambda: running.alive("first", "second"))
    assert len({os.getpid(), running.pid("first"), running.pid("second")}) == 3
    reply = running.client.call("first", "toy.anything")
    assert reply.body == {"rig": "toy.toml"}
    sample = running.client.store.latest(LINK_STATE, "first")
    assert sample is not None
    assert sample.simulated, "a station with emulated devices marks what it says"
    running.supervisor.end()
    assert (running.run_dir / "closed").read_text().split() == ["second", "first"]
    assert not running.supervisor.failed


def test_kill_9_of_a_service_is_told_and_it_is_not_started_again(station: Callable[..., Any]) -> None:
    running = station(first="toy", second="toy")
    running.until(lambda: running.alive("first", "second"))
    pid = running.pid("first")
    running.kill("first")
    running.until(lambda: running.supervisor.children["first"].gone, timeout_s=1.0)
    assert any("first was killed by SIGKILL and is not started again" in sentence for sentence in running.told)
    events = [sample.body.code for sample in running.client.store.drain(STATION_EVENT)]
    running.until(lambda: "DIED" in events + [s.body.code for s in running.client.store.drain(STATION_EVENT)])
    running.client.store.drain(LINK_STATE)
    for _ in range(20):
        running.supervisor.turn()
        running.client.pause(0.01)
    assert running.pid("first") == pid
    survivors = {sample.source for sample in running.client.store.drain(LINK_STATE)}
    assert survivors == {"second"}
    assert running.supervisor.failed


def test_who_may_be_started_again_is(station: Callable[..., Any]) -> None:
    running = station({"restart": {"second"}, "restart_delay_s": 0.05}, second="toy")
    running.until(lambda: running.alive("second"))
    before = running.client.store.boot_of("second")
    running.kill("second")
    running.until(lambda: running.client.store.boot_of("second") != before)
    assert running.supervisor.children["second"].restarts == 1
    assert not running.supervisor.failed


def test_a_crash_is_told_with_its_cause_and_leaves_a_traceback_in_the_log(station: Callable[..., Any]) -> None:
    running = station(first="toy")
    running.until(lambda: running.alive("first") and running.supervisor.children["first"].seen)
    assert running.client.call("first", "toy.crash", timeout_s=0.3).code == "TIMEOUT_UNKNOWN"
    running.until(lambda: any("died with exit code 4" in sentence for sentence in running.told))
    running.until(lambda: any("ZeroDivisionError: on request" in sentence for sentence in running.told))
    assert "Traceback" in (running.run_dir / "logs" / "first.log").read_text()
    assert (running.run_dir / "closed").read_text().split() == ["first"], "devices were left safe"


def test_a_service_that_refuses_to_start_ends_the_station_with_its_sentence(
    station: Callable[..., Any],
) -> None:
    running = station(first="refuses")
    running.until(lambda: running.supervisor.stop_told)
    assert running.supervisor.failed
    (sentence,) = running.told
    assert "first refused to start: gimbal: /dev/ttyUSB7 does not exist; plug the mount in" in sentence
    assert "Traceback" not in (running.run_dir / "logs" / "first.log").read_text()


def test_a_service_that_hangs_is_killed_after_its_grace(
    station: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.services.supervisor.GRACE_S", 0.2)
    running = station(first="toy")
    running.until(lambda: running.alive("first"))
    running.client.call("first", "toy.hang", timeout_s=0.1)
    running.supervisor.end()
    assert running.supervisor.children["first"].process.returncode == -signal.SIGKILL
    assert any("did not end within" in sentence for sentence in running.told)


def test_the_registry_knows_who_is_alive_and_where(station: Callable[..., Any]) -> None:
    running = station(first="toy")
    running.until(lambda: running.supervisor.children["first"].seen)
    registry = running.supervisor._registry.registry
    assert [item.service for item in registry.lookup()] == ["first", "supervisor"]
    assert registry.lookup()[0].endpoints == running.launches[0].table()["first"]


def test_a_recorder_killed_with_9_leaves_a_recording_that_its_successor_mends(
    station: Callable[..., Any],
) -> None:
    running = station({"restart_delay_s": 0.05}, recorder="recorder", first="toy")

    def recordings() -> list[Path]:
        return sorted(running.run_dir.glob("*.mcap"))

    def readable() -> int:
        return sum(message.topic == LINK_STATE.name for message in read_messages(recordings()[0]))

    running.until(lambda: recordings() and recordings()[0].stat().st_size > 1000 and readable() > 20)
    running.kill("recorder")
    running.until(lambda: running.supervisor.children["recorder"].gone)
    first = recordings()[0]
    numbers = [m.seq for m in read_messages(first) if m.topic == LINK_STATE.name]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "no gap up to the last flush"
    assert not finished(first)
    running.until(lambda: len(recordings()) == 2 and finished(first))
    running.until(lambda: any("messages are readable again" in sentence for sentence in running.told))


STATION = """
import sys
from pathlib import Path
from controller.services.realtime import run_station
from controller.services.rules import Rules

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


@pytest.fixture
def whole_station(tmp_path: Path, toys: str, base_port: int) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A supervisor in a process of its own, in a process group of its own: a job, as a shell has them."""
    command = [sys.executable, "-c", STATION, str(tmp_path / "run"), str(base_port)]
    with subprocess.Popen(command, process_group=0, stdout=subprocess.PIPE) as process:
        try:
            yield process, base_port
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def wait_until_dead(pid: int, timeout_s: float = 3.0) -> None:
    clock = RealClock()
    deadline = Deadline(clock, timeout_s)
    while _runs(pid):
        assert not deadline.expired
        clock.sleep_until(clock.now_ns() + NS // 100)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _children(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_station_ends_in_good_order_when_told(
    whole_station: tuple[subprocess.Popen[bytes], int], tmp_path: Path, number: signal.Signals
) -> None:
    process, base_port = whole_station
    with Client(static_table(base_port=base_port, services=SERVICES)) as client:
        assert client.wait_for(LINK_STATE, "first", timeout_s=20.0) is not None
    process.terminate() if number == signal.SIGTERM else os.killpg(process.pid, number)
    assert process.wait(10) == 0
    assert (tmp_path / "run" / "closed").read_text().split() == ["first"]


@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU])
def test_what_suspends_other_programs_of_a_terminal_suspends_no_station(
    whole_station: tuple[subprocess.Popen[bytes], int], tmp_path: Path, number: signal.Signals
) -> None:
    process, base_port = whole_station
    with Client(static_table(base_port=base_port, services=SERVICES)) as client:
        assert client.wait_for(LINK_STATE, "first", timeout_s=20.0) is not None
        (child,) = _children(process.pid)
        assert os.getsid(child) == child, "no terminal signals it"
        os.killpg(process.pid, number)
        for ignored in (number, signal.SIGHUP):
            os.kill(child, ignored)
        client.store.drain(LINK_STATE)
        assert client.call("supervisor", "supervisor.end").code == "", "it goes on"
    assert process.wait(10) == 0
    assert (tmp_path / "run" / "closed").read_text().split() == ["first"]


def test_a_client_may_end_the_station_and_find_it_by_its_registry(
    whole_station: tuple[subprocess.Popen[bytes], int],
) -> None:
    process, base_port = whole_station
    table = static_table(base_port=base_port, services=SERVICES)
    with Client(table) as client:
        assert client.wait_for(LINK_STATE, "first", timeout_s=20.0) is not None
        found = RegistryClient(registry_endpoint(base_port=base_port), RealClock()).lookup()
        assert found == {name: table[name] for name in found}
        assert set(found) >= {"supervisor"}
        assert client.call("supervisor", "supervisor.end").code == ""
    assert process.wait(10) == 0


def test_services_end_when_their_supervisor_is_killed(
    whole_station: tuple[subprocess.Popen[bytes], int], tmp_path: Path
) -> None:
    process, base_port = whole_station
    with Client(static_table(base_port=base_port, services=SERVICES)) as client:
        assert client.wait_for(LINK_STATE, "first", timeout_s=20.0) is not None
    (child,) = _children(process.pid)
    process.kill()
    process.wait(5)
    wait_until_dead(child)
    assert (tmp_path / "run" / "closed").read_text().split() == ["first"], "its devices were left safe"


def test_a_second_station_on_the_same_ports_is_refused(toys: str, tmp_path: Path, base_port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", base_port + 1))
        taken.listen()
        with pytest.raises(BusError, match="in use: a station is running"):
            run_station({"first": f"{toys}:toy"}, Path("x"), {}, tmp_path, base_port=base_port, services=SERVICES)


@pytest.mark.parametrize("name", ["camera", "supervisor"])
def test_a_service_outside_of_the_table_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(LaunchError, match=name):
        run_station({name: "x:y"}, Path("x"), {}, tmp_path, services=SERVICES)


def test_a_station_without_services_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="at least one service"):
        run_station({}, Path("x"), {}, tmp_path)


def test_a_station_runs_until_it_is_no_longer_wanted(rules: Rules, toys: str, tmp_path: Path, base_port: int) -> None:
    table = static_table(base_port=base_port, services=SERVICES)
    told: list[str] = []
    with Client(table) as client:
        client.subscribe(LINK_STATE)

        def stop() -> bool:
            client.pause(0.001)
            return client.store.latest(LINK_STATE, "first") is not None

        code = run_station(
            {"first": f"{toys}:toy"},
            Path("toy.toml"),
            {},
            tmp_path,
            loader=f"{toys}:rig",
            base_port=base_port,
            services=SERVICES,
            tell=told.append,
            rules=rules,
            stop_wanted=stop,
        )
        sample = client.store.latest(LINK_STATE, "first")
    assert (code, told) == (0, [])
    assert sample is not None
    assert not sample.simulated, "no emulated device, no mark"
    assert (tmp_path / "closed").read_text().split() == ["first"]


def test_a_station_with_keys_serves_who_is_listed_and_shows_nothing_to_who_is_not(
    rules: Rules, toys: str, tmp_path: Path, base_port: int
) -> None:
    keys = tmp_path / "keys"
    make_station_key(keys)
    make_key(keys, "anna", "operator")
    table = static_table(base_port=base_port, services=SERVICES)
    told: list[str] = []
    with Client(table) as stranger, Client(table, security=client_security(keys)) as anna:
        for client in (stranger, anna):
            client.subscribe(LINK_STATE)
        asked: list[bytes] = []

        def stop() -> bool:
            stranger.pause(0.001)
            anna.pause(0.001)
            if not asked and anna.store.latest(LINK_STATE, "first") is not None:
                asked.append(anna.send("supervisor", "supervisor.end", timeout_s=10.0))
            for request in asked:
                anna._requester.result(request)  # sends it as soon as it is connected
            return False  # the station ends when anna says so

        code = run_station(
            {"first": f"{toys}:toy"},
            Path("toy.toml"),
            {},
            tmp_path,
            loader=f"{toys}:rig",
            base_port=base_port,
            services=SERVICES,
            keys=keys,
            tell=told.append,
            rules=rules,
            stop_wanted=stop,
        )
        assert stranger.store.received == 0
    assert code == 0
    assert all("without a key was refused" in sentence for sentence in told), told


@pytest.mark.parametrize("mend", ["missing", "open to others"])
def test_a_station_whose_own_key_is_missing_or_open_to_others_does_not_start(
    toys: str, tmp_path: Path, base_port: int, mend: str
) -> None:
    keys = tmp_path / "keys"
    make_station_key(keys)
    if mend == "missing":
        (keys / "station.secret").unlink()
    else:
        (keys / "station.secret").chmod(0o640)
    with pytest.raises(KeyFileError, match=r"station\.secret"):
        run_station(
            {"first": f"{toys}:toy"}, Path("x"), {}, tmp_path, base_port=base_port, services=SERVICES, keys=keys
        )


def test_a_station_off_loopback_without_keys_does_not_start(toys: str, tmp_path: Path, base_port: int) -> None:
    with pytest.raises(BusError, match=r"not a loopback address.*boresight keys make"):
        run_station(
            {"first": f"{toys}:toy"}, Path("x"), {}, tmp_path, host="0.0.0.0", base_port=base_port, services=SERVICES
        )


def test_a_station_whose_registry_port_is_taken_is_refused(toys: str, tmp_path: Path, base_port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", base_port))
        taken.listen()
        with pytest.raises(BusError, match="'registry' is in use"):
            run_station({"first": f"{toys}:toy"}, Path("x"), {}, tmp_path, base_port=base_port, services=SERVICES)


def test_the_supervisor_answers_commands(station: Callable[..., Any]) -> None:
    running = station(first="toy")
    obey = running.supervisor._obey
    assert obey("stop").code == ""
    assert obey("supervisor.dance").code == "SCHEMA"
    assert not running.supervisor.stop_told
    assert obey("supervisor.end").code == ""
    assert running.supervisor.stop_told
