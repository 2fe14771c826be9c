"""Recordings that another version made: a table takes any fields, who needs certain ones may not find them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from controller.record.damage import RecordingError
from controller.record.read import read_metadata


@contextmanager
def fields_expected(first: Path) -> Iterator[None]:
    """While bodies of a recording are looked into: a field that is not there is a RecordingError."""
    try:
        yield
    except KeyError as error:
        version = read_metadata(first).get("boresight", {}).get("version", "another version")
        raise RecordingError(
            f"{first} has messages without the field {error}, which this version needs: it was recorded by boresight "
            f"{version}; use that, or export --to csv, which takes every field as it is"
        ) from None
