"""SerialWire on a pty of the kernel and on a loopback socket, both held by the test."""

from __future__ import annotations

import os
import pty
import socket
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from hal.clock import RealClock
from hal.errors import ResourceError, WireError, WireTimeout
from hal.wires.serial import SerialWire


class Peer:
    """The far end of a pty: what the test writes arrives at the wire."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.path = os.ttyname(self.slave)

    def send(self, data: bytes) -> None:
        os.write(self.master, data)

    def unplug(self) -> None:
        for fd in (self.master, self.slave):
            if fd >= 0:
                os.close(fd)
        self.master = self.slave = -1


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.unplug()


@pytest.fixture
def wire(peer: Peer) -> Iterator[SerialWire]:
    wire = SerialWire(f"serial://{peer.path}", 9600, RealClock(), "gimbal")
    yield wire
    wire.close()


def test_what_is_written_reaches_the_device(peer: Peer, wire: SerialWire) -> None:
    wire.write(b"\x00\x03\x11\x13\xff")  # with the characters that a cooked tty would eat

    assert os.read(peer.master, 100) == b"\x00\x03\x11\x13\xff"


def test_read_returns_exactly_the_bytes_asked_for(peer: Peer, wire: SerialWire) -> None:
    peer.send(b"0123456789")

    assert wire.read(4, 1) == b"0123"
    assert wire.read(6, 1) == b"456789"


def test_half_a_reply_is_a_time_out_and_is_dropped(peer: Peer, wire: SerialWire) -> None:
    peer.send(b"12AB")
    with pytest.raises(WireTimeout, match=r"gimbal: 4 of 18 bytes .*check its power, cable and baud rate \(9600\)"):
        wire.read(18, 0.02)

    peer.send(b"fresh")
    assert wire.read(5, 1) == b"fresh"


def test_read_until_leaves_the_next_reply_for_the_next_read(peer: Peer, wire: SerialWire) -> None:
    peer.send(b"one#two#")

    assert wire.read_until(b"#", 1, 20) == b"one#"
    assert wire.read_until(b"#", 1, 20) == b"two#"


@pytest.mark.parametrize("junk", [b"no end of it", b"longer than the limit of twenty bytes"])
def test_a_reply_without_its_end_is_a_time_out(peer: Peer, wire: SerialWire, junk: bytes) -> None:
    peer.send(junk)
    with pytest.raises(WireTimeout, match="no end of reply"):
        wire.read_until(b"#", 0.02, 20)

    peer.send(b"next#")
    assert wire.read_until(b"#", 1, 20) == b"next#"


def test_read_some_takes_what_is_there_and_no_more_than_asked(peer: Peer, wire: SerialWire) -> None:
    peer.send(b"abc")
    assert wire.read_some(2, 1) == b"ab"
    assert wire.read_some(10, 1) == b"c"
    with pytest.raises(WireTimeout, match="nothing came"):
        wire.read_some(10, 0.01)


def test_drain_returns_what_it_dropped(peer: Peer, wire: SerialWire) -> None:
    peer.send(b"left over")

    assert wire.drain(quiet_s=0.01) == b"left over"
    assert wire.drain() == b""


@pytest.mark.parametrize(
    "use", [lambda w: w.write(b"x"), lambda w: w.read(1, 0.1), lambda w: w.read_until(b"#", 0.1, 5)]
)
def test_an_unplugged_cable_is_a_wire_error_on_every_call(peer: Peer, wire: SerialWire, use: object) -> None:
    peer.unplug()
    with pytest.raises(WireError, match=r"gimbal: /dev/pts/\d+ hung up .*check its cable") as caught:
        use(wire)  # type: ignore[operator]
    assert not isinstance(caught.value, WireTimeout)


def test_a_port_in_use_is_busy(peer: Peer, wire: SerialWire) -> None:
    with pytest.raises(ResourceError, match=r"mount: /dev/pts/.* is busy; close the other program"):
        SerialWire(f"serial://{peer.path}", 9600, RealClock(), "mount")


def test_a_port_that_does_not_exist_is_named_with_the_key_to_change() -> None:
    with pytest.raises(ResourceError, match=r"gimbal: /dev/no_such_port does not exist; plug .* \[gimbal\] resource"):
        SerialWire("serial:///dev/no_such_port", 9600, RealClock(), "gimbal")


def test_a_file_is_not_a_serial_port(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    with pytest.raises(ResourceError, match="is not a serial port"):
        SerialWire(f"serial://{plain}", 9600, RealClock(), "gimbal")


@pytest.mark.parametrize("resource", ["ttyUSB0", "nosuch://thing", "socket://127.0.0.1:1"])
def test_a_resource_that_cannot_be_opened_is_told_in_one_sentence(resource: str) -> None:
    with pytest.raises(ResourceError, match=r"gimbal: .*rig file") as caught:
        SerialWire(resource, 9600, RealClock(), "gimbal")
    assert "\n" not in str(caught.value)


def test_a_server_that_is_not_there_refuses_the_connection() -> None:
    with pytest.raises(ResourceError, match=r"gimbal: socket:.* refuses the connection; start what serves"):
        SerialWire("socket://127.0.0.1:1", 9600, RealClock(), "gimbal")


def test_no_permission_points_to_the_udev_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("serial.serialposix.os.open", refuse)
    with pytest.raises(ResourceError, match=r"udev/60-boresight\.rules"):
        SerialWire("serial:///dev/ttyUSB0", 9600, RealClock(), "gimbal")


def test_a_socket_carries_the_same_bytes_and_hangs_up_in_the_same_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        wire = SerialWire(f"socket://127.0.0.1:{server.getsockname()[1]}", 9600, RealClock(), "gimbal")
        connection, _ = server.accept()
        with connection:
            wire.write(b"ping")
            assert connection.recv(10) == b"ping"
            connection.sendall(b"pong#")
            assert wire.read_until(b"#", 1, 10) == b"pong#"
        with pytest.raises(WireError, match="hung up"):
            wire.read(1, 1)
        wire.close()


def test_a_device_that_stops_reading_does_not_block_for_ever(
    peer: Peer, wire: SerialWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire._port.write_timeout = 0.05  # the product's 2 s would only make the test slow
    done = threading.Event()

    def fill() -> None:
        with pytest.raises(WireTimeout, match="took no bytes"):
            wire.write(b"x" * 100_000)
        done.set()

    thread = threading.Thread(target=fill)
    thread.start()
    thread.join(5)
    assert done.is_set()
