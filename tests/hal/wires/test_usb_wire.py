"""USB wires against scripted peers: races, silence, refusals and nonsense become the hal's own errors."""

from __future__ import annotations

import errno
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import usb.core
from usb.backend import IBackend

from hal.clock import RealClock
from hal.errors import DeviceError, ResourceError, WireError, WireTimeout
from hal.wires import usbip_link
from hal.wires.opening import open_usb
from hal.wires.usb import UsbWire, register_backend
from sim_hw.wires.memory_usb import MemoryUsbBackend, as_default_backend

DEVICE = struct.pack("<BBHBBBBHHHBBBB", 18, 1, 0x0200, 0, 0, 0, 64, 0x1209, 0x0001, 0x0102, 0, 0, 1, 1)
CONFIGURATION = (
    struct.pack("<BBHBBBBB", 9, 2, 36, 1, 1, 0, 0x80, 50)
    + bytes([9, 4, 0, 0, 2, 0xFF, 0, 0, 0])
    + bytes([4, 0x24, 8, 9])  # a class descriptor
    + struct.pack("<BBBBHB", 7, 5, 0x81, 2, 512, 0)
    + struct.pack("<BBBBHB", 7, 5, 0x02, 2, 512, 0)
)
IMPORTED = bytes.fromhex("0111 0003 00000000") + struct.pack(
    ">256s32sIIIHHHBBBBBB", b"/sys/x", b"3-2", 3, 15, 3, 0x1209, 1, 0x0102, 0, 0, 0, 1, 1, 1
)


def ret_submit(sequence: int, status: int = 0, data: bytes = b"", moved: int | None = None) -> bytes:
    size = len(data) if moved is None else moved
    return struct.pack(">IIIIIiiiii8x", 3, sequence, 0, 0, 0, status, size, 0, 0, 0) + data


def ret_unlink(sequence: int, status: int) -> bytes:
    return struct.pack(">IIIIIi24x", 4, sequence, 0, 0, 0, status)


