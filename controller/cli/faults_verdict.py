"""What came of a row: what was found, and where it is not what the table expects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from controller.cli.faults_table import BACK, LOST, Bound, Place, Row

VOTE_MS = 10.0  # from a lost vote to emission off, and to the enable line's edge, in simulated time
FLICKER = "emission ended for a moment"
ENDED = "emission ended"


@dataclass(frozen=True, slots=True)
class Found:
    """Times are milliseconds after the fault, None for what did not happen while the row was watched.

    `off_ms` is the moment after the last at which it emitted: what flickers is off when it has done so for the last
    time. `lost_ms` is when a lost vote was there to be seen: the arrival of the message that made it a no, or the
    moment at which the last one became too old.
    """

    name: str
    place: Place
    mode: str
    emitting: bool
    moving: bool
    off_ms: float | None  # emission
    line_ms: float | None  # the enable line's falling edge
    still_ms: float | None  # zero motion commanded
    lost_ms: float | None = None
    touched: int = 0  # replies spoiled, turns withheld, messages sent by a guest: what the fault did
    lit: bool = False  # it emitted and moved when the fault came
    samples: int = 0  # of the truth, after the fault
    came_back: bool = False  # it emitted, did not, and did
    plays: int = 1  # real time only: the machine under the bench stood still, and the row was played again
    slack_ms: float = 0.0  # added to its bounds: it stood still every time
    told: str = ""  # what decided, in the operator's words
    more: tuple[str, ...] = ()  # what else must not be: a wrong answer to a guest, a service that died
    earlier: tuple[str, ...] = ()  # problems of the plays that the machine spoiled
    problems: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """It ended as the table says."""
        return not self.problems

    def as_json(self, row: Row) -> dict[str, Any]:
        """Found and expected in one object."""
        bound_ms = row.off.ms if row.off is not None else None
        expected: dict[str, Any] = {"done": row.done, "ends": list(row.ends), "off_within_ms": bound_ms}
        still = row.still(self.place)
        expected["still_within_ms"] = still.ms if isinstance(still, Bound) else still
        return {**asdict(self), "passed": self.passed, "expected": expected}


def problems_of(row: Row, found: Found, told: str) -> tuple[str, ...]:
    """Each way in which a row ended otherwise, as a sentence; `told` is everything that anybody said."""
    return (*_delays(row, found), *_doubts(row, found), *_ends(row, found), *_unsaid(row, found, told), *found.more)


def dead_of(row: Row, died: Iterable[str], silent: Iterable[str]) -> tuple[str, ...]:
    """Who died, in the supervisor's words, and was not meant to, and who is silent at the end.

    Nobody may be silent for a guest; who waits for a device that is lost may be.
    """
    meant = row.cause.target if row.cause.kind == "kill" else "nobody"
    told = [sentence for sentence in dict.fromkeys(died) if not sentence.startswith(meant)]
    return (*told, *(f"{name} is silent" for name in silent if row.cause.kind == "guest"))


def excusable(row: Row, found: Found) -> bool:
    """Whether all that is wrong may come of a machine that stood still, as no device does.

    That makes everything late, and it makes a station give up emission; it lets nothing go on or come back.
    """
    excused = set(_delays(row, found))
    if row.off is None and not found.emitting and found.mode in LOST:
        excused |= {ENDED, _wrong_end(row, found)}
    return set(found.problems) <= excused


def _doubts(row: Row, found: Found) -> Iterator[str]:
    """Why nothing follows from how it ended."""
    if not found.touched:
        yield "the fault touched nothing"
    if not found.lit:
        yield "it did not emit and move when the fault came"
    if not found.samples:
        yield "nothing was seen of what truly happened"
    ended = row.off is not None and found.off_ms is not None
    if ended and row.timed and found.place == "lockstep" and found.lost_ms is None:
        yield "emission ended, and no lost vote has a time"


def _ends(row: Row, found: Found) -> Iterator[str]:
    """What it came to."""
    if found.mode not in row.ends:
        yield _wrong_end(row, found)
    if row.off is None:
        if found.off_ms is not None:
            yield ENDED
        elif found.came_back:
            yield FLICKER
        return
    if found.came_back:
        yield "emission came back by itself"
    if found.off_ms is None:
        if not set(row.ends) & set(BACK):
            yield "it emits on"
        elif found.lost_ms is not None:
            yield "a vote was lost, and it emits on"
    elif isinstance(row.still(found.place), Bound) and found.still_ms is None:
        yield "the axes were not commanded to rest"


def _wrong_end(row: Row, found: Found) -> str:
    return f"ended in {found.mode or 'silence'}, not in {' or '.join(mode or 'silence' for mode in row.ends)}"


def _unsaid(row: Row, found: Found, told: str) -> Iterator[str]:
    """What must be among what was said. In real time a row that wants LINK may begin before it."""
    in_link = row.told_in_link if found.place == "lockstep" else ""
    for wanted in (*row.told, in_link):
        if wanted not in told:
            yield f"nobody said {wanted!r}; what they said: {told[-300:]!r}"


def _delays(row: Row, found: Found) -> Iterator[str]:
    """What came too late."""
    if row.off is None or found.off_ms is None:
        return
    if found.off_ms > row.off.ms + found.slack_ms:
        yield f"emission ended after {found.off_ms:.0f} ms, not within {row.off.ms:.0f} ms"
    still = row.still(found.place)
    if isinstance(still, Bound) and found.still_ms is not None and found.still_ms > still.ms + found.slack_ms:
        yield f"the axes were told to rest after {found.still_ms:.0f} ms, not within {still.ms:.0f}: {still.reason}"
    late_ms = found.off_ms - found.lost_ms if found.lost_ms is not None else 0.0
    if found.place == "lockstep" and row.cause.target != "safety" and late_ms > VOTE_MS:  # who has a turn sees it
        yield f"emission ended {late_ms:.1f} ms after the vote was lost"
