"""Dates as files write them, in the time scales that files use, to TAI nanoseconds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import erfa
import numpy as np

from controller.geometry.timescales import JD_1970, MJD_1970, NS_PER_DAY, TT_MINUS_TAI_NS, Times, tai_minus_utc_s
from controller.pointing.ephemeris.ephemeris import EphemerisError, nearest

NS = 1_000_000_000
GPS_BEHIND_TAI_NS = 19 * NS
BEIDOU_BEHIND_TAI_NS = 33 * NS
# Scale -> what is added to reach TAI; None where it depends on the date.
SCALES: dict[str, int | None] = {
    "UTC": None, "GLO": None, "TDB": None, "TAI": 0, "TT": -TT_MINUS_TAI_NS, "GPS": GPS_BEHIND_TAI_NS,
    "GAL": GPS_BEHIND_TAI_NS, "QZS": GPS_BEHIND_TAI_NS, "IRN": GPS_BEHIND_TAI_NS, "BDT": BEIDOU_BEHIND_TAI_NS,
}  # fmt: skip
MJD_MAX = 99_999
YEARS = range(1700, 2260)  # beyond, nanoseconds since 1970 do not fit into 64 bits
_EPOCH = re.compile(
    r"(\d{4})-(?:(\d\d)-(\d\d)|(\d{3}))T(\d\d):(\d\d):(\d\d)(?:\.(\d*))?Z?"  # calendar date or day of the year
)


class Epoch(NamedTuple):
    """A date on some time scale: days since 1970 and nanoseconds of the day (more than a day in a leap second)."""

    day: int
    ns_of_day: int


def parse_epoch(text: str) -> Epoch:
    """2026-04-02T01:57:37.084 or 2026-092T01:57:37.084. Raises ValueError."""
    match = _EPOCH.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no date like 2026-04-02T01:57:37.084")
    year, month, day, ordinal, hour, minute, second, fraction = match.groups()
    if int(year) not in YEARS:
        raise ValueError(f"{text!r} is not between {YEARS[0]} and {YEARS[-1]}")
    try:
        if ordinal:
            days = date(int(year), 1, 1).toordinal() + int(ordinal) - 1
            if date.fromordinal(days).year != int(year):
                raise ValueError(text)
        else:
            days = date(int(year), int(month), int(day)).toordinal()
    except ValueError:
        raise ValueError(f"{text!r} is no day of the calendar") from None
    if int(hour) > 23 or int(minute) > 59 or int(second) > 60:
        raise ValueError(f"{text!r} is no time of day")
    ns = int(((fraction or "") + "0" * 9)[:9])
    return Epoch(days - date(1970, 1, 1).toordinal(), (int(hour) * 3600 + int(minute) * 60 + int(second)) * NS + ns)


def mjd_epoch(mjd: str, second_of_day: str) -> Epoch:
    """Modified Julian day and second of the day, as text so that no digit is lost. Raises ValueError."""
    if not 1 <= int(mjd) <= MJD_MAX:
        raise ValueError(f"{mjd} is no modified Julian day of 1858 to 2132")
    whole, _, fraction = second_of_day.partition(".")
    ns = int(((fraction or "") + "0" * 9)[:9])
    return Epoch(int(mjd) - MJD_1970, int(whole) * NS + ns)


def check_scale(scale: str, where: str) -> str:
    """The scale in capitals. Raises EphemerisError naming the nearest that is known."""
    name = scale.strip().upper()
    if name not in SCALES:
        raise EphemerisError(f"{where}: {scale} is no time scale that is known here; {nearest(name, list(SCALES))}")
    return name


def to_tai_ns(epochs: Sequence[Epoch], scale: str) -> Times:
    """TAI nanoseconds since 1970, (n,), of dates on one of SCALES."""
    table = np.array(epochs, dtype=np.int64).reshape(-1, 2)
    midnight = table[:, 0] * NS_PER_DAY
    t = midnight + table[:, 1]
    offset = SCALES[scale]
    if offset is not None:
        return t + offset
    if scale != "TDB":
        return t + np.round(tai_minus_utc_s(midnight) * 1e9).astype(np.int64)
    days, rest = np.divmod(t, NS_PER_DAY)
    tdb_minus_tt_s = erfa.dtdb(JD_1970 + days, rest / NS_PER_DAY, 0.0, 0.0, 0.0, 0.0)
    behind: Times = np.round(tdb_minus_tt_s * 1e9).astype(np.int64) + TT_MINUS_TAI_NS
    return t - behind
