"""Plays the rows of the fault table that need processes: a bench and a station of their own, SIGKILL, SIGSTOP, sockets.

Times are those of CLOCK_MONOTONIC, which bench and station share. One station plays row after row; it is run again only
after the death of a process that nobody starts again.

A machine that stands still takes the emulated devices with it, which no device does: what happened then says little. A
row that fails so is played again; if that is so every time, the time that it stood still is added to its bounds.
"""

from __future__ import annotations

import os
import resource
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from controller.bus.port import Sample
from controller.bus.topics import SAFETY_TRIP, SIM_TRUTH, STATION_EVENT, Truth
from controller.cli.faults_processes import START_TIMEOUT_S, ProcessError, RunningBench, RunningStation, pass_plan
from controller.cli.faults_sockets import GUESTS
from controller.cli.faults_table import LOST, Row
from controller.cli.faults_verdict import Found, problems_of
from controller.pointing.plan import Plan
from hal.clock import NS, Deadline

UP_S, HALFWAY_S = 120.0, 40.0  # for coming to emit, and after which it is begun anew
RESERVE_S = 20.0  # a row is not begun later than this before the set
SETTLE_S = 1.0
NAP_NS = NS // 50
STANDSTILL_S = 0.005  # seen at twenty samples a second: what stood still for longer is mostly over when one is taken
PLAYS_MAX = 3
FULL_BYTES = 1  # no file grows beyond that
EMITTING = ("ACQUIRE", "COARSE", "FINE", "LINK")
FINAL = ("safety", "supervisor", "everything")  # nobody starts them again


@dataclass
class Heard:
    """What came over the bus since the fault."""

    truths: list[Truth] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    lost_utc_ns: list[int] = field(default_factory=list)
    bench_late_s: float = 0.0  # the machine under the bench stood still for so long, which no device does

    def clear(self) -> None:
        """Forget what came before the fault."""
        for what in (self.truths, self.said, self.lost_utc_ns):
            what.clear()
        self.bench_late_s = 0.0

    def __call__(self, sample: Sample[Any]) -> None:
        """Take one message."""
        if sample.topic == SIM_TRUTH.name:
            self.truths.append(sample.body)
            self.bench_late_s = max(self.bench_late_s, (sample.sent_utc_ns - sample.body.t_utc_ns) / NS)
        elif sample.topic == STATION_EVENT.name:
            self.said.append(str(sample.body.message))
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
    try:
        while left:
            row = left[0]
            if station is None:
                station = RunningStation(bench, heard)
            if not _up(station, heard, plan):
                return
            found = _play(station, heard, _climbing(row))
            plays[row.name] += 1
            if row.cause.kind == "kill" and row.cause.target in FINAL:
                station.close()
                station = None
            if not found.passed and heard.bench_late_s > STANDSTILL_S:
                if plays[row.name] < PLAYS_MAX:
                    continue
                found = replace(found, slack_ms=1000 * (heard.bench_late_s + 1 / SIM_TRUTH.rate_hz))
                found = replace(found, problems=problems_of(_climbing(row), found, "\n".join(heard.said)))
            if row.cause.kind == "kill" and row.off is not None:
                station = station or RunningStation(bench, heard)
                found = replace(found, problems=(*found.problems, *_back(station, heard)))
            left.pop(0)
            yield row, replace(found, plays=plays[row.name])
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
    before = heard.truths[-1].enable_changed_utc_ns
    heard.clear()
    t_ns = clock.utc_ns()
    end = _break(station, heard, row)
    station.until(lambda: bool(heard.truths) and heard.truths[-1].t_utc_ns > t_ns + row.after_s * NS, row.after_s + 5.0)
    end()
    after = [truth for truth in heard.truths if truth.t_utc_ns > t_ns]
    if not after:
        raise ProcessError(f"the bench fell silent in {row.name}: {station.bench.log.read_text()[-300:]}")
    changed_ns = next((x.enable_changed_utc_ns for x in after if not x.enable_line and x.enable_changed_utc_ns), None)
    line_ms = (changed_ns - t_ns) / 1e6 if changed_ns is not None and changed_ns != before else None
    off_ms = _ended_ms(after, t_ns, lambda truth: truth.emitting)
    moving = any(after[-1].axis_command_rad_s)
    found = Found(
        name=row.name,
        place="realtime",
        mode=station.mode,
        emitting=after[-1].emitting,
        moving=moving,
        off_ms=min((ms for ms in (off_ms, line_ms) if ms is not None), default=None),
        line_ms=line_ms,
        still_ms=None if moving else _ended_ms(after, t_ns, lambda truth: any(truth.axis_command_rad_s)),
        lost_ms=(heard.lost_utc_ns[0] - t_ns) / 1e6 if heard.lost_utc_ns else None,
        told=next((said for said in heard.said if "latched" in said or "->" in said), next(iter(heard.said), "")),
    )
    return replace(found, problems=problems_of(row, found, "\n".join(heard.said)))


def _ended_ms(after: list[Truth], t_ns: int, on: Callable[[Truth], bool]) -> float | None:
    """The first sample after the last in which it was on; None when it never ended."""
    last = max((number for number, truth in enumerate(after) if on(truth)), default=-1)
    return None if last + 1 == len(after) else (after[last + 1].t_utc_ns - t_ns) / 1e6


def _break(station: RunningStation, heard: Heard, row: Row) -> Callable[[], None]:
    """Do what the row says; what comes back undoes it, or ends it."""
    cause = row.cause
    if cause.target == "everything":
        for pid in station.children().values():
            os.kill(pid, signal.SIGKILL)
    elif cause.kind == "kill":
        os.kill(station.children()[cause.target], signal.SIGKILL)
    elif cause.kind == "suspend":
        pid = station.children()[cause.target]
        os.kill(pid, signal.SIGSTOP)
        station.listen(cause.for_s or 0.0)
        os.kill(pid, signal.SIGCONT)
    elif cause.kind == "starve":
        _starve(station, station.children()[cause.target], cause.for_s or 0.0, cause.numbers["pause_s"])
    elif cause.kind == "vanish":
        station.vanish(cause.numbers["ttl_s"])
    elif cause.kind == "disk":
        return _fill(station, station.children()["recorder"])
    else:
        heard.said += GUESTS[cause.word](station)
    return lambda: None


def _fill(station: RunningStation, recorder: int) -> Callable[[], None]:
    """No file of the recorder grows any more: it is refused what a full disk refuses. Then somebody says safe."""
    before = resource.prlimit(recorder, resource.RLIMIT_FSIZE)
    resource.prlimit(recorder, resource.RLIMIT_FSIZE, (FULL_BYTES, before[1]))
    for service in ("station", "safety"):
        station.client.send(service, "safe", {}, 2.0, True)  # what comes meanwhile is for `heard`

    def room() -> None:
        resource.prlimit(recorder, resource.RLIMIT_FSIZE, before)

    return room


def _starve(station: RunningStation, pid: int, seconds: float, pause_s: float) -> None:
    """A process that gets a fiftieth of a second at a time, and then nothing for a while."""
    end_ns = station.clock.now_ns() + round(seconds * NS)
    while station.clock.now_ns() < end_ns:
        os.kill(pid, signal.SIGSTOP)
        station.listen(pause_s)
        os.kill(pid, signal.SIGCONT)
        station.clock.sleep_until(station.clock.now_ns() + NAP_NS)
