"""Compiled SGP4 and the search over whole constellations, against the sgp4 package and brute force."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import sgp4
from brute_force_passes import crossings, sine
from sgp4.api import Satrec

from controller.geometry.frames import Site
from controller.pointing.constellation import Constellation
from controller.pointing.elements import load_elements

DAY_NS = 86_400_000_000_000
T0 = int(np.datetime64("2025-10-04T00:00:00", "ns").astype(np.int64))
SITES = [
    (Site(28.2995, -16.5118, 2393.0, name="Tenerife"), math.radians(10)),
    (Site(78.23, 15.39, 450.0, name="Svalbard"), math.radians(5)),
    (Site(-1.29, 36.82, 1700.0, name="Nairobi"), math.radians(25)),
    (Site(-77.85, 166.67, 10.0, name="McMurdo"), math.radians(0)),
]


@pytest.fixture(scope="module")
def catalogue(shared_data):
    return load_elements(shared_data / "orbits/tle/active_20251003.tle")


def every(sets, count, seed=1):
    chosen = np.random.default_rng(seed).choice(len(sets), min(count, len(sets)), replace=False)
    return [sets[i] for i in sorted(chosen)]


def verified():
    """Rows of tcppver.out (Vallado et al., AIAA 2006-6753) whose orbit is near Earth, with their elements."""
    folder = Path(sgp4.__file__).parent
    lines = [r for r in (folder / "SGP4-VER.TLE").read_text().splitlines() if r[:2] in ("1 ", "2 ")]
    satellites = iter([Satrec.twoline2rv(a, b[:69]) for a, b in zip(lines[::2], lines[1::2], strict=True)])
    satellite = next(satellites)
    first = True
    for line in (folder / "tcppver.out").read_text().splitlines():
        if line.rstrip().endswith("xx"):
            satellite = satellite if first else next(satellites)
            first = False
        elif line.strip() and satellite.method == "n":
            yield satellite, [float(word) for word in line.split()[:7]]


def mean_elements(satellites):
    return np.array([(s.inclo, s.nodeo, s.ecco, s.argpo, s.mo, s.no_kozai, s.bstar) for s in satellites])


def test_compiled_sgp4_reproduces_the_near_earth_rows_of_the_verification_file():
    rows = list(verified())
    assert len(rows) > 150
    constellation = Constellation(mean_elements([s for s, _ in rows]), np.zeros(len(rows), dtype=np.int64))
    numbers = np.array([r for _, r in rows])
    states = constellation.near_earth_teme(np.arange(len(rows)), numbers[:, 0])
    gone = np.isnan(states[:, 0])
    assert np.array_equal(gone, [s.sgp4_tsince(r[0])[0] != 0 for s, r in rows])
    assert np.abs(states[~gone, :3] - numbers[~gone, 1:4]).max() < 2e-7  # km; the file prints 1e-8
    assert np.abs(states[~gone, 3:] - numbers[~gone, 4:]).max() < 1e-9  # km/s; the file prints 1e-9


def test_compiled_sgp4_agrees_with_the_package_for_a_whole_real_catalogue(catalogue):
    near = [s.satrec for s in catalogue if s.satrec.method == "n" and s.satrec.ecco < 0.2]
    assert len(near) > 11_900
    constellation = Constellation(mean_elements(near), np.zeros(len(near), dtype=np.int64))
    minutes = np.linspace(-1440.0, 7 * 1440.0, 6)
    which = np.repeat(np.arange(len(near)), len(minutes))
    states = constellation.near_earth_teme(which, np.tile(minutes, len(near))).reshape(len(near), -1, 6)
    for ours, satellite in zip(states, near, strict=True):
        theirs = [satellite.sgp4_tsince(t) for t in minutes]
        good = np.array([error == 0 for error, _, _ in theirs])
        assert np.array_equal(good, ~np.isnan(ours[:, 0]))
        for part, place in ((slice(0, 3), 1), (slice(3, 6), 2)):
            assert np.abs(ours[good, part] - np.array([t[place] for t in theirs])[good]).max(initial=0.0) < 1e-7


def check(sets, earth):
    """Against brute force over all sites at once: same passes, rise and set within a millisecond."""
    sites, masks = zip(*SITES, strict=True)
    found = Constellation.of(sets).find(sites, earth, T0, DAY_NS, masks)
    assert not len(found.ended)
    total, worst_ns = 0, 0
    for site, mask in enumerate(masks):
        for index, one in enumerate(sets):
            ours = np.nonzero((found.satellite == index) & (found.site == site))[0]
            ours = ours[np.argsort(found.rise_utc_ns[ours])]
            brute = crossings(one, sites[site], earth, T0 - DAY_NS // 2, T0 + DAY_NS * 3 // 2, mask)
            rises = {int(found.rise_utc_ns[k]): k for k in ours}
            for rise, fall, highest in brute:
                match = [k for r, k in rises.items() if abs(r - rise) < 1e9]
                if rise >= T0 and fall <= T0 + DAY_NS:
                    assert len(match) == 1, (one.name, sites[site].name, rise, "missed")
                for k in match:
                    total += 1
                    worst_ns = max(
                        worst_ns, abs(int(found.rise_utc_ns[k]) - rise), abs(int(found.set_utc_ns[k]) - fall)
                    )
                    assert (
                        np.sin(found.elevation_max_rad[k]) >= highest - 1e-8
                    )  # SGP4's velocity is not the derivative of its position
                    at_top = sine(one, found.culmination_utc_ns[k : k + 1], sites[site], earth)
                    assert math.asin(at_top[0]) == pytest.approx(found.elevation_max_rad[k], abs=2e-7)
            for rise in rises:
                assert any(abs(rise - r) < 1e9 for r, _, _ in brute), (one.name, sites[site].name, rise, "added")
    assert worst_ns < 1_000_000
    return total


def test_low_orbits_have_the_passes_of_brute_force_and_no_other(catalogue, earth):
    low = [s for s in catalogue if s.satrec.method == "n" and s.satrec.ecco < 0.05]
    assert check(every(low, 25), earth) > 250


def test_eccentric_and_deep_space_orbits_have_the_passes_of_brute_force_and_no_other(catalogue, earth):
    deep = [s for s in catalogue if s.satrec.method == "d" or s.satrec.ecco >= 0.05]
    assert check(every(deep, 25), earth) > 30
