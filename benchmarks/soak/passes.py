"""What became of each pass, and why: nothing may be lost that no injected fault explains."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from controller.cli.faults_table import LOST, TABLE

NS = 1_000_000_000
RUNGS = ("SLEW", "POINT", "ACQUIRE", "COARSE", "FINE", "LINK")
DOWN = frozenset({"SAFE", "FAULT", "HOLD"})
AFTER_NS = 10 * NS  # a fault explains a loss until so long after its end
RECOVERY_NS = 90 * NS  # slew back, scan, and climb: what a pass may take to be in LINK again
FADE_NS = 10 * NS  # a LINK that is back by then was a fade of the light
RESTARTED = "restarted during the pass"  # what a station says that the operator has started again, after its death
MISSED = "scan finished without a beacon"  # how the station tells of a sweep that did not find its satellite
MISS = 0.005  # of first sweeps, as predicted and as found (docs/campaign.md)
RARE = 1e-3  # a day with more missed sweeps than one in a thousand such days has is no chance


ROWS = {row.name: row for row in TABLE}


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that was done to the station, UTC nanoseconds."""

    what: str
    start_ns: int
    end_ns: int

    def explains(self, t_ns: int, after_ns: int = AFTER_NS) -> bool:
        return self.start_ns <= t_ns <= self.end_ns + after_ns

    def may_lead_to(self, mode: str, reason: str) -> bool:
        """Whether the fault table lets it: what must leave LINK alone explains nothing, and not every loss is a trip.

        Whoever stops the station, and a machine that stands still, may lead anywhere.
        """
        words = self.what.removeprefix("death of ").split(" for ")[0].split()
        word = "killed" if self.what.startswith("death of ") else " ".join(words[1:])
        row = ROWS.get(f"{words[0]} {'power cycle' if word == 'off' else word}")
        if row is None or (word == "killed" and reason.startswith(RESTARTED)):
            return True
        if mode in DOWN:
            return bool({*LOST, ""} & set(row.ends))
        return row.ends != ("LINK",)


@dataclass(frozen=True, slots=True)
class Change:
    """The station went from a mode to another."""

    t_ns: int
    before: str
    after: str
    reason: str


@dataclass
class Verdict:
    """One pass: `causes` is why it was lost or broken; `unexplained` is what nobody did."""

    target: str
    begin_ns: int
    end_ns: int
    held: bool = False  # in LINK at the end
    link_s: float = 0.0
    fades: int = 0
    sweeps_missed: int = 0  # of which a wider one found it
    causes: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)

    def as_row(self) -> dict[str, object]:
        return {
            "target": self.target,
            "begin_utc_ns": self.begin_ns,
            "end_utc_ns": self.end_ns,
            "held_at_the_end": self.held,
            "link_s": round(self.link_s, 1),
            "fades": self.fades,
            "sweeps_missed": self.sweeps_missed,
            "causes": self.causes,
            "unexplained": self.unexplained,
        }


def judge(
    target: str, begin_ns: int, end_ns: int, changes: Iterable[Change], causes: Iterable[Cause], mode: str = "STOWED"
) -> Verdict:
    """The verdict on the pass from `begin_ns` (the operator tracks) to `end_ns`; `mode` is the one it began in.

    Every step down, into SAFE, FAULT or HOLD, and an end outside of LINK needs a cause that was at work at the time,
    and that may lead there by the fault table.
    A short fade is counted, and so is a sweep that missed, which is chance as long as it is rare (`missed_allowed`).
    """
    verdict = Verdict(target, begin_ns, end_ns)
    within = [change for change in changes if begin_ns <= change.t_ns < end_ns]
    injected = list(causes)
    since_ns = begin_ns
    for number, change in enumerate(within):
        if mode == "LINK":
            verdict.link_s += (change.t_ns - since_ns) / NS
        mode, since_ns = change.after, change.t_ns
        if not _is_loss(change):
            continue
        told = f"{change.before} -> {change.after} ({change.reason})"
        late_ns = RECOVERY_NS if change.reason.startswith(RESTARTED) else AFTER_NS
        able = [cause for cause in injected if cause.may_lead_to(change.after, change.reason)]
        if (cause := cause_of(able, change.t_ns, late_ns)) is not None:
            verdict.causes.append(f"{cause.what}: {told}")
        elif _is_fade(change, within[number + 1 :], end_ns):
            verdict.fades += 1
        elif (change.before, change.after) == ("ACQUIRE", "POINT") and change.reason.startswith(MISSED):
            verdict.sweeps_missed += 1
        else:
            verdict.unexplained.append(told)
    verdict.held = mode == "LINK"
    if verdict.held:
        verdict.link_s += (end_ns - since_ns) / NS
    elif (cause := cause_of([c for c in injected if c.may_lead_to(mode, "")], end_ns, RECOVERY_NS)) is not None:
        verdict.causes.append(f"{cause.what}: in {mode} at the end")
    else:
        verdict.unexplained.append(f"in {mode} at the end")
    return verdict


def missed_allowed(sweeps: int) -> int:
    """The most missed sweeps that chance leaves: of a binomial distribution, beyond which there is RARE."""
    count, below = 0, (1.0 - MISS) ** sweeps
    while 1.0 - below > RARE:
        count += 1
        below += math.comb(sweeps, count) * MISS**count * (1.0 - MISS) ** (sweeps - count)
    return count


def _is_loss(change: Change) -> bool:
    if change.after in DOWN:
        return change.before not in DOWN
    ranks = [RUNGS.index(mode) if mode in RUNGS else -1 for mode in (change.before, change.after)]
    return ranks[0] > ranks[1]


def _is_fade(change: Change, later: list[Change], end_ns: int) -> bool:
    if (change.before, change.after) != ("LINK", "FINE"):
        return False
    until_ns = later[0].t_ns if later else end_ns
    return bool(later) and later[0].after == "LINK" and until_ns - change.t_ns <= FADE_NS


def cause_of(causes: list[Cause], t_ns: int, after_ns: int = AFTER_NS) -> Cause | None:
    """The latest that explains a moment."""
    return max((c for c in causes if c.explains(t_ns, after_ns)), key=lambda c: c.start_ns, default=None)
