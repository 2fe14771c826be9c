"""The wire log: every byte that crossed a device's wire, one JSON object a line; what `replay` plays back.

    {"t_ns": 81230, "is": "open", "resource": "serial:///dev/ttyUSB0", "kind": "stream", "baud": 9600, "utc_ns": ...}
    {"t_ns": 90112, "is": ">", "text": "e"}                            to the device
    {"t_ns": 97420, "is": "<", "text": "34AB0500,12CE0500#"}           from it; "hex" where it is no plain text
    {"t_ns": 99000, "is": "<", "on": "bulk 81", "took_ns": 1200, "hex": "4c 33 56 55 ..."}
    {"t_ns": 99900, "is": "!", "error": "WireTimeout", "message": "gimbal: nothing came ..."}

`t_ns` is the Clock's monotonic time: of sending, or of when the bytes were handed over. Files are flushed line by line,
so that a killed process leaves a log up to its last byte. `start` turns the log on for a process, for every wire that
is opened from then on; a device that is opened again continues its file.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Literal

from hal.clock import Clock
from hal.errors import HalError, ResourceError

What = Literal["open", ">", "<", "!"]
SUFFIX: Final = ".wire.jsonl"
REPLAY: Final = "replay://"
_folder: Path | None = None
_PLAIN: Final = frozenset(range(0x20, 0x7F)) | {0x0A, 0x0D, 0x09}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a log."""

    line: int
    t_ns: int
    what: What
    data: bytes = b""
    on: str = ""  # of USB: "bulk 81", "control c0 5 0 0"; empty where a wire has one channel
    took_ns: int = 0  # how long the host waited for it
    more: dict[str, Any] = field(default_factory=dict)


def start(folder: Path) -> None:
    """Log every wire that this process opens from now on, as `folder`/DEVICE.wire.jsonl."""
    global _folder
    folder.mkdir(parents=True, exist_ok=True)
    _folder = folder


def stop() -> None:
    """Log no wire that is opened from now on."""
    global _folder
    _folder = None


@contextmanager
def logging_to(folder: Path) -> Iterator[None]:
    """Log the wires that are opened inside."""
    start(folder)
    try:
        yield
    finally:
        stop()


def log_of(name: str, clock: Clock, **opened: object) -> WireLog | None:
    """The log of a device's wire that is being opened, or None while nothing is logged.

    `opened` is its first entry: resource, kind and settings; a USB wire writes that itself, once it knows the device.
    """
    if _folder is None:
        return None
    log = WireLog(_folder / (name + SUFFIX), clock)
    if opened:
        log.opened(**opened)
    return log


class WireLog:
    """Appends to one file. A disk that is full ends the log, not the device."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        self._lock = threading.Lock()
        try:
            self._file: IO[str] | None = path.open("a", encoding="utf-8")
        except OSError as error:
            raise ResourceError(
                f"the wire log {path} cannot be written: {error.strerror}; name another folder."
            ) from None

    def opened(self, **what: object) -> None:
        """The wire is being opened; `what` names resource, kind and settings."""
        self._write({"is": "open", **what, "utc_ns": self._clock.utc_ns()})

    def sent(self, data: bytes, on: str = "") -> None:
        """Bytes to the device."""
        self._write({"is": ">"} | _channel(on) | _told(data))

    def came(self, data: bytes, on: str = "", took_ns: int = 0) -> None:
        """Bytes from the device."""
        self._write({"is": "<"} | _channel(on) | ({"took_ns": took_ns} if took_ns else {}) | _told(data))

    def failed(self, error: HalError, on: str = "", took_ns: int = 0) -> None:
        """What hal reported instead of bytes."""
        told = {"error": type(error).__name__, "message": str(error)}
        self._write({"is": "!"} | _channel(on) | ({"took_ns": took_ns} if took_ns else {}) | told)

    def close(self) -> None:
        """Nothing more will be written."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _write(self, told: dict[str, Any]) -> None:
        line = json.dumps({"t_ns": self._clock.now_ns(), **told})
        with self._lock:
            if self._file is None:
                return
            try:
                self._file.write(line + "\n")
                self._file.flush()
            except OSError:
                self._file = None


def is_replay(resource: str) -> bool:
    """True for a resource that is a log instead of a device."""
    return resource.startswith(REPLAY)


def bulk(endpoint: int) -> str:
    """A bulk endpoint as a log names it."""
    return f"bulk {endpoint:02x}"


def control(request_type: int, request: int, value: int, index: int) -> str:
    """A control request as a log names it."""
    return f"control {request_type:02x} {request} {value} {index}"


def read_log(path: Path) -> list[Entry]:
    """All entries. A line that was cut off by a kill ends the log.

    Raises ResourceError naming file and line for what is no wire log.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ResourceError(f"{path} cannot be read as a wire log ({error}).") from None
    return parse_log(data, path)


def parse_log(data: bytes, path: Path) -> list[Entry]:
    """The entries of a log's bytes; `path` is for errors. As `read_log`."""
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ResourceError(f"{path} cannot be read as a wire log ({error}).") from None
    entries: list[Entry] = []
    for number, line in enumerate(lines, 1):
        try:
            entries.append(_entry(number, json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            if number == len(lines) and entries:
                break
            raise ResourceError(f"{path}, line {number}, is no entry of a wire log ({error}).") from None
    if not entries or entries[0].what != "open":
        raise ResourceError(f"{path} is no wire log: it does not begin with the opening of a wire.")
    return entries


def _entry(number: int, told: dict[str, Any]) -> Entry:
    what = told.pop("is")
    if what not in ("open", ">", "<", "!"):
        raise ValueError(f'"is" may be open, >, < or !, not {what!r}')
    data = told.pop("text").encode("latin-1") if "text" in told else bytes.fromhex(told.pop("hex", ""))
    t_ns, on, took_ns = int(told.pop("t_ns")), str(told.pop("on", "")), int(told.pop("took_ns", 0))
    return Entry(number, t_ns, what, data, on, took_ns, told)


def _channel(on: str) -> dict[str, str]:
    return {"on": on} if on else {}


def _told(data: bytes) -> dict[str, str]:
    return {"text": data.decode("ascii")} if _PLAIN.issuperset(data) else {"hex": data.hex(" ")}
