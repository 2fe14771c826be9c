"""UTC nanoseconds to the two-part Julian dates that ERFA wants.

POSIX time has no leap seconds of its own: a day is 86 400 s long, so TAI is found by adding TAI-UTC of the day,
and every other scale follows from TAI. Two parts keep nanoseconds; one double would keep 40 µs (which is 14 mm of
satellite).
"""

from __future__ import annotations

from typing import NamedTuple

import erfa
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Times = NDArray[np.int64]

NS_PER_DAY = 86_400_000_000_000
JD_1970 = 2440587.5
MJD_1970 = 40587
TT_MINUS_TAI_NS = 32_184_000_000


class JulianDate(NamedTuple):
    """A date in two parts: whole days (ending in .5) and the fraction of that day."""

    days: Floats
    fraction: Floats


def utc_jd(t_utc_ns: Times) -> JulianDate:
    """UTC as SGP4 wants it, for POSIX nanoseconds of any shape."""
    return _split(np.asarray(t_utc_ns, dtype=np.int64))


def tai_jd(t_utc_ns: Times) -> JulianDate:
    """TAI."""
    t = np.asarray(t_utc_ns, dtype=np.int64)
    return _split(t + np.round(tai_minus_utc_s(t) * 1e9).astype(np.int64))


def tt_jd(t_utc_ns: Times) -> JulianDate:
    """Terrestrial time."""
    t = np.asarray(t_utc_ns, dtype=np.int64)
    return _split(t + np.round(tai_minus_utc_s(t) * 1e9).astype(np.int64) + TT_MINUS_TAI_NS)


def tdb_jd(t_utc_ns: Times) -> JulianDate:
    """Barycentric dynamical time at the geocentre (ERFA `dtdb`, 3 µs against the full theory)."""
    tt = tt_jd(t_utc_ns)
    return JulianDate(tt.days, tt.fraction + erfa.dtdb(*tt, tt.fraction % 1.0, 0.0, 0.0, 0.0) / 86400.0)


def tai_ns(t_utc_ns: Times) -> Times:
    """TAI nanoseconds since 1970: a scale without steps, on which tables are interpolated."""
    t = np.asarray(t_utc_ns, dtype=np.int64)
    return t + np.round(tai_minus_utc_s(t) * 1e9).astype(np.int64)


def utc_ns_of_tai(t_tai_ns: Times) -> Times:
    """The inverse of `tai_ns`; inside a leap second the next second's name is given."""
    t = np.asarray(t_tai_ns, dtype=np.int64)
    guess = t - np.round(tai_minus_utc_s(t) * 1e9).astype(np.int64)
    return t - np.round(tai_minus_utc_s(guess) * 1e9).astype(np.int64)


def tai_minus_utc_s(t_utc_ns: Times) -> Floats:
    """Leap seconds of the day, from ERFA's compiled table."""
    days = np.asarray(t_utc_ns, dtype=np.int64) // NS_PER_DAY
    unique, inverse = np.unique(days, return_inverse=True)
    steps = erfa.dat(*erfa.jd2cal(JD_1970, unique.astype(np.float64))[:3], 0.0)
    result: Floats = steps[inverse].reshape(np.shape(days))
    return result


def mjd(t_utc_ns: Times) -> Floats:
    """Modified Julian date, UTC, one double: for looking up tables by day."""
    result: Floats = np.asarray(t_utc_ns, dtype=np.int64) / NS_PER_DAY + MJD_1970
    return result


def _split(t_ns: Times) -> JulianDate:
    day, rest = np.divmod(t_ns, NS_PER_DAY)
    return JulianDate(JD_1970 + day.astype(np.float64), rest / NS_PER_DAY)
