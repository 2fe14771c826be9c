"""Memory, open files and threads of a process as the kernel counts them, and what of it an operator is told."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression
from typing import Final, Literal

from controller.services.rules import Rules
from hal.clock import NS

PROC: Final = Path("/proc")
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
AGAIN: Final = 0.9  # of a limit: below it a new crossing is told again
SETTLING_NS: Final = 600 * NS  # a service that has just started still loads and fills its caches
SAMPLE_NS: Final = 60 * NS
SAMPLES_MIN, SAMPLES_MAX = 20, 120  # a slope needs twenty minutes; it is that of the last two hours

Code = Literal["MEMORY", "MEMORY_MAX", "MEMORY_GROWS", "OPEN_FILES"]


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has."""

    resident_bytes: int
    open_files: int
    threads: int


def usage(pid: int, proc: Path = PROC) -> Usage | None:
    """Of a process of ours; None when it is gone. Source: proc(5), statm and stat."""
    try:
        resident_pages = int((proc / str(pid) / "statm").read_text().split()[1])
        threads = int((proc / str(pid) / "stat").read_text().rpartition(")")[2].split()[17])
        open_files = len(os.listdir(proc / str(pid) / "fd"))
    except (OSError, IndexError, ValueError):
        return None
    return Usage(resident_pages * PAGE_BYTES, open_files, threads)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a process that an operator should read; MEMORY_MAX ends the process."""

    code: Code
    sentence: str


class Watch:
    """One start of one process, seen about once a second. Times are monotonic nanoseconds."""

    def __init__(self, rules: Rules, started_ns: int) -> None:
        self._rules = rules
        self._sample_due_ns = started_ns + SETTLING_NS
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES_MAX)
        self._told: set[Code] = set()
        self.growth_bytes_h = 0.0  # 0 until it is known

    def see(self, now_ns: int, used: Usage) -> list[Finding]:
        """Limits that were crossed since the previous call."""
        if now_ns >= self._sample_due_ns:
            self._sample_due_ns = now_ns + SAMPLE_NS
            self._samples.append((now_ns / NS / 3600, float(used.resident_bytes)))
            if len(self._samples) >= SAMPLES_MIN:
                self.growth_bytes_h = linear_regression(*zip(*self._samples, strict=True)).slope
        return list(self._crossed(used))

    def _crossed(self, used: Usage) -> Iterator[Finding]:
        rules, resident, growth = self._rules, used.resident_bytes, self.growth_bytes_h
        if self._first("MEMORY_MAX", resident, rules.memory_max_bytes):
            yield Finding("MEMORY_MAX", f"takes {_mb(resident)}, more than {_mb(rules.memory_max_bytes)}")
        elif self._first("MEMORY", resident, rules.memory_told_bytes):
            until = f"it is ended at {_mb(rules.memory_max_bytes)}"
            yield Finding("MEMORY", f"takes {_mb(resident)} of memory; {until}")
        if self._first("MEMORY_GROWS", growth, rules.memory_growth_told_bytes_h):
            left_h = max(rules.memory_max_bytes - resident, 0.0) / growth
            yield Finding("MEMORY_GROWS", f"grows by {_mb(growth)} an hour: {left_h:.0f} h are left until it is ended")
        if self._first("OPEN_FILES", used.open_files, rules.open_files_told):
            yield Finding(
                "OPEN_FILES", f"has {used.open_files} open files: see who connects, before it may open no more"
            )

    def _first(self, code: Code, value: float, limit: float) -> bool:
        if value < AGAIN * limit:
            self._told.discard(code)
        if value <= limit or code in self._told:
            return False
        self._told.add(code)
        return True


def _mb(count: float) -> str:
    return f"{count / 1e6:.0f} MB"