class Exporter:
    """The other side of USB/IP as a script: `answer` gets every request on a bulk endpoint, and unlinks."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.greeting = IMPORTED
        self.answer: Callable[[Any], bytes | None] = lambda request: None
        self.requests: list[bytes] = []
        self.sockets: list[socket.socket] = []
        self.thread = threading.Thread(target=self._serve, name="exporter")
        self.thread.start()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join(5)
        self.listener.close()

    def _serve(self) -> None:
        while True:
            try:
                accepted, _ = self.listener.accept()
            except OSError:
                return
            with accepted:
                accepted.settimeout(5)
                try:
                    self._converse(accepted)
                except OSError:
                    continue

    def _converse(self, peer: socket.socket) -> None:
        self.requests.append(peer.recv(40, socket.MSG_WAITALL))
        peer.sendall(self.greeting)
        while len(header := peer.recv(48, socket.MSG_WAITALL)) == 48:
            command, sequence, _, direction, endpoint = struct.unpack_from(">IIIII", header)
            target, length = struct.unpack_from(">II", header, 20)
            data = peer.recv(length, socket.MSG_WAITALL) if command == 1 and not direction and length else b""
            self.requests.append(header + data)
            if command == 1 and endpoint == 0:
                peer.sendall(self._standard(sequence, header[40:48]))
                continue
            reply = self.answer(SimpleNamespace(unlink=command == 2, sequence=sequence, target=target, data=data))
            if reply is None:
                continue
            if not reply:
                return  # hang up
            peer.sendall(reply)

    def _standard(self, sequence: int, setup: bytes) -> bytes:
        request_type, request, value, _, length = struct.unpack("<BBHHH", setup)
        if request == 6:
            return ret_submit(sequence, 0, {1: DEVICE, 2: CONFIGURATION}[value >> 8][:length])
        return ret_submit(sequence, 0, b"\x01" if request_type & 0x80 else b"")


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    exporter = Exporter()
    yield exporter
    exporter.close()


@pytest.fixture
def wire(exporter: Exporter) -> Iterator[UsbWire]:
    wire = open_usb(f"usbip://127.0.0.1:{exporter.port}/3-2", "camera", RealClock())
    yield wire
    wire.close()


def opening(resource: str, name: str = "camera") -> str:
    """The sentence with which opening fails."""
    with pytest.raises(ResourceError) as caught:
        open_usb(resource, name, RealClock())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_goes_out_has_the_documented_layout(wire: UsbWire, exporter: Exporter) -> None:
    # Documentation/usb/usbip_protocol.rst: OP_REQ_IMPORT; USBIP_CMD_SUBMIT, device 3-15, IN on endpoint 1, 64 bytes
    assert exporter.requests[0] == bytes.fromhex("0111 8003 00000000") + b"3-2".ljust(32, b"\0")
    exporter.answer = lambda request: ret_submit(request.sequence, 0, b"abc")
    assert wire.bulk_in(0x81, 64, 1.0) == b"abc"
    sent = exporter.requests[-1]
    assert sent[:4] + sent[8:] == bytes.fromhex(
        "00000001 0003000f 00000001 00000001 00000000 00000040 00000000 ffffffff 00000000 00000000 00000000"
    )


def test_descriptors_are_read_from_the_device(wire: UsbWire) -> None:
    (interface,) = wire.interfaces
    assert interface.bInterfaceClass == 0xFF
    assert list(interface.extra_descriptors) == [4, 0x24, 8, 9]
    assert [(e.bEndpointAddress, e.wMaxPacketSize) for e in interface] == [(0x81, 512), (0x02, 512)]


def test_a_time_out_unlinks_and_the_next_transfer_is_not_confused(wire: UsbWire, exporter: Exporter) -> None:
    exporter.answer = lambda request: ret_unlink(request.sequence, -errno.ECONNRESET) if request.unlink else None
    with pytest.raises(WireTimeout, match="camera"):
        wire.bulk_in(0x81, 64, 0.02)
    exporter.answer = lambda request: ret_submit(request.sequence, 0, b"fresh")
    assert wire.bulk_in(0x81, 64, 1.0) == b"fresh"


def test_data_that_raced_the_unlink_is_not_lost(wire: UsbWire, exporter: Exporter) -> None:
    def answer(request: Any) -> bytes | None:
        if not request.unlink:
            return None  # completes only just before the unlink arrives
        return ret_submit(request.target, 0, b"raced") + ret_unlink(request.sequence, 0)

    exporter.answer = answer
    assert wire.bulk_in(0x81, 64, 0.02) == b"raced"


def test_out_transfers_carry_their_data(wire: UsbWire, exporter: Exporter) -> None:
    exporter.answer = lambda request: ret_submit(request.sequence, 0, b"", len(request.data))
    wire.bulk_out(0x02, b"hello", 1.0)
    assert exporter.requests[-1][48:] == b"hello"


def test_an_out_transfer_that_is_not_taken_whole_is_a_time_out(wire: UsbWire, exporter: Exporter) -> None:
    exporter.answer = lambda request: ret_submit(request.sequence, 0, b"", 2)
    with pytest.raises(WireTimeout, match="took 2 of 5 bytes"):
        wire.bulk_out(0x02, b"hello", 1.0)


def test_a_stall_is_a_refusal_of_the_device(wire: UsbWire, exporter: Exporter) -> None:
    exporter.answer = lambda request: ret_submit(request.sequence, -errno.EPIPE)
    with pytest.raises(DeviceError, match="stall") as caught:
        wire.bulk_in(0x81, 64, 1.0)
    assert caught.value.code == errno.EPIPE


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\x00\x00\x00\x03half",
        b"HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\n",
        ret_submit(12345, 0, b"?"),
    ],
    ids=["hang-up", "half a reply", "another protocol", "a reply nobody asked for"],
)
def test_nonsense_and_hang_ups_are_wire_errors(
    wire: UsbWire, exporter: Exporter, reply: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usbip_link, "UNLINK_TIMEOUT_S", 0.05)
    exporter.answer = lambda request: reply
    with pytest.raises(WireError, match="plug the device in again"):
        wire.bulk_in(0x81, 64, 1.0)
    with pytest.raises(WireError):
        wire.bulk_in(0x81, 64, 0.1)


def test_control_transfers_go_both_ways(wire: UsbWire, exporter: Exporter) -> None:
    assert wire.control_in(0x80, 8, 0, 0, 1, 1.0) == b"\x01"
    wire.control_out(0x00, 9, 1, 0, b"", 1.0)
    wire.clear_halt(0x81)
    # CLEAR_FEATURE(ENDPOINT_HALT) of endpoint 81: 02 01 0000 0081 0000
    assert exporter.requests[-1][40:48] == bytes.fromhex("02 01 0000 8100 0000")


def test_a_busy_device_says_what_to_do(exporter: Exporter) -> None:
    exporter.greeting = bytes.fromhex("0111 0003 00000002")
    assert "busy; close the other program" in opening(f"usbip://127.0.0.1:{exporter.port}/3-2")


def test_a_device_that_is_not_exported_is_not_there(exporter: Exporter) -> None:
    exporter.greeting = bytes.fromhex("0111 0003 00000004")
    told = opening(f"usbip://127.0.0.1:{exporter.port}/9-9")
    assert "no device at usbip://" in told
    assert "the rig file, [camera] resource" in told


def test_a_peer_that_speaks_something_else_is_told_apart(exporter: Exporter) -> None:
    exporter.greeting = b"HTTP/1.0 400 Bad Request\r\n\r\n"
    assert "does not speak USB/IP" in opening(f"usbip://127.0.0.1:{exporter.port}/3-2")


def test_a_silent_peer_is_nobody(exporter: Exporter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usbip_link, "CONNECT_TIMEOUT_S", 0.05)
    exporter.greeting = b"\x01"
    assert "nobody answers" in opening(f"usbip://127.0.0.1:{exporter.port}/3-2")


def test_a_port_where_nobody_listens_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    told = opening(f"usbip://127.0.0.1:{port}/3-2")
    assert "nobody answers at usbip://127.0.0.1" in told
    assert "the rig file, [camera] resource" in told


@pytest.mark.parametrize(
    ("resource", "advice"),
    [
        ("usbip://nowhere", "usbip://HOST:PORT/BUSID"),
        ("usbip://host:port/1-1", "usbip://HOST:PORT/BUSID"),
        ("usb://camera", "usb://VID:PID/SERIAL"),
        ("usb://zzzz:0001/S", "usb://VID:PID/SERIAL"),
        ("serial:///dev/ttyUSB0", "begin it with one of"),
    ],
)
def test_a_resource_that_is_not_understood_says_how_to_write_it(resource: str, advice: str) -> None:
    assert advice in opening(resource)


class Plugged:
    """A device for the in-process bus."""

    device_descriptor = DEVICE
    configuration_descriptor = CONFIGURATION
    changed: Callable[[], None]

    def __init__(self, serial: str) -> None:
        self.strings = {1: serial}

    def control(self, *_: object) -> bytes:
        return b""

    def bulk_out(self, endpoint: int, data: bytes) -> None: ...

    def bulk_in(self, endpoint: int, length: int) -> bytes | None:
        return b"data"


@pytest.fixture
def local() -> Iterator[MemoryUsbBackend]:
    """Two devices where libusb's would be."""
    waiter = SimpleNamespace(now_ns=lambda: 0, wait=lambda ready, deadline_ns: ready() is not None)
    backend = MemoryUsbBackend(waiter)
    backend.plug("one", Plugged("S1"))
    backend.plug("two", Plugged("S2"))
    with as_default_backend(backend):
        yield backend


