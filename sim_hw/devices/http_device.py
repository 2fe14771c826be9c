"""What emulators of devices share that are web servers: HTTP/1.1 requests out of bytes, answers after a delay.

Sources: RFC 9112 (messages), RFC 3986 (queries). A connection is kept until the client ends it; a request that is none
is answered by 400, and what else has come is forgotten.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from sim_hw.timeline import Timeline

LARGEST_HEAD, LARGEST_BODY, MOST_FIELDS = 8192, 65_536, 32
REASONS: Final = {200: "OK", 400: "Bad Request", 404: "Not Found", 500: "Internal Server Error"}
_REQUEST = re.compile(r"([A-Z]{1,16}) (/[!-~]*) HTTP/1\.([01])")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([ -~]*?)[ \t]*")
_LENGTH = re.compile(r"\d{1,9}")


@dataclass(frozen=True, slots=True)
class Request:
    """One request; the fields of its query and of its form, as they are written."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    form: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered."""

    status: int
    kind: str  # of its body
    body: bytes


class HttpDevice(ABC):
    """One connection; a SerialDevice."""

    reply_delay_s = 0.002

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._send: Callable[[bytes], None] = lambda data: None
        self._come = b""

    @abstractmethod
    def respond(self, request: Request) -> Response:
        """What is answered to a request."""

    def attach(self, send: Callable[[bytes], None]) -> None:
        """Remember how to send bytes to the host."""
        self._send = send

    def receive(self, data: bytes) -> None:
        """Bytes of the host; answers every request that they complete."""
        self._come += data
        while self._come:
            head, end, rest = self._come.partition(b"\r\n\r\n")
            if not end and len(head) <= LARGEST_HEAD:
                return
            parsed = _head(head) if len(head) <= LARGEST_HEAD else None
            if parsed is None:
                self._refuse()
                return
            method, target, length, keeps = parsed
            if len(rest) < length:
                return
            body, self._come = rest[:length], rest[length:]
            path, _, query = target.partition("?")
            try:
                request = Request(method, path, _fields(query), _fields(body.decode("latin-1")))
            except ValueError:
                self._refuse()
                return
            self._reply(self.respond(request), keeps)

    def _refuse(self) -> None:
        self._come = b""
        self._reply(Response(400, "text/plain", b"that is no request"), keeps=False)

    def _reply(self, response: Response, keeps: bool) -> None:
        lines = [
            f"HTTP/1.1 {response.status} {REASONS[response.status]}",
            f"Content-Type: {response.kind}",
            f"Content-Length: {len(response.body)}",
            *([] if keeps else ["Connection: close"]),
        ]
        data = "".join(f"{line}\r\n" for line in [*lines, ""]).encode("ascii") + response.body
        self._timeline.after(self.reply_delay_s, lambda: self._send(data))


def _head(head: bytes) -> tuple[str, str, int, bool] | None:
    """Method, target, length of the body, and whether the connection is kept; None for what is no head."""
    first, *lines = head.decode("latin-1").split("\r\n")
    request = _REQUEST.fullmatch(first)
    headers = [_HEADER.fullmatch(line) for line in lines]
    if request is None:
        return None
    told: dict[str, str] = {}
    for header in headers:
        if header is None:
            return None
        told[header[1].lower()] = header[2]
    length = told.get("content-length", "0")
    if "transfer-encoding" in told or not _LENGTH.fullmatch(length) or int(length) > LARGEST_BODY:
        return None
    return request[1], request[2], int(length), request[3] == "1" and told.get("connection", "").lower() != "close"


def _fields(text: str) -> dict[str, str]:
    """The fields of a query or form. Raises ValueError for too many of them."""
    return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
