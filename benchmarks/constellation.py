"""Passes of all real Starlinks against what PyPI has, a million objects, SGP4 alone: one run, CPU seconds.

`benchmarks.pointing` runs it. Wants the catalogue of ../shared/data (or
BORESIGHT_DATA) and, for all peers, `pip install .[peers]`. Site, day and frame are those of the brute-force truth
(passes_ogs_20251004_el10_first400_starlink.csv: 400 satellites, GMST with UT1 = UTC, no polar motion).
"""

from __future__ import annotations

import csv
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pass_peers import DAY_MINUTES, START_UTC_NS, peers
from controller.geometry.earth import EarthOrientation
from controller.geometry.frames import Site
from controller.geometry.timescales import Floats
from controller.pointing.constellation import Constellation, PassTable
from controller.pointing.constellation_block import propagate
from controller.pointing.elements import load_elements
from controller.pointing.turning import NS_PER_MINUTE, Turning

PLACE = (28.2995, -16.5118, 2393.0)
MASK_DEG = 10.0
DAY_NS = round(DAY_MINUTES) * NS_PER_MINUTE
MILLION = 1_000_000


def data() -> Path:
    return Path(os.environ.get("BORESIGHT_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data") / "orbits"


def plain_earth() -> EarthOrientation:
    """UT1 = UTC, no polar motion (TAI-UTC 37 s)."""
    zero = np.zeros(2)
    return EarthOrientation("plain", np.array([60000.0, 62000.0]), np.full(2, -37.0), zero, zero, 62000.0)


def truth(numbers: list[str]) -> tuple[Floats, Floats]:
    """Rows of satellite, rise, set (minutes) by brute force; and the satellites that it covers."""
    text = (data() / "tables/passes_ogs_20251004_el10_first400_starlink.csv").read_text()
    rows = [r for r in csv.reader(text.splitlines()) if r[0][0] != "#"][1:]
    index = {number: i for i, number in enumerate(numbers)}
    table = np.array([(index[r[1]], float(r[2]), float(r[4]), float(r[3])) for r in rows])
    whole = table[~np.isnan(table).any(axis=1)]
    return whole, np.unique(table[:, 0])


def compare(rows: Floats, wanted: Floats, covered: Floats) -> dict[str, float]:
    """Passes of the truth that are missing, passes that are not in it, and the errors of rise and set."""
    inside = wanted[(wanted[:, 1] > 1) & (wanted[:, 2] < DAY_MINUTES - 1)]
    errors, missed = [], 0
    for satellite, rise, fall, _ in inside:
        mine = rows[rows[:, 0] == satellite]
        near = mine[np.abs(mine[:, 1:3].mean(axis=1) - (rise + fall) / 2) < 2.0]
        if len(near) == 1:
            errors += [abs(near[0, 1] - rise), abs(near[0, 2] - fall)]
        else:
            missed += 1
    claimed = rows[np.isin(rows[:, 0], covered) & (rows[:, 1] > 1) & (rows[:, 2] < DAY_MINUTES - 1)]
    added = sum(
        not np.any((wanted[:, 0] == s) & (np.abs((wanted[:, 1] + wanted[:, 2]) / 2 - (rise + fall) / 2) < 2.0))
        for s, rise, fall in claimed[:, :3]
    )
    worst = float(max(errors, default=np.nan)) * 60e3
    return {"missed": missed, "added": added, "of": len(inside), "worst_ms": round(worst, 6)}


def rows_of(table: PassTable) -> Floats:
    rise, fall = ((t - START_UTC_NS) / NS_PER_MINUTE for t in (table.rise_utc_ns, table.set_utc_ns))
    return np.column_stack([table.satellite, rise, fall])


def propagations_per_s(constellation: Constellation) -> float:
    """Positions and velocities, 100 satellites times a day of minutes, into memory that is there; best of 20."""
    minutes = np.arange(DAY_MINUTES)
    which = np.repeat(np.arange(100), len(minutes))
    since = np.tile(minutes, 100) + (START_UTC_NS - constellation.epoch_utc_ns[which]) / NS_PER_MINUTE
    states = np.empty((len(which), 6))
    rates = []
    for _ in range(20):
        begin = time.process_time()
        propagate(constellation.coefficients, which, since, states)
        rates.append(len(which) / (time.process_time() - begin))
    return max(rates)


def measure() -> dict[str, Any]:
    """Ours, the peers, their ratio; SGP4 alone; a million objects."""
    catalogue = load_elements(data() / "tle/active_20251003.tle")
    sets = [s for s in catalogue if s.name.startswith("STARLINK")]
    site, earth = Site(*PLACE), plain_earth()
    mask_rad = np.radians(MASK_DEG)
    wanted, covered = truth([s.line1[2:7] for s in sets])
    constellation = Constellation.of(sets)
    arguments = ([site], earth, START_UTC_NS, DAY_NS, mask_rad)
    constellation.find(*arguments)  # compiles
    turning = Turning.around([site], earth, START_UTC_NS, START_UTC_NS + DAY_NS)
    result: dict[str, Any] = {"satellites": len(sets)}

    cpu_s = []
    for _ in range(3):
        begin = time.process_time()
        table = constellation.find(*arguments)
        cpu_s.append(time.process_time() - begin)
    ours = min(cpu_s)
    result["boresight"] = {"cpu_s": ours, "passes": len(table), **compare(rows_of(table), wanted, covered)}
    fastest = np.inf
    for name, found in peers(sets, turning, MASK_DEG, PLACE):
        if found is None:
            result[name] = "not installed: pip install .[peers]"
            continue
        fastest = min(fastest, found.cpu_s)
        result[name] = {"cpu_s": found.cpu_s, "passes": len(found.rows), "slower": found.cpu_s / ours}
        if name == "skyfield":
            continue  # a sample, on its own Earth orientation
        result[name] |= compare(found.rows, wanted, covered)
        result[name]["propagations_million_per_s"] = found.propagations_per_s / 1e6
    result["times_faster_than_fastest_peer"] = fastest / ours

    result["sgp4_million_per_s"] = propagations_per_s(constellation) / 1e6

    random = np.random.default_rng(1)
    elements = constellation.elements[random.integers(0, len(sets), MILLION)]
    elements[:, 1], elements[:, 4] = random.uniform(0, 2 * np.pi, (2, MILLION))
    begin = time.process_time()
    many = Constellation(elements, np.full(MILLION, START_UTC_NS)).find(*arguments)
    result["million_objects"] = {"cpu_s": time.process_time() - begin, "passes": len(many)}
    return result
