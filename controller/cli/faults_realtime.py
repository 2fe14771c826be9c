"""Plays the rows of the fault table that need processes: a bench and a station of their own, SIGKILL, SIGSTOP, sockets.

Times are those of CLOCK_MONOTONIC, which bench and station share. One station plays row after row; it is run again only
after the death of a process that nobody starts again.

A machine that stands still takes the emulated devices with it, which no device does: what came late then says little,
nor does a station that gave up emission by itself. A row that fails so, and in nothing else, is played again; if that
is so every time, the time that it stood still is added to its bounds. Emission that goes on or comes back, another end
and an untouched station are no matter of time, and are a failure at once. What was wrong in every play is told.
"""

from __future__ import annotations

import os
import resource
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from controller.bus.port import Sample
from controller.bus.topics import SAFETY_TRIP, SIM_TRUTH, STATION_EVENT, Truth
from controller.cli.faults_guests import Visit
from controller.cli.faults_processes import (
    START_TIMEOUT_S,
    ProcessError,
    RunningBench,
    RunningStation,
    gone,
    pass_plan,
    state_of,
)
from controller.cli.faults_sockets import GUESTS
from controller.cli.faults_table import LOST, Row
from controller.cli.faults_verdict import Found, dead_of, excusable, problems_of
from controller.pointing.plan import Plan
from hal.clock import NS, Deadline

UP_S, HALFWAY_S = 120.0, 40.0  # for coming to emit, and after which it is begun anew
RESERVE_S = 20.0  # a row is not begun later than this before the set
SETTLE_S = 1.0
NAP_NS = NS // 50
STANDSTILL_S = 0.005  # seen at twenty samples a second: what stood still for longer is mostly over when one is taken
PLAYS_MAX = 3
FRESH_NS = NS // 5  # of the truth before a fault
DARK_MS = 5.0  # from the line's edge to a diode without current
FULL_BYTES = 1  # no file grows beyond that
EMITTING = ("ACQUIRE", "COARSE", "FINE", "LINK")
FINAL = ("safety", "guardian", "supervisor", "everything")  # nobody starts them again


@dataclass
class Heard:
    """What came over the bus since the fault."""

    truths: list[Truth] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    lost_utc_ns: list[int] = field(default_factory=list)
    died: list[str] = field(default_factory=list)
    bench_late_s: float = 0.0  # the machine under the bench stood still for so long, which no device does

    def clear(self) -> None:
        """Forget what came before the fault."""
        for what in (self.truths, self.said, self.lost_utc_ns, self.died):
            what.clear()
        self.bench_late_s = 0.0

    def __call__(self, sample: Sample[Any]) -> None:
        """Take one message."""
        if sample.topic == SIM_TRUTH.name:
            self.truths.append(sample.body)
            self.bench_late_s = max(self.bench_late_s, (sample.sent_utc_ns - sample.body.t_utc_ns) / NS)
        elif sample.topic == STATION_EVENT.name:
            self.said.append(str(sample.body.message))
            if sample.body.code == "DIED":
                self.died.append(str(sample.body.message))
        elif sample.topic == SAFETY_TRIP.name and sample.body.lost_utc_ns is not None:
            self.lost_utc_ns.append(sample.body.lost_utc_ns)


def play(rows: list[Row], tell: Callable[[Row, Found], None]) -> Iterator[tuple[Row, Found]]:
    """Play rows, bench after bench, as a pass lasts minutes. Where twice no station comes to emit, a row has failed."""
    plan = pass_plan()
    left, plays = list(rows), Counter[str]()
    while left:
        with tempfile.TemporaryDirectory() as folder:
            bench = RunningBench(Path(folder), plan, keyed=True)
            try:
                for row, found in _on_bench(bench, plan, left, plays):
                    tell(row, found)
                    left = left[1:]
                    yield row, found
            except ProcessError as error:
                row = left[0]
                plays[row.name] += 1
                if plays[row.name] > 1:
                    left.pop(0)
                    found = _not_begun(row, str(error))
                    tell(row, found)
                    yield row, found
            finally:
                bench.close()


def _not_begun(row: Row, why: str) -> Found:
    return Found(row.name, "realtime", "", False, False, None, None, None, problems=(why,))


