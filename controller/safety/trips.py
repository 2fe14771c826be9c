"""The log of trips: each with its number, its cause, and all votes before and after.

The first cause of a trip stands until somebody arms anew. What comes after it, a second process that dies or the death
of the safety service itself, is written beside it and never over it. The log is a file in the run directory, so
that it outlives whoever writes it.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from controller.bus.topics import TripRecord, Vote

TAIL_BYTES = 262_144  # of the file that is read at the start: far more than one record
_JSON = msgspec.json.Encoder()


class Answer(msgspec.Struct, frozen=True):
    """A line of the log: somebody armed after this trip."""

    answered: int


class TripLog:
    """Numbers trips and remembers the one that nobody has answered."""

    def __init__(self, memory: Path | None = None) -> None:
        """Read what a process before this one left. An unreadable log counts as a trip that nobody has answered."""
        self._memory = memory
        self._number = 0
        self._first = ""  # cause of the trip that stands
        self._noted: list[tuple[int, str, str]] = []  # number, cause, first cause
        if memory is not None:
            self._recall(memory)

    @property
    def standing(self) -> str:
        """The first cause of the trip that nobody has answered; empty when none stands."""
        return self._first

    def note(self, cause: str) -> None:
        """Something tripped emission, or happened while a trip stands."""
        if not self._first:
            self._number += 1
            self._first = cause
        self._noted.append((self._number, cause, self._first))

    def answer(self) -> None:
        """Somebody armed anew."""
        if self._first:
            self._first = ""
            self._write(_JSON.encode(Answer(self._number)))

    @property
    def noted(self) -> bool:
        """True when something was noted since the records were taken last."""
        return bool(self._noted)

    def take(
        self, t_utc_ns: int, before: list[Vote], after: list[Vote], lost_utc_ns: int | None = None
    ) -> list[TripRecord]:
        """What was noted since the last time, as records; they are in the file before they are anywhere else."""
        noted, self._noted = self._noted, []
        records = [
            TripRecord(t_utc_ns, number, cause, first, before, after, lost_utc_ns) for number, cause, first in noted
        ]
        for record in records:
            self._write(_JSON.encode(record))
        return records

    def _write(self, line: bytes) -> None:
        # A full disk must not keep the laser's owner from its work; the record goes over the bus in any case.
        if self._memory is not None:
            with suppress(OSError), self._memory.open("ab", buffering=0) as file:
                file.write(line + b"\n")

    def _recall(self, memory: Path) -> None:
        try:
            with memory.open("rb") as file:
                file.seek(max(0, file.seek(0, 2) - TAIL_BYTES))
                tail = file.read()
        except FileNotFoundError:
            return
        except OSError as error:
            self._first = f"{memory.name} cannot be read ({error.strerror}): what tripped last is not known"
            return
        if not tail:
            return
        line = tail.rstrip(b"\n").rpartition(b"\n")[2]
        try:
            last = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
            if "answered" in last:
                self._number = msgspec.json.decode(line, type=Answer).answered
                return
            record = msgspec.json.decode(line, type=TripRecord)
        except (msgspec.MsgspecError, UnicodeDecodeError):  # the latter for text that is no UTF-8
            self._first = f"the end of {memory.name} is cut off: what tripped last is not known"
            return
        self._number, self._first = record.number, record.first_cause
