"""Earth orientation: UT1 and polar motion from the IERS table finals2000A.

The table is read directly (fixed columns, `readme.finals2000A` of the IERS). UT1 is interpolated as UT1-TAI, which
is smooth, and never as UT1-UTC, which jumps by a second at a leap second.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from controller.errors import BoresightError
from controller.geometry.timescales import MJD_1970, NS_PER_DAY, Floats, JulianDate, Times, mjd, tai_minus_utc_s

ARCSEC = np.pi / 648000.0
WARN_AGE_DAYS = 10.0
DEGRADED_AGE_DAYS = 30.0
# How far the predictions of two real tables (2019-04, 2025-08) were from what was measured later, the worse of them.
AGE_DAYS = (0.0, 1.0, 5.0, 10.0, 20.0, 30.0, 60.0, 180.0, 360.0)
UT1_ERROR_S = (0.0, 0.041e-3, 0.34e-3, 0.4e-3, 0.7e-3, 2.41e-3, 16e-3, 39e-3, 133e-3)
SURFACE_M_S = 465.1  # the Earth's turn at the equator


class EarthOrientationError(BoresightError, ValueError):
    """The Earth-orientation table is missing, unreadable or does not cover the time asked for."""


@dataclass(frozen=True, slots=True)
class Orientation:
    """The orientation of the Earth at given times: `ut1` two-part, polar motion in radians."""

    ut1: JulianDate
    pole_x_rad: Floats
    pole_y_rad: Floats


@dataclass(frozen=True, slots=True)
class EarthOrientation:
    """The table: modified Julian days (UTC), UT1-TAI in seconds, pole in radians, last measured day."""

    path: str
    mjd: Floats
    ut1_minus_tai_s: Floats
    pole_x_rad: Floats
    pole_y_rad: Floats
    measured_until_mjd: float

    def at(self, t_utc_ns: Times) -> Orientation:
        """Interpolate linearly. Raises EarthOrientationError outside the table."""
        t = np.asarray(t_utc_ns, dtype=np.int64)
        day = mjd(t)
        if np.any(day < self.mjd[0]) or np.any(day > self.mjd[-1]):
            wrong = np.ravel(day)[0]
            advice = "newer elements" if wrong < self.mjd[0] else "elements of today"
            raise EarthOrientationError(
                f"{self.path}: no Earth orientation for MJD {wrong:.2f}, the table covers MJD {self.mjd[0]:.0f} to "
                f"{self.mjd[-1]:.0f}; use {advice}, or update the package astropy-iers-data."
            )
        ut1_minus_tai_s = np.interp(day, self.mjd, self.ut1_minus_tai_s)
        ut1_minus_utc_s = ut1_minus_tai_s + tai_minus_utc_s(t)
        whole, rest_ns = np.divmod(t, NS_PER_DAY)
        fraction = (rest_ns + ut1_minus_utc_s * 1e9) / NS_PER_DAY
        return Orientation(
            JulianDate(2440587.5 + whole.astype(np.float64), fraction),
            np.interp(day, self.mjd, self.pole_x_rad),
            np.interp(day, self.mjd, self.pole_y_rad),
        )

    def age_days(self, t_utc_ns: int) -> float:
        """How far beyond the last measured day a time lies; 0 where the table was measured."""
        return max(0.0, t_utc_ns / NS_PER_DAY + MJD_1970 - self.measured_until_mjd)

    def ut1_error_s(self, t_utc_ns: int) -> float:
        """What the predictions of such a table have been off by at its age then; the last value goes on."""
        return float(np.interp(self.age_days(t_utc_ns), AGE_DAYS, UT1_ERROR_S))

    def degraded(self, t_utc_ns: int) -> bool:
        """Whether UT1 is predicted so far ahead that a narrow beam may miss."""
        return self.age_days(t_utc_ns) > DEGRADED_AGE_DAYS

    def warning(self, t_utc_ns: int) -> str:
        """The sentence for an operator when the table is old at a time, or nothing."""
        age, error_s = self.age_days(t_utc_ns), self.ut1_error_s(t_utc_ns)
        if age <= WARN_AGE_DAYS:
            return ""
        off_urad = error_s * SURFACE_M_S / 500e3 * 1e6
        return (
            f"the Earth-orientation table (IERS) was measured until {age:.0f} days before: UT1 is predicted and may be "
            f"off by {error_s * 1e3:.1f} ms, {off_urad:.1f} urad for a satellite at 500 km"
            f"{'; pointing is degraded' if self.degraded(t_utc_ns) else ''}; update the package astropy-iers-data"
        )


def load_earth_orientation(path: str | Path | None = None) -> EarthOrientation:
    """Read a finals2000A file; without a path, the one that the package astropy-iers-data carries."""
    if path is None:
        from astropy_iers_data import IERS_A_FILE

        path = IERS_A_FILE
    return _load(str(path))


@lru_cache(maxsize=4)
def _load(path: str) -> EarthOrientation:
    try:
        lines = Path(path).read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EarthOrientationError(f"{path}: cannot read the Earth-orientation table ({error}).") from None
    rows: list[tuple[float, float, float, float]] = []
    measured_until = -np.inf
    for number, line in enumerate(lines, start=1):
        if not line[58:68].strip() or not line[18:27].strip():
            continue  # beyond the predictions the table has empty rows
        try:
            row = (float(line[7:15]), float(line[58:68]), float(line[18:27]), float(line[37:46]))
        except ValueError:
            raise EarthOrientationError(
                f"{path} line {number} is not a row of finals2000A; give the IERS file finals2000A.all."
            ) from None
        rows.append(row)
        if line[57] == "I":
            measured_until = row[0]
    if len(rows) < 2:
        raise EarthOrientationError(f"{path} holds no row of finals2000A; give the IERS file finals2000A.all.")
    days, ut1_minus_utc_s, x, y = np.array(rows).T.copy()  # each in one piece: else every look-up copies 20,000 days
    leap = tai_minus_utc_s(((days - MJD_1970) * NS_PER_DAY).astype(np.int64))
    return EarthOrientation(path, days, ut1_minus_utc_s - leap, x * ARCSEC, y * ARCSEC, float(measured_until))
