"""Element sets: reading TLE text, checking it, finding one by name.

A set is two lines of 69 columns, with or without a name line before them (a leading "0 " is dropped). Every way in
which a file can be wrong is one sentence with file and line.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path

import numpy as np
from sgp4.api import SGP4_ERRORS, Satrec

from controller.errors import BoresightError
from controller.geometry.solar_system import SolarSystem
from controller.geometry.timescales import JD_1970, NS_PER_DAY, Floats, Times, utc_jd
from controller.pointing.ephemeris.ephemeris import Flags, Frame, between

AGE_MAX_DAYS = 14.0  # a low orbit's error grows to kilometres in a week
SPAN_NS = 400 * NS_PER_DAY  # SGP4 has no end of its own; age is what decides

_ANGLE, _EXPONENT = r" {0,2}\d{1,3}\.\d{4}", r"[ +-][ \d]{5}[ +-]\d"
# Column numbers of the fields that SGP4 reads, counted from 1 as in the format's description.
FIELDS = {
    "1": (
        ("the epoch's year", 19, 20, r"\d\d"),
        ("the epoch's day", 21, 32, r"[ \d]{3}\.\d{8}"),
        ("the first derivative of mean motion", 34, 43, r"[ +0-]\.\d{8}"),
        ("the second derivative of mean motion", 45, 52, _EXPONENT),
        ("the drag term", 54, 61, _EXPONENT),
    ),
    "2": (
        ("the inclination", 9, 16, _ANGLE),
        ("the right ascension of the node", 18, 25, _ANGLE),
        ("the eccentricity", 27, 33, r"\d{7}"),
        ("the argument of perigee", 35, 42, _ANGLE),
        ("the mean anomaly", 44, 51, _ANGLE),
        ("the mean motion", 53, 63, r"[ \d]\d\.\d{8}"),
    ),
}


class ElementsError(BoresightError, ValueError):
    """An element set is wrong, too old, or not there."""


class Sgp4Orbit:
    """What element sets of any format share: SGP4, its frame, the epoch and how long it is good for."""

    name: str
    source: str
    satrec: Satrec
    frame = Frame.TEME
    format = "element set"
    age_max_days = AGE_MAX_DAYS
    notes: tuple[str, ...] = ()
    solar_system: SolarSystem | None = None

    @property
    def catalogue_number(self) -> int:
        """NORAD number."""
        return int(self.satrec.satnum)

    @cached_property
    def epoch_utc_ns(self) -> int:
        """Epoch, UTC nanoseconds since 1970."""
        whole, fraction = float(self.satrec.jdsatepoch), float(self.satrec.jdsatepochF)
        return round((whole - JD_1970) * NS_PER_DAY) + round(fraction * NS_PER_DAY)

    @property
    def start_utc_ns(self) -> int:
        """No time before this is sensible."""
        return self.epoch_utc_ns - SPAN_NS

    @property
    def end_utc_ns(self) -> int:
        """No time after this is sensible."""
        return self.epoch_utc_ns + SPAN_NS

    def position_m(self, t_utc_ns: Times) -> Floats:
        """SGP4 positions in TEME, (n, 3) metres. Raises ElementsError where SGP4 gives up (decay)."""
        error, position_km, _ = self.satrec.sgp4_array(*utc_jd(t_utc_ns))
        if np.any(error):
            reason = SGP4_ERRORS.get(int(error[np.nonzero(error)[0][0]]), "unknown error")
            raise ElementsError(f"{self.source}: {self.name} cannot be propagated to that time: {reason}.")
        result: Floats = position_km * 1e3
        return result

    def known(self, t_utc_ns: Times) -> Flags:
        """Everywhere between the ends."""
        return between(t_utc_ns, self.start_utc_ns, self.end_utc_ns)

    def covariance_m2(self, t_utc_ns: int) -> Floats | None:
        """Nobody says."""
        return None

    def age_days(self, t_utc_ns: int) -> float:
        """Days from the epoch to a time; negative before it."""
        return (t_utc_ns - self.epoch_utc_ns) / NS_PER_DAY

    def check_age(self, t_utc_ns: int, age_max_days: float = AGE_MAX_DAYS) -> None:
        """Raises ElementsError when the epoch lies further than `age_max_days` from a time."""
        age = self.age_days(t_utc_ns)
        if abs(age) > age_max_days:
            side = "old" if age > 0 else "ahead of the pass"
            raise ElementsError(
                f"{self.source}: the elements of {self.name} are {abs(age):.1f} days {side}, more than the "
                f"{age_max_days:g} allowed; fetch a newer element set."
            )


@dataclass(frozen=True)
class ElementSet(Sgp4Orbit):
    """One satellite's mean elements as their two lines, and where they were read."""

    name: str
    line1: str
    line2: str
    source: str = ""

    @cached_property
    def satrec(self) -> Satrec:
        """The propagator (WGS 72, as element sets are made). Raises ElementsError when SGP4 refuses the elements."""
        satrec = Satrec.twoline2rv(self.line1, self.line2)
        if satrec.error:
            reason = SGP4_ERRORS.get(satrec.error, f"error {satrec.error}")
            raise ElementsError(f"{self.source}: SGP4 refuses the elements of {self.name}: {reason}.")
        return satrec


