"""Exports emulated USB devices by USB/IP, so that a real client (ours, or the Linux kernel's) imports them.

Protocol version 1.1.1 as in the Linux kernel's Documentation/usb/usbip_protocol.rst. Runs inside a reactor on
non-blocking sockets, on the loopback interface only: USB/IP knows no access control.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from sim_hw.wires.contract import UsbDevice, UsbStall
from sim_hw.wires.usb_standard import DeviceOnBus

VERSION = 0x0111
REQ_DEVLIST, REP_DEVLIST, REQ_IMPORT, REP_IMPORT = 0x8005, 0x0005, 0x8003, 0x0003
SUBMIT, UNLINK, RET_SUBMIT, RET_UNLINK = 1, 2, 3, 4
STATUS_BUSY, STATUS_NO_DEVICE = 2, 4  # ST_DEV_BUSY and ST_NODEV of usbip_common.h
EPIPE, ECONNRESET, ENODEV = -32, -104, -19
HIGH_SPEED = 3  # USB_SPEED_HIGH
LARGEST_TRANSFER = 16 << 20  # what usbfs takes; more is a broken client
BUS_NUMBER = 1


class Reactor(Protocol):
    """The event loop, as this server needs it; callbacks take no arguments."""

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        """Call back whenever `fd` can be read."""
        ...

    def remove_reader(self, fd: int) -> None:
        """Stop that."""
        ...

    def add_writer(self, fd: int, callback: Callable[[], None]) -> None:
        """Call back whenever `fd` can be written."""
        ...

    def remove_writer(self, fd: int) -> None:
        """Stop that."""
        ...


class _Export:
    """One exported device and the connection that has imported it, if any."""

    def __init__(self, busid: str, device: UsbDevice, number: int) -> None:
        self.busid = busid
        self.number = number
        self.bus = DeviceOnBus(device)
        self.user: _Connection | None = None
        device.changed = self._changed

    def _changed(self) -> None:
        if self.user is not None:
            self.user.pump()

    def describe(self) -> bytes:
        device = self.bus.device.device_descriptor
        vendor, product, release = struct.unpack_from("<HHH", device, 8)
        return struct.pack(
            ">256s32sIIIHHHBBBBBB",
            f"/sys/devices/boresight/{self.busid}".encode(),
            self.busid.encode(),
            BUS_NUMBER,
            self.number,
            HIGH_SPEED,
            vendor,
            product,
            release,
            *device[4:7],
            self.bus.configuration,
            device[17],
            len(self.bus.interfaces()),
        )


class UsbipServer:
    """Serves `devices`, a dict of bus id ("1-1") to emulator. Raises ValueError when `host` is not loopback."""

    def __init__(self, reactor: Reactor, devices: dict[str, UsbDevice], port: int = 0, host: str = "127.0.0.1") -> None:
        if not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"USB/IP has no access control, so it is not served on {host}; use 127.0.0.1")
        self.reactor = reactor
        self._numbered = 0
        self.exports: dict[str, _Export] = {}
        for busid, device in devices.items():
            self.plug(busid, device)
        self._connections: set[_Connection] = set()
        self._listener = socket.create_server((host, port), backlog=16)
        self._listener.setblocking(False)
        self.host, self.port = host, int(self._listener.getsockname()[1])
        reactor.add_reader(self._listener.fileno(), self._accept)

    def unplug(self, busid: str) -> None:
        """Take a device away: its host loses it at once, and it is not exported any more."""
        gone = self.exports.pop(busid)
        if gone.user is not None:
            gone.user.close()

    def plug(self, busid: str, device: UsbDevice) -> None:
        """Export a device, under an address that no other has had."""
        self._numbered += 1
        self.exports[busid] = _Export(busid, device, self._numbered)

    def close(self) -> None:
        """Stop serving and close every connection."""
        self.reactor.remove_reader(self._listener.fileno())
        self._listener.close()
        for connection in list(self._connections):
            connection.close()

    def forget(self, connection: _Connection) -> None:
        """A connection has ended."""
        self._connections.discard(connection)

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            self._accepted(self._listener.accept()[0])

    def _accepted(self, peer: socket.socket) -> None:
        self._connections.add(_Connection(self, peer))


class _Connection:
    """One host: first an operation (list, import), then the URBs of the imported device."""

    def __init__(self, server: UsbipServer, accepted: socket.socket) -> None:
        self._server = server
        self._socket = accepted
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._incoming = bytearray()
        self._outgoing = bytearray()
        self._export: _Export | None = None
        self._waiting: dict[int, deque[tuple[int, int]]] = {}  # endpoint -> (sequence number, length), oldest first
        self._open = True
        self._pumping = False
        server.reactor.add_reader(accepted.fileno(), self._readable)

    def close(self) -> None:
        """Drop the connection and give the device back."""
        if not self._open:
            return
        self._open = False
        self._server.reactor.remove_reader(self._socket.fileno())
        if self._outgoing:
            self._server.reactor.remove_writer(self._socket.fileno())
        self._socket.close()
        if self._export is not None and self._export.user is self:
            self._export.user = None
        self._server.forget(self)

    def pump(self) -> None:
        """Complete the IN transfers for which the device now has data."""
        if self._export is None or self._pumping:
            return
        self._pumping = True  # a device may say "changed" while it is asked
        try:
            for endpoint, waiting in self._waiting.items():
                while waiting and self._open and self._complete(self._export, endpoint, *waiting[0]):
                    waiting.popleft()
        finally:
            self._pumping = False

    def _complete(self, export: _Export, endpoint: int, sequence: int, length: int) -> bool:
        try:
            data = export.bus.bulk_in(endpoint | 0x80, length)
        except UsbStall:
            self._return(sequence, EPIPE)
            return True
        if data is not None:
            self._return(sequence, 0, data)
        return data is not None

    def _readable(self) -> None:
        try:
            data = self._socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._incoming += data
        while self._open and (used := self._take_one()):
            del self._incoming[:used]

    def _take_one(self) -> int:
        """Serve the first complete message; returns its length, 0 when it is not complete yet."""
        return self._operation() if self._export is None else self._urb(self._export)

    def _operation(self) -> int:
        if len(self._incoming) < 8:
            return 0
        version, code, _ = struct.unpack_from(">HHI", self._incoming)
        if version != VERSION or code not in (REQ_DEVLIST, REQ_IMPORT):
            self.close()
            return 0
        if code == REQ_DEVLIST:
            exports = self._server.exports.values()
            reply = struct.pack(">HHII", VERSION, REP_DEVLIST, 0, len(exports))
            for export in exports:
                reply += export.describe() + b"".join(bytes([*found, 0]) for found in export.bus.interfaces())
            self._send(reply)
            return 8
        if len(self._incoming) < 40:
            return 0
        self._import(bytes(self._incoming[8:40]).split(b"\0")[0].decode("ascii", "replace"))
        return 40

    def _import(self, busid: str) -> None:
        export = self._server.exports.get(busid)
        if export is None or export.user is not None:
            status = STATUS_NO_DEVICE if export is None else STATUS_BUSY
            self._send(struct.pack(">HHI", VERSION, REP_IMPORT, status))
            return
        export.user = self
        self._export = export
        self._send(struct.pack(">HHI", VERSION, REP_IMPORT, 0) + export.describe())

    def _urb(self, export: _Export) -> int:
        if len(self._incoming) < 48:
            return 0
        command, sequence, device_id, direction, endpoint = struct.unpack_from(">IIIII", self._incoming)
        if command == UNLINK:
            self._unlink(sequence, struct.unpack_from(">I", self._incoming, 20)[0])
            return 48
        _, length, _, _, _, setup = struct.unpack_from(">IiIII8s", self._incoming, 20)
        if command != SUBMIT or not 0 <= length <= LARGEST_TRANSFER or endpoint > 15:
            self.close()
            return 0
        used = 48 if direction else 48 + length
        if len(self._incoming) < used:
            return 0
        data = bytes(self._incoming[48:used])
        if device_id != BUS_NUMBER << 16 | export.number:
            self._return(sequence, ENODEV)
        elif endpoint == 0:
            self._control(export, sequence, setup, data)
        elif direction:
            self._waiting.setdefault(endpoint, deque()).append((sequence, length))
            self.pump()
        else:
            self._bulk_out(export, sequence, endpoint, data)
        return used

    def _control(self, export: _Export, sequence: int, setup: bytes, data: bytes) -> None:
        request_type, request, value, index, length = struct.unpack("<BBHHH", setup)
        try:
            answer = export.bus.control(request_type, request, value, index, data, length)
        except UsbStall:
            self._return(sequence, EPIPE)
            return
        self._return(sequence, 0, answer, None if request_type & 0x80 else len(data))

    def _bulk_out(self, export: _Export, sequence: int, endpoint: int, data: bytes) -> None:
        try:
            export.bus.bulk_out(endpoint, data)
        except UsbStall:
            self._return(sequence, EPIPE)
        else:
            self._return(sequence, 0, b"", len(data))

    def _unlink(self, sequence: int, target: int) -> None:
        """Forget a waiting IN transfer. Status 0 says that it had been answered before."""
        status = 0
        for waiting in self._waiting.values():
            for urb in waiting:
                if urb[0] == target:
                    waiting.remove(urb)
                    status = ECONNRESET
                    break
        self._send(struct.pack(">IIIIIi24x", RET_UNLINK, sequence, 0, 0, 0, status))

    def _return(self, sequence: int, status: int, data: bytes = b"", actual: int | None = None) -> None:
        moved = len(data) if actual is None else actual
        self._send(struct.pack(">IIIIIiiiii8x", RET_SUBMIT, sequence, 0, 0, 0, status, moved, 0, 0, 0) + data)

    def _send(self, data: bytes) -> None:
        if not self._open:
            return
        if self._outgoing:
            self._outgoing += data
            return
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        if sent < len(data):
            self._outgoing += data[sent:]
            self._server.reactor.add_writer(self._socket.fileno(), self._writable)

    def _writable(self) -> None:
        try:
            sent = self._socket.send(self._outgoing)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        del self._outgoing[:sent]
        if not self._outgoing:
            self._server.reactor.remove_writer(self._socket.fileno())
