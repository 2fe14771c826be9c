"""Request and reply with the beam board over a serial wire.

A frame is A5 5A | length u16 | sequence u16 | type u8 | payload | CRC u16, little endian; the CRC is
CRC-16/CCITT-FALSE (polynomial 0x1021, start 0xFFFF) over length to payload. A reply repeats the sequence number, so a
late one is never taken for the answer to the next request. A request whose reply was lost is sent again with the same
number: the board then answers again and does not execute twice.
"""

from __future__ import annotations

import struct
from binascii import crc_hqx
from dataclasses import dataclass

from hal.clock import NS, Clock, Deadline
from hal.errors import DeviceError, ProtocolError, WireTimeout
from hal.wires.stream import StreamWire

SYNC = b"\xa5\x5a"
HEADER = struct.Struct("<2sHHB")
OVERHEAD = HEADER.size + 2
PAYLOAD_MAX = 1040
REPLY = 0x80
EXECUTED = struct.Struct("<IB")  # tick of execution, error code
ATTEMPTS = 3
BITS_PER_BYTE = 10
ANSWER_TIMEOUT_S = 0.06  # beside the time that the bytes take: three attempts fit the board's watchdog

ERRORS = {
    1: "does not know the command; update its firmware",
    2: "was sent a payload of the wrong length; update its firmware",
    3: "was given a value out of range",
    4: "is latched after its watchdog or interlock; find the cause, then reset it",
    5: "has had no fresh heartbeat; start the heartbeat first",
    6: "has no room for more set-points; send fewer at a time",
    7: "was given set-points that do not go forward in time; send them further ahead",
    8: "has no loop gain or matrix yet; calibrate it first",
    9: "was given a filter section that is not stable; design the loop again",
}


def encode(sequence: int, kind: int, payload: bytes) -> bytes:
    """One frame."""
    body = struct.pack("<HHB", len(payload), sequence, kind) + payload
    return SYNC + body + struct.pack("<H", crc_hqx(body, 0xFFFF))


@dataclass(frozen=True, slots=True)
class Executed:
    """A reply: at which of its ticks the board executed the request, and bounds on when that was for us."""

    tick: int
    earliest_ns: int  # monotonic: the request's last byte could not have arrived before
    latest_ns: int
    payload: bytes


class Exchange:
    """One conversation at a time with one board."""

    def __init__(self, wire: StreamWire, clock: Clock) -> None:
        self.retries = 0
        self.answer_timeout_s = ANSWER_TIMEOUT_S
        self._wire = wire
        self._clock = clock
        self._name = wire.name
        self._sequence = 0
        self._byte_s = BITS_PER_BYTE / wire.baud if wire.baud else 0.0  # over a network nothing paces the bytes

    def ask(self, kind: int, payload: bytes = b"", reply_room: int = 64) -> Executed:
        """Send a request and return its reply; `reply_room` is about how many bytes that has, for the time-out.

        Raises WireTimeout when no answer comes to three attempts, DeviceError when the board refuses.
        """
        self._sequence = (self._sequence + 1) & 0xFFFF
        frame = encode(self._sequence, kind, payload)
        timeout_s = self.answer_timeout_s + (len(frame) + reply_room + OVERHEAD) * self._byte_s
        sent_ns = self._clock.now_ns()  # first: an answer to a repeat may be that of what was executed before
        for attempt in range(ATTEMPTS):
            if attempt:
                self.retries += 1
                self._wire.drain()
            self._wire.write(frame)
            try:
                reply = self._reply_to(self._sequence, kind, Deadline(self._clock, timeout_s))
            except WireTimeout:
                continue
            return self._judge(reply, sent_ns, len(frame))
        raise WireTimeout(
            f"{self._name}: no answer from the beam board on {self._wire.resource} to {ATTEMPTS} attempts; "
            f"check its power, cable and baud rate ({self._wire.baud})."
        )

    def _judge(self, reply: bytes, sent_ns: int, sent_bytes: int) -> Executed:
        now_ns = self._clock.now_ns()
        if len(reply) < EXECUTED.size:
            raise ProtocolError(f"{self._name}: sent a reply of {len(reply)} bytes; update its firmware.")
        tick, error = EXECUTED.unpack_from(reply)
        if error:
            reason = ERRORS.get(error, f"refused with error {error}; update Boresight")
            raise DeviceError(f"{self._name}: the beam board {reason}.", error)
        earliest_ns = sent_ns + round(sent_bytes * self._byte_s * NS)
        latest_ns = now_ns - round((len(reply) + OVERHEAD) * self._byte_s * NS)
        return Executed(tick, min(earliest_ns, now_ns), max(latest_ns, sent_ns), reply[EXECUTED.size :])

    def _reply_to(self, sequence: int, kind: int, deadline: Deadline) -> bytes:
        """The payload of the reply to `sequence`; older replies, echoes and garbage before it are dropped."""
        buffer = b""
        while True:
            buffer += self._wire.read(max(0, HEADER.size - len(buffer)), deadline.remaining_s)
            if not buffer.startswith(SYNC):
                start = buffer.find(SYNC, 1)
                keep_last = buffer.endswith(SYNC[:1]) and start < 0
                buffer = buffer[start:] if start >= 0 else buffer[-1:] if keep_last else b""
                continue
            _, length, got_sequence, got_kind = HEADER.unpack_from(buffer)
            if length > PAYLOAD_MAX:
                buffer = buffer[1:]
                continue
            end = length + OVERHEAD
            buffer += self._wire.read(max(0, end - len(buffer)), deadline.remaining_s)
            (crc,) = struct.unpack_from("<H", buffer, end - 2)
            if crc != crc_hqx(buffer[2 : end - 2], 0xFFFF):
                buffer = buffer[1:]
                continue
            payload, buffer = buffer[HEADER.size : end - 2], buffer[end:]
            if got_sequence == sequence and got_kind == kind | REPLY:
                return payload
