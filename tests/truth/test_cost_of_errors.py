"""What a wrong clock and an old table cost, against what others have measured and printed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skyfield_data

from controller.geometry.earth import load_earth_orientation
from controller.geometry.timescales import MJD_1970, NS_PER_DAY
from controller.geometry.trajectory import fit
from controller.pointing.offsets import Offsets

NS = 1_000_000_000


@pytest.mark.parametrize(
    ("age_days", "off_ms"),  # as printed: half of its last digit is the bound
    [
        *((1, "0.04"), (5, "0.3"), (10, "0.4"), (20, "0.7"), (30, "2.4")),
        *((60, "16"), (90, "17"), (180, "3.4"), (300, "36"), (360, "93")),
    ],
)
def test_ut1_of_an_old_table_is_off_by_what_was_measured_and_by_no_more_than_we_say(age_days, off_ms, earth):
    # finals2000A.all of 2025-08-26 (as skyfield-data carries it) against what was measured later: ephemeris.md 5.
    old = load_earth_orientation(Path(skyfield_data.__file__).parent / "data" / "finals2000A.all")
    t = np.array([round((old.measured_until_mjd + age_days - MJD_1970) * NS_PER_DAY)])
    then, now = old.at(t).ut1, earth.at(t).ut1
    error_ms = abs(float((then[0] - now[0])[0] + (then[1] - now[1])[0])) * 86_400e3
    assert error_ms == pytest.approx(float(off_ms), abs=0.5 * 10.0 ** -len(off_ms.partition(".")[2]))
    assert error_ms <= old.ut1_error_s(int(t[0])) * 1e3


@pytest.mark.parametrize(
    ("height_km", "half_a_second_deg", "printed_to_deg"),
    [  # pypogs (Riesing et al.), table II: 3 sigma of the elements, and that with 0.5 s of time beside it
        (450, 0.485, 0.002),
        (650, 0.43 - 352 / 3600, 0.005),
        (20_000, (25 - 4.95) / 3600, 0.5 / 3600),
    ],
)
def test_half_a_second_of_time_bias_moves_the_telescope_as_far_as_pypogs_says(
    height_km, half_a_second_deg, printed_to_deg
):
    radius = 6_378_137.0 + height_km * 1e3
    rate_rad_s = np.sqrt(3.986004418e14 / radius**3)

    def overhead(t_utc_ns):
        phase = rate_rad_s * np.asarray(t_utc_ns) / NS
        enu = np.stack([radius * np.sin(phase), 0 * phase, radius * np.cos(phase) - 6_378_137.0], axis=-1)
        return enu, enu

    path = fit(overhead, -10 * NS, 10 * NS)
    looks = [Offsets(time_s=bias_s).look(path, 0) for bias_s in (0.0, 0.5)]
    zenith_deg = [90 - np.degrees(look.elevation_rad) for look in looks]
    assert zenith_deg[0] == pytest.approx(0, abs=1e-6)
    assert zenith_deg[1] == pytest.approx(half_a_second_deg, abs=printed_to_deg)
