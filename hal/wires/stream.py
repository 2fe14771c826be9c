"""A stream of bytes to a device: what every wire without message boundaries has in common.

Drivers above see these few calls and the errors of `hal.errors`. A wire of its own kind says how bytes are put, taken
and counted; what came and nobody asked for yet is kept here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from hal.clock import Clock, Deadline
from hal.errors import WireTimeout

DRAIN_BYTES = 65_536


class StreamWire(ABC):
    """One open stream. `name` is the device's name in messages; `baud` is what paces the line, 0 where nothing does."""

    def __init__(self, resource: str, clock: Clock, name: str, baud: int = 0) -> None:
        self.resource = resource
        self.name = name
        self.baud = baud
        self._clock = clock
        self._pending = bytearray()  # taken from the wire, asked for by nobody yet

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Send all of `data`. Raises WireError on hang-up, WireTimeout when the peer does not take it."""

    @abstractmethod
    def close(self) -> None:
        """Close; a wire that has gone away is closed, too."""

    @abstractmethod
    def _take(self, n: int, timeout_s: float) -> bytes:
        """At most `n` bytes: what has come when they are there or the time is over. Raises WireError."""

    @abstractmethod
    def _take_waiting(self, n: int) -> bytes:
        """`n` bytes that are there already. Raises WireError."""

    @abstractmethod
    def _waiting(self) -> int:
        """How many bytes are there. Raises WireError."""

    @abstractmethod
    def _check(self) -> str:
        """What the operator should check when nothing comes."""

    @property
    def address(self) -> str:
        """The resource as the rig file has it; of a replay, as it had it then."""
        return self.resource

    @property
    def where(self) -> str:
        """The resource as it is written in messages."""
        return self.resource

    def read(self, n: int, timeout_s: float) -> bytes:
        """Exactly `n` bytes. Raises WireTimeout (and drops what came) when they do not arrive in `timeout_s`."""
        missing = n - len(self._pending)
        if missing > 0:
            self._pending += self._take(missing, timeout_s)
        if len(self._pending) < n:
            raise self._timed_out(f"{len(self._pending)} of {n} bytes came", timeout_s)
        data = bytes(self._pending[:n])
        del self._pending[:n]
        return data

    def read_some(self, limit: int, timeout_s: float) -> bytes:
        """At least one byte and at most `limit`: what is there.

        Raises WireTimeout when nothing comes in `timeout_s`.
        """
        if not self._pending:
            self._pending += self._take(1, timeout_s)
        if not self._pending:
            raise self._timed_out("nothing came", timeout_s)
        if len(self._pending) < limit and (waiting := self._waiting()):
            self._pending += self._take_waiting(min(waiting, limit - len(self._pending)))
        data = bytes(self._pending[:limit])
        del self._pending[:limit]
        return data

    def read_until(self, terminator: bytes, timeout_s: float, limit: int) -> bytes:
        """Bytes up to and with `terminator`, at most `limit`.

        Raises WireTimeout (and drops what came) when the terminator does not come in `timeout_s` or in `limit` bytes.
        """
        deadline = Deadline(self._clock, timeout_s)
        while (end := self._pending.find(terminator, 0, limit)) < 0:
            if len(self._pending) >= limit or not (more := self._take(max(1, self._waiting()), deadline.remaining_s)):
                raise self._timed_out(f"no end of reply ({terminator!r}) came in {limit} bytes", timeout_s)
            self._pending += more
        stop = end + len(terminator)
        data = bytes(self._pending[:stop])
        del self._pending[:stop]
        return data

    def drain(self, quiet_s: float = 0.0) -> bytes:
        """Drop what has arrived and what still arrives until the line was silent for `quiet_s`.

        Returns what was dropped. Stops after 64 KiB, so that a babbling device cannot hold a loop.
        """
        dropped = bytes(self._pending)
        self._pending.clear()
        while len(dropped) < DRAIN_BYTES:
            if waiting := self._waiting():
                dropped += self._take_waiting(waiting)
            elif quiet_s > 0 and (more := self._take(1, quiet_s)):
                dropped += more
            else:
                break
        return dropped

    def _timed_out(self, what: str, timeout_s: float) -> WireTimeout:
        got = bytes(self._pending[:64])
        self.drain()
        return WireTimeout(
            f"{self.name}: {what} from {self.where} within {timeout_s:g} s{f', only {got!r}' if got else ''}; "
            f"check {self._check()}."
        )