def _on_bench(bench: RunningBench, plan: Plan, rows: list[Row], plays: Counter[str]) -> Iterator[tuple[Row, Found]]:
    """Rows until the pass is over. `plays` counts how often each has been."""
    heard, station, left = Heard(), None, list(rows)
    earlier: list[str] = []  # what was wrong with the row before
    try:
        while left:
            row = left[0]
            if station is None:
                station = RunningStation(bench, heard)
            if not _up(station, heard, plan):
                return
            found = _play(station, heard, _climbing(row))
            plays[row.name] += 1
            if (row.cause.kind == "kill" and row.cause.target in FINAL) or station.process.poll() is not None:
                station.close()
                station = None
            if not found.passed and heard.bench_late_s > STANDSTILL_S and excusable(_climbing(row), found):
                if plays[row.name] < PLAYS_MAX:
                    earlier += found.problems
                    continue
                found = replace(found, slack_ms=1000 * (heard.bench_late_s + 1 / SIM_TRUTH.rate_hz))
                found = replace(found, problems=problems_of(_climbing(row), found, "\n".join(heard.said)))
            if row.cause.kind == "kill" and row.off is not None:
                station = station or RunningStation(bench, heard)
                found = replace(found, problems=(*found.problems, *_back(station, heard)))
            left.pop(0)
            yield row, replace(found, plays=plays[row.name], earlier=tuple(earlier))
            earlier.clear()
    finally:
        if station is not None:
            station.close()


def _back(station: RunningStation, heard: Heard) -> tuple[str, ...]:
    """What is wrong with how a station has come back from a death: it resumes nothing by itself."""
    if not station.until(lambda: station.alive() and station.mode != "", START_TIMEOUT_S):
        return ("it does not come back",)
    station.listen(SETTLE_S)
    if station.mode not in LOST:
        return (f"it comes back in {station.mode}, not in {' or '.join(LOST)}",)
    return ("it comes back emitting",) if heard.truths[-1].emitting else ()


def _climbing(row: Row) -> Row:
    """The row for a station that is not waited for until it is in LINK: what holds, holds in any mode that emits."""
    return replace(row, ends=(*row.ends, *EMITTING)) if "LINK" in row.ends else row


def _up(station: RunningStation, heard: Heard, plan: Plan) -> bool:
    """An emitting station on a moving mount; False when the pass has no time for a row."""
    clock = station.clock
    station.until(station.alive, START_TIMEOUT_S)
    begun = Deadline(clock, HALFWAY_S)

    def late() -> bool:
        return clock.utc_ns() > plan.target.set_utc_ns - RESERVE_S * NS

    def up() -> bool:
        nonlocal begun
        if late():
            return True
        if not (station.alive() and heard.truths):
            return False
        truth = heard.truths[-1]
        if station.mode in EMITTING and truth.emitting and any(truth.axis_command_rad_s):
            return True
        if begun.expired:
            station.start_over()
            begun = Deadline(clock, HALFWAY_S)
        station.bring_up(plan)
        return False

    if not station.until(up, UP_S):
        said = "; ".join(heard.said[-5:])
        raise ProcessError(f"the station is in {station.mode or 'no mode'} and does not emit: {said}")
    station.listen(SETTLE_S)
    return not late()


def _play(station: RunningStation, heard: Heard, row: Row) -> Found:
    clock = station.clock
    first = heard.truths[-1]
    heard.clear()
    t_ns = clock.utc_ns()
    done = _break(station, row)
    station.until(lambda: bool(heard.truths) and heard.truths[-1].t_utc_ns > t_ns + row.after_s * NS, row.after_s + 5.0)
    done.end()
    after = [truth for truth in heard.truths if truth.t_utc_ns > t_ns]
    if not after:
        raise ProcessError(f"the bench fell silent in {row.name}: {station.bench.log.read_text()[-300:]}")
    moving, line_ms = any(after[-1].axis_command_rad_s), _line_ms(after, t_ns, first.enable_changed_utc_ns)
    said = [*done.visit.told, *heard.said]
    found = Found(
        name=row.name,
        place="realtime",
        mode=station.mode,
        emitting=after[-1].emitting,
        moving=moving,
        off_ms=_off_ms(after, t_ns, line_ms),
        line_ms=line_ms,
        still_ms=None if moving else _ended_ms(after, t_ns, lambda truth: any(truth.axis_command_rad_s)),
        lost_ms=(heard.lost_utc_ns[0] - t_ns) / 1e6 if heard.lost_utc_ns else None,
        touched=done.touched() if done.touched is not None else done.visit.touched,
        lit=first.emitting and any(first.axis_command_rad_s) and t_ns - first.t_utc_ns < FRESH_NS,
        samples=len(after),
        came_back=any(truth.emitting and not before.emitting for before, truth in pairwise(after)),
        more=(*done.visit.wrong, *dead_of(row, heard.died, station.silent())),
        told=next((told for told in said if "latched" in told or "->" in told), next(iter(said), "")),
    )
    heard.said = said
    return replace(found, problems=problems_of(row, found, "\n".join(said)))


