"""The firmware's protocol, byte by byte."""

from __future__ import annotations

import json
import random
import struct
from typing import Any

HELLO, DICTIONARY, STATUS, HEARTBEAT, MODE, RESET, SETPOINTS, GET, SET = range(1, 10)
POINT_AHEAD, INJECT, CAPTURE, READ, SECTION, COMMIT = range(10, 16)
RANGE, PAYLOAD_MAX = 3, 1040  # firmware/core/bs_dictionary.h, bs_board.h
# Worked by hand from firmware/core/bs_frame.h: sync, length 0, sequence 1, type hello, and the CRC-16/CCITT-FALSE of
# the five bytes 00 00 01 00 01 (check value of that CRC: 0x29B1 for "123456789", catalogue of parametrised CRCs).
HELLO_1 = bytes.fromhex("a55a 0000 0100 01 1d36")
# Its answer: 15 bytes, tick 0, no error, protocol 1, serial number 7, then the dictionary's length.
HELLO_1_ANSWER = bytes.fromhex("a55a 0f00 0100 81 00000000 00 0100 07000000")


def crc(data: bytes) -> int:
    """CRC-16/CCITT-FALSE straight from its definition: bit by bit, by polynomial division."""
    value = 0xFFFF
    for bit in (byte >> shift & 1 for byte in data for shift in range(7, -1, -1)):
        top = value >> 15
        value = (value << 1 & 0xFFFF) ^ (0x1021 if top ^ bit else 0)
    return value


def test_the_crc_has_its_published_check_value() -> None:
    assert crc(b"123456789") == 0x29B1
    assert struct.pack("<H", crc(HELLO_1[2:7])) == HELLO_1[7:]


def test_a_greeting_is_answered_with_version_and_serial_number(bare: Any) -> None:
    answer = bare.send(HELLO_1)
    assert answer[: len(HELLO_1_ANSWER)] == HELLO_1_ANSWER
    assert struct.unpack("<H", answer[-2:])[0] == crc(answer[2:-2])


def test_bytes_may_come_one_by_one_and_two_frames_at_once(bare: Any) -> None:
    whole = bare.send(HELLO_1)
    assert b"".join(bare.send(bytes([byte])) for byte in HELLO_1) == whole
    assert bare.send(HELLO_1 + HELLO_1) == whole + whole


def test_garbage_before_a_frame_is_skipped(bare: Any) -> None:
    whole = bare.send(HELLO_1)
    assert bare.send(b"\xa5\xa5\x00noise\xa5\x5a\xff\xff" + HELLO_1) == whole


def test_a_damaged_frame_gets_no_answer_and_is_counted(bare: Any) -> None:
    bare.send(HELLO_1)
    damaged = bytearray(HELLO_1)
    damaged[4] ^= 1
    assert bare.send(bytes(damaged)) == b""
    (crc_errors,) = struct.unpack_from("<H", bare.do(STATUS), 4)
    assert crc_errors == 1


def test_half_a_frame_does_not_swallow_the_request_after_the_pause(bare: Any) -> None:
    whole = bare.send(HELLO_1)
    assert bare.send(b"\xa5\x5a\x00\x04\x09\x00\x07half of a long one") == b""
    bare.board.tick(300)  # 30 ms
    answer = bare.send(HELLO_1)
    assert answer[12:-2] == whole[12:-2]


def test_the_same_request_again_is_answered_again_but_not_executed_twice(bare: Any) -> None:
    bare.beat()
    sequence = bare.sequence + 1
    payload = struct.pack("<Iff", 100, 1e-4, 0.0)
    request = HELLO_1[:2] + struct.pack("<HHB", len(payload), sequence, SETPOINTS) + payload
    request += struct.pack("<H", crc(request[2:]))
    first = bare.send(request)
    assert first[11] == 0
    bare.board.tick(5)
    assert bare.send(request) == first  # executed twice it would be refused: not forward in time
    bare.sequence = sequence
    (queued,) = struct.unpack_from("<H", bare.do(STATUS), 2)
    assert queued == 1


