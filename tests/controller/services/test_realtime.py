"""A station of toy services: each in its own process, each death noticed, nothing resumed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from controller.bus.client import Client
from controller.bus.endpoints import Endpoints, registry_endpoint, static_table
from controller.bus.envelope import BusError
from controller.bus.registry import TTL_NS, Announcement, Registry, RegistryClient, schema_hash
from controller.bus.topics import LINK_STATE, SERVICE_HEARTBEAT, STATION_EVENT
from controller.record import finished, read_messages
from controller.services import host
from controller.services.host import StopFlag, take_priority
from controller.services.launch import Launch, LaunchError, decode_launch, named
from controller.services.realtime import Supervisor, run_station
from hal.clock import NS, Deadline, RealClock

TOYS = """
import sys
from pathlib import Path

from controller.bus.port import Reply
from controller.bus.topics import LINK_STATE, LinkState
from controller.services.service import Service
from hal.errors import ResourceError


def rig(path, addresses):
    return {"path": str(path), "addresses": addresses}


class Toy(Service):
    name = "toy"
    period_s = 0.01

    def cycle(self):
        for request in self.port.requests():
            if request.method == "toy.crash":
                raise ZeroDivisionError("on request")
            if request.method == "toy.hang":
                while True:
                    self.clock.sleep_until(self.clock.now_ns() + 1_000_000_000)
            self.port.answer(request, Reply("", "done", body={"rig": self.rig["path"]}))
        self.port.publish(LINK_STATE, LinkState(self.clock.utc_ns(), 1e-6, 1e-7, above=True))

    def close(self):
        with open(self.run_dir / "closed", "a") as file:
            print(self.port.service, file=file)


def toy(clock, port, rig, run_dir):
    service = Toy(clock, port)
    service.rig, service.run_dir = rig, run_dir
    return service


def refuses(clock, port, rig, run_dir):
    raise ResourceError("gimbal: /dev/ttyUSB7 does not exist; plug the mount in")


def recorder(clock, port, rig, run_dir):
    from controller.bus.endpoints import static_table
    from controller.record_service import RecorderService

    table = static_table(base_port=int(rig["addresses"]["base_port"]), services=SERVICES)
    return RecorderService(clock, port, table, run_dir, {"run": {"rig": rig["path"]}})


