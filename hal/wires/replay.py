"""Plays a wire log back as the device: the driver above cannot tell, and a bench's log becomes a test.

`replay://PATH` answers strictly: the driver must send what was sent then, byte for byte, else the wire fails and names
the line of the log where the two part. `replay://PATH?lenient` looks for the same message later or earlier in the log
and answers as it was answered there; what was never sent is met with silence. Replies keep the delays that they had,
on the Clock. A device that is opened again plays what followed its next opening in the log, and after the last one the
first again; `?session=2` always plays the second.

A replay is no device: a rig counts what it says as emulated, so it never arms anything real.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from hal.clock import NS, Clock
from hal.errors import (
    DeviceError,
    HalError,
    ProtocolError,
    ResourceError,
    WireError,
    WireTimeout,
)
from hal.wires.stream import StreamWire
from hal.wires.wirelog import Entry, read_log

_ERRORS: Final[dict[str, type[HalError]]] = {
    kind.__name__: kind for kind in (WireError, WireTimeout, ProtocolError, DeviceError)
}
_openings: Counter[Path] = Counter()  # of each log, by this process


@dataclass(frozen=True, slots=True)
class Session:
    """What followed one opening of a wire."""

    path: Path
    opened: Entry
    entries: tuple[Entry, ...]
    lenient: bool

    @property
    def kind(self) -> str:
        """stream, usb or text."""
        return str(self.opened.more.get("kind", ""))


def load_session(resource: str, name: str, kind: str) -> Session:
    """The session that a resource names. Raises ResourceError: no log, no such session, or a log of another wire."""
    parts = urlsplit(resource)
    options = parse_qs(parts.query, keep_blank_values=True)
    if unknown := set(options) - {"lenient", "session"}:
        raise ResourceError(
            f"{name}: {resource} has no option {sorted(unknown)[0]!r}; there are lenient and session=N."
        )
    path = Path(parts.netloc + parts.path)
    entries = read_log(path)
    starts = [index for index, entry in enumerate(entries) if entry.what == "open"]
    number = options["session"][0] if "session" in options else str(_openings[path] % max(1, len(starts)) + 1)
    _openings[path] += 1
    if not (number.isdigit() and 1 <= int(number) <= len(starts)):
        raise ResourceError(f"{name}: {path} has sessions 1 to {len(starts)}, not {number!r}.")
    first = starts[int(number) - 1]
    end = [*starts, len(entries)][int(number)]
    session = Session(path, entries[first], tuple(entries[first + 1 : end]), "lenient" in options)
    if session.kind != kind:
        raise ResourceError(
            f"{name}: {path} is the log of a {session.kind or 'nameless'} wire, and its driver needs {kind}."
        )
    return session


def recorded_error(entry: Entry) -> HalError:
    """What hal reported then."""
    kind = _ERRORS.get(str(entry.more.get("error")), WireError)
    return kind(f"{entry.more.get('message', 'the wire failed')} (as recorded)")


class Script:
    """The messages of one channel in order, and where the play is."""

    def __init__(self, session: Session, name: str, on: str = "") -> None:
        self._session = session
        self._name = name
        self._sent = [index for index, e in enumerate(session.entries) if e.what == ">" and e.on == on]
        self._next = 0  # of `_sent`
        self._part = 0  # bytes of that message that were sent already

    def send(self, data: bytes) -> list[int]:
        """Indices of the entries that are now sent whole. Raises WireError where a strict replay parts from its log."""
        return self._find(data) if self._session.lenient else self._follow(data)

    def _find(self, data: bytes) -> list[int]:
        entries = self._session.entries
        order = self._sent[self._next :] + self._sent[: self._next]
        for index in order:
            if entries[index].data == data:
                self._next = self._sent.index(index) + 1
                return [index]
        return []

    def _follow(self, data: bytes) -> list[int]:
        whole = []
        while data:
            if self._next == len(self._sent):
                last = [self._session.opened, *self._session.entries][-1].line
                raise WireError(
                    f"{self._name}: the replay of {self._session.path} ends at line {last}, and the driver goes on "
                    f"with {data[:32]!r}."
                )
            entry = self._session.entries[self._sent[self._next]]
            wanted = entry.data[self._part :]
            same = min(len(wanted), len(data))
            if wanted[:same] != data[:same]:
                raise WireError(
                    f"{self._name}: the replay of {self._session.path} parts at line {entry.line}: {wanted[:32]!r} was "
                    f"sent then, {data[:32]!r} now."
                )
            data = data[same:]
            self._part += same
            if self._part == len(entry.data):
                whole.append(self._sent[self._next])
                self._next, self._part = self._next + 1, 0
        return whole


class ReplayStream(StreamWire):
    """A byte stream out of a log. Raises ResourceError when there is none."""

    def __init__(self, resource: str, clock: Clock, name: str) -> None:
        self._session = load_session(resource, name, "stream")
        super().__init__(resource, clock, name, int(self._session.opened.more.get("baud", 0)))
        self._script = Script(self._session, name)
        self._coming: list[tuple[int, Entry]] = []  # when, what
        self._follow(0, self._session.opened.t_ns)

    @property
    def address(self) -> str:
        """The resource that was opened then."""
        return str(self._session.opened.more.get("resource", self.resource))

    def write(self, data: bytes) -> None:
        """Send bytes. Raises WireError where a strict replay parts from its log."""
        for index in self._script.send(data):
            self._follow(index + 1, self._session.entries[index].t_ns)

    def close(self) -> None:
        """Nothing to close."""

    def _follow(self, start: int, since_ns: int) -> None:
        """What came until the next message was sent comes again, as long after this moment as then."""
        now_ns = self._clock.now_ns()
        for entry in self._session.entries[start:]:
            if entry.what == ">":
                return
            if entry.what == "<" or entry.more.get("error") == "WireError":
                self._coming.append((now_ns + entry.t_ns - since_ns, entry))

    def _take(self, n: int, timeout_s: float) -> bytes:
        deadline_ns = self._clock.now_ns() + round(timeout_s * NS)
        while (waiting := self._waiting()) < n and self._clock.now_ns() < deadline_ns:
            later = [t_ns for t_ns, _ in self._coming if t_ns > self._clock.now_ns()]
            self._clock.sleep_until(min([deadline_ns, *later]))
        return self._take_waiting(min(n, waiting))

    def _take_waiting(self, n: int) -> bytes:
        taken = bytearray()
        while len(taken) < n:
            t_ns, entry = self._coming.pop(0)
            part = entry.data[: n - len(taken)]
            taken += part
            if left := entry.data[len(part) :]:
                self._coming.insert(0, (t_ns, Entry(entry.line, entry.t_ns, "<", left)))
        return bytes(taken)

    def _waiting(self) -> int:
        count = 0
        for t_ns, entry in self._coming:
            if t_ns > self._clock.now_ns():
                break
            if entry.what == "!":
                if count:
                    break
                raise recorded_error(entry)
            count += len(entry.data)
        return count

    def _check(self) -> str:
        return "the log, which has no more bytes here"


class ReplayText:
    """A wire of messages out of a log. Raises ResourceError when there is none."""

    def __init__(self, resource: str, clock: Clock, name: str) -> None:
        self.name = name
        self._clock = clock
        self._session = load_session(resource, name, "text")
        self._script = Script(self._session, name)

    def write(self, message: str) -> None:
        """Send one message. Raises WireError where a strict replay parts from its log, and what was recorded."""
        self._answer(message, reply=False)

    def query(self, message: str, timeout_s: float | None = None) -> str:
        """Send one message and return the reply that it had. Raises also what was reported then."""
        return self._answer(message, reply=True)

    def close(self) -> None:
        """Nothing to close."""

    def _answer(self, message: str, reply: bool) -> str:
        for index in self._script.send(message.encode("latin-1")):
            following = self._session.entries[index + 1] if index + 1 < len(self._session.entries) else None
            if following is None or following.what == ">":
                break
            self._clock.sleep_until(self._clock.now_ns() + following.took_ns)
            if following.what == "!":
                raise recorded_error(following)
            return following.data.decode("latin-1")
        if reply:
            raise WireTimeout(f"{self.name}: {message!r} has no reply in {self._session.path}.")
        return ""
