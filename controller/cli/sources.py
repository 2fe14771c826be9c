"""Where a verb's targets come from: element sets, an ephemeris of any format, or a body that everybody knows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from controller.pointing.ephemeris.ephemeris import Ephemeris

EphemerisOption = Annotated[
    str | None,
    typer.Option(
        "--ephemeris", help="OEM, OPM, OMM, CPF, SP3, SPK, states (CSV), description (TOML), or moon, mars, ..."
    ),
]


def load_targets(tle: Path | None, ephemeris: str | None, name: str, many: bool = False) -> list[Ephemeris]:
    """Every target of a file of two-line sets, or the one that is named; with `many` those of any catalogue (OMM).

    Raises:
        BoresightError: two sources at once, a wrong file, or a name that is not in it.
    """
    from controller.errors import BoresightError
    from controller.pointing.elements import built_in_elements, find, load_elements

    if ephemeris is None:
        sets = load_elements(tle) if tle is not None else built_in_elements()
        return [find(sets, name)] if name else list(sets)
    if tle is not None:
        raise BoresightError("--tle and --ephemeris are two sources; give one of them.")
    return open_ephemeris(ephemeris, name, many)


def open_ephemeris(word: str, name: str, many: bool = False) -> list[Ephemeris]:
    """The target of a file, or a body of DE421 when no file has that name. Raises BoresightError.

    With `many` and no name, all of a file that holds mean elements only.
    """
    from controller.pointing.elements import Sgp4Orbit
    from controller.pointing.ephemeris.bodies import body_named
    from controller.pointing.ephemeris.files import find_ephemeris, load_ephemerides

    if is_body(word):
        return [body_named(word)]
    found = load_ephemerides(word)
    if many and not name and all(isinstance(one, Sgp4Orbit) for one in found):
        return found
    return [find_ephemeris(found, name)] if name or len(found) > 1 else found


def is_body(word: str) -> bool:
    """Whether a word names a body of the solar system, and no file."""
    from controller.geometry.solar_system import NAMES

    return word.upper() in NAMES.values() and not Path(word).exists()


def caution(target: Ephemeris, t_utc_ns: int) -> None:
    """Say on stderr what was found in a file, which format it was taken for, and how old it is at a time."""
    from controller.pointing.ephemeris.ephemeris import age_warning

    typer.echo(f"boresight: {target.source} is read as {target.format}", err=True)
    for note in (*target.notes, age_warning(target, t_utc_ns)):
        if note:
            typer.echo(f"boresight: {note}", err=True)
