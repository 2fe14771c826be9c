"""The stream channel's bytes: leader, payload, trailer (USB3 Vision 1.0 chapter 5.2), and how a payload is cut up."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from hal.errors import ProtocolError

LEADER_PREFIX, TRAILER_PREFIX = b"U3VL", b"U3VT"
LEADER = struct.Struct("<4sHHQHHQIIIIIHH")
TRAILER = struct.Struct("<4sHHQHHQ")
IMAGE, MONO16 = 0x0001, 0x01100007
LONGEST_TRANSFER = 256 << 10


@dataclass(frozen=True, slots=True)
class Leader:
    """What precedes an image; `timestamp` is the camera's own clock at the start of exposure, in its ticks."""

    block: int
    timestamp: int
    pixel_format: int
    width: int
    height: int
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Trailer:
    """What follows an image; `status` 0 is good, `size` counts the bytes of the payload that are valid."""

    block: int
    status: int
    size: int


@dataclass(frozen=True, slots=True)
class TransferPlan:
    """How a payload is cut into bulk transfers: `count` of `size` bytes, then the two final ones (0 = none)."""

    size: int
    count: int
    final1: int
    final2: int

    @property
    def sizes(self) -> list[int]:
        """Length of each transfer in order."""
        return [n for n in [*[self.size] * self.count, self.final1, self.final2] if n]


def plan_transfers(payload: int, alignment: int, longest: int = LONGEST_TRANSFER) -> TransferPlan:
    """Cut `payload` bytes into transfers whose lengths are multiples of `alignment`."""
    size = longest - longest % alignment
    count, rest = divmod(payload, size)
    return TransferPlan(size, count, -(-rest // alignment) * alignment, 0)


def parse_leader(data: bytes, name: str) -> Leader:
    """Raises ProtocolError for anything but the leader of a 16-bit monochrome image."""
    if len(data) < LEADER.size or data[:4] != LEADER_PREFIX:
        raise ProtocolError(f"{name}: {len(data)} bytes came where a frame should begin; the stream is re-synchronised")
    _, _, _, block, _, kind, stamp, pixels, width, height, x, y, padding, _ = LEADER.unpack_from(data)
    if kind != IMAGE or pixels != MONO16 or padding:
        raise ProtocolError(
            f"{name}: sends payload type {kind:#06x} in pixel format {pixels:#010x}; set the camera to Mono16 images"
        )
    return Leader(block, stamp, pixels, width, height, x, y)


def parse_trailer(data: bytes, name: str) -> Trailer:
    """Raises ProtocolError for anything but a trailer."""
    if len(data) < TRAILER.size or data[:4] != TRAILER_PREFIX:
        raise ProtocolError(f"{name}: {len(data)} bytes came where a frame should end; the stream is re-synchronised")
    _, _, _, block, status, _, size = TRAILER.unpack_from(data)
    return Trailer(block, status, size)
