"""What one message has in common with the next, kept as bytes: written once, and compared instead of read again.

Whoever sends a method once more repeats ten of fourteen keys. They come first (`envelope.Head`), what is new comes
last: time, id, deadline or id answered, body. The bytes are those of `encode`, so nobody on the other side need know of
this.
"""

from __future__ import annotations

import struct
from typing import Annotated, Any, Final

import msgspec

from controller.bus.envelope import Command, Done, DoneBody, encode

# Keys as msgpack writes them, with the type of what follows: 64 bits unsigned, 16 bytes.
TIME: Final = b"\xa1t\xcf"
ID: Final = b"\xa2id\xc4\x10"
DEADLINE: Final = b"\xa2dl\xcf"
ANSWERED: Final = b"\xa2re\xc4\x10"
BODY: Final = b"\xa1b"
ORDER: Final = "msgspec writes an envelope in another order than its keys have: what is new is not last"
_SOME_NS, _SOME_ID, _SOME_BODY = 1 << 63, bytes(16), {"": 0}
_encode = msgspec.msgpack.encode


class News(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What is new in a command: all of its keys must be there, once, and no other."""

    t: int
    id: Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]  # as `AnswerHead` has room for
    dl: int
    b: dict[str, Any]


_MAP_OF_FOUR: Final = b"\x84"
_read_news = msgspec.msgpack.Decoder(News).decode


class CommandHead:
    """The head of commands like this one: from its sender to its addressee, of its method, under its lease."""

    __slots__ = ("_first", "_head", "_news", "_pack")

    def __init__(self, like: Command) -> None:
        whole = encode(msgspec.structs.replace(like, t=_SOME_NS, seq=0, id=_SOME_ID, re=b"", dl=_SOME_NS, b=_SOME_BODY))
        head = whole[: whole.find(TIME + _SOME_NS.to_bytes(8, "big"))]
        self._head, self._first, self._news = head, head + TIME, slice(len(head), None)
        self._pack = struct.Struct(f">{len(self._first)}sQ{len(ID)}s16s{len(DEADLINE)}sQ{len(BODY)}s").pack
        if whole != self.write(_SOME_NS, _SOME_ID, _SOME_NS, _SOME_BODY):
            raise RuntimeError(ORDER)

    def write(self, utc_ns: int, request_id: bytes, deadline_ns: int, body: dict[str, Any] | msgspec.Raw) -> bytes:
        """A command; times in ns since 1970, 16 bytes of id, a map or one in msgpack."""
        return self._pack(self._first, utc_ns, ID, request_id, DEADLINE, deadline_ns, BODY) + _encode(body)

    def read(self, data: bytes) -> News | None:
        """What is new in a command with this head; None for any other message, which `decode` may read."""
        if not data.startswith(self._head):
            return None
        try:
            return _read_news(_MAP_OF_FOUR + data[self._news])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None


class AnswerHead:
    """The head of `rep` messages like this one: from one start of a service to a sender, of one method."""

    __slots__ = ("_first", "_pack")

    def __init__(self, like: Done) -> None:
        body = DoneBody(msg="x")
        whole = encode(msgspec.structs.replace(like, t=_SOME_NS, re=_SOME_ID, b=body))
        self._first = whole[: whole.find(TIME + _SOME_NS.to_bytes(8, "big"))] + TIME
        self._pack = struct.Struct(f">{len(self._first)}sQ{len(ANSWERED)}s16s{len(BODY)}s").pack
        if whole != self.write(_SOME_NS, _SOME_ID, body):
            raise RuntimeError(ORDER)

    def write(self, utc_ns: int, request_id: bytes, body: DoneBody) -> bytes:
        """The answer to a command; time in ns since 1970, 16 bytes of id."""
        return self._pack(self._first, utc_ns, ANSWERED, request_id, BODY) + _encode(body)