def _ended_ms(after: list[Truth], t_ns: int, on: Callable[[Truth], bool]) -> float | None:
    """The first sample after the last in which it was on; None when it never ended."""
    last = max((number for number, truth in enumerate(after) if on(truth)), default=-1)
    return None if last + 1 == len(after) else (after[last + 1].t_utc_ns - t_ns) / 1e6


def _line_ms(after: list[Truth], t_ns: int, before_ns: int | None) -> float | None:
    """When the enable line fell first."""
    changed_ns = next((x.enable_changed_utc_ns for x in after if not x.enable_line and x.enable_changed_utc_ns), None)
    return None if changed_ns is None or changed_ns == before_ns else (changed_ns - t_ns) / 1e6


def _off_ms(after: list[Truth], t_ns: int, line_ms: float | None) -> float | None:
    """The line's edge is finer than samples of the truth, and the end of emission if none that is later shows light."""
    off_ms = _ended_ms(after, t_ns, lambda truth: truth.emitting)
    if off_ms is None or line_ms is None or line_ms > off_ms:
        return off_ms
    lit_later = any(truth.emitting and (truth.t_utc_ns - t_ns) / 1e6 > line_ms + DARK_MS for truth in after)
    return off_ms if lit_later else line_ms


@dataclass(frozen=True)
class Done:
    """What was done: how to end it, whether it has touched anything, and what a guest was told."""

    end: Callable[[], None] = lambda: None
    touched: Callable[[], int] | None = None
    visit: Visit = field(default_factory=lambda: Visit(0))


def _break(station: RunningStation, row: Row) -> Done:
    """Do what the row says."""
    cause = row.cause
    if cause.target == "everything":
        pids = [pid for name, pid in station.children().items() if name != "guardian"]  # whose work it is to be left
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return Done(touched=lambda: sum(map(gone, pids)))
    if cause.kind == "kill":
        pid = station.children()[cause.target]
        os.kill(pid, signal.SIGKILL)
        return Done(touched=lambda: int(gone(pid)))
    if cause.kind == "suspend":
        pid = station.children()[cause.target]
        os.kill(pid, signal.SIGSTOP)
        station.listen(cause.for_s or 0.0)
        stood = int(state_of(pid) == "T")
        os.kill(pid, signal.SIGCONT)
        return Done(touched=lambda: stood)
    if cause.kind == "starve":
        pauses = _starve(station, station.children()[cause.target], cause.for_s or 0.0, cause.numbers["pause_s"])
        return Done(touched=lambda: pauses)
    if cause.kind == "vanish":
        held = station.vanish(cause.numbers["ttl_s"])
        return Done(touched=lambda: int(held))
    if cause.kind == "disk":
        return _fill(station)
    return Done(visit=GUESTS[cause.word](station))


def _fill(station: RunningStation) -> Done:
    """No file of the station grows any more: it is refused what a full disk refuses. Then somebody says safe."""
    before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in station.children().values()}
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (FULL_BYTES, hard))
    full = sum(resource.prlimit(pid, resource.RLIMIT_FSIZE)[0] == FULL_BYTES for pid in before)
    for service in ("station", "safety"):
        station.client.send(service, "safe", {}, 2.0, True)  # what comes meanwhile is for `heard`

    def room() -> None:
        for pid, limits in before.items():
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)

    return Done(room, lambda: full)


def _starve(station: RunningStation, pid: int, seconds: float, pause_s: float) -> int:
    """A process that gets a fiftieth of a second at a time, and then nothing for a while; how often it stood."""
    end_ns, stood = station.clock.now_ns() + round(seconds * NS), 0
    while station.clock.now_ns() < end_ns:
        os.kill(pid, signal.SIGSTOP)
        station.listen(pause_s)
        stood += state_of(pid) == "T"
        os.kill(pid, signal.SIGCONT)
        station.clock.sleep_until(station.clock.now_ns() + NAP_NS)
    return stood
