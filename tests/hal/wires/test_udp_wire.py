"""A stream in datagrams, against a plain socket of the test."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from hal.clock import RealClock
from hal.errors import ResourceError, WireError, WireTimeout
from hal.wires.opening import open_stream
from hal.wires.stream import StreamWire


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(2.0)
        yield peer


@pytest.fixture
def wire(peer: socket.socket) -> Iterator[StreamWire]:
    wire = open_stream(f"udp://127.0.0.1:{peer.getsockname()[1]}", RealClock(), "mount")
    yield wire
    wire.close()


def test_a_command_is_one_datagram_and_answers_are_a_stream(peer: socket.socket, wire: StreamWire) -> None:
    wire.write(b":j1\r")
    question, host = peer.recvfrom(100)
    assert question == b":j1\r"
    for part in (b"=00", b"0080\r=", b"\r"):
        peer.sendto(part, host)
    assert wire.read_until(b"\r", 2.0, 32) == b"=000080\r"
    assert wire.read(2, 2.0) == b"=\r"


def test_draining_drops_what_came_and_a_lost_answer_is_a_time_out(peer: socket.socket, wire: StreamWire) -> None:
    wire.write(b"?")
    _, host = peer.recvfrom(100)
    peer.sendto(b"=late\r", host)
    assert wire.drain(0.05) == b"=late\r"
    with pytest.raises(WireTimeout, match=r"mount: .* came from udp://.* check that the device is on"):
        wire.read(1, 0.02)


def test_a_port_where_nobody_listens_is_a_wire_error_with_the_address(peer: socket.socket, wire: StreamWire) -> None:
    peer.close()
    wire.write(b"?")
    with pytest.raises(WireError, match="mount: nobody listens at udp://127"):
        wire.drain(0.5)


def test_an_address_without_a_port_is_refused_when_it_is_opened() -> None:
    with pytest.raises(ResourceError, match="udp://HOST:PORT"):
        open_stream("udp://127.0.0.1", RealClock(), "mount")
