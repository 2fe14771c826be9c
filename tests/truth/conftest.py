"""Oracles: skyfield on the same Earth-orientation table, and the shared data where a test needs a whole catalogue."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import skyfield_data
from astropy_iers_data import IERS_A_FILE
from skyfield.api import load_file, wgs84
from skyfield.data import iers
from skyfield.timelib import Timescale

from controller.geometry.earth import EarthOrientation, load_earth_orientation
from controller.geometry.frames import Site


@pytest.fixture(scope="session")
def earth() -> EarthOrientation:
    return load_earth_orientation()


@pytest.fixture(scope="session")
def site() -> Site:
    return Site(28.2995, -16.5118, 2393.0, 770.0, 12.0, 0.3, "ogs")


@pytest.fixture(scope="session")
def timescale() -> Timescale:
    """Skyfield's time scale from the same finals2000A, polar motion included (it leaves that out by default)."""
    with open(IERS_A_FILE, "rb") as file:
        table = iers.parse_x_y_dut1_from_finals_all(file)
    tt, delta_t, leap_dates, leap_offsets = iers.build_timescale_arrays(table["utc_mjd"], table["dut1"])
    timescale = Timescale((tt, delta_t), leap_dates, leap_offsets)
    iers.install_polar_motion_table(timescale, table)
    return timescale


@pytest.fixture(scope="session")
def station(site: Site):
    return wgs84.latlon(site.latitude_deg, site.longitude_deg, site.height_m)


@pytest.fixture(scope="session")
def planets():
    kernel = load_file(str(Path(skyfield_data.__file__).parent / "data" / "de421.bsp"))
    yield kernel
    kernel.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with whole catalogues; never part of the repository. Fails, never skips."""
    folder = Path(os.environ.get("BORESIGHT_DATA") or Path(__file__).resolve().parents[2].parent / "shared" / "data")
    if not folder.is_dir():
        pytest.fail(f"{folder} does not exist; set BORESIGHT_DATA to the folder that holds orbits/ (see its README).")
    return folder
