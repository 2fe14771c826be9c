"""Cases, how they are run, and what is found."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hal.clock import NS, Clock
from hal.errors import HalError

Verdict = Literal["pass", "fail", "skipped"]


class Deviation(Exception):  # noqa: N818 (it is no error of ours)
    """The device does not do what its trait says; the message is a sentence with what was seen."""


class NotHere(Exception):  # noqa: N818
    """A case does not apply to this device or under these terms; the message says why."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How far a suite may go."""

    speed: float = 0.1  # of the device's own limits of rate and stroke
    motion: bool = True


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that a device must do. `run` gets a Trial and raises Deviation, NotHere or what the driver raises."""

    sentence: str
    run: Callable[[Trial], None]
    moves: bool = False


@dataclass(slots=True)
class Finding:
    """What became of a case."""

    sentence: str
    verdict: Verdict
    detail: str = ""
    took_s: float = 0.0


@dataclass(slots=True)
class Report:
    """What a suite found: findings, measured quantities by name (unit in the name), durations of calls in seconds."""

    device: str
    findings: list[Finding] = field(default_factory=list)
    measured: dict[str, float] = field(default_factory=dict)
    calls_s: dict[str, list[float]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """No case failed."""
        return all(finding.verdict != "fail" for finding in self.findings)

    def histogram(self) -> dict[str, dict[str, int]]:
        """How many calls took how long: a bin for each power of two of microseconds, named by its upper edge."""
        table: dict[str, dict[str, int]] = {}
        for name, durations in sorted(self.calls_s.items()):
            bins = Counter(max(0, math.ceil(math.log2(max(duration, 1e-6) * 1e6))) for duration in durations)
            table[name] = {f"{1 << power} us": bins[power] for power in range(min(bins), max(bins) + 1)}
        return table

    def timing(self) -> dict[str, dict[str, float]]:
        """Count, median, 99th percentile and maximum of every call, seconds."""
        table = {}
        for name, durations in sorted(self.calls_s.items()):
            ordered = sorted(durations)
            table[name] = {
                "count": len(ordered),
                "median_s": ordered[len(ordered) // 2],
                "p99_s": ordered[min(len(ordered) - 1, math.ceil(0.99 * len(ordered)) - 1)],
                "max_s": ordered[-1],
            }
        return table


class Trial:
    """A device under test, with the Clock, the terms and a notebook.

    `device` is the driver; every call through it is timed. `reopen` closes it and opens it again.
    """

    def __init__(self, open_device: Callable[[], Any], clock: Clock, terms: Terms, report: Report) -> None:
        self.clock = clock
        self.terms = terms
        self._open = open_device
        self._report = report
        self.device: Any = _Timed(open_device(), clock, report.calls_s)

    def reopen(self) -> None:
        """Close the device and open it again."""
        self.device.close()
        self.device = _Timed(self._open(), self.clock, self._report.calls_s)

    def close(self) -> None:
        """Let go of the device."""
        self.device.close()

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.sleep_until(self.clock.now_ns() + round(seconds * NS))

    def note(self, name: str, value: float) -> None:
        """Keep a measured quantity for the report; the name ends in its unit."""
        self._report.measured[name] = value


class _Timed:
    """A driver whose calls are timed."""

    def __init__(self, device: Any, clock: Clock, calls_s: dict[str, list[float]]) -> None:
        self._device = device
        self._clock = clock
        self._calls_s = calls_s

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._device, name)
        if not callable(found):
            return found

        def timed(*arguments: Any, **named: Any) -> Any:
            begun_ns = self._clock.now_ns()
            try:
                return found(*arguments, **named)
            finally:
                self._calls_s.setdefault(name, []).append((self._clock.now_ns() - begun_ns) / NS)

        return timed


def require(so: bool, otherwise: str) -> None:
    """Raise Deviation with a sentence unless something is so."""
    if not so:
        raise Deviation(otherwise)


def run_suite(
    device: str,
    cases: Sequence[Case],
    open_device: Callable[[], Any],
    clock: Clock,
    terms: Terms | None = None,
    tell: Callable[[Finding], None] = lambda finding: None,
) -> Report:
    """Run the cases in order on one device; a driver that fails is opened again before the next case.

    `tell` hears of each finding at once. Raises HalError when the device cannot be opened in the first place.
    """
    terms = terms or Terms()
    report = Report(device)
    trial = Trial(open_device, clock, terms, report)
    try:
        for case in cases:
            finding = _run(case, trial)
            report.findings.append(finding)
            tell(finding)
            if finding.verdict == "fail":
                try:
                    trial.reopen()
                except HalError as error:
                    report.findings.append(Finding("opens again after a failure", "fail", str(error)))
                    break
    finally:
        try:
            trial.close()
        except HalError as error:
            report.findings.append(Finding("lets go of its wire", "fail", str(error)))
    report.calls_s = dict(report.calls_s)
    return report


def _run(case: Case, trial: Trial) -> Finding:
    begun_ns = trial.clock.now_ns()

    def finding(verdict: Verdict, detail: str = "") -> Finding:
        return Finding(case.sentence, verdict, detail, (trial.clock.now_ns() - begun_ns) / NS)

    if case.moves and not trial.terms.motion:
        return finding("skipped", "it moves, and motion was not allowed")
    try:
        case.run(trial)
    except NotHere as reason:
        return finding("skipped", str(reason))
    except Deviation as deviation:
        return finding("fail", str(deviation))
    except HalError as error:
        return finding("fail", f"{type(error).__name__}: {error}")
    return finding("pass")


def compare(report: Report, reference: Report, ratio: float = 2.0) -> dict[str, tuple[float, float]]:
    """Measured quantities and median call times that differ from a reference's by more than `ratio`, as pairs."""
    pairs: defaultdict[str, list[float]] = defaultdict(list)
    for each in (report, reference):
        for name, value in each.measured.items():
            pairs[name].append(value)
        for name, row in each.timing().items():
            pairs[f"{name} median_s"].append(row["median_s"])
    return {
        name: (values[0], values[1])
        for name, values in sorted(pairs.items())
        if len(values) == 2 and not _alike(values[0], values[1], ratio)
    }


def _alike(a: float, b: float, ratio: float) -> bool:
    if a == b:
        return True
    return a * b > 0 and max(abs(a), abs(b)) <= ratio * min(abs(a), abs(b))