SERVICES = ("supervisor", "first", "second", "recorder")
"""
SERVICES = ("supervisor", "first", "second", "recorder")


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The toys' module, importable in this process and its children."""
    (tmp_path / "boresight_toys.py").write_text(TOYS)
    paths = [str(tmp_path), str(Path(host.__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    return "boresight_toys"


@pytest.fixture
def base_port(free_base_port: Callable[[int], int]) -> int:
    return free_base_port(1 + 3 * len(SERVICES))


class Station:
    """A supervisor that the test turns by hand."""

    def __init__(
        self, folder: Path, toys: str, base_port: int, factories: dict[str, str], restart: tuple[str, ...] = ()
    ) -> None:
        self.base_port = base_port
        self.told: list[str] = []
        self.run_dir = folder / "run"
        self.clock = RealClock()
        self.launches = [
            Launch(
                service=name,
                factory=f"{toys}:{factory}",
                rig="toy.toml",
                run_dir=str(self.run_dir),
                addresses={"base_port": str(self.base_port)},
                loader=f"{toys}:rig",
                base_port=self.base_port,
                services=SERVICES,
            )
            for name, factory in factories.items()
        ]
        self.supervisor = Supervisor(self.launches, self.clock, self.told.append, restart)
        self.client = Client(self.launches[0].table(), "test")
        self.client.subscribe(LINK_STATE, SERVICE_HEARTBEAT)
        self.supervisor.start()

    def until(self, condition: Callable[[], Any], timeout_s: float = 20.0) -> None:
        deadline = Deadline(self.clock, timeout_s)
        while not condition():
            assert not deadline.expired, self.told
            self.supervisor.turn()
            self.client.pause(0.005)

    def alive(self, *names: str) -> bool:
        return all(self.client.store.latest(LINK_STATE, name) for name in names)

    def pid(self, name: str) -> int:
        return self.supervisor.children[name].process.pid

    def kill(self, name: str) -> None:
        os.kill(self.pid(name), signal.SIGKILL)

    def close(self) -> None:
        self.client.close()
        self.supervisor.end()


@pytest.fixture
def station(tmp_path: Path, toys: str, base_port: int) -> Iterator[Callable[..., Station]]:
    with ExitStack() as stack:

        def make(restart: tuple[str, ...] = (), **factories: str) -> Station:
            made = Station(tmp_path, toys, base_port, factories, restart)
            stack.callback(made.close)
            return made

        yield make


def test_services_run_in_processes_of_their_own_and_end_in_reverse_order(
    station: Callable[..., Station], tmp_path: Path
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


def test_kill_9_of_a_service_is_told_and_it_is_not_started_again(station: Callable[..., Station]) -> None:
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


def test_what_only_reads_may_be_started_again(station: Callable[..., Station], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.services.realtime.RESTART_PAUSE_NS", NS // 20)
    running = station(restart=("second",), second="toy")
    running.until(lambda: running.alive("second"))
    before = running.client.store.boot_of("second")
    running.kill("second")
    running.until(lambda: running.client.store.boot_of("second") != before)
    assert running.supervisor.children["second"].restarts == 1
    assert not running.supervisor.failed


def test_a_crash_is_told_with_its_cause_and_leaves_a_traceback_in_the_log(station: Callable[..., Station]) -> None:
    running = station(first="toy")
    running.until(lambda: running.alive("first") and running.supervisor.children["first"].seen)
    assert running.client.call("first", "toy.crash", timeout_s=0.3).code == "TIMEOUT_UNKNOWN"
    running.until(lambda: any("died with exit code 4" in sentence for sentence in running.told))
    running.until(lambda: any("ZeroDivisionError: on request" in sentence for sentence in running.told))
    assert "Traceback" in (running.run_dir / "logs" / "first.log").read_text()
    assert (running.run_dir / "closed").read_text().split() == ["first"], "devices were left safe"


def test_a_service_that_refuses_to_start_ends_the_station_with_its_sentence(
    station: Callable[..., Station],
) -> None:
    running = station(first="refuses")
    running.until(lambda: running.supervisor.stop_told)
    assert running.supervisor.failed
    (sentence,) = running.told
    assert "first refused to start: gimbal: /dev/ttyUSB7 does not exist; plug the mount in" in sentence
    assert "Traceback" not in (running.run_dir / "logs" / "first.log").read_text()


def test_a_service_that_hangs_is_killed_after_its_grace(
    station: Callable[..., Station], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.services.realtime.GRACE_S", 0.2)
    running = station(first="toy")
    running.until(lambda: running.alive("first"))
    running.client.call("first", "toy.hang", timeout_s=0.1)
    running.supervisor.end()
    assert running.supervisor.children["first"].process.returncode == -signal.SIGKILL
    assert any("did not end within" in sentence for sentence in running.told)


def test_the_registry_knows_who_is_alive_and_where(station: Callable[..., Station]) -> None:
    running = station(first="toy")
    running.until(lambda: running.supervisor.children["first"].seen)
    registry = running.supervisor._registry.registry
    assert [item.service for item in registry.lookup()] == ["first", "supervisor"]
    assert registry.lookup()[0].endpoints == running.launches[0].table()["first"]


def test_a_recorder_killed_with_9_leaves_a_recording_that_its_successor_mends(
    station: Callable[..., Station], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.services.realtime.RESTART_PAUSE_NS", NS // 20)
    running = station(restart=("recorder",), recorder="recorder", first="toy")

    def recordings() -> list[Path]:
        return sorted(running.run_dir.glob("*.mcap"))

    def readable() -> int:
        return sum(message.topic == LINK_STATE.name for message in read_messages(recordings()[0]))

    running.until(lambda: recordings() and readable() > 20)
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
    """A supervisor in a process of its own, in a process group of its own."""
    command = [sys.executable, "-c", STATION, str(tmp_path / "run"), str(base_port)]
    with subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE) as process:
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_station_ends_in_good_order_when_told(
    whole_station: tuple[subprocess.Popen[bytes], int], tmp_path: Path, number: signal.Signals
) -> None:
    process, base_port = whole_station
    with Client(static_table(base_port=base_port, services=SERVICES)) as client:
        assert client.wait_for(LINK_STATE, "first", timeout_s=20.0) is not None
    os.killpg(process.pid, number) if number == signal.SIGINT else process.terminate()
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


@pytest.mark.parametrize("path", ["no.such.module:f", "controller.services.host:nothing", "controller", "hal.clock:NS"])
def test_a_wrong_factory_is_named(path: str) -> None:
    with pytest.raises(LaunchError, match=path):
        named(path)


def test_a_launch_survives_its_command_line() -> None:
    launch = Launch(service="first", factory="a:b", rig="rig.toml", run_dir="run", addresses={"gimbal": "pty"})
    assert decode_launch(launch.encode()) == launch
    assert launch.make_clock().realtime
    shifted = decode_launch(replace(launch, utc_offset_ns=-5).encode()).make_clock()
    assert (shifted.realtime, shifted.utc_ns() <= shifted.now_ns() - 5) == (False, True)
    with pytest.raises(LaunchError):
        decode_launch("{}")


def test_real_time_priority_that_is_not_allowed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def refuse(pid: int, policy: int, parameter: os.sched_param) -> None:
        asked.append((policy, parameter.sched_priority))
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    assert take_priority(0) == ""
    assert "Operation not permitted" in take_priority(10)
    assert asked == [(os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, 10)], "what it starts does not inherit it"
    monkeypatch.setattr(os, "sched_setscheduler", lambda *arguments: None)
    assert take_priority(10) == ""


class AfterTurns:
    """Says stop when it has been asked often enough."""

    def __init__(self, turns: int) -> None:
        self.turns = turns

    def __call__(self) -> bool:
        self.turns -= 1
        return self.turns < 0


def launch_of(toys: str, folder: Path, factory: str, base_port: int, **change: Any) -> Launch:
    return Launch(
        service="first",
        factory=f"{toys}:{factory}",
        rig="toy.toml",
        run_dir=str(folder),
        loader=f"{toys}:rig",
        base_port=base_port,
        services=SERVICES,
        **change,
    )


@pytest.fixture
def toys_here(toys: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield toys
    sys.modules.pop(toys, None)


def test_a_host_runs_its_service_until_told_to_stop(toys_here: str, tmp_path: Path, base_port: int) -> None:
    assert host.host(launch_of(toys_here, tmp_path, "toy", base_port), AfterTurns(3)) == 0
    assert (tmp_path / "closed").read_text().split() == ["first"]


@pytest.mark.parametrize(
    ("factory", "code", "words"),
    [
        ("refuses", host.EXIT_REFUSED, "/dev/ttyUSB7 does not exist"),
        ("absent", host.EXIT_REFUSED, "is no factory of a service"),
        ("rig", host.EXIT_CRASHED, "first has a fault of its own (TypeError"),
    ],
)
def test_a_host_says_why_its_service_did_not_run(
    toys_here: str,
    tmp_path: Path,
    base_port: int,
    capsys: pytest.CaptureFixture[str],
    factory: str,
    code: int,
    words: str,
) -> None:
    assert host.host(launch_of(toys_here, tmp_path, factory, base_port), AfterTurns(3)) == code
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_a_host_without_real_time_priority_runs_and_tells(
    toys_here: str, tmp_path: Path, base_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    launch = launch_of(toys_here, tmp_path, "toy", base_port, priority=5)
    events: list[str] = []
    with Client(launch.table()) as client:

        def stop() -> bool:
            client.pause(0.01)
            events.extend(sample.body.message for sample in client.store.drain(STATION_EVENT))
            return bool(events)

        assert host.host(launch, stop) == 0
    assert "runs without real-time priority" in events[0]


def test_a_host_on_taken_ports_refuses(
    toys_here: str, tmp_path: Path, base_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    launch = launch_of(toys_here, tmp_path, "toy", base_port)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", launch.base_port + 4))
        taken.listen()
        assert host.host(launch, AfterTurns(3)) == host.EXIT_REFUSED
    assert "in use: a station is running" in capsys.readouterr().err


def test_the_host_process_reads_its_launch_and_ends_on_sigterm(
    toys_here: str, tmp_path: Path, base_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(host, "host", lambda launch, stop, opened: os.kill(os.getpid(), signal.SIGTERM) or 10 + stop())
    try:
        assert host.main([launch_of(toys_here, tmp_path, "toy", base_port).encode()]) == 11
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])


def test_a_station_runs_until_it_is_no_longer_wanted(toys: str, tmp_path: Path, base_port: int) -> None:
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
            stop_wanted=stop,
        )
        sample = client.store.latest(LINK_STATE, "first")
    assert (code, told) == (0, [])
    assert sample is not None
    assert not sample.simulated, "no emulated device, no mark"
    assert (tmp_path / "closed").read_text().split() == ["first"]


def test_a_station_whose_registry_port_is_taken_is_refused(toys: str, tmp_path: Path, base_port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", base_port))
        taken.listen()
        with pytest.raises(BusError, match="'registry' is in use"):
            run_station({"first": f"{toys}:toy"}, Path("x"), {}, tmp_path, base_port=base_port, services=SERVICES)


def test_the_supervisor_answers_commands(station: Callable[..., Station]) -> None:
    running = station(first="toy")
    obey = running.supervisor._obey
    assert obey("stop").code == ""
    assert obey("supervisor.dance").code == "SCHEMA"
    assert not running.supervisor.stop_told
    assert obey("supervisor.end").code == ""
    assert running.supervisor.stop_told


def test_an_orphan_is_told_to_stop() -> None:
    parents = [100, 100, 1]
    stop = StopFlag(parent=lambda: parents.pop(0))
    assert not stop()
    assert stop()
    assert StopFlag(100, lambda: 1)(), "the supervisor died before its service had begun"


def test_an_announcement_holds_for_three_seconds() -> None:
    class Clock:
        realtime, t_ns = False, 0

        def now_ns(self) -> int:
            return self.t_ns

        utc_ns = now_ns

        def sleep_until(self, t_ns: int) -> None:
            self.t_ns = t_ns

    clock = Clock()
    registry = Registry(clock)
    item = Announcement("link", "a", "b", "c", b"boot", schema_hash())
    registry.announce(item)
    clock.t_ns = TTL_NS
    assert registry.lookup() == [item]
    clock.t_ns += 1
    assert registry.lookup() == []
    assert item.endpoints == Endpoints("a", "b", "c")


def test_nobody_at_the_registry_is_a_sentence(base_port: int) -> None:
    with pytest.raises(BusError, match="boresight run"):
        RegistryClient(f"tcp://127.0.0.1:{base_port}", RealClock()).lookup(0.1)
