"""What a user would do for passes with the sgp4 package, astroz, heyoka and skyfield; `benchmarks.pointing` compares.

Grid pipelines: positions each minute, elevation, sign changes, a straight line between two points. CPU time of all
threads (`process_time`), coefficients ready, compilation and set-up left out, as for ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sgp4.api import SatrecArray

from controller.geometry.timescales import Floats, utc_jd
from controller.pointing.elements import ElementSet
from controller.pointing.turning import NS_PER_MINUTE, Turning

GRID_MINUTES = 1.0
BLOCK = 256
DAY_MINUTES = 1440.0
SKYFIELD_SAMPLE = 60  # satellites; the time is scaled to all


@dataclass(frozen=True)
class Found:
    """Rows of satellite, rise, set (minutes), and the CPU time they took."""

    rows: Floats
    cpu_s: float
    propagations_per_s: float = 0.0


Positions = Callable[[int, int, Floats], Floats]  # first, last, minutes of the span -> (n, t, 3) km in TEME


def grid(count: int, positions: Positions, turning: Turning, sin_mask: float) -> Found:
    """Passes of `count` satellites whose rise and set both lie within the day of `turning`'s grid."""
    minutes = np.arange(-30.0, DAY_MINUTES + 30.0, GRID_MINUTES)
    at = minutes + float(turning.minutes(START_UTC_NS))
    begin = time.process_time()
    place, up, _ = turning.teme(at, 0)
    rows = []
    spent = 0.0
    for first in range(0, count, BLOCK):
        last = min(first + BLOCK, count)
        before = time.process_time()
        r = positions(first, last, minutes)
        spent += time.process_time() - before
        away = r - place
        margin = np.einsum("stk,tk->st", away, up) - sin_mask * np.sqrt(np.einsum("stk,stk->st", away, away))
        above = margin > 0
        sat, k = np.nonzero(above[:, 1:] != above[:, :-1])
        a, b = margin[sat, k], margin[sat, k + 1]
        cross = minutes[k] - a / (b - a) * GRID_MINUTES
        rise = ~above[sat, k]
        pair = rise[:-1] & ~rise[1:] & (sat[:-1] == sat[1:])
        rows.append(np.column_stack([first + sat[:-1][pair], cross[:-1][pair], cross[1:][pair]]))
    cpu_s = time.process_time() - begin
    return Found(np.concatenate(rows), cpu_s, count * len(minutes) / spent)


START_UTC_NS = int(np.datetime64("2025-10-04T00:00:00", "ns").astype(np.int64))


def jd(minutes: Floats) -> tuple[Floats, Floats]:
    days, fraction = utc_jd(START_UTC_NS + np.round(minutes * NS_PER_MINUTE).astype(np.int64))
    return days, fraction


def with_sgp4(sets: Sequence[ElementSet], turning: Turning, sin_mask: float) -> Found:
    satrecs = [s.satrec for s in sets]

    def positions(first: int, last: int, minutes: Floats) -> Floats:
        _, r, _ = SatrecArray(satrecs[first:last]).sgp4(*jd(minutes))
        return r

    return grid(len(sets), positions, turning, sin_mask)


def with_astroz(sets: Sequence[ElementSet], turning: Turning, sin_mask: float) -> Found:
    from astroz.api import Satrec
    from astroz.api import SatrecArray as Array

    arrays = [
        Array([Satrec.twoline2rv(s.line1, s.line2) for s in sets[first : first + BLOCK]])
        for first in range(0, len(sets), BLOCK)
    ]

    def positions(first: int, last: int, minutes: Floats) -> Floats:
        _, r, _ = arrays[first // BLOCK].sgp4(*jd(minutes), velocities=False)
        return np.asarray(r)

    return grid(len(sets), positions, turning, sin_mask)


def with_heyoka(sets: Sequence[ElementSet], turning: Turning, sin_mask: float) -> Found:
    import heyoka

    propagators = [
        heyoka.model.sgp4_propagator([s.satrec for s in sets[first : first + BLOCK]])
        for first in range(0, len(sets), BLOCK)
    ]
    epochs = np.array([(s.epoch_utc_ns - START_UTC_NS) / NS_PER_MINUTE for s in sets])

    def positions(first: int, last: int, minutes: Floats) -> Floats:
        since = np.ascontiguousarray(minutes[:, None] - epochs[None, first:last])
        return np.asarray(propagators[first // BLOCK](since))[:, :3].transpose(2, 0, 1)

    return grid(len(sets), positions, turning, sin_mask)


def with_skyfield(sets: Sequence[ElementSet], mask_deg: float, place: tuple[float, float, float]) -> Found:
    from skyfield.api import EarthSatellite, load, wgs84

    scale = load.timescale(builtin=True)
    station = wgs84.latlon(*place)
    day = np.datetime64(START_UTC_NS, "ns").astype("datetime64[D]").item()
    t0, t1 = (scale.utc(day.year, day.month, day.day + k) for k in (0, 1))
    every = max(len(sets) // SKYFIELD_SAMPLE, 1)
    satellites = [EarthSatellite.from_satrec(s.satrec, scale) for s in sets[::every]]
    begin = time.process_time()
    rows = []
    for index, satellite in enumerate(satellites):
        times, events = satellite.find_events(station, t0, t1, altitude_degrees=mask_deg)
        minutes = (times.tt - t0.tt) * DAY_MINUTES
        rows += [
            (index * every, minutes[i - 1], minutes[i + 1])
            for i in range(1, len(events) - 1)
            if list(events[i - 1 : i + 2]) == [0, 1, 2]
        ]
    cpu_s = time.process_time() - begin
    return Found(np.array(rows, dtype=np.float64).reshape(-1, 3), cpu_s * len(sets) / len(satellites))


def peers(
    sets: Sequence[ElementSet], turning: Turning, mask_deg: float, place: tuple[float, float, float]
) -> Iterator[tuple[str, Found | None]]:
    """Name and result of each; None where it is not installed."""
    sin_mask = float(np.sin(np.radians(mask_deg)))
    for name, run in (
        ("sgp4", lambda: with_sgp4(sets, turning, sin_mask)),
        ("astroz", lambda: with_astroz(sets, turning, sin_mask)),
        ("heyoka", lambda: with_heyoka(sets, turning, sin_mask)),
        ("skyfield", lambda: with_skyfield(sets, mask_deg, place)),
    ):
        try:
            yield name, run()
        except ModuleNotFoundError:
            yield name, None
