"""Where the records of a recording are, and how to damage it."""

from __future__ import annotations

import struct

from mcap.opcode import Opcode

from controller.record.index import MAGIC


def frames(data: bytes) -> list[tuple[int, int, int]]:
    """Offset, opcode and whole length of each record, to the end of the messages."""
    found, at = [], len(MAGIC)
    while not found or found[-1][1] != Opcode.DATA_END:
        opcode, length = struct.unpack_from("<BQ", data, at)
        found.append((at, opcode, 9 + length))
        at += 9 + length
    return found


def chunks(data: bytes) -> list[tuple[int, int]]:
    return [(at, length) for at, opcode, length in frames(data) if opcode == Opcode.CHUNK]


def unclosed(data: bytes) -> bytes:
    """The file as a kill leaves it."""
    return data[: frames(data)[-1][0]]


def flipped(data: bytes, at: int, bit: int = 0) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
