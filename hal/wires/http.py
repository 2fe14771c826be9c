"""Question and answer over HTTP/1.1, for devices that are web servers: `http://HOST:PORT/PATH`, or any other stream.

The standard library reads the answers; what they come over is a wire of ours, so that logs, replays and faults work. A
connection is used again for as long as the server keeps it. It is given up after whatever goes wrong, so that what may
still come is never read, and the next question makes another.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from typing import Any, cast

from hal.clock import Clock, Deadline
from hal.errors import HalError, ProtocolError, WireError, WireTimeout
from hal.wires.stream import StreamWire

LARGEST_BODY = 65_536
BEGINS = b"HTTP/1."


class _Bytes(io.RawIOBase):
    """What comes over a wire until the deadline; its end where the peer has hung up."""

    def __init__(self, wire: StreamWire, deadline: Deadline) -> None:
        self._wire = wire
        self.deadline = deadline
        self.ended: WireError | None = None
        self.heard = False  # since the last question

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """At least one byte, or none at the end. Raises WireTimeout."""
        remaining_s = self.deadline.remaining_s
        try:
            data = self._wire.read_some(len(buffer), remaining_s)
        except WireTimeout:
            raise
        except WireError as error:
            self.ended = error
            return 0
        if remaining_s == 0:  # a peer that never comes to the point holds nobody
            raise WireTimeout(f"{self._wire.name}: {self._wire.where} does not end its answer; start it again.")
        self.heard = True
        buffer[: len(data)] = data
        return len(data)


class _Connection(io.BufferedReader):
    """One connection, as the standard library wants it: a socket whose file outlives an answer."""

    def __init__(self, wire: StreamWire, deadline: Deadline) -> None:
        self.wire = wire
        self.bytes = _Bytes(wire, deadline)
        super().__init__(self.bytes)

    def makefile(self, mode: str) -> _Connection:
        """Itself."""
        return self

    def close(self) -> None:
        """The end of an answer is not the end of the connection."""


class Http:
    """The questions of one driver. `renew` closes its wire and opens another; without, there is no second connection.

    `name` and `where` in messages are the wire's.
    """

    def __init__(self, wire: StreamWire, clock: Clock, renew: Callable[[], StreamWire] | None = None) -> None:
        self._clock, self._renew = clock, renew
        self._connection: _Connection | None = _Connection(wire, Deadline(clock, 0.0))
        self._used = self._heard = False  # a question of this connection was answered; of the last one, something
        self.wire = wire

    def ask(self, question: bytes, deadline: Deadline, wanted: str) -> tuple[int, bytes]:
        """Send a whole request; the answer's status and body. A request must do no harm when it is sent twice.

        `wanted` is what the answer is, for messages. Raises WireError, WireTimeout, ProtocolError.
        """
        again = self._used and self._connection is not None
        try:
            return self._asked(question, deadline, wanted)
        except WireTimeout:
            raise
        except WireError:
            if not again or self._heard:
                raise
        return self._asked(question, deadline, wanted)  # a server ends a connection that was idle, and may just have

    def more(self, deadline: Deadline, wanted: str) -> tuple[int, bytes]:
        """The next answer: the last was that of an earlier question. Raises as `ask`."""
        connection = self._connection
        if connection is None:
            raise self._nonsense("the answer to another question", wanted)
        connection.bytes.deadline = deadline
        try:
            status, body, goes_on = self._heard_from(connection, wanted)
        except HalError:
            self._give_up()
            raise
        self._used = True
        if not goes_on:
            self._give_up()
        return status, body

    def _asked(self, question: bytes, deadline: Deadline, wanted: str) -> tuple[int, bytes]:
        if self._connection is None:
            self._connect(deadline)
        connection = cast("_Connection", self._connection)
        connection.bytes.heard = self._heard = False
        try:
            connection.wire.write(question)
        except HalError:
            self._give_up()
            raise
        try:
            return self.more(deadline, wanted)
        finally:
            self._heard = connection.bytes.heard

    def _connect(self, deadline: Deadline) -> None:
        if self._renew is None:
            raise WireError(f"{self.wire.name}: {self.wire.where} ended the connection; connect again.")
        try:
            self.wire = self._renew()
        except HalError as error:
            raise WireError(str(error)) from error
        self._connection, self._used = _Connection(self.wire, deadline), False

    def _give_up(self) -> None:
        self._connection = None
        self.wire.close()

    def _heard_from(self, connection: _Connection, wanted: str) -> tuple[int, bytes, bool]:
        """Status, body, and whether the connection goes on."""
        begins = connection.peek(len(BEGINS))[: len(BEGINS)]
        if not BEGINS.startswith(begins):
            raise self._nonsense(repr(connection.peek(32)[:32]), wanted)
        response = HTTPResponse(cast("Any", connection))
        try:
            response.begin()
            body = response.read(LARGEST_BODY + 1)
        except (HTTPException, ValueError) as error:
            if connection.bytes.ended is not None:
                raise connection.bytes.ended from error
            raise self._nonsense(f"an answer that is no HTTP ({type(error).__name__})", wanted) from error
        finally:
            response.close()
        if response.length and connection.bytes.ended is not None:
            raise connection.bytes.ended
        if len(body) > LARGEST_BODY:
            raise self._nonsense(f"more than {LARGEST_BODY} bytes", wanted)
        return response.status, body, not response.will_close

    def _nonsense(self, got: str, wanted: str) -> ProtocolError:
        return ProtocolError(
            f"{self.wire.name}: sent {got} instead of {wanted}; check that {self.wire.where} is the right server."
        )
