"""SP3-c and SP3-d: orbits of many satellites at even steps, Earth-fixed (ITRF), kilometres and decimetres a second."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from controller.pointing.ephemeris.ephemeris import NS, EphemerisError
from controller.pointing.ephemeris.epochs import Epoch, check_scale, parse_epoch, to_tai_ns
from controller.pointing.ephemeris.frames import axes_of
from controller.pointing.ephemeris.interpolation import Method
from controller.pointing.ephemeris.table import Table, error_notes, split
from controller.pointing.ephemeris.text import number

POINTS = 10
VERSIONS = "cd"
COLUMNS = ((4, 18), (18, 32), (32, 46))
PREDICTED_COLUMN = 79


@dataclass
class _Rows:
    epochs: list[Epoch] = field(default_factory=list)
    position_m: list[list[float]] = field(default_factory=list)
    velocity_m_s: list[list[float]] = field(default_factory=list)
    predicted: int = 0


def parse_sp3(text: str, source: str) -> list[Table]:
    """Every satellite of a file that has two positions. Raises EphemerisError with file and line."""
    lines = text.splitlines()
    if len(lines) < 3 or len(lines[0]) < 3 or lines[0][1].lower() not in VERSIONS:
        version = lines[0][1:2] if lines else ""
        raise EphemerisError(f"{source} line 1: version {version!r} of SP3 is not read; c and d are.")
    scale, axes = _scale(lines, source), axes_of(_frame_name(lines[0]), f"{source} line 1")
    found = _rows(lines, source)
    tables = []
    for name, rows in found.items():
        if len(rows.epochs) < 2:
            continue
        tai = to_tai_ns(rows.epochs, scale)
        if np.any(np.diff(tai) <= 0):
            raise EphemerisError(f"{source}: the epochs of {name} do not rise; fetch the file again.")
        velocity = np.array(rows.velocity_m_s) if len(rows.velocity_m_s) == len(rows.epochs) else None
        parts, notes = split(name, tai, np.array(rows.position_m), velocity, Method.LAGRANGE, POINTS)
        if rows.predicted:
            notes.append(f"{rows.predicted} of {len(rows.epochs)} positions of {name} are predicted.")
        notes += error_notes(parts, name)
        tables.append(Table(name, source, "SP3", axes, tuple(parts), notes=tuple(notes)))
    if not tables:
        raise EphemerisError(f"{source} holds no satellite with two positions; nothing can be interpolated.")
    return tables


def _rows(lines: list[str], source: str) -> dict[str, _Rows]:
    found: dict[str, _Rows] = {}
    epoch: Epoch | None = None
    for line, raw in enumerate(lines, start=1):
        where = f"{source} line {line}"
        if raw.startswith("* "):
            epoch = _epoch(raw.split()[1:], where)
        elif raw.startswith(("P", "V")):
            if epoch is None:
                raise EphemerisError(f"{where}: a satellite before the first epoch (*).")
            words = [raw[a:b] for a, b in COLUMNS]
            values = [number(word, "a coordinate", where) for word in words]
            rows = found.setdefault(raw[1:4].strip(), _Rows())
            if raw[0] == "P" and any(values):  # all noughts: not known
                rows.epochs.append(epoch)
                rows.position_m.append([v * 1e3 for v in values])
                rows.predicted += raw[PREDICTED_COLUMN : PREDICTED_COLUMN + 1] == "P"
            elif raw[0] == "V" and any(values):
                rows.velocity_m_s.append([v * 0.1 for v in values])
        elif raw.startswith("EOF"):
            break
    return found


def _scale(lines: list[str], source: str) -> str:
    for line, raw in enumerate(lines, start=1):
        if raw.startswith("%c"):
            return check_scale(raw[9:12], f"{source} line {line}")
    raise EphemerisError(f"{source} has no line %c with its time system; it is cut off.")


def _frame_name(first: str) -> str:
    """Five columns, often an abbreviation: IGS97, ITR14, SLR08, ECF."""
    name = first[46:51].strip().upper()
    return "ITRF" if name.startswith(("ITR", "SLR", "IGS", "IGB", "IGb", "ECF", "WGS")) else name


def _epoch(words: list[str], where: str) -> Epoch:
    try:
        year, month, day, hour, minute = (int(word) for word in words[:5])
        second, _, fraction = words[5].partition(".")
        start = parse_epoch(f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:00")
        ns = int(second) * NS + int((fraction + "0" * 9)[:9])
        if not 0 <= ns < 61 * NS:
            raise ValueError(second)
    except (ValueError, IndexError):
        raise EphemerisError(f"{where}: {' '.join(words)} is no date.") from None
    return Epoch(start.day, start.ns_of_day + ns)
