"""The USB/IP server, byte by byte, against the Linux kernel's description (Documentation/usb/usbip_protocol.rst)."""

from __future__ import annotations

import selectors
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterator

import pytest

from sim_hw.wires.contract import UsbStall
from sim_hw.wires.usbip import UsbipServer

# "EXAMPLE" of that document: a capture with a HID device 1-15 (device id 0x0001000f) and 64 bytes each way. Its start
# frame is ffffffff in the requests' and replies' place of a field that the document's table says to be 0 here.
CMD_IN = bytes.fromhex(
    "00000001 00000d05 0001000f 00000001 00000001 00000200 00000040 ffffffff 00000000 00000004 00000000 00000000"
)
DATA_OUT = bytes.fromhex("ffffffff860008a784ce5ae212376300") + bytes(48)
CMD_OUT = (
    bytes.fromhex(
        "00000001 00000d06 0001000f 00000000 00000001 00000000 00000040 ffffffff 00000000 00000004 00000000 00000000"
    )
    + DATA_OUT
)
RET_OUT = bytes.fromhex(
    "00000003 00000d06 00000000 00000000 00000000 00000000 00000040 00000000 00000000 00000000 00000000 00000000"
)
DATA_IN = bytes.fromhex("ffffffff860011a784ce5ae2123763612891b10201000004") + bytes(40)
RET_IN = (
    bytes.fromhex(
        "00000003 00000d05 00000000 00000000 00000000 00000000 00000040 00000000 00000000 00000000 00000000 00000000"
    )
    + DATA_IN
)


