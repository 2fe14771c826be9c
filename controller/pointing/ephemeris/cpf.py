"""ILRS consolidated prediction format, versions 1 and 2: what laser-ranging stations track by.

Positions are Earth-fixed (ITRF) at even steps; the format asks for Lagrange through ten of them. No Earth orientation
is needed from file to azimuth. A leap second inside a file is not applied but flagged: the scale runs on.
"""

from __future__ import annotations

import math

import numpy as np

from controller.geometry.timescales import Floats, Times, utc_ns_of_tai
from controller.pointing.ephemeris.ephemeris import NS, EphemerisError, Frame, nearest
from controller.pointing.ephemeris.epochs import Epoch, mjd_epoch, parse_epoch, to_tai_ns
from controller.pointing.ephemeris.interpolation import Method
from controller.pointing.ephemeris.table import Table, error_notes, split
from controller.pointing.ephemeris.text import number

POINTS = 10
AGE_MAX_DAYS = 3.0  # predictions of laser-ranging targets are made daily
RECORDS = ("H1", "H2", "H3", "H4", "H5", "H9", "00", "10", "20", "30", "40", "50", "60", "70", "99")
EARTH_FIXED = "0"
COMMON_EPOCH = "0"


def parse_cpf(text: str, source: str) -> list[Table]:
    """The target of a prediction file. Raises EphemerisError with file and line."""
    name, created = "", 0
    epochs: list[Epoch] = []
    leaps: list[int] = []
    positions: list[list[float]] = []
    for line, raw in enumerate(text.splitlines(), start=1):
        words, where = raw.split(), f"{source} line {line}"
        if not words:
            continue
        match words[0].upper():
            case "H1":
                name, created = _header1(words, where)
            case "H2":
                _header2(words, where)
            case "10":
                epoch, leap, position = _position(words, where)
                epochs.append(epoch)
                leaps.append(leap)
                positions.append(position)
            case "99":
                break
            case kind if kind not in RECORDS:
                raise EphemerisError(f"{where}: no record of a CPF begins with {words[0]}; {nearest(kind, [*RECORDS])}")
    if not name:
        raise EphemerisError(f"{source} has no header H1; it is cut off or no CPF.")
    if len(positions) < 2:
        raise EphemerisError(f"{source} holds {len(positions)} positions (records 10); two at least are needed.")
    tai = to_tai_ns(epochs, "UTC") - np.array(leaps, dtype=np.int64) * NS
    return [_table(name, source, created, tai, np.array(positions))]


def _table(name: str, source: str, created_utc_ns: int, tai: Times, position_m: Floats) -> Table:
    if np.any(np.diff(tai) <= 0):
        row = int(np.argmax(np.diff(tai) <= 0)) + 2
        raise EphemerisError(f"{source}: position {row} is not later than the one before it; fetch the file again.")
    parts, notes = split(name, tai, position_m, None, Method.LAGRANGE, POINTS)
    return Table(
        name=name,
        source=source,
        format="ILRS CPF",
        axes=Frame.ITRF,
        parts=tuple(parts),
        epoch_utc_ns=created_utc_ns or int(utc_ns_of_tai(tai[:1])[0]),
        age_max_days=AGE_MAX_DAYS,
        notes=tuple(notes + error_notes(parts, name)),
    )


def _header1(words: list[str], where: str) -> tuple[str, int]:
    """Name of the target and when the prediction was made."""
    if len(words) < 10 or words[1].upper() != "CPF":
        raise EphemerisError(f"{where}: a header H1 has CPF, version, source, a date and the target's name.")
    if words[2] not in {"1", "2"}:
        raise EphemerisError(f"{where}: version {words[2]} of CPF is not known; 1 and 2 are.")
    try:
        year, month, day, hour = (int(word) for word in words[4:8])
        made = parse_epoch(f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:00:00")
    except ValueError:
        raise EphemerisError(f"{where}: {' '.join(words[4:8])} is no date of production.") from None
    # Sequence number (and in version 2 its sub-number), then the name: the first word that is none.
    name = next((w for w in words[8:] if not w.isdecimal()), words[-1])
    return name, int(utc_ns_of_tai(to_tai_ns([made], "UTC"))[0])


def _header2(words: list[str], where: str) -> None:
    if len(words) < 20:
        raise EphemerisError(f"{where}: a header H2 has {len(words)} words, and 20 at least are needed.")
    if words[19] != EARTH_FIXED:
        raise EphemerisError(f"{where}: reference frame {words[19]} is inertial; only Earth-fixed files (0) are read.")


def _position(words: list[str], where: str) -> tuple[Epoch, int, list[float]]:
    if len(words) < 8:
        raise EphemerisError(f"{where}: a record 10 has {len(words)} words, and 8 are needed.")
    if words[1] != COMMON_EPOCH:
        raise EphemerisError(
            f"{where}: direction {words[1]} (light time built in) is not read; get a file with direction 0."
        )
    try:
        epoch = mjd_epoch(words[2], words[3])
        leap = int(words[4])
    except ValueError:
        raise EphemerisError(f"{where}: {words[2]} {words[3]} {words[4]} is no day, second and leap flag.") from None
    if not (0 <= epoch.ns_of_day <= 86_401 * NS and abs(leap) <= 1 and math.isfinite(epoch.day)):
        raise EphemerisError(f"{where}: {words[3]} is no second of a day.")
    return epoch, leap, [number(word, "a coordinate", where) for word in words[5:8]]
