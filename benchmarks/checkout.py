"""What a result states of itself: the day, the commit, and the libraries."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
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


def versions(*packages: str) -> str:
    """Those that are installed, with their versions."""
    return ", ".join(filter(None, map(_version, packages)))


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return ""
