"""Sightings of stars as a table (CSV), so that a mount model can be fitted again, elsewhere and by others."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from controller.pointing.mount import MountModelError
from controller.pointing.observation import Observation

COLUMNS = (
    "azimuth_deg",
    "elevation_deg",
    "encoder_azimuth_deg",
    "encoder_elevation_deg",
    "offset_cross_elevation_deg",
    "offset_elevation_deg",
    "approach_azimuth",
    "approach_elevation",
)
RADIAN = math.radians(1.0)
HEAD = ("star", *COLUMNS)
OPTIONAL = COLUMNS[4:]  # a star in the middle of the field, from no particular side


def save_stars(observations: Sequence[Observation], path: Path) -> None:
    """Write one row a sighting: where the star stood, where the encoders did, and how far off it appeared."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(HEAD)
        for o in observations:
            angles = (o.azimuth_rad, o.elevation_rad, o.azimuth_encoder_rad, o.elevation_encoder_rad, *o.offset_rad)
            table.writerow([o.star, *(f"{math.degrees(angle):.7f}" for angle in angles), *o.motion])


def load_stars(path: Path) -> list[Observation]:
    """Read what `save_stars` wrote, or a hand-made table. Raises MountModelError naming file, row and column."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file)
            missing = set(HEAD) - set(OPTIONAL) - set(table.fieldnames or ())
            if missing:
                names = ", ".join(name for name in HEAD if name in missing)
                raise MountModelError(f"{path} has no column {names}; a table of sightings has {', '.join(HEAD)}.")
            return [_sighting(row, f"{path} line {table.line_num}") for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise MountModelError(
            f"{path} cannot be read as sightings ({why}); `boresight calibrate` writes one."
        ) from None


def _sighting(row: dict[str, str | None], where: str) -> Observation:
    numbers = {}
    for column in COLUMNS:
        text = row.get(column) or ("0" if column in OPTIONAL else "")
        try:
            numbers[column] = float(text)
        except ValueError:
            numbers[column] = math.nan
        if not math.isfinite(numbers[column]):
            raise MountModelError(f"{where}: {column} is {text!r} and should be a number.")
    if not -90.0 <= numbers["elevation_deg"] <= 90.0:
        raise MountModelError(f"{where}: elevation_deg is {numbers['elevation_deg']:g}; are the columns swapped?")
    place, encoder, offset, motion = (
        (numbers[first] * unit, numbers[second] * unit)
        for first, second, unit in zip(COLUMNS[::2], COLUMNS[1::2], (RADIAN, RADIAN, RADIAN, 1.0), strict=True)
    )
    return Observation(row["star"] or where, *place, *encoder, motion, offset)
