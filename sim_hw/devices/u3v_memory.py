"""The register space of the emulated camera, and the GenCP commands that read and write it.

Bootstrap registers as USB3 Vision 1.0 lays them out: ABRM at 0, SBRM and SIRM where the one before points to, the
manifest table with one uncompressed GenICam file. All numbers are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PREFIX = 0x43563355  # "U3VC"
READMEM, WRITEMEM = 0x0800, 0x0802
REQUEST_ACK = 0x4000
SUCCESS, NOT_IMPLEMENTED, INVALID_PARAMETER, INVALID_ADDRESS = 0x0000, 0x8001, 0x8002, 0x8003
WRITE_PROTECT, ACCESS_DENIED, INVALID_HEADER = 0x8004, 0x8006, 0x800E
SI_REGISTERS_INCONSISTENT = 0xA004
LONGEST = 1024  # bytes of a command or an acknowledgement, header included

SBRM, SIRM, MANIFEST, XML, FEATURES = 0x1000, 0x2000, 0x1_0000, 0x2_0000, 0x3_0000
TIMESTAMP, TIMESTAMP_LATCH = 0x01F0, 0x01F8
SI_CONTROL, SI_REQUIRED_PAYLOAD, SI_REQUIRED_LEADER, SI_REQUIRED_TRAILER = 0x04, 0x08, 0x10, 0x14
SI_MAXIMUM_LEADER, SI_TRANSFER_SIZE, SI_TRANSFER_COUNT = 0x18, 0x1C, 0x20
SI_FINAL1, SI_FINAL2, SI_MAXIMUM_TRAILER = 0x24, 0x28, 0x2C
WIDTH, HEIGHT, OFFSET_X, OFFSET_Y, PIXEL_FORMAT, SENSOR_WIDTH, SENSOR_HEIGHT, PAYLOAD = range(0x30000, 0x30020, 4)
EXPOSURE, FRAME_RATE, START, STOP, MODE = 0x30020, 0x30028, 0x30030, 0x30034, 0x30038
FRAME_RATE_ENABLE, TRIGGER_MODE = 0x3003C, 0x30040

GENICAM_FILE = Path(__file__).with_name("u3v_camera.xml")


class Refused(Exception):  # noqa: N818
    """The camera refuses a command with this GenCP status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status:#06x}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Identity:
    """What the camera says it is."""

    manufacturer: str = "Boresight"
    model: str = "BTC1024"
    serial: str = "B0001"
    guid: str = "1209000B0001"  # twelve hexadecimal digits: maker and device


class Memory:
    """Mapped blocks of bytes; a write must hit exactly one writable register and may be refused by its rule."""

    def __init__(self, identity: Identity) -> None:
        xml = GENICAM_FILE.read_bytes()
        self._blocks = {
            0: bytearray(0x0400),
            SBRM: bytearray(0x0100),
            SIRM: bytearray(0x0030),
            MANIFEST: bytearray(8 + 64),
            XML: bytearray(xml),
            FEATURES: bytearray(0x44),
        }
        self._rules: dict[tuple[int, int], tuple[str, Callable[[float], None]]] = {}
        for address, text in ((0x04, identity.manufacturer), (0x44, identity.model), (0x144, identity.serial)):
            self.poke(address, text.encode())
        self.put(0x00, "<HH", 3, 1)  # GenCP 1.3
        self.put(0x01C4, "<Q", 1 << 3 | 1 << 8 | 1 << 9)  # time stamp, family name, SBRM
        self.put(0x01CC, "<I", 500)  # maximum device response time, ms: this host may stand still meanwhile
        self.put(0x01D0, "<QQ", MANIFEST, SBRM)
        self.put(0x01FC, "<Q", 1)  # a tick of the time stamp is 1 ns
        self.put(SBRM, "<HH", 0, 1)  # USB3 Vision 1.0
        self.put(SBRM + 0x04, "<Q", 1)  # a SIRM is there
        self.put(SBRM + 0x14, "<III", LONGEST, LONGEST, 1)
        self.put(SBRM + 0x20, "<QI", SIRM, 0x30)
        self.put(SBRM + 0x40, "<I", 1 << 2)  # high speed
        self.put(SIRM, "<I", 2 << 24)  # transfer sizes are multiples of 2^2 bytes
        self.put(MANIFEST, "<QHBBIQQ", 1, 0, 0, 1, 1 << 24 | 1 << 16, XML, len(xml))  # file 1.0.0, schema 1.1, raw

    def put(self, address: int, layout: str, *values: float) -> None:
        """Set registers from inside the camera."""
        self.poke(address, struct.pack(layout, *values))

    def poke(self, address: int, data: bytes) -> None:
        """Set bytes from inside the camera."""
        start, block = self._find(address, len(data))
        block[address - start : address - start + len(data)] = data

    def integer(self, address: int) -> int:
        """A 32-bit register's value."""
        return int.from_bytes(self.read(address, 4), "little")

    def real(self, address: int) -> float:
        """A 64-bit floating-point register's value."""
        value: float = struct.unpack("<d", self.read(address, 8))[0]
        return value

    def writable(self, address: int, layout: str, rule: Callable[[float], None]) -> None:
        """Let the host write a register; `rule` is asked before the value is stored and may raise Refused."""
        self._rules[address, struct.calcsize(layout)] = layout, rule

    def read(self, address: int, length: int) -> bytes:
        """Bytes of one block; raises Refused for an address that is not mapped."""
        start, block = self._find(address, length)
        return bytes(block[address - start : address - start + length])

    def write(self, address: int, data: bytes) -> None:
        """A write of the host."""
        self._find(address, len(data))
        if (address, len(data)) not in self._rules:
            raise Refused(WRITE_PROTECT)
        layout, rule = self._rules[address, len(data)]
        rule(struct.unpack(layout, data)[0])
        self.poke(address, data)

    def _find(self, address: int, length: int) -> tuple[int, bytearray]:
        for start, block in self._blocks.items():
            if start <= address and address + length <= start + len(block):
                return start, block
        raise Refused(INVALID_ADDRESS)


def execute(memory: Memory, command: bytes) -> bytes | None:
    """One GenCP command on the control channel; returns its acknowledgement, None where none is due.

    What does not begin with the prefix is not a command and gets no answer.
    """
    if len(command) < 12 or struct.unpack_from("<I", command)[0] != PREFIX:
        return None
    _, flags, number, length, request_id = struct.unpack_from("<IHHHH", command)
    body = command[12:]
    try:
        if length != len(body) or len(command) > LONGEST:
            raise Refused(INVALID_HEADER)
        status, answer = SUCCESS, _carry_out(memory, number, body)
    except Refused as refused:
        status, answer = refused.status, b""
    if not flags & REQUEST_ACK:
        return None
    return struct.pack("<IHHHH", PREFIX, status, number + 1 & 0xFFFF, len(answer), request_id) + answer


def _carry_out(memory: Memory, number: int, body: bytes) -> bytes:
    if number == READMEM and len(body) == 12:
        address, _, length = struct.unpack("<QHH", body)
        if length + 12 > LONGEST:
            raise Refused(INVALID_PARAMETER)
        return memory.read(address, length)
    if number == WRITEMEM and len(body) > 8:
        (address,) = struct.unpack_from("<Q", body)
        memory.write(address, body[8:])
        return struct.pack("<HH", 0, len(body) - 8)
    raise Refused(NOT_IMPLEMENTED if number not in (READMEM, WRITEMEM) else INVALID_PARAMETER)
