"""Shows a USB/IP device to one program as if the kernel had it: real libusb, real usbfs calls, no kernel, no privilege.

Run by the system's Python under umockdev: `LD_PRELOAD=libumockdev-preload.so.0 python3 usbfs_bridge.py PORT BUSID
PROGRAM [ARGUMENT...]`. Each URB that libusb submits becomes a USB/IP message and back. Uses the standard library and
umockdev's GObject bindings only. Request numbers and struct layouts: Linux include/uapi/linux/usbdevice_fs.h (64 bit).
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from typing import Any

import gi

gi.require_version("UMockdev", "1.0")
from gi.repository import GLib, UMockdev  # noqa: E402

GET_CAPABILITIES, GETDRIVER, CLEAR_HALT = 0x8004551A, 0x41045508, 0x80045515
SUBMITURB, DISCARDURB, REAPURB, REAPURBNDELAY = 0x8038550A, 0x550B, 0x4008550C, 0x4008550D
GRANTED = {0x8004550F, 0x80045510, 0x8108551B, 0xC0105512, 0x80045505, 0x80085504, 0x5514}  # claim, release, set ...
CAPABILITIES = 0x01 | 0x04  # zero packet; no limit to a URB's size
CONTROL, URB_SIZE = 2, 56
EAGAIN, ENOENT, EIO, EINVAL, ENOTTY, ENODATA = 11, 2, 5, 22, 25, 61


class Usbip:
    """The client's side of USB/IP, as much of it as a bridge needs."""

    def __init__(self, port: int, busid: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.sendall(struct.pack(">HHI", 0x0111, 0x8003, 0) + busid.encode().ljust(32, b"\0"))
        reply = self.take(320)
        self.bus, self.device = struct.unpack_from(">II", reply, 8 + 288)
        self.sequence = 0
        self.incoming = bytearray()
        self.inward: set[int] = set()
        self.returned: dict[int, tuple[int, bytes, int]] = {}  # sequence -> status, data, bytes moved

    def take(self, n: int) -> bytes:
        data = b""
        while len(data) < n:
            part = self.socket.recv(n - len(data))
            if not part:
                raise ConnectionError("the server has hung up")
            data += part
        return data

    def submit(self, endpoint: int, setup: bytes, data: bytes, length: int) -> int:
        self.sequence += 1
        inward = bool(endpoint & 0x80)
        if inward:
            self.inward.add(self.sequence)
        self.socket.settimeout(10)
        self.socket.sendall(
            struct.pack(">IIIII", 1, self.sequence, self.bus << 16 | self.device, inward, endpoint & 15)
            + struct.pack(">IIIII", 0, length, 0, 0xFFFFFFFF, 0)
            + setup
            + (b"" if inward else data)
        )
        return self.sequence

    def unlink(self, target: int) -> None:
        """Ask for a URB back; the answer is waited for, so that it is returned afterwards in one way or the other."""
        self.sequence += 1
        mine = self.sequence
        head = struct.pack(">IIIII", 2, mine, self.bus << 16 | self.device, 0, 0)
        self.socket.settimeout(10)
        self.socket.sendall(head + struct.pack(">I24x", target))
        self.wait(mine)
        if self.returned.pop(mine)[0]:
            self.returned[target] = -ENOENT, b"", 0

    def wait(self, sequence: int) -> None:
        while sequence not in self.returned:
            self.poll(10)

    def poll(self, timeout_s: float = 0) -> None:
        """Take what has come."""
        self.socket.settimeout(timeout_s)
        try:
            part = self.socket.recv(1 << 18)
        except (BlockingIOError, TimeoutError):
            return
        if not part:
            raise ConnectionError("the server has hung up")
        self.incoming += part
        while len(self.incoming) >= 48:
            command, sequence = struct.unpack_from(">II", self.incoming)
            status, moved = struct.unpack_from(">ii", self.incoming, 20)
            size = moved if command == 3 and sequence in self.inward else 0
            if len(self.incoming) < 48 + size:
                return
            self.returned[sequence] = status, bytes(self.incoming[48 : 48 + size]), moved if command == 3 else 0
            self.inward.discard(sequence)
            del self.incoming[: 48 + size]

    def control(self, request_type: int, request: int, value: int, index: int, length: int) -> bytes:
        setup = struct.pack("<BBHHH", request_type, request, value, index, length)
        sequence = self.submit(request_type & 0x80, setup, b"", length)
        self.wait(sequence)
        return self.returned.pop(sequence)[1]


class Node(UMockdev.IoctlBase):
    """What answers the ioctls on the device's node."""

    def __init__(self, usbip: Usbip) -> None:
        super().__init__()
        self.usbip = usbip
        self.urbs: dict[int, tuple[bytes, Any, Any, bytes]] = {}  # sequence -> key, urb, buffer, setup

    def do_handle_ioctl(self, client: Any) -> bool:
        try:
            result, error = self.answer(client.get_request(), client.get_arg())
        except Exception as problem:
            sys.stderr.write(f"bridge: {problem!r}\n")
            result, error = -1, EIO
        client.complete(result, error)
        return True

    def answer(self, request: int, arg: Any) -> tuple[int, int]:
        self.usbip.poll()
        if request in GRANTED:
            return 0, 0
        if request == GET_CAPABILITIES:
            arg.resolve(0, 4).update(0, struct.pack("<I", CAPABILITIES))
            return 0, 0
        if request == GETDRIVER:
            return -1, ENODATA
        if request == CLEAR_HALT:
            (endpoint,) = struct.unpack("<I", bytes(arg.resolve(0, 4).retrieve()))
            self.usbip.control(0x02, 1, 0, endpoint, 0)
            return 0, 0
        if request == SUBMITURB:
            return self.submit(arg.resolve(0, URB_SIZE))
        if request == DISCARDURB:
            return self.discard(bytes(arg.resolve(0, URB_SIZE).retrieve()))
        if request in (REAPURB, REAPURBNDELAY):
            return self.reap(arg)
        return -1, ENOTTY

    def submit(self, urb: Any) -> tuple[int, int]:
        raw = bytes(urb.retrieve())
        kind, endpoint = raw[0], raw[1]
        (length,) = struct.unpack_from("<i", raw, 24)
        buffer = urb.resolve(16, length) if length else None
        data = bytes(buffer.retrieve()) if buffer else b""
        setup = b""
        if kind == CONTROL:
            setup, data = data[:8], data[8:]
            endpoint, length = setup[0] & 0x80, length - 8
        sequence = self.usbip.submit(endpoint, setup or bytes(8), data, length)
        self.urbs[sequence] = raw[16:24] + raw[48:56], urb, buffer, setup
        return 0, 0

    def discard(self, raw: bytes) -> tuple[int, int]:
        for sequence, (key, *_) in self.urbs.items():
            if key == raw[16:24] + raw[48:56] and sequence not in self.usbip.returned:
                self.usbip.unlink(sequence)
                return 0, 0
        return -1, EINVAL

    def reap(self, arg: Any) -> tuple[int, int]:
        for sequence in self.urbs:
            if sequence in self.usbip.returned:
                _, urb, buffer, setup = self.urbs.pop(sequence)
                status, data, moved = self.usbip.returned.pop(sequence)
                if data:
                    buffer.update(0, setup + data)
                urb.update(4, struct.pack("<i", status))
                urb.update(28, struct.pack("<i", moved))
                arg.resolve(0, 8).set_ptr(0, urb)
                return 0, 0
        return -1, EAGAIN


def main() -> int:
    usbip = Usbip(int(sys.argv[1]), sys.argv[2])
    descriptors = usbip.control(0x80, 6, 0x0100, 0, 18) + usbip.control(0x80, 6, 0x0200, 0, 4096)
    vendor, product = struct.unpack_from("<HH", descriptors, 8)
    testbed = UMockdev.Testbed.new()
    testbed.add_from_string(
        "P: /devices/pci0000:00/0000:00:14.0/usb1\nN: bus/usb/001/001\nE: SUBSYSTEM=usb\nE: DEVTYPE=usb_device\n"
        "E: DEVNAME=/dev/bus/usb/001/001\nE: BUSNUM=001\nE: DEVNUM=001\nA: busnum=1\\n\nA: devnum=1\\n\n"
        f"A: speed=480\\n\nA: bConfigurationValue=1\\n\nA: idVendor={vendor:04x}\\n\nA: idProduct={product:04x}\\n\n"
        f"H: descriptors={descriptors.hex()}\n"
    )
    node = Node(usbip)
    testbed.attach_ioctl("/dev/bus/usb/001/001", node)
    program = subprocess.Popen(sys.argv[3:], env={**os.environ, "UMOCKDEV_DIR": testbed.get_root_dir()})
    loop = GLib.MainLoop()

    def ended() -> bool:
        if program.poll() is None:
            return True
        loop.quit()
        return False

    GLib.timeout_add(20, ended)
    GLib.timeout_add(60_000, program.kill)
    loop.run()
    return program.wait()


if __name__ == "__main__":
    sys.exit(main())
