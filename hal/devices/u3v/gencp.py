"""GenCP, the register protocol of USB3 Vision's control channel (EMVA GenCP 1.3, USB3 Vision 1.0 chapter 4).

A command is prefix "U3VC", flags, command id, length, request id, then its data; the acknowledgement carries the same
request id and a status in place of the flags. One command is under way at a time.
"""

from __future__ import annotations

import struct
from contextlib import suppress

from hal.clock import Clock, Deadline
from hal.errors import DeviceError, ProtocolError, WireTimeout
from hal.wires.usb import UsbWire

PREFIX = 0x43563355
HEADER = struct.Struct("<IHHHH")
REQUEST_ACK = 0x4000
READMEM_CMD, WRITEMEM_CMD, PENDING_ACK = 0x0800, 0x0802, 0x0805
ACK = 1  # an acknowledgement's id is its command's plus one
SMALLEST_LIMIT = 64  # what any device takes before it has told its limits

STATUS = {
    0x8001: "command not implemented",
    0x8002: "invalid parameter",
    0x8003: "no register at this address",
    0x8004: "register is read-only",
    0x8005: "bad alignment",
    0x8006: "access denied",
    0x8007: "busy",
    0x800B: "time-out inside the camera",
    0x800E: "invalid header",
    0x800F: "wrong configuration",
    0x8FFF: "generic error",
    0xA003: "payload size not aligned",
    0xA004: "stream transfer sizes do not fit the payload",
}
PENDING_MAX_S = 10.0  # a camera may ask for more time, but not for ever


class ControlChannel:
    """Reads and writes a camera's memory.

    Every method raises WireTimeout when the camera does not answer, DeviceError (code = GenCP status) when it
    refuses, ProtocolError when the answer makes no sense, WireError when it is gone. After each of them the channel
    is clean: an acknowledgement that comes late is never taken for that of a later command.
    """

    def __init__(self, wire: UsbWire, endpoint_out: int, endpoint_in: int, clock: Clock) -> None:
        self._wire, self._out, self._in, self._clock = wire, endpoint_out, endpoint_in, clock
        self._request_id = 0
        self.command_max = self.ack_max = SMALLEST_LIMIT
        self.response_s = 0.5

    def drain(self) -> None:
        """Drop acknowledgements that nobody waits for."""
        self._wire.drain(self._in, 4096)

    def read(self, address: int, n: int) -> bytes:
        """`n` bytes from `address`, in as many commands as the camera's limit asks for."""
        piece_max = self.ack_max - HEADER.size
        data = bytearray()
        while len(data) < n:
            piece = min(piece_max, n - len(data))
            answer = self._command(READMEM_CMD, struct.pack("<QHH", address + len(data), 0, piece))
            if len(answer) != piece:
                raise ProtocolError(
                    f"{self._wire.name}: {len(answer)} bytes came where {piece} were read at {address:#x}; "
                    "power-cycle the camera"
                )
            data += answer
        return bytes(data)

    def write(self, address: int, data: bytes) -> None:
        """Write `data` at `address`, in as many commands as the camera's limit asks for."""
        piece_max = self.command_max - HEADER.size - 8
        for at in range(0, len(data), piece_max):
            self._command(WRITEMEM_CMD, struct.pack("<Q", address + at) + data[at : at + piece_max])

    def read_u32(self, address: int) -> int:
        """A 32-bit register."""
        return int.from_bytes(self.read(address, 4), "little")

    def read_u64(self, address: int) -> int:
        """A 64-bit register."""
        return int.from_bytes(self.read(address, 8), "little")

    def write_u32(self, address: int, value: int) -> None:
        """Write a 32-bit register."""
        self.write(address, struct.pack("<I", value))

    def _command(self, number: int, body: bytes) -> bytes:
        self._request_id = self._request_id % 0xFFFF + 1  # zero is not used
        packet = HEADER.pack(PREFIX, REQUEST_ACK, number, len(body), self._request_id) + body
        deadline = Deadline(self._clock, self.response_s)
        patience = Deadline(self._clock, self.response_s + PENDING_MAX_S)
        self._wire.bulk_out(self._out, packet, self.response_s)
        while True:
            if deadline.expired or patience.expired:  # it speaks, but never to the point
                raise self._unanswered()
            try:
                answer = self._wire.bulk_in(self._in, max(self.ack_max, SMALLEST_LIMIT), deadline.remaining_s)
            except WireTimeout as error:
                raise self._unanswered() from error
            status, kind, request_id, data = self._parsed(answer)
            if request_id != self._request_id:
                continue  # the late answer to an earlier command
            if kind == PENDING_ACK:
                deadline = Deadline(self._clock, self._pending_s(data))
            elif kind != number + ACK:
                raise self._nonsense(f"answer {kind:#06x} to command {number:#06x}")
            elif status:
                address = int.from_bytes(body[:8], "little")
                raise DeviceError(
                    f"{self._wire.name}: refuses register {address:#x} ({STATUS.get(status, 'unknown status')}, "
                    f"{status:#06x}); check the setting that was made",
                    code=status,
                )
            else:
                return data

    def _unanswered(self) -> WireTimeout:
        return WireTimeout(
            f"{self._wire.name}: no answer to a register command in {self.response_s:g} s; "
            "check the cable and the camera's power"
        )

    def _parsed(self, answer: bytes) -> tuple[int, int, int, bytes]:
        if len(answer) < HEADER.size:
            raise self._nonsense(f"{len(answer)} bytes where an acknowledgement has at least {HEADER.size}")
        prefix, status, kind, length, request_id = HEADER.unpack_from(answer)
        if prefix != PREFIX:
            raise self._nonsense(f"an acknowledgement that begins with {prefix:#010x}")
        if length != len(answer) - HEADER.size:
            raise self._nonsense(f"{len(answer) - HEADER.size} bytes of data where {length} are announced")
        return status, kind, request_id, answer[HEADER.size :]

    def _pending_s(self, data: bytes) -> float:
        """PENDING_ACK: the camera needs this much longer (ms in its second 16-bit word)."""
        if len(data) < 4:
            raise self._nonsense("a pending acknowledgement without a time")
        return float(struct.unpack_from("<HH", data)[1]) / 1000

    def _nonsense(self, what: str) -> ProtocolError:
        with suppress(DeviceError):
            self.drain()
        return ProtocolError(f"{self._wire.name}: sent {what}; power-cycle the camera if it happens again")
