"""Packets over UDP and a SEQPACKET socket, against plain sockets of the test."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from hal.clock import RealClock
from hal.errors import ProtocolError, ResourceError, WireError, WireTimeout
from hal.wires.packet import UDP_PAYLOAD_MAX, PacketWire


@pytest.fixture
def udp() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(2.0)
        yield peer


@pytest.fixture
def to_udp(udp: socket.socket) -> Iterator[PacketWire]:
    wire = PacketWire(f"udp://127.0.0.1:{udp.getsockname()[1]}", RealClock(), "receiver")
    yield wire
    wire.close()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(tmp_path / "quad"))
        listener.listen()
        yield listener


def test_a_packet_keeps_its_boundaries(udp: socket.socket, to_udp: PacketWire) -> None:
    to_udp.send(b"frequency?")
    question, host = udp.recvfrom(100)
    assert question == b"frequency?"
    udp.sendto(b"145", host)
    udp.sendto(b"", host)
    udp.sendto(b"900", host)
    assert [to_udp.receive(2.0) for _ in range(3)] == [b"145", b"", b"900"]


def test_what_others_send_is_not_heard(udp: socket.socket, to_udp: PacketWire) -> None:
    to_udp.send(b"?")
    _, host = udp.recvfrom(100)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"a lie", host)
    udp.sendto(b"the truth", host)
    assert to_udp.receive(2.0) == b"the truth"
    with pytest.raises(WireTimeout, match="receiver: no packet came"):
        to_udp.receive(0.05)


def test_draining_drops_what_has_come(udp: socket.socket, to_udp: PacketWire) -> None:
    to_udp.send(b"?")
    _, host = udp.recvfrom(100)
    for _ in range(5):
        udp.sendto(b"old", host)
    assert to_udp.drain() == 5
    assert to_udp.drain() == 0


def test_a_packet_that_is_too_long_is_not_sent(to_udp: PacketWire) -> None:
    with pytest.raises(ProtocolError, match="longer than"):
        to_udp.send(bytes(UDP_PAYLOAD_MAX + 1))


def test_a_refusal_by_the_peers_machine_is_a_wire_error(udp: socket.socket, to_udp: PacketWire) -> None:
    udp.close()
    to_udp.send(b"?")  # the refusal comes back over the network
    with pytest.raises(WireError, match="nobody listens at udp://"):
        to_udp.receive(2.0)


def test_a_sequenced_packet_goes_whole_and_a_hang_up_is_told(listener: socket.socket) -> None:
    wire = PacketWire(f"unix://{listener.getsockname()}", RealClock(), "quad")
    peer, _ = listener.accept()
    with peer:
        wire.send(b"one")
        wire.send(b"two")
        assert peer.recv(100) == b"one"
        peer.send(bytes(50_000))
        assert len(wire.receive(2.0)) == 50_000
    with pytest.raises(WireError, match="hung up"):
        wire.receive(2.0)
    wire.close()


@pytest.mark.parametrize(
    ("resource", "problem"),
    [
        ("unix:///no/such/socket", "start what serves it"),
        ("udp://127.0.0.1", "udp://HOST:PORT"),
        ("serial:///dev/null", "carries no packets"),
    ],
)
def test_what_carries_no_packets_is_refused(resource: str, problem: str) -> None:
    with pytest.raises(ResourceError, match=problem):
        PacketWire(resource, RealClock(), "receiver")
