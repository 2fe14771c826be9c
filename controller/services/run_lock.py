"""One station at a time in a run directory: two would write the same trips, pass and recordings."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from controller.errors import BoresightError

LOCK_FILE: Final = "station.lock"


class RunDirTakenError(BoresightError):
    """Another station runs in this folder."""


@contextmanager
def run_lock(run_dir: Path) -> Iterator[None]:
    """Hold the folder, which is made when it is missing; the kernel lets go of it when this process ends, however.

    Raises RunDirTakenError.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / LOCK_FILE).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunDirTakenError(
                f"Another station runs in {run_dir}: stop it, or give this one a folder of its own (--run-dir)."
            ) from None
        yield
