"""What a result states of itself: the day and the commit."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

from hal.clock import RealClock

ROOT = Path(__file__).parent.parent
CODE = ("hal", "controller", "sim_hw", "firmware", "benchmarks")


def commit() -> str:
    """What is checked out; a plus sign says that there is more than that."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--", *CODE) else "")


def today() -> str:
    """The date, UTC."""
    return f"{datetime.fromtimestamp(RealClock().utc_ns() * 1e-9, UTC):%Y-%m-%d}"
