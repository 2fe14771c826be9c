"""Every trip is told with all votes before and after, and nothing that follows hides the first cause."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from safety_station import Station

from controller.bus.envelope import Lease
from controller.bus.port import Request
from controller.bus.topics import SAFETY_STATE, STATION_EVENT, TripRecord, Vote
from controller.safety.inputs import TimeQuality
from controller.safety.trips import TripLog
from controller.safety.votes import VOTERS
from hal.errors import WireError

POINTING = "pointing was killed by SIGKILL and is not started again by itself"
TRACKING = "tracking was killed by SIGKILL and is not started again by itself"


@pytest.fixture
def station(good: Any) -> Station:
    return Station(good)


def noes(votes: list[Vote]) -> list[str]:
    return [vote.name for vote in votes if not vote.ok]


def test_a_lost_vote_is_told_with_all_votes_before_and_after(station: Station) -> None:
    station.emit()
    station.quality = TimeQuality(False, 0.0)
    station.turn(60)
    (record,) = station.trips
    assert (record.number, noes(record.before), noes(record.after)) == (1, [], ["time"])
    assert record.cause == record.first_cause == "time: the clock is not synchronised; start chrony or ntpd"
    assert [vote.name for vote in record.before] == [vote.name for vote in record.after] == list(VOTERS)


def test_a_laser_that_is_lost_is_told_with_the_votes_as_its_loss_left_them(station: Station) -> None:
    station.emit()
    station.laser.broken = WireError("laser: gone; check it.")
    station.turn(10)
    (record,) = station.trips
    assert record.cause == "laser: gone; check it."
    assert noes(record.before) == []
    assert set(noes(record.after)) >= {"interlock", "read_back", "power"}


@pytest.mark.parametrize("method", ["stop", "safety.disarm"])
def test_an_end_that_is_no_trip_leaves_no_record(station: Station, method: str) -> None:
    station.emit()
    station.ask(method)
    assert station.trips == []


def test_an_operator_s_safe_is_a_trip_and_a_new_arm_in_the_same_cycle_does_not_hide_it(station: Station) -> None:
    station.emit()
    station.port.queue += [
        Request(b"1", "operator", "safe", {}, True),
        Request(b"2", "operator", "safety.arm", {}, False, Lease("laser-1", 1)),
    ]
    station.turn()
    assert [(record.number, record.cause) for record in station.trips] == [(1, "safe by operator")]
    assert not station.enable


def test_a_second_process_death_cannot_hide_the_first(station: Station) -> None:
    station.emit()
    station.dies(POINTING)
    station.turn()
    station.dies(TRACKING)
    station.silent |= {"beat of pointing", "beat of tracking"}
    station.turn(40)
    assert [(r.number, r.cause, r.first_cause) for r in station.trips] == [
        (1, POINTING, POINTING),
        (1, TRACKING, POINTING),
    ]
    assert noes(station.trips[0].before) == []
    assert station.state.locked_reason == POINTING
    assert "emission emitting -> latched: " + POINTING in [
        body.message for name, body in station.port.log if name == STATION_EVENT.name
    ]


def test_of_two_deaths_in_one_cycle_the_first_is_the_cause_and_the_second_is_told(station: Station) -> None:
    station.emit()
    station.dies(TRACKING, POINTING)
    station.turn()
    assert [(r.number, r.cause, r.first_cause) for r in station.trips] == [
        (1, TRACKING, TRACKING),
        (1, POINTING, TRACKING),
    ]


def test_a_process_that_dies_twice_between_two_cycles_is_told_as_it_died_first(station: Station) -> None:
    station.emit()
    station.dies(POINTING, "pointing died with exit code 1")
    station.turn()
    assert [r.cause for r in station.trips] == [POINTING]


def test_a_death_while_nothing_is_consented_trips_nothing(station: Station) -> None:
    station.turn(5)
    station.dies(POINTING)
    station.turn(5)
    assert station.trips == []


def test_trips_are_counted_and_a_new_arm_ends_the_standing_of_the_last(station: Station) -> None:
    for number in (1, 2):
        station.emit()
        station.ask("safe")
        assert [record.number for record in station.trips] == [number]


def test_a_safety_service_that_dies_after_a_trip_comes_back_latched_with_the_first_cause(
    good: Any, tmp_path: Path
) -> None:
    file = tmp_path / "trips.jsonl"
    first = Station(good, trips=TripLog(file))
    first.emit()
    first.dies(POINTING)
    first.turn()
    first.dies(TRACKING)
    first.turn()
    # killed: nothing is closed; the next process reads what it left
    good.restore()
    second = Station(good, trips=TripLog(file))
    second.turn(5)
    assert second.state.latched
    assert second.state.locked_reason == f"before this start: {POINTING}"
    assert not second.enable
    second.dies("station died with exit code 1")
    second.turn()
    assert [(r.number, r.first_cause) for r in second.trips] == [(1, POINTING)]
    second.emit()
    second.ask("safe")
    assert [r.number for r in second.trips] == [2]


def test_a_trip_that_was_answered_does_not_stand_after_a_restart(good: Any, tmp_path: Path) -> None:
    file = tmp_path / "trips.jsonl"
    station = Station(good, trips=TripLog(file))
    station.emit()
    station.ask("safe")
    station.emit()
    good.restore()
    again = TripLog(file)
    assert again.standing == ""
    fresh = Station(good, trips=again)
    fresh.turn()
    assert not fresh.state.latched
    fresh.emit()
    fresh.ask("safe")
    assert [r.number for r in fresh.trips] == [2]


def test_every_line_of_the_log_holds_the_votes(good: Any, tmp_path: Path) -> None:
    file = tmp_path / "trips.jsonl"
    station = Station(good, trips=TripLog(file))
    station.emit()
    station.ask("safe")
    (line,) = file.read_bytes().splitlines()
    assert msgspec.json.decode(line, type=TripRecord) == station.trips[0]


@pytest.mark.parametrize("tail", [b'{"t_utc_ns":17', b"\xff\xff\n", b'{"answered":"all"}\n', b"[]\n"])
def test_a_log_that_was_cut_off_is_a_trip_that_nobody_has_answered(good: Any, tmp_path: Path, tail: bytes) -> None:
    file = tmp_path / "trips.jsonl"
    file.write_bytes(b'{"answered":3}\n' + tail)
    station = Station(good, trips=TripLog(file))
    station.turn()
    assert station.state.latched
    assert "the end of trips.jsonl is cut off" in station.state.locked_reason
    station.emit()


def test_a_log_that_cannot_be_read_or_written_latches_and_stops_nobody(good: Any, tmp_path: Path) -> None:
    station = Station(good, trips=TripLog(tmp_path))
    station.turn()
    assert "cannot be read" in station.state.locked_reason
    station.emit()
    station.ask("safe")
    assert len(station.trips) == 1


def test_an_empty_log_and_none_are_no_trip(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert TripLog(tmp_path / "empty").standing == TripLog(tmp_path / "none").standing == TripLog().standing == ""


def test_the_state_is_told_after_the_trip(station: Station) -> None:
    station.emit()
    station.ask("safe")
    names = [name for name, _ in station.port.log]
    assert names.index("safety/trip") < len(names) - names[::-1].index(SAFETY_STATE.name)
