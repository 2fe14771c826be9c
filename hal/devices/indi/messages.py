"""INDI's messages out of the bytes of a server.

INDI protocol 1.7: elements of XML, one after another without end or root. A message lasts from its opening tag to its
closing tag and holds no other, so half a message is over where the next begins, and a stream is found again wherever
it is taken up. Nothing is parsed before it is whole and short enough. As a message begins with its own tag it has no
room for a declaration, hence for an entity of the sender's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.etree.ElementTree import ParseError, fromstring

LONGEST_MESSAGE = 16_384  # longer is noise: what libindi says of a telescope has a few hundred
NOISE_SHOWN = 64
_START = re.compile(rb"<((?:def|set)(?:Text|Number|Switch|Light)Vector|message|delProperty)(?=[\s/>])")
_LONGEST_START = len(b"<defNumberVector ")


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its tag, its attributes, and the text of each element by its name."""

    tag: str
    attributes: dict[str, str]
    values: dict[str, str]

    @property
    def device(self) -> str:
        """Of which device it is; empty for the server's own."""
        return self.attributes.get("device", "")

    @property
    def name(self) -> str:
        """Of which property it is."""
        return self.attributes.get("name", "")


class Messages:
    """Takes bytes and gives messages; `noise` is the beginning of what was none, until somebody clears it."""

    def __init__(self) -> None:
        self.noise = b""
        self._come = b""

    def feed(self, data: bytes) -> list[Message]:
        """The messages that these bytes complete. Raises nothing, whatever they are."""
        come = self._come + data
        found: list[Message] = []
        at = 0  # what comes before is done with
        while (start := _START.search(come, at)) is not None:
            self._skip(come[at : start.start()])
            at = start.start()
            after = _START.search(come, start.end())
            end = _end(come, start, after.start() if after else len(come))
            if not (end or after) and len(come) - at <= LONGEST_MESSAGE:
                self._come = come[at:]  # until its end comes
                return found
            message = _parsed(come[at:end]) if end else None
            if message is None:
                end = start.end()
                self._skip(come[at:end])
            else:
                found.append(message)
            at = end
        rest = max(at, len(come) - _LONGEST_START)  # where another may begin
        self._skip(come[at:rest])
        self._come = come[rest:]
        return found

    def _skip(self, data: bytes) -> None:
        """These bytes are no message."""
        if len(self.noise) < NOISE_SHOWN:
            self.noise = (self.noise + data.strip())[:NOISE_SHOWN]


def _end(data: bytes, start: re.Match[bytes], limit: int) -> int:
    """Where the message that begins at `start` ends, at most at `limit`; 0: not there."""
    inner = data.find(b"<", start.end(), limit)
    if (closed := data.rfind(b"/>", start.end(), limit if inner < 0 else inner)) >= 0:
        return closed + len(b"/>")
    closing = b"</" + start[1] + b">"
    at = data.find(closing, start.end(), limit)
    return 0 if at < 0 else at + len(closing)


def _parsed(data: bytes) -> Message | None:
    """None for what is no XML. Drivers send texts of their users, not always in UTF-8."""
    if len(data) > LONGEST_MESSAGE:
        return None
    try:
        element = fromstring(data.decode("utf-8", "replace"))
    except (ParseError, ValueError):
        return None
    values = {child.get("name", ""): (child.text or "").strip() for child in element}
    return Message(element.tag, dict(element.attrib), values)
