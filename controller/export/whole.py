"""A file that appears under its name once it is complete, and never in another's place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from controller.export import ExportError


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Gives the path to write to. Raises ExportError when `path` exists."""
    if path.exists():
        raise ExportError(f"{path} exists and is not overwritten: remove it, or give another folder with --out")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
