"""What a soak does and what came of it, whichever clock it runs by."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.soak.chance import Happening
from benchmarks.soak.human import Human
from benchmarks.soak.memory import Use
from benchmarks.soak.passes import RECOVERY_NS, Cause, Verdict, cause_of, judge, missed_allowed
from benchmarks.soak.watch import Watch
from controller.pointing.plan import Plan

NS = 1_000_000_000
UNSEEN_S = 5.0  # at the ends, and where the first of a second's truths comes in the next one
RSS_LIMIT_KB_H = 1024.0  # of soak time, each process


@dataclass(frozen=True)
class Flight:
    """A pass as the operator flies it."""

    plan: Plan
    begin_ns: int  # he tracks
    end_ns: int


@dataclass(frozen=True)
class Program:
    """A soak, UTC nanoseconds of its world."""

    flights: Sequence[Flight]
    happenings: Sequence[Happening]
    begin_ns: int
    end_ns: int
    warm_up_s: float  # from the start, that memory may take to settle


@dataclass
class Outcome:
    """What is known at the end."""

    program: Program
    watch: Watch
    human: Human
    verdicts: list[Verdict] = field(default_factory=list)
    use: dict[str, Use] = field(default_factory=dict)  # by process
    gaps: dict[str, int] = field(default_factory=dict)  # as counted by the bus, by topic
    recordings: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    simulated_s: float = 0.0
    wall_s: float = 0.0
    stalls: int = 0  # of the bench's machine, in real time
    late_s: float = 0.0  # the longest of them
    late: int = 0  # times that the station's machine had no time for its supervisor

    def over(self, flight: Flight, mode: str) -> Verdict:
        """Judge the pass that has just ended; `mode` is the one it began in."""
        watch = self.watch
        stops = [  # for the latched beam board, and that needs a cause in its turn
            Cause(f"stop by the operator after {cause.what}", t_ns, t_ns)
            for t_ns in self.human.stops
            if (cause := cause_of(watch.causes, t_ns, RECOVERY_NS)) is not None
        ]
        causes = [*watch.causes, *stops]
        name = flight.plan.target.elements.name
        verdict = judge(name, flight.begin_ns, flight.end_ns, watch.changes, causes, mode)
        self.verdicts.append(verdict)
        return verdict

    @property
    def missed(self) -> int:
        """Sweeps that did not find their satellite, with no fault at work."""
        return sum(verdict.sweeps_missed for verdict in self.verdicts)

    def failures(self) -> list[str]:
        """Everything that a soak must not show; nothing is what is wanted."""
        watch = self.watch
        found = [f"unsafe second {t}: {why}" for t, why in sorted(watch.unsafe.items())]
        found += watch.problems + self.problems
        if watch.seconds < self.simulated_s - UNSEEN_S - len(watch.blind):
            found.append(f"{watch.seconds} seconds of {self.simulated_s:.0f} were looked at")
        for number, verdict in enumerate(self.verdicts, 1):
            found += [f"pass {number} ({verdict.target}): unexplained: {what}" for what in verdict.unexplained]
        missed, allowed = self.missed, missed_allowed(max(1, len(self.verdicts)))  # a sweep a pass at least
        if missed > allowed:
            found.append(f"{missed} sweeps did not find their satellite; chance leaves {allowed}")
        for name, use in self.use.items():
            row = use.as_row(self.program.warm_up_s)
            slope = row["rss_slope_kb_h"]
            if slope is not None and slope > RSS_LIMIT_KB_H:
                found.append(f"{name} grows by {slope:.0f} kB/h, {RSS_LIMIT_KB_H:.0f} allowed")
            found += [f"{name}: {row[key]:+} {key}" for key in ("fd_growth", "thread_growth") if (row[key] or 0) > 0]
        return found

    def as_row(self) -> dict[str, Any]:
        watch, human = self.watch, self.human
        done = [h for h in self.program.happenings if any(c.what == h.what for c in watch.causes)]
        program = self.program
        return {
            "planned_h": round((program.end_ns - program.begin_ns) / NS / 3600, 2),
            "simulated_h": round(self.simulated_s / 3600, 2),
            "wall_h": round(self.wall_s / 3600, 2),
            "ratio": round(self.simulated_s / self.wall_s, 2) if self.wall_s else None,
            "passes": len(self.verdicts),
            "held": sum(v.held for v in self.verdicts),
            "held_without_a_break": sum(v.held and not v.causes for v in self.verdicts),
            "explained": sum(bool(v.causes) and not v.unexplained for v in self.verdicts),
            "unexplained": sum(bool(v.unexplained) for v in self.verdicts),
            "link_s": round(sum(v.link_s for v in self.verdicts), 1),
            "fades": sum(v.fades for v in self.verdicts),
            "sweeps_missed": self.missed,
            "happenings": len(watch.causes) - self.stalls - self.late,
            "bench_stalls": self.stalls,
            "station_late": self.late,
            "bench_late_max_s": round(self.late_s, 2),
            "stops_for_a_latched_board": len(human.stops),
            "faults": sum(bool(h.word) for h in done),
            "fault_words": sorted({f"{h.device} {h.word}" for h in done if h.word}),
            "deaths": sum(bool(h.kill) for h in done),
            "operator_stops": sum(not h.word and not h.kill for h in done),
            "trips": len(watch.trips),
            "resets": human.resets,
            "arms": human.arms,
            "station_starts_again": human.restarts,
            "refusals": dict(Counter(re.sub(r"[\d.]+", "#", told) for told in human.refusals).most_common()),
            "seconds_looked_at": watch.seconds,
            "unsafe_seconds": len(watch.unsafe),
            "blind_seconds": len(watch.blind),
            "emitting_s": round(watch.emitting_s, 1),
            "moved_while_unreachable_s": round(watch.runaway_s, 1),
            "messages": sum(watch.heard.values()),
            "messages_missed": sum(watch.missed.values()),
            "gaps_counted": sum(self.gaps.values()),
            "recordings": len(self.recordings),
            "recorded": sum(part["messages"] for part in self.recordings),
            "memory": {name: use.as_row(self.program.warm_up_s) for name, use in self.use.items()},
            "verdicts": [verdict.as_row() for verdict in self.verdicts],
            "failures": self.failures(),
        }