def load_elements(path: str | Path) -> list[ElementSet]:
    """Read a TLE file. Raises ElementsError with file and line."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ElementsError(f"{path} does not exist; give a file of element sets (TLE).") from None
    except IsADirectoryError:
        raise ElementsError(f"{path} is a folder; give a file of element sets (TLE).") from None
    except OSError as error:
        raise ElementsError(f"{path} cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise ElementsError(f"{path} is not text; give a file of element sets (TLE).") from None
    return parse_elements(text.splitlines(), str(path))


def parse_elements(lines: Iterable[str], source: str) -> list[ElementSet]:
    """Element sets of TLE text. Raises ElementsError with source and line; an empty text is an error."""
    sets: list[ElementSet] = []
    name, first, first_at = "", "", 0
    for number, raw in enumerate(lines, start=1):
        line = raw.rstrip()
        where = f"{source} line {number}"
        if not line or line.startswith("#"):
            continue
        if line.startswith("1 ") and not first and len(line) > 24:
            _check_line(line, where)
            first, first_at = line, number
        elif first:
            if not line.startswith("2 "):
                raise ElementsError(f"{where}: line 2 of the element set that began on line {first_at} should be here.")
            _check_line(line, where)
            if line[2:7] != first[2:7]:
                raise ElementsError(
                    f"{where}: catalogue number {line[2:7]} differs from {first[2:7]} on line {first_at}; "
                    "the two lines belong to different satellites."
                )
            sets.append(ElementSet(name or first[2:7].strip(), first, line, f"{source} line {first_at}"))
            name, first = "", ""
        elif line.startswith("2 ") and len(line) == 69:
            raise ElementsError(f"{where}: line 2 of an element set without its line 1.")
        else:
            if name:
                raise ElementsError(f'{where}: two lines of an element set should follow the name "{name}".')
            name = line.removeprefix("0 ").strip()
    if first or name:
        raise ElementsError(f"{source}: the last element set is cut off; it needs both its lines.")
    if not sets:
        raise ElementsError(f"{source} holds no element set (TLE).")
    return sets


def built_in_elements() -> list[ElementSet]:
    """The real element sets that the project carries."""
    text = (files("controller") / "data" / "elements" / "starlink.toml").read_text(encoding="utf-8")
    rows = tomllib.loads(text)["element_set"]
    return [ElementSet(r["name"], r["line1"], r["line2"], "built-in elements") for r in rows]


def find(sets: Sequence[ElementSet], name: str) -> ElementSet:
    """The set of a name (any case) or a catalogue number. Raises ElementsError naming the nearest names."""
    wanted = name.strip().upper()
    for element_set in sets:
        if element_set.name.upper() == wanted or element_set.line1[2:7].strip().lstrip("0") == wanted:
            return element_set
    near = difflib.get_close_matches(wanted, [s.name.upper() for s in sets], n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else "`boresight passes` lists what is there."
    source = sets[0].source.rsplit(" line ", 1)[0] if sets else "the catalogue"
    raise ElementsError(f"{source} holds no satellite named {name}; {hint}")


def _whole(fields: Sequence[tuple[str, int, int, str]]) -> re.Pattern[str]:
    """All fields of a line in one pattern."""
    pattern, column = "", 1
    for _, first, last, field in fields:
        pattern += f".{{{first - column}}}(?:{field})"
        column = last + 1
    return re.compile(pattern)


_WHOLE = {number: _whole(fields) for number, fields in FIELDS.items()}
_CHECK_VALUE = bytes(c - 48 if 48 <= c <= 57 else int(c == ord("-")) for c in range(256))


def _check_line(line: str, where: str) -> None:
    """Length, checksum, and that every field SGP4 reads is a number: its own parser takes what it can make of it."""
    if len(line) != 69:
        raise ElementsError(f"{where}: {len(line)} columns instead of 69; a character is missing or too many.")
    if not line.isascii():
        strange = next(column for column, c in enumerate(line, start=1) if not c.isascii())
        raise ElementsError(f"{where}: column {strange} is {line[strange - 1]!r}; an element set is plain ASCII.")
    if not line[68].isdigit():
        raise ElementsError(f"{where}: column 69 should be the checksum digit and is {line[68]!r}.")
    computed = sum(line[:68].encode().translate(_CHECK_VALUE)) % 10
    if computed != int(line[68]):
        raise ElementsError(
            f"{where}: bad checksum ({line[68]} written, {computed} computed); the line was damaged, fetch it again."
        )
    if _WHOLE[line[0]].match(line):
        return
    for field, first, last, pattern in FIELDS[line[0]]:
        if re.fullmatch(pattern, line[first - 1 : last]) is None:
            raise ElementsError(f"{where}: {field} (columns {first}-{last}) is {line[first - 1 : last]!r}, no number.")