def test_every_malformed_request_is_refused_with_a_code(bare: Any) -> None:
    errors = {row["id"]: row["name"] for row in bare.dictionary()["errors"] if row}
    nan = struct.pack("<f", float("nan"))
    for kind, payload, reason in (
        (0x55, b"", "no such command"),
        (HEARTBEAT, b"", "wrong payload length"),
        (HEARTBEAT, b"\x02", "value out of range"),
        (SET, b"\x00" + nan, "value out of range"),
        (SET, b"\xff" + struct.pack("<f", 0), "value out of range"),
        (GET, b"\xff", "value out of range"),
        (POINT_AHEAD, struct.pack("<ff", 1.0, 0.0), "value out of range"),
        (SETPOINTS, b"\x00" * 5, "wrong payload length"),
        (CAPTURE, struct.pack("<I", 10) + b"\xff", "value out of range"),
        (CAPTURE, struct.pack("<I", 1 << 31) + b"\x00", "value out of range"),
        (SECTION, struct.pack("<BB5f", 0, 0, 1, 0, 0, 0, 1.5), "filter section is not stable"),
        (SECTION, struct.pack("<BB4f", 0, 0, 1, 0, 0, 0) + nan, "filter section is not stable"),
        (SECTION, struct.pack("<BB5f", 2, 0, 1, 0, 0, 0, 0), "value out of range"),
        (COMMIT, b"\x09\x00", "value out of range"),
        (MODE, b"\x01", "no fresh heartbeat"),
    ):
        error, body = bare.ask(kind, payload)
        assert (errors[error], body) == (reason, b"")


def test_the_dictionary_names_units_and_limits_that_the_board_keeps(bare: Any) -> None:
    dictionary = bare.dictionary()
    assert dictionary["tick_rate_hz"] == 10_000
    for number, row in enumerate(row for row in dictionary["parameters"] if row):
        assert row["unit"]
        (value,) = struct.unpack("<f", bare.do(GET, bytes([number])))
        assert abs(value - row["default"]) <= 1e-6 * abs(row["default"])
        for limit, outside in ((row["min"], row["min"] - 1), (row["max"], row["max"] + 1)):
            assert bare.ask(SET, struct.pack("<Bf", number, limit))[0] == 0
            assert bare.ask(SET, struct.pack("<Bf", number, outside))[0] != 0


def test_the_dictionary_reads_the_same_in_any_chunks(bare: Any) -> None:
    _, _, length = struct.unpack("<HII", bare.do(HELLO))
    texts = set()
    for chunk in (7, 100, 1000):
        pieces = (bare.do(DICTIONARY, struct.pack("<IH", at, chunk)) for at in range(0, length, chunk))
        texts.add(b"".join(pieces))
    assert len(texts) == 1
    assert json.loads(texts.pop())["protocol"] == 1


def test_as_many_floats_are_read_at_once_as_a_payload_holds_and_not_one_more(bare: Any) -> None:
    assert bare.ask(CAPTURE, struct.pack("<IB", 300, 0))[0] == 0
    bare.board.tick(400)
    assert len(bare.do(READ, struct.pack("<IH", 0, 255))) == 12 + 4 * 255
    assert 5 + 12 + 4 * 255 <= PAYLOAD_MAX < 5 + 12 + 4 * 256
    assert bare.ask(READ, struct.pack("<IH", 0, 256))[0] == RANGE


def test_random_bytes_never_raise_the_enable_line_or_silence_the_board(bare: Any) -> None:
    noise = random.Random(3)
    for _ in range(300):
        bare.send(noise.randbytes(noise.randrange(1, 400)))
        bare.board.tick()
        assert bare.value("enable") == 0.0
    bare.board.tick(300)
    assert bare.send(HELLO_1)[:7] == HELLO_1_ANSWER[:7]
