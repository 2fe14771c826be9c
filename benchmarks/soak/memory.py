"""Memory, open files and threads of a process over time, and the slope of the first."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from controller.record import Rotation
from hal.clock import NS

HOUR_S = 3600.0
PERIOD_S = Rotation().file_max_ns / NS  # of what may grow and shrink: the recorder begins a new file
TOLD_S = 120.0  # between two figures of a series
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # of glibc's malloc.h
LARGE_BYTES = 1024 * 1024  # more than a frame: what comes and goes a hundred times a second is kept
PAGE_KB = os.sysconf("SC_PAGE_SIZE") / 1024 if hasattr(os, "sysconf") else 4.0


def give_back() -> None:
    """Make glibc return large blocks to the kernel when they are freed, for as long as this process lives.

    By itself it keeps them once one was freed, in an arena for each thread. Resident memory then grew by 0.7 MB with
    each start of the station in one process, what was in use stayed the same; processes of their own have none of that.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        libc.mallopt(M_ARENA_MAX, 1)


@dataclass
class Use:
    """Samples of one process; `t_s` in the soak's own time, `period_s` that of what may grow and shrink."""

    t_s: list[float] = field(default_factory=list)
    rss_kb: list[float] = field(default_factory=list)
    own_kb: list[float] = field(default_factory=list)  # of it, without pages of libraries and other files
    fds: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    period_s: float = PERIOD_S

    def sample(self, t_s: float, pid: int | str = "self") -> bool:
        """Take one; False when the process is gone."""
        root = Path("/proc") / str(pid)
        try:
            resident, shared = (float(pages) * PAGE_KB for pages in (root / "statm").read_text().split()[1:3])
            fds, threads = len(os.listdir(root / "fd")), len(os.listdir(root / "task"))
        except (OSError, IndexError):
            return False
        self.t_s.append(t_s)
        self.rss_kb.append(resident)
        self.own_kb.append(resident - shared)
        self.fds.append(fds)
        self.threads.append(threads)
        return True

    def slope_kb_h(self, series_kb: list[float], after_s: float) -> float | None:
        """Least-squares slope of a series after the warm-up; None for too few samples.

        Of its means over one period each: within it a recording's index grows and goes, which is no leak.
        """
        t_s, kb = np.array(self.t_s), np.array(series_kb)
        ends = t_s[t_s >= after_s + self.period_s]
        if len(ends) < 5:
            return None
        means = [np.mean(kb[(t_s > end - self.period_s) & (t_s <= end)]) for end in ends]
        return float(np.polyfit(ends / HOUR_S, means, 1)[0])

    def growth(self, series: list[int], after_s: float) -> int:
        """By how many the median of the last fifth exceeds that of the first, after the warm-up."""
        warm = [value for t_s, value in zip(self.t_s, series, strict=True) if t_s >= after_s]
        if len(warm) < 5:
            return 0
        part = max(1, len(warm) // 5)
        return round(float(np.median(warm[-part:]) - np.median(warm[:part])))

    def series(self) -> list[tuple[int, float]]:
        """Seconds and MB, for those who want to see what became of it."""
        due_s, told = 0.0, []
        for t_s, rss_kb in zip(self.t_s, self.rss_kb, strict=True):
            if t_s >= due_s:
                told.append((round(t_s), round(rss_kb / 1024, 1)))
                due_s = t_s + TOLD_S
        return told

    def as_row(self, after_s: float) -> dict[str, Any]:
        slope, own = (self.slope_kb_h(series, after_s) for series in (self.rss_kb, self.own_kb))
        return {
            "rss_slope_kb_h": None if slope is None else round(slope, 1),
            "own_slope_kb_h": None if own is None else round(own, 1),
            "rss_end_mb": round(self.rss_kb[-1] / 1024, 1) if self.rss_kb else None,
            "fd_growth": self.growth(self.fds, after_s),
            "thread_growth": self.growth(self.threads, after_s),
            "fds": self.fds[-1] if self.fds else None,
            "threads": self.threads[-1] if self.threads else None,
            "rss_mb": self.series(),
        }
