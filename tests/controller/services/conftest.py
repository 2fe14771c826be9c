"""Toy services in a folder of their own, and a station of them in processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.bus.client import Client
from controller.bus.topics import LINK_STATE, SERVICE_HEARTBEAT
from controller.services import host
from controller.services.launch import Launch
from controller.services.rules import DEFAULT_RULES, Rules
from controller.services.supervisor import Supervisor
from hal.clock import Deadline, RealClock

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
            if request.method == "toy.eat":
                self.eaten = bytearray(b"x" * 120_000_000)
            if request.method == "toy.open":
                self.opened = [open("/dev/null") for _ in range(60)]
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


def unplugged(clock, port, rig, run_dir):
    if (run_dir / "unplugged").exists():
        refuses(clock, port, rig, run_dir)
    return toy(clock, port, rig, run_dir)


class Waits(Toy):
    def cycle(self):
        while self.cycles > 20 and not self.port.stopped:
            self.waits_for("a camera")
            self.clock.sleep_until(self.clock.now_ns() + 100_000_000)


def waits(clock, port, rig, run_dir):
    service = Waits(clock, port)
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


@pytest.fixture(autouse=True)
def terminal() -> Iterator[None]:
    """A closed terminal is told to whoever is tested, also where nohup keeps it from the tests."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


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
        self, folder: Path, toys: str, base_port: int, factories: dict[str, str], rules: dict[str, Any]
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
        self.supervisor = Supervisor(self.launches, self.clock, self.told.append, replace(roomy(), **rules))
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


def roomy() -> Rules:
    """The supervisor is in the process of the tests here, which takes as much memory as they do."""
    ample = 1e12
    return replace(DEFAULT_RULES, memory_told_bytes=ample, memory_max_bytes=ample, memory_growth_told_bytes_h=ample)


@pytest.fixture
def rules() -> Rules:
    return roomy()


@pytest.fixture
def station(tmp_path: Path, toys: str, base_port: int) -> Iterator[Callable[..., Station]]:
    with ExitStack() as stack:

        def make(rules: dict[str, Any] | None = None, **factories: str) -> Station:
            made = Station(tmp_path, toys, base_port, factories, rules or {})
            stack.callback(made.close)
            return made

        yield make