class Pump:
    """A reactor that turns only when a test says so."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.callbacks: dict[tuple[int, int], Callable[[], None]] = {}

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        self._set(fd, selectors.EVENT_READ, callback)

    def remove_reader(self, fd: int) -> None:
        self._set(fd, selectors.EVENT_READ, None)

    def add_writer(self, fd: int, callback: Callable[[], None]) -> None:
        self._set(fd, selectors.EVENT_WRITE, callback)

    def remove_writer(self, fd: int) -> None:
        self._set(fd, selectors.EVENT_WRITE, None)

    def _set(self, fd: int, event: int, callback: Callable[[], None] | None) -> None:
        self.callbacks.pop((fd, event), None)
        if callback is not None:
            self.callbacks[fd, event] = callback
        mask = sum(e for f, e in self.callbacks if f == fd)
        if fd in self.selector.get_map():
            self.selector.unregister(fd)
        if mask:
            self.selector.register(fd, mask)

    def turn(self) -> None:
        for key, events in self.selector.select(0.01):
            for event in (selectors.EVENT_READ, selectors.EVENT_WRITE):
                if events & event and (key.fd, event) in self.callbacks:
                    self.callbacks[key.fd, event]()


class Hid:
    """A device with one interrupt endpoint each way."""

    device_descriptor = struct.pack("<BBHBBBBHHHBBBB", 18, 1, 0x0200, 0, 0, 0, 64, 0x1209, 0x0001, 0x0102, 0, 0, 1, 1)
    configuration_descriptor = (
        struct.pack("<BBHBBBBB", 9, 2, 32, 1, 1, 0, 0x80, 50)
        + bytes([9, 4, 0, 0, 2, 3, 1, 2, 0])
        + struct.pack("<BBBBHB", 7, 5, 0x81, 3, 64, 4)
        + struct.pack("<BBBBHB", 7, 5, 0x01, 3, 64, 4)
    )

    def __init__(self) -> None:
        self.strings = {1: "µS1"}
        self.changed: Callable[[], None] = lambda: None
        self.taken: list[bytes] = []
        self.ready: deque[bytes] = deque()

    def control(self, request_type: int, request: int, value: int, index: int, data: bytes, length: int) -> bytes:
        if request == 99:
            raise UsbStall("no")
        return bytes([request]) * 8

    def bulk_out(self, endpoint: int, data: bytes) -> None:
        if data == b"stall":
            raise UsbStall("as asked")
        self.taken.append(data)

    def bulk_in(self, endpoint: int, length: int) -> bytes | None:
        return self.ready.popleft() if self.ready else None


class Peer:
    """A host that sends bytes and reads bytes."""

    def __init__(self, pump: Pump, server: UsbipServer) -> None:
        self.pump = pump
        self.socket = socket.create_connection((server.host, server.port))
        self.socket.setblocking(False)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self, n: int, turns: int = 50) -> bytes:
        data = b""
        for _ in range(turns):
            self.pump.turn()
            try:
                data += self.socket.recv(n - len(data))
            except BlockingIOError:
                continue
            if len(data) >= n:
                break
        return data

    def receive_all(self, n: int) -> bytes:
        data = self.receive(n)
        assert len(data) == n
        return data

    def ended(self) -> bool:
        for _ in range(20):
            self.pump.turn()
            try:
                return self.socket.recv(1) == b""
            except BlockingIOError:
                continue
            except ConnectionResetError:
                return True
        return False

    def import_(self, busid: str) -> bytes:
        self.send(bytes.fromhex("0111 8003 00000000") + busid.encode().ljust(32, b"\0"))
        reply = self.receive(8)
        return reply + (self.receive_all(312) if reply[4:] == bytes(4) else b"")


@pytest.fixture
def devices() -> dict[str, Hid]:
    return {f"1-{n}": Hid() for n in range(1, 16)}


@pytest.fixture
def rig(devices: dict[str, Hid]) -> Iterator[Callable[[], Peer]]:
    pump = Pump()
    server = UsbipServer(pump, dict(devices))
    peers: list[Peer] = []

    def connect() -> Peer:
        peers.append(Peer(pump, server))
        peers[-1].server = server  # type: ignore[attr-defined]
        return peers[-1]

    yield connect
    for peer in peers:
        peer.socket.close()
    server.close()
    pump.selector.close()


@pytest.fixture
def peer(rig: Callable[[], Peer]) -> Peer:
    peer = rig()
    peer.import_("1-15")
    return peer


def urb(sequence: int, endpoint: int, direction: int, length: int, data: bytes = b"", setup: bytes = bytes(8)) -> bytes:
    return (
        struct.pack(">IIIII", 1, sequence, 0x1000F, direction, endpoint)
        + struct.pack(">IIIII", 0, length, 0, 0xFFFFFFFF, 0)
        + setup
        + data
    )


def unlink(sequence: int, target: int) -> bytes:
    return struct.pack(">IIIII", 2, sequence, 0x1000F, 0, 0) + struct.pack(">I24x", target)


def status_of(reply: bytes) -> tuple[int, int, int]:
    """(command, sequence number, status)."""
    command, sequence = struct.unpack_from(">II", reply)
    return command, sequence, struct.unpack_from(">i", reply, 20)[0]


def test_the_list_of_devices_has_the_documented_layout(rig: Callable[[], Peer]) -> None:
    peer = rig()
    peer.send(bytes.fromhex("0111 8005 00000000"))
    reply = peer.receive_all(12 + 15 * (312 + 4))
    assert reply[:12] == bytes.fromhex("0111 0005 00000000 0000000f")
    first = reply[12 : 12 + 316]
    assert first[256:288] == b"1-1".ljust(32, b"\0")
    # bus 1, device 1, high speed, ids, class, configuration 1 of 1, one interface; then that interface and padding
    assert first[288:] == bytes.fromhex("00000001 00000001 00000003 1209 0001 0102 000000 01 01 01 03010200")


def test_an_import_tells_the_device_and_a_second_host_finds_it_busy(rig: Callable[[], Peer]) -> None:
    reply = rig().import_("1-2")
    assert reply[:8] == bytes.fromhex("0111 0003 00000000")
    assert reply[8 + 256 : 8 + 260] == b"1-2\0"
    assert rig().import_("1-2") == bytes.fromhex("0111 0003 00000002")  # ST_DEV_BUSY


def test_an_unknown_bus_id_is_no_device(rig: Callable[[], Peer]) -> None:
    assert rig().import_("9-9") == bytes.fromhex("0111 0003 00000004")  # ST_NODEV


def test_a_device_is_free_again_when_its_host_is_gone(rig: Callable[[], Peer]) -> None:
    first = rig()
    first.import_("1-3")
    first.socket.close()
    first.pump.turn()
    assert rig().import_("1-3")[4:8] == bytes(4)


def test_the_captured_out_transfer_gets_the_captured_reply(peer: Peer, devices: dict[str, Hid]) -> None:
    peer.send(CMD_OUT)
    assert peer.receive_all(48) == RET_OUT
    assert devices["1-15"].taken == [DATA_OUT]


def test_the_captured_in_transfer_waits_for_data_and_gets_the_captured_reply(
    peer: Peer, devices: dict[str, Hid]
) -> None:
    peer.send(CMD_IN)
    assert peer.receive(1, turns=5) == b""
    devices["1-15"].ready.append(DATA_IN)
    devices["1-15"].changed()
    assert peer.receive_all(112) == RET_IN


def test_requests_in_pieces_and_many_at_once_are_all_served(peer: Peer, devices: dict[str, Hid]) -> None:
    for i in range(0, len(CMD_OUT), 7):
        peer.send(CMD_OUT[i : i + 7])
        peer.pump.turn()
    assert peer.receive_all(48) == RET_OUT
    peer.send(CMD_OUT * 20)
    assert peer.receive_all(48 * 20) == RET_OUT * 20
    assert len(devices["1-15"].taken) == 21


def test_an_unlinked_transfer_is_forgotten_and_says_so(peer: Peer, devices: dict[str, Hid]) -> None:
    peer.send(urb(1, 1, 1, 64) + unlink(2, 1))
    assert status_of(peer.receive_all(48)) == (4, 2, -104)  # RET_UNLINK, ECONNRESET
    peer.send(urb(3, 1, 1, 64))
    devices["1-15"].ready.append(b"later")
    peer.pump.turn()
    reply = peer.receive_all(53)
    assert status_of(reply) == (3, 3, 0)
    assert reply[48:] == b"later"


def test_unlinking_what_is_already_answered_has_status_zero(peer: Peer, devices: dict[str, Hid]) -> None:
    devices["1-15"].ready.append(b"now")
    peer.send(urb(1, 1, 1, 64) + unlink(2, 1))
    reply = peer.receive_all(51 + 48)
    assert status_of(reply) == (3, 1, 0)
    assert status_of(reply[51:]) == (4, 2, 0)


def test_a_stall_is_broken_pipe_until_the_endpoint_is_cleared(peer: Peer) -> None:
    peer.send(urb(1, 1, 0, 5, b"stall") + urb(2, 1, 0, 4, b"good"))
    replies = peer.receive_all(96)
    assert status_of(replies) == (3, 1, -32)
    assert status_of(replies[48:]) == (3, 2, -32)
    clear = struct.pack("<BBHHH", 0x02, 1, 0, 0x01, 0)
    peer.send(urb(3, 0, 0, 0, b"", clear) + urb(4, 1, 0, 4, b"good"))
    replies = peer.receive_all(96)
    assert status_of(replies) == (3, 3, 0)
    assert status_of(replies[48:]) == (3, 4, 0)


def test_endpoint_zero_answers_descriptors_strings_and_class_requests(peer: Peer) -> None:
    def get(request_type: int, request: int, value: int, length: int) -> bytes:
        peer.send(urb(1, 0, 1, length, b"", struct.pack("<BBHHH", request_type, request, value, 0, length)))
        header = peer.receive_all(48)
        status, actual = struct.unpack_from(">ii", header, 20)
        return peer.receive_all(actual) if status == 0 else str(status).encode()

    assert get(0x80, 6, 0x0100, 18) == Hid.device_descriptor
    assert get(0x80, 6, 0x0200, 9) == Hid.configuration_descriptor[:9]
    assert get(0x80, 6, 0x0300, 255) == bytes([4, 3, 0x09, 0x04])
    assert get(0x80, 6, 0x0301, 255) == bytes([8, 3]) + "µS1".encode("utf-16-le")
    assert get(0x80, 6, 0x0309, 255) == b"-32"
    assert get(0x80, 8, 0, 1) == b"\x01"
    assert get(0xC0, 7, 0, 4) == b"\x07" * 4
    assert get(0xC0, 99, 0, 4) == b"-32"


def test_a_wrong_device_id_is_no_device(peer: Peer) -> None:
    wrong = bytearray(urb(1, 1, 0, 1, b"x"))
    wrong[11] = 2
    peer.send(bytes(wrong))
    assert status_of(peer.receive_all(48)) == (3, 1, -19)


@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\n\r\n", bytes(64), struct.pack(">IIIII", 1, 1, 0x1000F, 1, 1) + b"\x7f" * 28],
    ids=["http", "zeros", "a transfer of 2 GiB"],
)
def test_garbage_ends_the_connection_and_nothing_else(rig: Callable[[], Peer], peer: Peer, garbage: bytes) -> None:
    fresh = peer if len(garbage) == 48 else rig()
    fresh.send(garbage)
    assert fresh.ended()
    assert rig().import_("1-4")[4:8] == bytes(4)


def test_a_host_that_does_not_read_gets_everything_once_it_does(peer: Peer, devices: dict[str, Hid]) -> None:
    size = 4 << 20  # eight of them are more than the kernel buffers
    devices["1-15"].ready.extend([bytes([n]) * size for n in range(8)])
    for n in range(8):
        peer.send(urb(n + 1, 1, 1, size))
        peer.pump.turn()
    parts = [peer.receive(48 + size, turns=5000) for _ in range(8)]
    assert [(len(part), part[48], part[-1]) for part in parts] == [(48 + size, n, n) for n in range(8)]


def test_a_host_that_dies_with_replies_under_way_frees_its_device(
    rig: Callable[[], Peer], peer: Peer, devices: dict[str, Hid]
) -> None:
    devices["1-15"].ready.append(bytes(15 << 20))
    peer.send(urb(1, 1, 1, 15 << 20))
    peer.pump.turn()
    peer.socket.close()
    for _ in range(5):
        peer.pump.turn()
    assert rig().import_("1-15")[4:8] == bytes(4)


def test_unplugging_takes_the_device_from_its_host(peer: Peer) -> None:
    peer.server.unplug("1-15")  # type: ignore[attr-defined]
    assert peer.ended()


def test_only_the_loopback_interface_is_served() -> None:
    pump = Pump()
    with pytest.raises(ValueError, match="no access control"):
        UsbipServer(pump, {}, host="0.0.0.0")
    pump.selector.close()
