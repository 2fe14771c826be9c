"""A service's own process: launch, priority, and what it says when it cannot run; the registry's time to live."""

from __future__ import annotations

import errno
import io
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from hand_clock import HandClock
from msgspec.structs import replace

from controller.bus.client import Client
from controller.bus.endpoints import Endpoints
from controller.bus.envelope import BusError
from controller.bus.registry import TTL_NS, Announcement, Registry, RegistryClient, schema_hash
from controller.bus.topics import LINK_STATE, STATION_EVENT
from controller.services import host
from controller.services.host import StopFlag, take_cpus, take_priority
from controller.services.launch import Launch, LaunchError, decode_launch, named
from hal.clock import RealClock

SERVICES = ("supervisor", "first", "second", "recorder")


@pytest.mark.parametrize("path", ["no.such.module:f", "controller.services.host:nothing", "controller", "hal.clock:NS"])
def test_a_wrong_factory_is_named(path: str) -> None:
    with pytest.raises(LaunchError, match=path):
        named(path)


@pytest.mark.parametrize(
    ("emulated", "words"),
    [
        ({"gimbal", "camera"}, "camera was real at its start"),
        (set(), "gimbal was emulated at its start"),
        ({"gimbal"}, ""),
    ],
)
def test_a_service_does_not_start_on_a_rig_file_whose_devices_have_changed(emulated: set[str], words: str) -> None:
    launch = Launch(service="first", factory="a:b", rig="rig.toml", run_dir="run", addresses={"gimbal": "pty"})
    with pytest.raises(LaunchError, match=words) if words else nullcontext():
        host.refuse_other_devices(launch, emulated)


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


def test_processors_are_taken_by_every_thread_and_what_is_not_had_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = {0: {0, 1}}

    def take(thread: int, cpus: Sequence[int]) -> None:
        if not set(cpus) & {0, 1}:
            raise OSError(22, "Invalid argument")
        mine[thread] = mine[0] = set(cpus) & {0, 1}  # as the kernel does: those that there are

    monkeypatch.setattr(os, "sched_setaffinity", take)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: mine[pid])
    assert take_cpus(()) == ""
    assert mine == {0: {0, 1}}
    assert take_cpus([1]) == ""
    assert all(cpus == {1} for cpus in mine.values())
    assert len(mine) == 1 + len(os.listdir("/proc/self/task"))
    assert "runs on processors 0, and [supervisor] cpus says 0, 7 (some are not this machine's)" in take_cpus([0, 7])
    assert "cpus says 9 (Invalid argument): change it, or `CPUAffinity=`" in take_cpus([9])


def test_a_service_really_runs_on_the_processor_it_is_given(toys: str, tmp_path: Path, base_port: int) -> None:
    (cpu,) = sorted(os.sched_getaffinity(0))[-1:]
    launch = launch_of(toys, tmp_path, "toy", base_port, parent=os.getpid(), cpus=(cpu,))
    with (
        Client(launch.table()) as client,
        subprocess.Popen([sys.executable, "-m", "controller.services.host", launch.encode()]) as process,
    ):
        try:
            assert client.wait_for(LINK_STATE, "first", timeout_s=20.0) is not None
            for thread in os.listdir(f"/proc/{process.pid}/task"):
                assert os.sched_getaffinity(int(thread)) == {cpu}
        finally:
            process.terminate()


def test_only_the_thread_that_starts_processes_is_marked_since_libzmq_aborts_over_the_mark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: dict[int, int] = {}
    monkeypatch.setattr(os, "sched_setscheduler", lambda thread, policy, parameter: asked.update({thread: policy}))
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        assert take_priority(10) == ""
    finally:
        done.set()
        other.join()
    assert asked[os.getpid()] == os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
    assert asked[other.native_id or 0] == os.SCHED_FIFO


def test_a_service_told_to_end_while_it_loads_ends_even_where_exceptions_are_swallowed() -> None:
    code = (
        "import os, signal, weakref\n"
        "from controller.services.host import StopFlag\n"
        "StopFlag().catch_signals()\n"
        "class Module: pass\n"
        "module = Module()\n"
        "ref = weakref.ref(module, lambda ref: os.kill(os.getpid(), signal.SIGTERM))\n"
        "del module\n"
        "print('it loads on')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


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
def handlers() -> Iterator[None]:
    """Those of this process stay as they are."""
    caught = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
    before = {number: signal.getsignal(number) for number in caught}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


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


def test_a_host_whose_log_is_on_a_full_disk_ends_with_its_code_all_the_same(
    toys_here: str, tmp_path: Path, base_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("sys.stderr", Full())
    assert host.host(launch_of(toys_here, tmp_path, "rig", base_port), AfterTurns(3)) == host.EXIT_CRASHED
    assert host.host(launch_of(toys_here, tmp_path, "refuses", base_port), AfterTurns(3)) == host.EXIT_REFUSED


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


@pytest.mark.usefixtures("handlers")
def test_the_host_process_reads_its_launch_and_ends_on_sigterm(
    toys_here: str, tmp_path: Path, base_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def a_service_in_its_loop(launch: object, stop: StopFlag, opened: object, loaded: Callable[[], None]) -> int:
        loaded()
        os.kill(os.getpid(), signal.SIGTERM)
        return 10 + stop()

    monkeypatch.setattr(host, "host", a_service_in_its_loop)
    assert host.main([launch_of(toys_here, tmp_path, "toy", base_port).encode()]) == 11


@pytest.mark.usefixtures("handlers")
def test_a_service_that_is_told_to_end_while_it_loads_ends_at_once(
    toys_here: str, tmp_path: Path, base_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "_exit", sys.exit)
    monkeypatch.setattr(host, "host", lambda *_: os.kill(os.getpid(), signal.SIGTERM) or pytest.fail("it went on"))
    with pytest.raises(SystemExit):
        host.main([launch_of(toys_here, tmp_path, "toy", base_port).encode()])


def test_an_orphan_is_told_to_stop() -> None:
    parents = [100, 100, 1]
    stop = StopFlag(parent=lambda: parents.pop(0))
    assert not stop()
    assert stop()
    assert StopFlag(100, lambda: 1)(), "the supervisor died before its service had begun"


def test_an_announcement_holds_for_three_seconds() -> None:
    clock = HandClock(0)
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