@pytest.mark.usefixtures("local")
def test_a_local_device_is_found_by_its_ids_and_serial_number() -> None:
    wire = open_usb("usb://1209:0001/S2", "camera", RealClock())
    assert wire.serial_number == "S2"
    wire.claim(0)
    assert wire.bulk_in(0x81, 16, 0.1) == b"data"
    wire.close()
    wire.close()


@pytest.mark.usefixtures("local")
def test_a_local_device_must_be_there_and_be_the_only_one() -> None:
    assert "no device at usb://1209:0001/S9" in opening("usb://1209:0001/S9")
    assert "add the serial number" in opening("usb://1209:0001")


def test_without_libusb_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(**_: object) -> None:
        raise usb.core.NoBackendError("No backend available")

    monkeypatch.setattr(usb.core, "find", find)
    assert "apt install libusb-1.0-0" in opening("usb://1209:0001/S1")


class Refusing(IBackend):  # type: ignore[misc]
    """A backend whose device cannot be opened."""

    def __init__(self, number: int) -> None:
        self.number = number

    def enumerate_devices(self) -> Iterator[str]:
        raise usb.core.USBError("no", errno=self.number)


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.EACCES, "udev"), (errno.EBUSY, "close the other program"), (errno.EIO, "plug the device in again")],
)
def test_what_the_system_refuses_says_what_to_do(number: int, advice: str) -> None:
    register_backend("refusing", lambda location, clock: Refusing(number))
    assert advice in opening("refusing://x")
