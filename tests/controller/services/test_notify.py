"""A real datagram socket that plays the service manager: it reads what systemd would."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hand_clock import HandClock

from controller.services.notify import ServiceManager
from hal.clock import NS


@pytest.fixture(params=["a path", "an abstract name"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    name = f"@boresight-test-{os.getpid()}" if request.param == "an abstract name" else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name[1:] if name.startswith("@") else name)
        listening.setblocking(False)
        yield listening, name


def received(listening: socket.socket) -> list[str]:
    texts = []
    while True:
        try:
            texts.append(listening.recv(4096).decode())
        except BlockingIOError:
            return texts


def test_a_manager_is_told_ready_alive_status_and_stopping(manager: tuple[socket.socket, str]) -> None:
    listening, name = manager
    environment = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "9000000", "WATCHDOG_PID": str(os.getpid())}
    clock = HandClock()
    told = ServiceManager.of_this_process(clock, environment)
    assert environment == {}, "what this process starts does not speak for it"

    told.ready()
    told.ready()
    told.status("LINK;\nevery service runs")
    told.status("LINK; every service runs")
    assert received(listening) == ["READY=1", "STATUS=LINK; every service runs"]
    for _ in range(90):
        told.alive()
        clock.t_ns += NS // 10
    assert received(listening) == ["WATCHDOG=1"] * 3, "every third of the time after which it acts"
    told.stopping()
    assert received(listening) == ["STOPPING=1"]
    told.close()
    told.ready()
    assert received(listening) == []


def test_a_watchdog_that_is_another_process_s_is_not_fed(manager: tuple[socket.socket, str]) -> None:
    listening, name = manager
    told = ServiceManager.of_this_process(
        HandClock(), {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "9000000", "WATCHDOG_PID": "1"}
    )
    told.alive()
    told.ready()
    assert received(listening) == ["READY=1"]
    told.close()


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}])
def test_without_a_manager_nothing_is_sent(environment: dict[str, str]) -> None:
    told = ServiceManager.of_this_process(HandClock(), environment)
    for say in (told.ready, told.alive, told.stopping, told.close):
        say()


def test_a_manager_that_is_gone_stops_nobody(tmp_path: Path) -> None:
    told = ServiceManager(HandClock(), str(tmp_path / "nobody"), 9.0)
    for say in (told.ready, told.alive, told.stopping, told.close):
        say()


def test_a_manager_that_is_too_busy_to_hear_of_readiness_is_told_again(manager: tuple[socket.socket, str]) -> None:
    listening, name = manager
    told = ServiceManager.of_this_process(HandClock(), {"NOTIFY_SOCKET": name})
    others = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    with others, suppress(BlockingIOError):
        for _ in range(10_000):
            others.sendto(b"STATUS=busy", "\0" + name[1:] if name.startswith("@") else name)
    told.ready()
    assert "READY=1" not in received(listening)
    told.ready()
    told.ready()
    assert received(listening) == ["READY=1"]
    told.close()
