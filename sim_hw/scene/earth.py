"""The bench's own Earth: skyfield with the finals2000A table that the controller reads, too."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from astropy_iers_data import IERS_A_FILE
from skyfield.api import Loader, wgs84
from skyfield.data import iers
from skyfield.timelib import Time, Timescale
from skyfield_data import get_skyfield_data_path

from sim_hw.scene.noise import Floats
from sim_hw.scene.refraction import Air

NS = 1_000_000_000
_UNIX_EPOCH_JD = 2440587.5


@dataclass(frozen=True, slots=True)
class Site:
    """Where the bench stands (WGS 84), and its air."""

    latitude_deg: float
    longitude_deg: float
    height_m: float
    pressure_hpa: float
    temperature_c: float
    relative_humidity: float

    @property
    def air(self) -> Air:
        """Air at the site, with the site's distance from the Earth's centre."""
        position = wgs84.latlon(self.latitude_deg, self.longitude_deg, self.height_m)
        radius_m = float(np.linalg.norm(position.itrs_xyz.m))
        return Air(self.pressure_hpa, self.temperature_c, self.relative_humidity, radius_m)


@cache
def timescale() -> Timescale:
    """UT1 and polar motion from the table of astropy-iers-data."""
    with open(IERS_A_FILE, "rb") as file:
        table = iers.parse_x_y_dut1_from_finals_all(file)
    daily_tt, daily_delta_t, leap_dates, leap_offsets = iers.build_timescale_arrays(table["utc_mjd"], table["dut1"])
    scale = Timescale((daily_tt, daily_delta_t), leap_dates, leap_offsets)
    iers.install_polar_motion_table(scale, table)
    return scale


@cache
def kernel() -> Any:
    """JPL's DE421 as skyfield reads it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other files of that package expire; the kernel does not
        return Loader(get_skyfield_data_path(), verbose=False)("de421.bsp")


def times(utc_ns: Floats | Any) -> Time:
    """Skyfield times of POSIX nanoseconds (integers)."""
    scale = timescale()
    day, inside_ns = np.divmod(np.asarray(utc_ns, dtype=np.int64), 86_400 * NS)
    # TAI - UTC of each day, so that whole days and seconds stay apart and nothing below 1 ns is lost.
    tai_s = np.array([_tai_minus_utc_s(int(d)) for d in np.atleast_1d(day)]).reshape(np.shape(day))
    return scale.tai_jd(day + _UNIX_EPOCH_JD, (inside_ns / NS + tai_s) / 86_400.0)


@cache
def _tai_minus_utc_s(unix_day: int) -> float:
    t = timescale().utc(1970, 1, 1 + unix_day)
    return float(round(float(t.tai - (unix_day + _UNIX_EPOCH_JD)) * 86_400.0))


def horizontal(north_east_up: Floats) -> tuple[Floats, Floats]:
    """Azimuth (from north through east, 0 to 2 pi) and elevation of vectors of shape (3, ...)."""
    north, east, up = north_east_up
    azimuth = np.arctan2(east, north) % (2.0 * math.pi)
    return azimuth, np.arctan2(up, np.hypot(north, east))
