"""The firmware's host library, spoken to in bytes: no driver in between."""

from __future__ import annotations

import json
import struct
from binascii import crc_hqx
from typing import Any

import pytest

from sim_hw.devices.beamboard import IO, BeamBoard

HELLO, DICTIONARY, STATUS, HEARTBEAT, MODE, RESET, SETPOINTS, GET, SET = range(1, 10)
POINT_AHEAD, INJECT, CAPTURE, READ, SECTION, COMMIT = range(10, 16)


def frame(sequence: int, kind: int, payload: bytes = b"") -> bytes:
    body = struct.pack("<HHB", len(payload), sequence, kind) + payload
    return b"\xa5\x5a" + body + struct.pack("<H", crc_hqx(body, 0xFFFF))


class Bare:
    """A board on a table: bytes in, bytes out, ticks by hand."""

    def __init__(self) -> None:
        self.board = BeamBoard(serial=7)
        self.io = self.board.io
        self.out = bytearray()
        self.board.attach(self.out.extend)
        self.sequence = 0
        self.light(0.0, 0.0)

    def light(self, x: float, y: float, total: float = 1.0) -> None:
        """Quad currents whose normalised signals are x and y."""
        for name, sx, sy in (("a", 1, 1), ("b", -1, 1), ("c", -1, -1), ("d", 1, -1)):
            self.io[IO[f"quad_{name}"]] = total / 4 * (1 + sx * x + sy * y)

    def send(self, data: bytes) -> bytes:
        """Everything that comes back for some bytes."""
        self.out.clear()
        self.board.receive(data)
        return bytes(self.out)

    def ask(self, kind: int, payload: bytes = b"") -> tuple[int, bytes]:
        """Error code and body of the reply to the next request; checks its frame."""
        self.sequence += 1
        reply = self.send(frame(self.sequence, kind, payload))
        length, sequence, got = struct.unpack_from("<HHB", reply, 2)
        assert (sequence, got) == (self.sequence, kind | 0x80)
        assert len(reply) == length + 9
        assert reply == frame(sequence, got, reply[7:-2])
        return reply[11], reply[12:-2]

    def do(self, kind: int, payload: bytes = b"") -> bytes:
        """Like ask, for what must succeed."""
        error, body = self.ask(kind, payload)
        assert error == 0
        return body

    def beat(self, enable: bool = False) -> bytes:
        return self.do(HEARTBEAT, bytes([enable]))

    def set(self, name: str, value: float) -> int:
        return self.ask(SET, struct.pack("<Bf", self.names("parameters").index(name), value))[0]

    def names(self, table: str) -> list[str]:
        return [row["name"] for row in self.dictionary()[table] if row is not None]

    def dictionary(self) -> dict[str, Any]:
        _, _, length = struct.unpack("<HII", self.do(HELLO))
        text = b""
        while len(text) < length:
            text += self.do(DICTIONARY, struct.pack("<IH", len(text), 1000))
        return dict(json.loads(text))

    def value(self, name: str) -> float:
        return float(self.io[IO[name]])

    def capture(self, channels: list[str], samples: int) -> list[tuple[float, ...]]:
        numbers = bytes(self.names("channels").index(name) for name in channels)
        self.do(CAPTURE, struct.pack("<I", samples) + numbers)
        self.board.tick(samples)
        data = b""
        while len(data) < 4 * samples * len(channels):
            data += self.do(READ, struct.pack("<IH", len(data) // 4, 250))[12:]
        return list(struct.iter_unpack(f"<{len(channels)}f", data))


@pytest.fixture
def bare() -> Bare:
    return Bare()
