"""aircraft.json: ages by its own time, both altitudes, and what it must not be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hal.devices.aircraft_json import AircraftJsonFeed
from hal.errors import ProtocolError, WireError

S = 10**9
NOW_UTC_S = 1_760_000_000


class ManualClock:
    realtime = True
    t_ns = 10**12

    def now_ns(self) -> int:
        return self.t_ns

    def utc_ns(self) -> int:
        return NOW_UTC_S * S + self.t_ns - 10**12

    def sleep_until(self, t_ns: int) -> None:
        raise AssertionError("a feed never waits")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def written(folder: Path, aircraft: Any, now: Any = NOW_UTC_S - 1.5) -> str:
    path = folder / "aircraft.json"
    path.write_text(json.dumps({"now": now, "messages": 7, "aircraft": aircraft}))
    return f"file://{path}"


def test_reports_are_as_old_as_the_file_and_the_position_together(tmp_path: Path, clock: ManualClock) -> None:
    row = {"hex": "4ca2d6", "lat": 28.5, "lon": -16.2, "alt_baro": 36000, "gs": 450.0, "seen_pos": 2.0, "seen": 0.1}
    feed = AircraftJsonFeed(written(tmp_path, [row, {"hex": "aaaaaa", "seen": 4.0}]), clock)
    placed, unplaced = feed.poll()
    assert feed.heard_ns == 10**12 - 1.5 * S
    assert placed.t_ns == 10**12 - 3.5 * S
    assert (placed.address, placed.latitude_deg) == ("4CA2D6", 28.5)
    assert placed.altitude_m == pytest.approx(10_972.8)
    assert placed.speed_m_s == pytest.approx(231.5)
    assert (unplaced.latitude_deg, unplaced.t_ns) == (None, 10**12 - 5.5 * S)


def test_geometric_altitude_comes_before_pressure_and_ground_is_no_altitude(tmp_path: Path, clock: ManualClock) -> None:
    high = {"hex": "1", "lat": 1, "lon": 1, "alt_baro": 100, "alt_geom": 1000, "seen_pos": 0, "seen": 0}
    low = {"hex": "2", "lat": 1, "lon": 1, "alt_baro": "ground", "seen_pos": 0, "seen": 0}
    flying, parked = AircraftJsonFeed(written(tmp_path, [high, low]), clock).poll()
    assert flying.altitude_m == pytest.approx(304.8)
    assert (flying.on_ground, parked.on_ground, parked.altitude_m) == (False, True, None)


def test_an_empty_sky_is_heard_and_the_file_is_read_twice_a_second(tmp_path: Path, clock: ManualClock) -> None:
    feed = AircraftJsonFeed(written(tmp_path, []), clock)
    assert feed.poll() == []
    assert feed.heard_ns == 10**12 - 1.5 * S
    written(tmp_path, [], NOW_UTC_S)
    feed.poll()
    assert feed.heard_ns == 10**12 - 1.5 * S
    clock.t_ns += S // 2
    feed.poll()
    assert feed.heard_ns == 10**12


PLACED = {"hex": "1", "lat": 1, "lon": 1, "alt_baro": 100, "gs": 100, "seen_pos": 0, "seen": 0}
WRONG: list[tuple[Any, Any]] = [
    ([{"lat": 1, "lon": 1, "seen_pos": 0}], NOW_UTC_S),
    ([{"hex": "1", "lat": 1, "lon": 1}], NOW_UTC_S),
    ([{"hex": "1", "lat": "north", "lon": 1, "seen_pos": 0}], NOW_UTC_S),
    ([{"hex": "1", "lat": float("nan"), "lon": 1, "seen_pos": 0}], NOW_UTC_S),
    (["4ca2d6"], NOW_UTC_S),
    (None, NOW_UTC_S),
    ([], None),
    ([], NOW_UTC_S + 3),
    ([], 1e300),
    ([], 10**400),
    ([], -(10**400)),
    *(
        ([{**PLACED, **nonsense}], NOW_UTC_S)
        for nonsense in (
            {"seen_pos": 1e300},
            {"seen_pos": 1e6},
            {"lat": 90.1},
            {"lat": 1e300},
            {"lon": -(10**400)},
            {"alt_geom": 1e200},
            {"gs": 1e200},
        )
    ),
    ([{"hex": "1", "seen": 1e300}], NOW_UTC_S),
]


@pytest.mark.parametrize(("aircraft", "now"), WRONG)
def test_a_file_with_a_mistake_is_an_error(tmp_path: Path, clock: ManualClock, aircraft: Any, now: Any) -> None:
    feed = AircraftJsonFeed(written(tmp_path, aircraft, now), clock)
    with pytest.raises(ProtocolError, match="is no list of aircraft"):
        feed.poll()
    assert feed.heard_ns is None


def test_a_file_that_is_not_there_or_half_written_is_an_error(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "aircraft.json"
    with pytest.raises(WireError, match="cannot be read"):
        AircraftJsonFeed(f"file://{path}", clock).poll()
    path.write_text('{"now": 17600')
    with pytest.raises(ProtocolError):
        AircraftJsonFeed(f"file://{path}", clock).poll()
