"""Ten thousand connections: those of strangers are bounded and go, who is connected is served, nothing is left over."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from controller.bus.client import Client
from controller.bus.endpoints import Table
from controller.bus.gatekeeper import GUESTS_MAX
from controller.bus.keys import make_key, make_station_key
from controller.bus.security import client_security, station_security
from controller.bus.topics import STATION_EVENT
from hal.clock import Deadline, RealClock

CONNECTIONS = 10_000
WAVE = 1000  # each far more than a service keeps
DESCRIPTORS = 4096
SPARE = 32  # the service's own
GREETING = bytes.fromhex("ff00000000000000017f") + b"\x03\x00" + b"CURVE".ljust(20, b"\0") + bytes(32)  # ZMTP 3, RFC 23
CLOCK = RealClock()
#: What a stranger says and then falls silent: nothing, half a greeting, all of it and no handshake, another protocol.
SAYS = (b"", GREETING[:11], GREETING, b"GET / HTTP/1.1\r\n\r\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "keys"
    make_station_key(made)
    make_key(made, "anna", "operator")
    return made


@pytest.fixture
def waves() -> Iterator[Callable[[str], int]]:
    """Opens a wave of connections to an endpoint, lets go of the wave before; how many the endpoint took."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, DESCRIPTORS)), hard))
    with ExitStack() as held:
        held.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))

        def wave(endpoint: str) -> int:
            strangers.close()
            at, taken = urlsplit(endpoint), 0
            for number in range(WAVE):
                stranger = strangers.enter_context(socket.socket())
                stranger.settimeout(1.0)
                with suppress(OSError):
                    stranger.connect((at.hostname, at.port))
                    stranger.sendall(SAYS[number % len(SAYS)])
                    taken += 1
            return taken

        strangers = held.enter_context(ExitStack())
        yield wave


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_ten_thousand_connections_are_bounded_and_who_is_connected_is_served(
    table: Table, toy: Callable[..., Any], folder: Path, waves: Callable[[str], int]
) -> None:
    with (
        toy("link", security=station_security(folder)) as served,
        Client(table, security=client_security(folder, "anna")) as anna,
    ):
        anna.subscribe(STATION_EVENT)
        assert anna.call("link", "toy.before").code == ""
        before, memory = descriptors(), resident_bytes()
        for _ in range(CONNECTIONS // WAVE):
            waves(table["link"].cmd)
            deadline = Deadline(CLOCK, 20.0)  # the strangers' ends and the service's are of one process here
            while (kept := descriptors() - before - WAVE) > GUESTS_MAX + SPARE:
                assert not deadline.expired, f"{kept} connections are kept"
                anna.pause(0.01)
            assert anna.call("link", "toy.during", timeout_s=10.0).code == ""
        assert served.executed == ["toy.before"] + ["toy.during"] * (CONNECTIONS // WAVE)
        assert resident_bytes() - memory < 64 << 20
        told, deadline = "", Deadline(CLOCK, 20.0)
        while " CONNECTION; last: a connection from " not in told:
            assert not deadline.expired, "nobody is told"
            told += " ".join(s.body.message for s in anna.samples(0.05) if s.topic == STATION_EVENT.name)
        assert not anna.store.gaps


def test_a_crowd_that_goes_leaves_the_door_open_for_who_comes_next(
    table: Table, toy: Callable[..., Any], folder: Path, waves: Callable[[str], int]
) -> None:
    with toy("link", security=station_security(folder)):
        before = descriptors()
        waves(table["link"].cmd)
        with Client(table, security=client_security(folder, "anna")) as anna:
            reply, deadline = anna.call("link", "toy.next", timeout_s=1.0), Deadline(CLOCK, 30.0)
            while reply.code and not deadline.expired:  # until those who never speak have been shown out
                reply = anna.call("link", "toy.next", timeout_s=1.0)
            assert reply.code == ""
            while (kept := descriptors() - before - WAVE) > GUESTS_MAX + SPARE:
                assert not deadline.expired, f"{kept} connections are kept"
                anna.pause(0.01)
