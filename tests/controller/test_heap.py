"""Memory that a computation took and needs no more goes back to the system."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from controller.heap import give_back

MB = 1 << 20


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MB


def test_the_holes_that_temporaries_leave_in_the_heap_are_given_back() -> None:
    """30 MB in pieces of 100 kB, which malloc(3) takes from the heap; the last keeps it from shrinking by itself."""
    pieces = [np.ones(100_000 // 8) for _ in range(300)]
    last = pieces[-1]
    pieces.clear()
    before_mb = resident_mb()
    give_back()
    assert before_mb - resident_mb() > 20.0
    assert last.sum() == last.size
