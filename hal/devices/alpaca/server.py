"""The members of one telescope of an Alpaca server, read and set over HTTP.

ASCOM Initiative, "Alpaca API Reference": `GET /api/v1/telescope/0/azimuth?ClientTransactionID=7` reads a member, `PUT`
with a form in its body calls a method; both are answered by JSON with `ErrorNumber`, 0 for success, and the number of
the transaction, by which an answer that comes late is known. A status other than 200 is of the server itself.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

from hal.clock import Clock, Deadline
from hal.devices.drive_watch import TO_DO
from hal.errors import DeviceError, ProtocolError, ResourceError
from hal.wires.http import Http
from hal.wires.stream import StreamWire

CLIENT_ID = 1
LAST_TRANSACTION = 0xFFFF_FFFF
WORDS = 100  # of what a server says in its own words
FIRST = "/api/v1/telescope/0"
FORM = "http://HOST:PORT" + FIRST
_PATH = re.compile(r"/api/v1/telescope/\d{1,10}")
NOT_IMPLEMENTED, INVALID_VALUE, NOT_CONNECTED, PARKED = 0x400, 0x401, 0x407, 0x408
DRIVERS_OWN = 0x500
WHY: Final = {
    NOT_IMPLEMENTED: "its telescope cannot do that",
    INVALID_VALUE: "its telescope takes no such value; check the limits of the rig file against its own set-up",
    0x402: "its telescope was never told a value that it needs; complete its own set-up",
    NOT_CONNECTED: "the server has lost its telescope; check that telescope's power and cable, then open it again",
    PARKED: f"its telescope {TO_DO['parked']}",
    0x409: "its telescope follows another device; end that in its own set-up",
    0x40B: "its telescope may not do that now; see what other programs do with it",
    0x40C: "its telescope knows no such action",
    0x40E: "somebody else cancelled it",
}


class Server:
    """One telescope. `renew` as that of Http. Raises ResourceError when the wire's address names no telescope."""

    reply_timeout_s = 0.8

    def __init__(self, wire: StreamWire, clock: Clock, renew: Callable[[], StreamWire] | None = None) -> None:
        scheme, _, place = wire.address.partition("://")
        self._host, slash, path = place.partition("/")
        self._path = slash + path.rstrip("/") if scheme == "http" and path else FIRST
        if not _PATH.fullmatch(self._path):
            raise ResourceError(
                f'{wire.name}: "{wire.address}" names no telescope of an Alpaca server; write {FORM} in the rig file, '
                f"[{wire.name}] resource."
            )
        self.asked_ns = 0  # when the latest question went out
        self.name, self.clock = wire.name, clock
        self._http = Http(wire, clock, renew)
        self._transaction = 0

    def number(self, member: str, wanted: str, lowest: float, highest: float) -> float:
        """A number inside its range. Raises WireError, ProtocolError, DeviceError, as all that asks."""
        return self.as_number(self.get(member, wanted), wanted, lowest, highest)

    def as_number(self, told: object, wanted: str, lowest: float, highest: float) -> float:
        """The same of what was told already. Raises ProtocolError."""
        value = as_number(told)
        if value is None or not lowest <= value <= highest:
            raise self.nonsense(told, wanted)
        return value

    def flag(self, member: str, **parameters: object) -> bool:
        """Yes or no."""
        if not isinstance(told := self.get(member, f"whether {member}", **parameters), bool):
            raise self.nonsense(told, f"whether {member}")
        return told

    def text(self, member: str) -> str:
        """Words."""
        if not isinstance(told := self.get(member, f"its {member}"), str):
            raise self.nonsense(told, f"its {member}")
        return told

    def get(self, member: str, wanted: str, **parameters: object) -> Any:
        """A member as JSON has it; `wanted` says in messages what it is."""
        return self._exchange("GET", member, wanted, parameters).get("Value")

    def put(self, member: str, **parameters: object) -> None:
        """Call a method, or set a member."""
        self._exchange("PUT", member, "an acknowledgement", parameters)

    def nonsense(self, got: object, wanted: str) -> ProtocolError:
        """The error for an answer that the API does not allow."""
        return ProtocolError(f"{self.name}: sent {str(got)[:WORDS]!r} instead of {wanted}; check its server.")

    def _exchange(self, method: str, member: str, wanted: str, parameters: dict[str, object]) -> dict[str, Any]:
        mine = self._transaction = self._transaction % LAST_TRANSACTION + 1
        deadline = Deadline(self.clock, self.reply_timeout_s)
        self.asked_ns = self.clock.now_ns()
        status, body = self._http.ask(self._request(method, member, mine, parameters), deadline, wanted)
        while True:
            if status != 200:
                raise self._turned_away(status, body, member)
            answer = self._parsed(body, wanted)
            number = answer.get("ClientTransactionID", 0)
            if number in (0, mine):  # some servers forget it with a refusal
                break
            if not isinstance(number, int) or not 0 < number < mine:
                raise self.nonsense(f"the answer to transaction {number}", wanted)
            status, body = self._http.more(deadline, wanted)  # that was late
        error = answer.get("ErrorNumber", 0)
        if not isinstance(error, int):
            raise self.nonsense(f"error {error}", wanted)
        if error:
            raise self._refused(error, answer.get("ErrorMessage"), member)
        return answer

    def _request(self, method: str, member: str, number: int, parameters: dict[str, object]) -> bytes:
        form = urlencode({**parameters, "ClientID": CLIENT_ID, "ClientTransactionID": number})
        target = f"{self._path}/{member}"
        if method == "GET":
            return f"GET {target}?{form} HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode("ascii")
        kind = "application/x-www-form-urlencoded"
        head = f"PUT {target} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: {kind}\r\nContent-Length: {len(form)}"
        return f"{head}\r\n\r\n{form}".encode("ascii")

    def _parsed(self, body: bytes, wanted: str) -> dict[str, Any]:
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise self.nonsense(body[:WORDS], wanted)
        return answer

    def _refused(self, error: int, words: object, member: str) -> DeviceError:
        other = "its own driver failed; see the server's log" if error >= DRIVERS_OWN else "see the server's log"
        return DeviceError(
            f"{self.name}: the Alpaca server refuses {member} with error 0x{error & 0xFFFF_FFFF:X}{_quoted(words)}: "
            f"{WHY.get(error, other)}.",
            error,
        )

    def _turned_away(self, status: int, body: bytes, member: str) -> DeviceError:
        why = "check that the rig file names the right telescope" if status < 500 else "see the server's log"
        words = _quoted(body.decode("utf-8", "replace"))
        return DeviceError(f"{self.name}: the Alpaca server turns {member} away with HTTP {status}{words}: {why}.")


def as_number(told: object) -> float | None:
    """A JSON number that is one and is finite."""
    if isinstance(told, bool) or not isinstance(told, (int, float)):
        return None
    try:
        value = float(told)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def state_of(told: object) -> dict[str, object]:
    """The values of the member DeviceState by their names; what is none of them is left out."""
    rows = [row for row in told if isinstance(row, dict)] if isinstance(told, list) else []
    return {row["Name"]: row.get("Value") for row in rows if isinstance(row.get("Name"), str)}


def _quoted(words: object) -> str:
    """What a server says, on one line and not for ever; nothing where it says nothing."""
    said = " ".join(words.split())[:WORDS] if isinstance(words, str) else ""
    return f" ({said})" if said else ""
