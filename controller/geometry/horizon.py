"""A horizon mask: 360 elevations, one a degree of azimuth, from a CSV file beside the rig file.

    azimuth_deg,elevation_deg
    0,12.5
    1,12.5
    ...

Between two azimuths the higher of both counts: a roof has edges, and a mask that is interpolated cuts their corners.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from controller.errors import BoresightError

HEADER = ["azimuth_deg", "elevation_deg"]
AZIMUTHS = 360
LOWEST_DEG, HIGHEST_DEG = -10.0, 90.0  # a station on a mountain looks down on its horizon


class HorizonError(BoresightError):
    """A horizon mask cannot be used."""


@dataclass(frozen=True, slots=True)
class HorizonMask:
    """Lowest elevations in radians, by whole degrees of azimuth from north through east."""

    elevations_rad: tuple[float, ...]

    def at(self, azimuth_rad: float) -> float:
        """The mask in a direction; infinite for an azimuth that is no number."""
        if not math.isfinite(azimuth_rad):
            return math.inf
        azimuth_deg = math.degrees(azimuth_rad) % AZIMUTHS
        below, above = math.floor(azimuth_deg) % AZIMUTHS, math.ceil(azimuth_deg) % AZIMUTHS
        return max(self.elevations_rad[below], self.elevations_rad[above])


#: In place of a mask that cannot be read: nothing is above it.
CLOSED = HorizonMask((math.inf,) * AZIMUTHS)


def load_horizon(path: Path) -> HorizonMask:
    """Read a mask. Raises HorizonError with the first line that is wrong."""
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise HorizonError(
            f"{path.name}: cannot be read ({error}); put the horizon mask into the rig file's folder."
        ) from error
    if not rows or rows[0] != HEADER:
        raise HorizonError(f"{path.name}: line 1 is not {','.join(HEADER)}; write that header.")
    if len(rows) != AZIMUTHS + 1:
        raise HorizonError(f"{path.name}: {len(rows) - 1} rows after the header; write {AZIMUTHS}, one a degree.")
    return HorizonMask(tuple(_elevation_rad(path, azimuth, row) for azimuth, row in enumerate(rows[1:])))


def horizon_at(path: Path | None) -> tuple[HorizonMask | None, list[str]]:
    """The mask that a rig names, closed where it cannot be used, and the sentence that says why."""
    if path is None:
        return None, []
    try:
        return load_horizon(path), []
    except HorizonError as error:
        return CLOSED, [str(error)]


def _elevation_rad(path: Path, azimuth_deg: int, row: list[str]) -> float:
    try:
        told_deg, elevation_deg = (float(cell) for cell in row)
    except ValueError:
        told_deg = elevation_deg = math.nan
    if told_deg != azimuth_deg or not LOWEST_DEG <= elevation_deg <= HIGHEST_DEG:
        raise HorizonError(
            f"{path.name}: line {azimuth_deg + 2} is {','.join(row)!r}; write azimuth {azimuth_deg} and an elevation "
            f"from {LOWEST_DEG:g} to {HIGHEST_DEG:g} degrees."
        )
    return math.radians(elevation_deg)
