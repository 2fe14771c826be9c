"""The envelope around every message of the bus: one msgpack map, `v` first, the same bytes in lockstep and on sockets.

Telemetry is a single frame, `topic NUL envelope`, so that a subscriber filters by topic without decoding. Unknown keys
are ignored on receive (additive changes within one `v`); a different `v` is refused. docs/protocol.md has worked bytes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final, Literal, TypeVar

import msgspec

from controller.bus.topics import TOPICS, Body, Topic
from controller.errors import BoresightError

VERSION: Final = 1
COMMAND_BYTES_MAX: Final = 1 << 16
NO_BODY: Final = msgspec.Raw(b"\x80")  # an empty msgpack map
SEPARATOR: Final = b"\x00"

Kind = Literal["req", "ack", "rep", "err", "tlm", "evt"]
TimeBase = Literal["utc", "sim"]
Code = Literal[
    "PROTOCOL",
    "SCHEMA",
    "AUTH",
    "NO_LEASE",
    "LEASE_STALE",
    "DEADLINE",
    "BUSY",
    "LIMIT",
    "INTERLOCK",
    "DEVICE",
    "TRANSPORT",
    "TIMEOUT_UNKNOWN",
    "INTERNAL",
]

ERROR_CODES: Final[dict[Code, str]] = {
    "PROTOCOL": "the envelope, its version or its channel is wrong",
    "SCHEMA": "the method is unknown or its body is wrong",
    "AUTH": "the sender is not who may do this",
    "NO_LEASE": "the sender holds no lease for what it commands",
    "LEASE_STALE": "the lease has passed to somebody else",
    "DEADLINE": "the command came after its deadline and was not executed",
    "BUSY": "the service is doing something that excludes it",
    "LIMIT": "a limit of the station or the rig forbids it",
    "INTERLOCK": "an interlock or a safety vote forbids it",
    "DEVICE": "the device refused or is lost",
    "TRANSPORT": "the command did not reach the service it was meant for and was not executed",
    "TIMEOUT_UNKNOWN": "the command was sent and no answer came: whether it was executed is unknown",
    "INTERNAL": "the service has a fault of its own; its log has more",
}
RETRYABLE: Final[frozenset[str]] = frozenset({"DEADLINE", "BUSY", "TRANSPORT"})


class BusError(BoresightError):
    """The bus refuses; the message is one sentence for the operator."""


class Lease(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """Who may command: `gen` is the fencing number, a smaller one than the highest seen is stale."""

    id: str
    gen: int


class ErrorBody(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """Body of an `err` message."""

    code: Code
    msg: str
    hint: str = ""
    device: str = ""
    retryable: bool = False
    detail: str = ""


class DoneBody(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Body of a `rep` message."""

    msg: str = ""
    data: dict[str, Any] = {}


