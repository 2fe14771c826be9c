"""One USB/IP connection: a device of another machine is imported, and URBs go out and come back.

Protocol version 1.1.1 as in the Linux kernel's Documentation/usb/usbip_protocol.rst: all numbers big-endian, one TCP
connection for each imported device, one header of 48 bytes for each URB. Transfers are synchronous and one at a time:
a time-out unlinks its URB, and data that won the race against the unlink are returned, not lost.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading

from usb.core import USBError, USBTimeoutError

from hal.clock import Clock, Deadline

VERSION = 0x0111
OP_REQ_IMPORT, OP_REP_IMPORT = 0x8003, 0x0003
CMD_SUBMIT, CMD_UNLINK, RET_SUBMIT, RET_UNLINK = 1, 2, 3, 4
DIR_OUT, DIR_IN = 0, 1
OP_HEADER = struct.Struct(">HHI")  # version, code, status
EXPORTED = struct.Struct(">256s32sIIIHHHBBBBBB")  # path, bus id, bus, device, speed, ids, class, configuration
HEADER = struct.Struct(">IIIII")  # command, sequence number, device id, direction, endpoint
SUBMIT = struct.Struct(">IiiIi8s")  # flags, length, start frame, packets, interval, setup
RETURN = struct.Struct(">iiiii8x")  # status, actual length, start frame, packets, errors
UNLINK = struct.Struct(">I24x")
HEADER_SIZE = 48
ST_DEV_BUSY = 2  # status of an import: the device is used by another host
NO_PACKETS = 0xFFFFFFFF  # not isochronous

ERRNO_MAX = 4095  # the largest that the kernel may return
CONNECT_TIMEOUT_S = 3.0
UNLINK_TIMEOUT_S = 2.0


class Connection:
    """One imported device: URBs go out, replies come back in any order of the server's choosing."""

    def __init__(self, host: str, port: int, busid: str, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._sequence = 0
        self._socket = socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S)
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            deadline = Deadline(clock, CONNECT_TIMEOUT_S)
            self._socket.sendall(OP_HEADER.pack(VERSION, OP_REQ_IMPORT, 0) + busid.encode().ljust(32, b"\0"))
            version, code, status = OP_HEADER.unpack(self._take(OP_HEADER.size, deadline))
            if (version, code) != (VERSION, OP_REP_IMPORT):
                raise USBError("what answers there does not speak USB/IP", errno=errno.EPROTO)
            if status == ST_DEV_BUSY:
                raise USBError("another host has imported the device", errno=errno.EBUSY)
            if status:
                raise USBError(f"the server exports no device {busid}", errno=errno.ENOENT)
            fields = EXPORTED.unpack(self._take(EXPORTED.size, deadline))
            self.bus, self.address, self.speed = fields[2:5]
        except TimeoutError as error:
            self.close()
            raise USBError("the server does not answer", errno=errno.ECONNREFUSED) from error
        except BaseException:
            self.close()
            raise
        self._device_id = self.bus << 16 | self.address

    def close(self) -> None:
        """Give the device back."""
        self._socket.close()

    def submit(self, endpoint: int, setup: bytes, data: bytes, length: int, timeout_ms: int) -> bytes:
        """One URB: OUT when the endpoint's direction bit is clear; returns the bytes of an IN transfer.

        For OUT the returned bytes are as many zeros as were taken. `timeout_ms` 0 waits for ever.
        """
        with self._lock:
            try:
                return self._submit(endpoint, setup, data, length, timeout_ms)
            except USBError:
                raise
            except OSError as error:
                self.close()
                raise gone(error.strerror or str(error)) from error

    def _submit(self, endpoint: int, setup: bytes, data: bytes, length: int, timeout_ms: int) -> bytes:
        direction = DIR_IN if endpoint & 0x80 else DIR_OUT
        self._sequence += 1
        mine = self._sequence
        self._socket.settimeout(timeout_ms / 1000 if timeout_ms else None)
        self._socket.sendall(
            HEADER.pack(CMD_SUBMIT, mine, self._device_id, direction, endpoint & 0x0F)
            + SUBMIT.pack(0, length, 0, NO_PACKETS, 0, setup)
            + data
        )
        deadline = Deadline(self._clock, timeout_ms / 1000) if timeout_ms else None
        try:
            self._wait_readable(deadline)
        except TimeoutError:
            reply = self._unlink(mine, endpoint, length)
        else:
            reply = self._reply(mine, endpoint, length, Deadline(self._clock, UNLINK_TIMEOUT_S))
        if reply is None:
            raise USBTimeoutError("Operation timed out", error_code=-7, errno=errno.ETIMEDOUT)
        status, got = reply
        if status:
            raise USBError(os.strerror(-status), error_code=status, errno=-status)
        return got

    def _unlink(self, sequence: int, endpoint: int, length: int) -> tuple[int, bytes] | None:
        """Take an URB back; returns its result when it had completed before the unlink arrived."""
        self._sequence += 1
        self._socket.settimeout(UNLINK_TIMEOUT_S)
        self._socket.sendall(
            HEADER.pack(CMD_UNLINK, self._sequence, self._device_id, DIR_OUT, 0) + UNLINK.pack(sequence)
        )
        raced: tuple[int, bytes] | None = None
        deadline = Deadline(self._clock, UNLINK_TIMEOUT_S)
        while True:
            command, number, status, got = self._read_reply(endpoint, length, deadline)
            if command == RET_SUBMIT and number == sequence:
                raced = status, got
            elif command == RET_UNLINK and number == self._sequence:
                return raced

    def _reply(self, sequence: int, endpoint: int, length: int, deadline: Deadline) -> tuple[int, bytes]:
        command, number, status, got = self._read_reply(endpoint, length, deadline)
        if (command, number) != (RET_SUBMIT, sequence):
            self.close()
            raise gone("a reply came that nobody asked for")
        return status, got

    def _read_reply(self, endpoint: int, length: int, deadline: Deadline) -> tuple[int, int, int, bytes]:
        """(command, sequence number, status, data) of the next reply; a reply has begun, so the rest must follow."""
        header = self._take(HEADER_SIZE, deadline)
        command, number, *_ = HEADER.unpack_from(header)
        if command == RET_UNLINK:
            return command, number, struct.unpack_from(">i", header, HEADER.size)[0], b""
        if command != RET_SUBMIT:
            self.close()
            raise gone("what answers does not speak USB/IP")
        status, actual, *_ = RETURN.unpack_from(header, HEADER.size)
        if not (0 <= actual <= length and -ERRNO_MAX <= status <= 0):
            self.close()
            raise gone(f"it answered with status {status} and {actual} bytes of {length}")
        if not endpoint & 0x80:
            return command, number, status, bytes(actual)
        return command, number, status, self._take(actual, deadline)

    def _wait_readable(self, deadline: Deadline | None) -> None:
        self._socket.settimeout(max(deadline.remaining_s, 1e-6) if deadline is not None else None)
        if not self._socket.recv(1, socket.MSG_PEEK):
            raise ConnectionResetError(errno.ECONNRESET, "closed by the other side")

    def _take(self, n: int, deadline: Deadline) -> bytes:
        data = bytearray(n)
        view = memoryview(data)
        while view:
            self._socket.settimeout(max(deadline.remaining_s, 1e-6))
            got = self._socket.recv_into(view)
            if not got:
                raise ConnectionResetError(errno.ECONNRESET, "closed by the other side")
            view = view[got:]
        return bytes(data)


def gone(why: str) -> USBError:
    """The error of a device that is not there any more."""
    return USBError(f"the connection to the device is lost ({why})", error_code=-4, errno=errno.ENODEV)
