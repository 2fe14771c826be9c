"""What is wrong with a recording: it is none, or a part of it cannot be read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controller.errors import BoresightError

KEPT: Final = ".damaged"  # at the end of the name of a file as it was before it was mended


class RecordingError(BoresightError):
    """A recording cannot be written or read; the message names the file."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A place of a file that cannot be read, as it is not what was written; without bytes, a file that is missing."""

    path: Path
    at_byte: int = 0
    length_bytes: int = 0
    orphans: int = 0  # messages after it that nobody can read, as their channel was described in a damaged place


OnDamage = Callable[[Damage], None]


def ignore(damage: Damage) -> None:
    """For those who do not ask what is missing."""


def sentences(found: Iterable[Damage]) -> list[str]:
    """What to tell an operator: one sentence a file, with the number of places, the first of them, and bytes in all."""
    by_path: dict[Path, set[Damage]] = defaultdict(set)
    for damage in found:
        by_path[damage.path].add(damage)
    return [_sentence(path, places) for path, places in sorted(by_path.items())]


def _sentence(path: Path, found: set[Damage]) -> str:
    if found == {Damage(path)}:
        return f"{path} is missing, between two files of its recording that are there; put it beside them"
    places = [damage for damage in found if damage.length_bytes]
    orphans = sum(damage.orphans for damage in found)
    told = (
        f"{path} is damaged in {len(places)} place{'s' if len(places) > 1 else ''}, first at byte "
        f"{min(damage.at_byte for damage in found)}: {sum(damage.length_bytes for damage in places)} bytes"
    )
    if orphans:
        told += f", and {orphans} messages whose channel was described there,"
    rest, _, _ = path.name.partition(KEPT)
    told += " cannot be read; "
    return told + (f"{rest} has all the rest" if rest != path.name else "take another copy of the file if there is one")