class Head(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """What every message carries but its body; keys are short because telemetry repeats them.

    In the order of the wire: what a sender repeats in its next message comes first (`letterhead` makes use of it).
    """

    v: int
    k: Kind
    m: str  # method of a request, topic of telemetry
    src: str  # sending service
    boot: bytes = b""  # 8 bytes, drawn at the sender's start
    clk: TimeBase = "utc"
    sim: bool = False  # comes from an emulated device or simulated time
    dst: str = ""
    dst_boot: bytes = b""  # the start of the service that the sender means; empty: any
    ls: Lease | None = None
    t: int = 0  # time of sending, ns since 1970 in time base `clk`
    seq: int = 0  # telemetry: counts from 1 per (source, topic)
    id: bytes = b""  # 16 bytes; of a request also its idempotency key
    re: bytes = b""  # the id that this answers
    dl: int = 0  # absolute deadline, ns since 1970; 0: none


class Envelope(Head, frozen=True, kw_only=True):
    """A message whose body nobody has looked at yet."""

    b: msgspec.Raw = NO_BODY


class Command(Head, frozen=True, kw_only=True):
    """A message with a map as its body, read or written in one go: what commands mostly are."""

    b: dict[str, Any] = {}


class Done(Head, frozen=True, kw_only=True):
    """A `rep` message, written in one go."""

    b: DoneBody


class Failed(Head, frozen=True, kw_only=True):
    """An `err` message, written in one go."""

    b: ErrorBody


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What a client looks at of a `rep` message; of others what tells that they are others."""

    v: Literal[1]
    k: Literal["rep"]
    re: bytes = b""
    b: DoneBody = DoneBody()


class _Version(msgspec.Struct, frozen=True):
    v: int


_ENCODER = msgspec.msgpack.Encoder()
_ENVELOPE = msgspec.msgpack.Decoder(Envelope)
_COMMAND = msgspec.msgpack.Decoder(Command)
_ANSWER = msgspec.msgpack.Decoder(Answer)
_VERSION = msgspec.msgpack.Decoder(_Version)
_DECODERS: dict[Any, msgspec.msgpack.Decoder[Any]] = {}

T = TypeVar("T")


def pack(body: Any) -> msgspec.Raw:
    """Encode a body: a Struct or a map of plain values."""
    return msgspec.Raw(_ENCODER.encode(body))


encode: Final[Callable[[Head], bytes]] = _ENCODER.encode  # of an envelope: a msgpack map


def decode(data: bytes) -> Envelope:
    """Envelope of a message.

    Raises:
        BusError: the bytes are no envelope, or one of another protocol version; says which versions met.
    """
    try:
        envelope = _ENVELOPE.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        found = _version_of(data)
        if found not in (None, VERSION):
            raise BusError(_versions(found)) from None
        raise BusError(f"a bus message of {len(data)} bytes is no envelope: {error}") from None
    if envelope.v != VERSION:
        raise BusError(_versions(envelope.v))
    return envelope


def decode_command(data: bytes, frames: int = 1) -> Envelope | Command:
    """The envelope of a command, with its body where that is a map: half the price of decoding twice.

    Raises:
        BusError: it is none, as for `decode`, or too long, or of several frames.
    """
    if frames != 1:
        raise BusError(f"a command is one frame, this one has {frames}")
    if len(data) > COMMAND_BYTES_MAX:
        raise BusError(f"a command of {len(data)} bytes is too long: {COMMAND_BYTES_MAX} bytes at most")
    try:
        command = _COMMAND.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return decode(data)  # says what is wrong
    if command.v != VERSION:
        raise BusError(_versions(command.v))
    return command


def answer_of(data: bytes) -> Answer | None:
    """A `rep` message, as little of it as a client needs; None for any other, which `decode` may read."""
    try:
        return _ANSWER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def body_as(envelope: Envelope, kind: type[T]) -> T:
    """Decode the body.

    Raises:
        BusError: the body does not fit `kind`; names topic or method, sender, and what is wrong.
    """
    decoder = _DECODERS.get(kind)
    if decoder is None:
        decoder = _DECODERS[kind] = msgspec.msgpack.Decoder(kind)
    try:
        body: T = decoder.decode(envelope.b)
        return body
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BusError(f"the body of {envelope.m!r} from {envelope.src!r} is wrong: {error}") from None


def body_of(envelope: Envelope) -> Body:
    """Decode the body of telemetry by the topic table. Raises BusError on an unknown topic or a wrong body."""
    return body_as(envelope, topic_named(envelope.m).body)


def topic_named(name: str) -> Topic:
    """The row of the topic table. Raises BusError naming the topic."""
    try:
        return TOPICS[name]
    except KeyError:
        raise BusError(f"topic {name!r} is not in the topic table (docs/protocol.md lists them)") from None


def frame(envelope: Envelope) -> bytes:
    """The single frame of a telemetry message."""
    return envelope.m.encode() + SEPARATOR + _ENCODER.encode(envelope)


def unframe(data: bytes) -> Envelope:
    """Envelope of a telemetry frame. Raises BusError when topic and envelope disagree or are no message."""
    name, separator, rest = data.partition(SEPARATOR)
    if not separator:
        raise BusError(f"a telemetry frame of {len(data)} bytes has no topic")
    envelope = decode(rest)
    if envelope.m.encode() != name:
        raise BusError(f"a telemetry frame is labelled {name!r} and carries {envelope.m!r}")
    return envelope


class Ids:
    """Message and boot ids from one injected source: a seed gives the same ids, None gives unique ones."""

    def __init__(self, seed: int | str | None = None) -> None:
        self._random = random.Random(seed)
        self._bits = self._random.getrandbits
        self._mark = 0x7 << 76 | self._bits(12) << 64 | 0b10 << 62  # version, ours, variant

    def boot(self) -> bytes:
        """8 random bytes."""
        return self._random.randbytes(8)

    def message(self, utc_ns: int) -> bytes:
        """16 bytes laid out as UUID version 7 (RFC 9562, 5.7): ms (48 bits), 12 bits of this source, 62 random."""
        return (utc_ns // 1_000_000 << 80 | self._mark | self._bits(62)).to_bytes(16, "big")


def _version_of(data: bytes) -> int | None:
    try:
        return _VERSION.decode(data).v
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _versions(found: int | None) -> str:
    return f"the sender speaks protocol version {found} and this side {VERSION}: update the older of the two"
