"""Passes against brute-force root finding."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

from controller.geometry.earth import EarthOrientation
from controller.geometry.frames import Site
from controller.pointing.elements import built_in_elements, find, load_elements
from controller.pointing.passes import find_passes

# name, AOS, culmination, LOS in minutes from 2025-10-04T00:00 UTC, highest elevation in degrees: python-sgp4 2.27 with
# Brent's method, 28.2995 N 16.5118 W 2393 m, above 10 degrees, GMST 1982 with UT1 = UTC, no polar motion.
TRUTH = [
    ("STARLINK-1008", 760.069632375, 764.1187560, 768.182687829, 63.490555),
    ("STARLINK-1008", 861.740892204, 863.9226525, 866.108859094, 13.888230),
    ("STARLINK-1008", 1265.690567925, 1269.6061452, 1273.505139126, 42.220112),
    ("STARLINK-1008", 1366.363002297, 1368.7849865, 1371.204141395, 15.271335),
]
T0 = int(np.datetime64("2025-10-04T00:00:00", "ns").astype(np.int64))
MINUTE = 60_000_000_000
SITE = Site(28.2995, -16.5118, 2393.0)


@pytest.fixture(scope="module")
def plain_earth():
    """UT1 = UTC and no polar motion, as the truth was made (TAI-UTC 37 s)."""
    zero = np.zeros(2)
    return EarthOrientation("plain", np.array([60000.0, 62000.0]), np.full(2, -37.0), zero, zero, 62000.0)


def test_rise_culmination_and_set_agree_with_root_finding_to_a_millisecond(plain_earth):
    one = find(built_in_elements(), "STARLINK-1008")
    found = find_passes(one, SITE, plain_earth, T0, T0 + 1440 * MINUTE, math.radians(10))
    assert len(found) == len(TRUTH)
    for ours, (_, rise, top, fall, highest) in zip(found, TRUTH, strict=True):
        assert ours.rise_utc_ns == pytest.approx(T0 + rise * MINUTE, abs=1e6)
        assert ours.set_utc_ns == pytest.approx(T0 + fall * MINUTE, abs=1e6)
        assert ours.culmination_utc_ns == pytest.approx(T0 + top * MINUTE, abs=20e6)  # flat: 1e-6 deg in 20 ms
        assert math.degrees(ours.elevation_max_rad) == pytest.approx(highest, abs=2e-6)


def test_skyfield_sees_a_pass_rise_and_set_when_we_do(earth, site, timescale, station):
    from skyfield.api import EarthSatellite

    one = find(built_in_elements(), "STARLINK-1048")
    start, end = one.epoch_utc_ns, one.epoch_utc_ns + 1440 * MINUTE
    ours = find_passes(one, site, earth, start, end, math.radians(20))
    satellite = EarthSatellite.from_satrec(one.satrec, timescale)
    origin = np.datetime64("1970-01-01T00:00:00")
    day = np.datetime64(start, "ns").astype("datetime64[D]")
    base = int((day - origin).astype("timedelta64[ns]").astype(np.int64))
    y, m, d = (int(part) for part in str(day).split("-"))

    def at(t_utc_ns):
        return timescale.utc(y, m, d, 0, 0, (t_utc_ns - base) / 1e9)

    times, events = satellite.find_events(station, at(start), at(end), altitude_degrees=20.0)
    rises = [t.tt for t, event in zip(times, events, strict=True) if event == 0]
    assert len(rises) == len(ours) > 0
    for mine, theirs in zip(ours, rises, strict=True):
        assert abs(at(mine.rise_utc_ns).tt - theirs) * 86400 < 0.5  # skyfield's search ends at half a second
        for t in (mine.rise_utc_ns, mine.set_utc_ns):
            altitude, _, _ = (satellite - station).at(at(t)).altaz()
            assert altitude.degrees == pytest.approx(20.0, abs=2e-5)  # 0.1 ms


@pytest.mark.campaign
def test_every_pass_of_the_truth_file_is_found_and_no_other(shared_data, plain_earth):
    table = shared_data / "orbits/tables/passes_ogs_20251004_el10_first400_starlink.csv"
    rows = [r for r in csv.reader(table.read_text().splitlines()) if r[0][0] != "#"][1:]
    sets = {s.line1[2:7]: s for s in load_elements(shared_data / "orbits/tle/active_20251003.tle")}
    worst_ms = 0.0
    by_number: dict[str, list[list[float]]] = {}
    for row in rows:
        by_number.setdefault(row[1], []).append([float(v) for v in row[2:]])
    for number, truth in by_number.items():
        truth = [t for t in truth if 0 <= t[1] <= 1440]  # those that culminate inside the day
        found = find_passes(sets[number], SITE, plain_earth, T0, T0 + 1440 * MINUTE, math.radians(10))
        whole = [t for t in truth if not any(math.isnan(v) for v in t)]
        for rise, _, fall, _ in whole:
            near = [p for p in found if abs(p.rise_utc_ns - T0 - rise * MINUTE) < 1e9]
            assert len(near) == 1, (number, rise)
            worst_ms = max(
                worst_ms,
                abs(near[0].rise_utc_ns - T0 - rise * MINUTE) / 1e6,
                abs(near[0].set_utc_ns - T0 - fall * MINUTE) / 1e6,
            )
        assert len(found) <= len(truth)
    assert worst_ms < 1.0
