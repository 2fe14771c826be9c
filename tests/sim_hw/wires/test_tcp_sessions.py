"""A unit of several TCP connections: each host has its own, and what befalls the unit befalls all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from reactor_loop import Loop

from hal.clock import RealClock
from hal.errors import WireError, WireTimeout
from hal.wires.tcp import TcpWire
from sim_hw.timeline import Timeline
from sim_hw.wires.tcp import TcpSessions


class Counter:
    """Answers with how many connections there were before its own."""

    made = 0

    def __init__(self) -> None:
        self.number, Counter.made = Counter.made, Counter.made + 1

    def attach(self, send: Callable[[bytes], None]) -> None:
        self.send = send

    def receive(self, data: bytes) -> None:
        self.send(b"%d" % self.number)


@pytest.fixture
def loop() -> Iterator[Loop]:
    Counter.made = 0
    with Loop(Timeline()) as loop:
        yield loop


@pytest.fixture
def sessions(loop: Loop) -> Iterator[TcpSessions]:
    sessions: TcpSessions = loop.call(lambda: TcpSessions(loop.reactor, Counter))
    yield sessions
    loop.call(sessions.close)


def test_every_host_has_a_connection_of_its_own(sessions: TcpSessions) -> None:
    hosts = [TcpWire(sessions.resource, RealClock(), "unit") for _ in range(3)]
    for number, host in enumerate(hosts):
        host.write(b"?")
        assert host.read(1, 5.0) == b"%d" % number
    for host in hosts:
        host.close()


def test_a_pulled_cable_drops_every_host_until_it_is_put_back(sessions: TcpSessions, loop: Loop) -> None:
    hosts = [TcpWire(sessions.resource, RealClock(), "unit") for _ in range(2)]
    for host in hosts:
        host.write(b"?")
        host.read(1, 5.0)
    loop.call(sessions.hang_up)
    for host in hosts:
        with pytest.raises(WireError):
            host.read(1, 5.0)
        host.close()
    late = TcpWire(sessions.resource, RealClock(), "unit")
    with pytest.raises(WireError):
        late.read(1, 5.0)
    late.close()
    loop.call(sessions.plug_in)
    again = TcpWire(sessions.resource, RealClock(), "unit")
    again.write(b"?")
    assert again.read(1, 5.0) == b"2"
    again.close()


def test_faults_reach_every_connection(sessions: TcpSessions, loop: Loop) -> None:
    heard: list[int] = []
    sessions.heard = lambda: heard.append(1)
    sessions.fault = lambda data, put: put(data + data)
    hosts = [TcpWire(sessions.resource, RealClock(), "unit") for _ in range(2)]
    for number, host in enumerate(hosts):
        host.write(b"?")
        assert host.read(2, 5.0) == b"%d%d" % (number, number)
    sessions.deaf = True
    hosts[0].write(b"?")
    with pytest.raises(WireTimeout):
        hosts[0].read(1, 0.1)
    assert len(heard) == 3
    for host in hosts:
        host.close()
