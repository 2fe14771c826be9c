"""What came of a row: what was found, and where it is not what the table expects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from controller.cli.faults_table import BACK, Bound, Place, Row

VOTE_MS = 10.0  # from a lost vote to emission off, and to the enable line's edge, in simulated time


@dataclass(frozen=True, slots=True)
class Found:
    """Times are milliseconds after the fault, None for what did not happen while the row was watched.

    `lost_ms` is when a lost vote was there to be seen: the arrival of the message that made it a no, or the moment at
    which the last one became too old.
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
    plays: int = 1  # real time only: the machine under the bench stood still, and the row was played again
    slack_ms: float = 0.0  # added to its bounds: it stood still every time
    told: str = ""  # what decided, in the operator's words
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
    wrong = list(_delays(row, found))
    if found.mode not in row.ends:
        wrong.append(
            f"ended in {found.mode or 'silence'}, not in {' or '.join(mode or 'silence' for mode in row.ends)}"
        )
    if row.told and row.told not in told:
        wrong.append(f"nobody said {row.told!r}; what they said: {told[-300:]!r}")
    if row.off is None:
        return (*wrong, *(["emission ended"] if found.off_ms is not None else []))
    if found.off_ms is None:
        if not set(row.ends) & set(BACK):
            wrong.append("it emits on")
        elif found.lost_ms is not None:
            wrong.append("a vote was lost, and it emits on")
        return tuple(wrong)
    if found.emitting:
        wrong.append("emission came back by itself")
    if isinstance(row.still(found.place), Bound) and found.still_ms is None:
        wrong.append("the axes were not commanded to rest")
    return tuple(wrong)


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
