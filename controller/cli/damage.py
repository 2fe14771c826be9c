"""What a command that reads a recording says when a part of it cannot be read."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from controller.record import Damage


@contextmanager
def damage_told() -> Iterator[set[Damage]]:
    """Gives the set that damage is added to; at the end says on stderr what is missing, and exits with 1 if any is."""
    from controller.record import sentences

    found: set[Damage] = set()
    try:
        yield found
    finally:
        for sentence in sentences(found):
            typer.echo(f"boresight: {sentence}", err=True)
    if found:
        raise typer.Exit(1)


def as_json(found: Iterable[Damage]) -> list[dict[str, Any]]:
    """Each place with its file, in order."""
    places = sorted(found, key=lambda damage: (damage.path, damage.at_byte))
    return [dataclasses.asdict(damage) | {"path": str(damage.path)} for damage in places]
