"""Worked bytes of USB3 Vision and GenCP, and a camera that misbehaves on its control channel.

Sources of the layouts: EMVA GenCP 1.3 (chapter 4.3, common command and acknowledgement layout; 5.3, READMEM and
WRITEMEM), AIA USB3 Vision 1.0 (tables of leader and trailer), and the field offsets in Wireshark's packet-u3v
dissector, which has been checked against cameras. Every field is little-endian.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.services.lockstep import Lockstep
from hal.devices.u3v import stream
from hal.devices.u3v.gencp import ControlChannel
from hal.errors import DeviceError, ProtocolError, WireTimeout
from sim_hw.devices.u3v import U3vCamera as EmulatedCamera
from sim_hw.devices.u3v_memory import Identity, Memory, execute
from sim_hw.timeline import Timeline

# prefix "U3VC", flags: acknowledge, READMEM_CMD, 12 bytes, request 1; address 0x1d8 (SBRM), reserved, 8 bytes
READ_SBRM = bytes.fromhex("55335643 0040 0008 0c00 0100 d801000000000000 0000 0800")
# prefix, status 0, READMEM_ACK, 8 bytes, request 1; SBRM is at 0x1000 in the emulated camera
READ_SBRM_ACK = bytes.fromhex("55335643 0000 0108 0800 0100 0010000000000000")
# WRITEMEM_CMD, 12 bytes, request 2; address 0x30000 (the emulated camera's Width), 64
WRITE_WIDTH = bytes.fromhex("55335643 0040 0208 0c00 0200 0000030000000000 40000000")
# WRITEMEM_ACK, 4 bytes, request 2; reserved, 4 bytes written
WRITE_WIDTH_ACK = bytes.fromhex("55335643 0000 0308 0400 0200 0000 0400")
# read of an address that is not mapped: status 0x8003, no data
READ_NOTHING = bytes.fromhex("55335643 0040 0008 0c00 0300 00000000ffff0000 0000 0400")
READ_NOTHING_ACK = bytes.fromhex("55335643 0380 0108 0000 0300")

# "U3VL", reserved, 52 bytes, block 7, reserved, image; time stamp 123456789 ns, Mono16, 64 x 48 at (96, 64), no padding
LEADER = bytes.fromhex(
    "5533564c 0000 3400 0700000000000000 0000 0100 15cd5b0700000000"
    "07001001 40000000 30000000 60000000 40000000 0000 0000"
)
# "U3VT", reserved, 32 bytes, block 7, status 0, reserved, 6144 valid bytes, 48 rows
TRAILER = bytes.fromhex("55335654 0000 2000 0700000000000000 0000 0000 0018000000000000 30000000")


class ScriptedWire:
    """A control channel whose answers a test writes: each is bytes, or seconds of silence before the next."""

    name = "camera"

    def __init__(self, clock: Lockstep, timeline: Timeline) -> None:
        self.clock, self.timeline = clock, timeline
        self.sent: list[bytes] = []
        self.answers: deque[bytes | float] = deque()

    def bulk_out(self, endpoint: int, data: bytes, timeout_s: float) -> None:
        self.sent.append(data)

    def bulk_in(self, endpoint: int, n: int, timeout_s: float) -> bytes:
        silence_s = self.answers.popleft() if self.answers and isinstance(self.answers[0], float) else 0.0
        assert isinstance(silence_s, float)
        wait_s = min(silence_s, timeout_s) if self.answers else timeout_s
        self.clock.sleep_until(self.clock.now_ns() + round(wait_s * 1e9))
        if silence_s > timeout_s or not self.answers:
            raise WireTimeout("camera: nothing came")
        answer = self.answers.popleft()
        assert isinstance(answer, bytes)
        return answer

    def drain(self, endpoint: int, n: int = 0) -> None:
        self.answers.clear()


def ack(kind: int, request_id: int, data: bytes = b"", status: int = 0) -> bytes:
    return struct.pack("<IHHHH", 0x43563355, status, kind, len(data), request_id) + data


@pytest.fixture
def wire() -> ScriptedWire:
    timeline = Timeline()
    return ScriptedWire(Lockstep(timeline), timeline)


@pytest.fixture
def channel(wire: ScriptedWire) -> ControlChannel:
    return ControlChannel(wire, 0x01, 0x81, wire.clock)  # type: ignore[arg-type]


def test_the_driver_sends_and_takes_the_golden_frames(channel: ControlChannel, wire: ScriptedWire) -> None:
    wire.answers += [READ_SBRM_ACK, WRITE_WIDTH_ACK]
    assert channel.read_u64(0x1D8) == 0x1000
    channel.write_u32(0x30000, 64)
    assert wire.sent == [READ_SBRM, WRITE_WIDTH]
    wire.answers += [READ_NOTHING_ACK]
    with pytest.raises(DeviceError, match="no register at this address, 0x8003") as caught:
        channel.read(0xFFFF00000000, 4)
    assert caught.value.code == 0x8003
    assert wire.sent[-1] == READ_NOTHING


def test_the_emulator_takes_and_answers_the_golden_frames() -> None:
    memory = Memory(Identity())
    memory.writable(0x30000, "<I", lambda value: None)
    assert execute(memory, READ_SBRM) == READ_SBRM_ACK
    assert execute(memory, WRITE_WIDTH) == WRITE_WIDTH_ACK
    assert memory.integer(0x30000) == 64
    assert execute(memory, READ_NOTHING) == READ_NOTHING_ACK


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (bytes.fromhex("55335643 0040 0208 0c00 0500 0400000000000000 41414141"), 0x8004),  # a name is read-only
        (bytes.fromhex("55335643 0040 000c 0000 0500"), 0x8001),  # EVENT_CMD is not for a camera
        (bytes.fromhex("55335643 0040 0008 0c00 0500 0000"), 0x800E),  # shorter than it says
        (bytes.fromhex("55335643 0040 0008 0400 0500 00000000"), 0x8002),  # a read without a length
        (bytes.fromhex("55335643 0040 0008 0c00 0500 0000000000000000 0000 f503"), 0x8002),  # 1013 + 12 > 1024
    ],
)
def test_the_emulator_refuses_with_the_status_of_the_standard(command: bytes, status: int) -> None:
    answer = execute(Memory(Identity()), command)
    assert answer is not None
    assert struct.unpack_from("<HHHH", answer, 4) == (status, struct.unpack_from("<H", command, 6)[0] + 1, 0, 5)


@pytest.mark.parametrize("noise", [b"", b"\x00" * 40, b"U3VE" + bytes(20), READ_SBRM[:8]])
def test_the_emulator_ignores_what_is_no_command(noise: bytes) -> None:
    assert execute(Memory(Identity()), noise) is None


def test_a_command_that_asks_for_no_acknowledgement_gets_none() -> None:
    memory = Memory(Identity())
    memory.writable(0x30000, "<I", lambda value: None)
    assert execute(memory, WRITE_WIDTH[:4] + b"\0\0" + WRITE_WIDTH[6:]) is None
    assert memory.integer(0x30000) == 64


def test_the_golden_leader_and_trailer_are_understood() -> None:
    assert stream.parse_leader(LEADER, "camera") == stream.Leader(7, 123456789, 0x01100007, 64, 48, 96, 64)
    assert stream.parse_trailer(TRAILER, "camera") == stream.Trailer(7, 0, 6144)


def test_the_emulator_sends_the_golden_leader_and_trailer() -> None:
    timeline = Timeline()
    camera = EmulatedCamera(timeline, lambda t0, t1: [], np.random.default_rng(1))
    camera.clock_offset_ns, camera.clock_drift = 0, 0.0
    for register, value in enumerate((64, 48, 96, 64)):
        camera.memory.write(0x30000 + 4 * register, struct.pack("<I", value))
    camera.memory.put(0x30028, "<d", 100.0)  # frames a second
    camera.memory.put(0x3003C, "<II", 1, 0)  # at that rate, without a trigger
    camera.memory.put(0x201C, "<II", 8192, 1)  # one payload transfer
    camera.memory.write(0x2004, struct.pack("<I", 1))
    timeline.advance(123456789 - 71_000_000)  # the first exposure begins 1 ms after the start, block 7 70 ms later
    camera.memory.write(0x30030, struct.pack("<I", 1))
    transfers: list[bytes | None] = []
    for _ in range(8):
        timeline.advance(timeline.now_ns + 10_000_000)
        transfers = [camera.bulk_in(0x82, 8192) for _ in range(3)]
    assert (transfers[0], transfers[2]) == (LEADER, TRAILER)
    assert transfers[1] is not None
    assert len(transfers[1]) == 6144


@pytest.mark.parametrize("payload", [0, 8, 8192, 262144, 262145, 2 * 1024 * 1024, 2 * 1024 * 1024 + 12])
def test_a_payload_is_cut_into_aligned_transfers_that_hold_it(payload: int) -> None:
    plan = stream.plan_transfers(payload, 1024)
    assert payload <= sum(plan.sizes) < payload + 1024
    assert all(size % 1024 == 0 and size <= stream.LONGEST_TRANSFER for size in plan.sizes)


def test_the_late_answer_to_an_earlier_command_is_never_that_of_the_next(
    channel: ControlChannel, wire: ScriptedWire
) -> None:
    channel.response_s = 0.1
    with pytest.raises(WireTimeout, match="check the cable"):
        channel.read_u32(0)
    wire.answers += [ack(0x0801, 1, b"LATE"), ack(0x0801, 2, struct.pack("<I", 42))]
    assert channel.read_u32(0) == 42


def test_a_pending_acknowledgement_gives_the_camera_the_time_it_asks_for(
    channel: ControlChannel, wire: ScriptedWire
) -> None:
    channel.response_s = 0.1
    pending = ack(0x0805, 1, struct.pack("<HH", 0, 800))
    wire.answers += [pending, 0.7, ack(0x0803, 1, struct.pack("<HH", 0, 4))]
    channel.write_u32(0x30030, 1)
    assert wire.timeline.now_ns == 700_000_000
    wire.answers += [ack(0x0805, 2, struct.pack("<HH", 0, 200)), 0.7, ack(0x0803, 2)]
    with pytest.raises(WireTimeout):
        channel.write_u32(0x30030, 1)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x55\x33",
        b"GARBAGEGARBAGE",
        ack(0x0801, 1, b"abcd")[:-1],
        ack(0x0803, 1, b"abcd"),
        ack(0x0805, 1, b"x"),
        ack(0x0801, 1, b"toolong!"),
    ],
    ids=["nothing", "two bytes", "garbage", "cut short", "of another command", "pending for no time", "too long"],
)
def test_nonsense_on_the_control_channel_is_a_protocol_error_and_leaves_it_clean(
    channel: ControlChannel, wire: ScriptedWire, answer: bytes
) -> None:
    wire.answers += [answer]
    with pytest.raises(ProtocolError, match=r"^camera: .*camera"):
        channel.read_u32(0)
    wire.answers += [ack(0x0801, 2, struct.pack("<I", 7))]
    assert channel.read_u32(0) == 7


def test_long_reads_and_writes_are_cut_to_the_cameras_limits(channel: ControlChannel, wire: ScriptedWire) -> None:
    channel.ack_max, channel.command_max = 64, 64  # 52 bytes a read, 44 a write
    wire.answers += [ack(0x0801, n + 1, bytes([n]) * min(52, 120 - 52 * n)) for n in range(3)]
    assert channel.read(0x1000, 120) == b"\0" * 52 + b"\1" * 52 + b"\2" * 16
    addresses = [struct.unpack_from("<QHH", sent, 12) for sent in wire.sent]
    assert addresses == [(0x1000, 0, 52), (0x1034, 0, 52), (0x1068, 0, 16)]
    wire.sent.clear()
    wire.answers += [ack(0x0803, n + 4, struct.pack("<HH", 0, 44)) for n in range(2)]
    channel.write(0x2000, bytes(50))
    assert [len(sent) for sent in wire.sent] == [64, 12 + 8 + 6]


def test_request_ids_wrap_without_zero(channel: ControlChannel, wire: ScriptedWire) -> None:
    channel._request_id = 0xFFFE
    wire.answers += [ack(0x0801, n, b"abcd") for n in (0xFFFF, 1)]
    channel.read_u32(0)
    channel.read_u32(0)
    assert [struct.unpack_from("<H", sent, 10)[0] for sent in wire.sent] == [0xFFFF, 1]


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b[:40],
        lambda b: b"XXXX" + b[4:],
        lambda b: b[:18] + b"\x00\x40" + b[20:],
        lambda b: b[:28] + b"\x01\x00\x08\x01" + b[32:],
    ],
    ids=["short", "prefix", "chunk data", "Mono8"],
)
def test_a_leader_that_is_none_of_a_mono16_image_is_refused(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ProtocolError, match="camera"):
        stream.parse_leader(change(LEADER), "camera")
    with pytest.raises(ProtocolError, match="camera"):
        stream.parse_trailer(TRAILER[:20], "camera")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80), st.integers(0, len(READ_SBRM)))
def test_no_bytes_do_worse_than_a_protocol_error(data: bytes, kept: int) -> None:
    for parse, golden in ((stream.parse_leader, LEADER), (stream.parse_trailer, TRAILER)):
        for attempt in (data, golden[:kept] + data):
            with suppress(ProtocolError):
                parse(attempt, "camera")
    answer = execute(Memory(Identity()), READ_SBRM[:kept] + data)
    assert answer is None or answer[:4] == b"U3VC"
