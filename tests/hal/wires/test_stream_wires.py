"""What a driver may expect of every byte stream, whatever carries it: real ports, real libraries, loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from reactor_loop import Loop

from hal.clock import RealClock
from hal.errors import ResourceError, WireError, WireTimeout
from hal.wires.opening import open_stream
from hal.wires.stream import StreamWire
from sim_hw.timeline import Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.pty import PtyPort
from sim_hw.wires.rfc2217 import Rfc2217Server
from sim_hw.wires.tcp import TcpServer

BAUD = 115_200
WIRES = ("pty", "socket", "rfc2217", "tcp")


class Parrot:
    """Says everything back; `heard` is all that came."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.send: Callable[[bytes], None] = lambda data: None
        self.deaf = False

    def attach(self, send: Callable[[bytes], None]) -> None:
        self.send = send

    def receive(self, data: bytes) -> None:
        self.heard += data
        if not self.deaf:
            self.send(data)


@dataclass
class Peer:
    resource: str
    device: Parrot
    hang_up: Callable[[], None]
    loop: Loop


@pytest.fixture
def loop() -> Iterator[Loop]:
    with Loop(Timeline()) as loop:
        yield loop


@pytest.fixture(params=WIRES)
def peer(request: pytest.FixtureRequest, loop: Loop) -> Iterator[Peer]:
    device, reactor = Parrot(), loop.reactor
    timeline = reactor._world
    kind = request.param
    if kind in ("pty", "rfc2217"):
        line = SerialLine(timeline, device, BAUD)
        server = loop.call(lambda: (PtyPort if kind == "pty" else Rfc2217Server)(line, reactor))
        hang_up = line.hang_up
    else:
        server = loop.call(lambda: TcpServer(reactor, device))
        hang_up = server.hang_up
    resource = server.resource if kind != "socket" else f"socket://127.0.0.1:{server.port}"
    yield Peer(resource, device, lambda: loop.call(hang_up), loop)
    loop.call(server.close)


@pytest.fixture
def wire(peer: Peer) -> Iterator[StreamWire]:
    wire = open_stream(peer.resource, RealClock(), "mount", baud=BAUD)
    yield wire
    wire.close()


def test_every_byte_value_goes_there_and_back(wire: StreamWire) -> None:
    everything = bytes(range(256)) * 2
    wire.write(everything)
    assert wire.read(len(everything), 2.0) == everything


def test_a_reply_is_read_to_its_end_and_the_next_one_is_kept(wire: StreamWire) -> None:
    wire.write(b"one#two#")
    assert wire.read_until(b"#", 2.0, 32) == b"one#"
    assert wire.read_until(b"#", 2.0, 32) == b"two#"


def test_too_few_bytes_are_a_time_out_that_names_the_device_and_what_to_check(wire: StreamWire) -> None:
    wire.write(b"abc")
    with pytest.raises(WireTimeout, match=r"mount: 3 of 4 bytes came.*check"):
        wire.read(4, 0.3)


def test_after_a_time_out_what_came_is_gone(wire: StreamWire) -> None:
    wire.write(b"abc")
    with pytest.raises(WireTimeout):
        wire.read(4, 0.3)
    wire.write(b"xyz")
    assert wire.read(3, 2.0) == b"xyz"


def test_what_is_there_is_read_without_waiting_for_more(wire: StreamWire) -> None:
    wire.write(b"abc")
    got = wire.read_some(64, 2.0)
    while len(got) < 3:
        got += wire.read_some(64, 2.0)
    assert got == b"abc"


def test_draining_drops_what_came_and_what_still_comes(peer: Peer, wire: StreamWire) -> None:
    wire.write(b"a" * 100)
    assert wire.drain(quiet_s=0.2) == b"a" * 100
    peer.device.deaf = True
    wire.write(b"b")
    with pytest.raises(WireTimeout):
        wire.read(1, 0.2)


def test_a_hang_up_while_somebody_waits_is_a_wire_error_at_once(peer: Peer, wire: StreamWire) -> None:
    peer.hang_up()

    def converse() -> None:
        for _ in range(3):  # a write may still be taken by the kernel
            wire.write(b"?")
            wire.read(1, 5.0)

    with pytest.raises(WireError) as caught:
        converse()
    assert not isinstance(caught.value, WireTimeout)
    assert "mount" in str(caught.value)


def test_a_peer_that_speaks_first_is_heard(peer: Peer, wire: StreamWire) -> None:
    peer.loop.call(lambda: peer.device.send(b"hello"))
    assert wire.read(5, 2.0) == b"hello"


def test_a_long_reply_arrives_whole(wire: StreamWire) -> None:
    sent = bytes(range(251)) * 40
    for at in range(0, len(sent), 1004):
        wire.write(sent[at : at + 1004])
        assert wire.read(1004, 5.0) == sent[at : at + 1004]


def test_closing_twice_is_closing_once(wire: StreamWire) -> None:
    wire.close()
    wire.close()


@pytest.mark.parametrize("scheme", ["tcp", "socket", "rfc2217"])
def test_a_port_where_nobody_listens_is_named(scheme: str) -> None:
    with pytest.raises(ResourceError, match=r"mount: \S*127\.0\.0\.1:1 "):
        open_stream(f"{scheme}://127.0.0.1:1", RealClock(), "mount", baud=9600)


@pytest.mark.parametrize("resource", ["tcp://", "tcp://host", "tcp://host:", "tcp://host:x", "tcp://host:70000"])
def test_an_address_that_is_none_is_refused_with_the_right_form(resource: str) -> None:
    with pytest.raises(ResourceError, match="tcp://HOST:PORT"):
        open_stream(resource, RealClock(), "mount")


def test_a_second_host_does_not_take_the_first_ones_connection(loop: Loop) -> None:
    server = loop.call(lambda: TcpServer(loop.reactor, Parrot()))
    first = open_stream(server.resource, RealClock(), "mount")
    first.write(b"a")
    assert first.read(1, 2.0) == b"a"
    second = open_stream(server.resource, RealClock(), "finder")
    with pytest.raises(WireError, match="hung up"):
        second.read(1, 2.0)
    first.write(b"b")
    assert first.read(1, 2.0) == b"b"
    first.close()
    second.close()
    loop.call(server.close)
