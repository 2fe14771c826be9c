"""What raises is a no, told once, and never the end of the safety service."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from safety_station import Station

from controller.bus.topics import STATION_EVENT, PointingState
from controller.errors import BoresightError
from controller.safety.inputs import Reading
from controller.safety.votes import ALIGNMENT_VOTERS, VOTERS, Voter, ballot


def raising(*_: object) -> Any:
    raise BoresightError("UTC is outside of the table.")


def told(station: Station) -> list[str]:
    return [body.message for name, body in station.port.log if name == STATION_EVENT.name and body.code == "VOTE"]


def against(station: Station) -> dict[str, str]:
    return {vote.name: vote.reason for vote in station.state.votes if not vote.ok}


@pytest.mark.parametrize("name", list(VOTERS))
def test_a_vote_that_raises_is_a_no_and_a_trip_and_is_told_once(
    good: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    station = Station(good)
    station.emit()
    monkeypatch.setitem(VOTERS, name, Voter(raising, "nothing"))
    station.turn(50)
    assert not station.enable
    assert not station.laser.on
    sentence = "cannot be judged (BoresightError: UTC is outside of the table.)"
    assert station.trips[0].cause == f"{name}: {sentence}"
    assert told(station) == [
        f"the vote {name} {sentence}: emission stays off while it lasts; report it with the recording"
    ]


def test_a_vote_of_alignment_that_raises_is_a_no(good: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ALIGNMENT_VOTERS, "power", Voter(raising, "nothing"))
    assert not ballot(good.inputs(), good.limits, alignment=True).unanimous


NUMBERS = [name for name in PointingState.__struct_fields__ if name.endswith(("_rad", "_rad_s"))]
JUDGED = [name for name in NUMBERS if name.startswith(("azimuth", "elevation", "target_az", "target_el"))]


def armed_with(good: Any, name: str, value: float) -> Station:
    """A station whose consent is given while pointing says so; messagepack carries what is no number."""
    now = getattr(good.pointing, name)
    spoiled = good.changed(good.pointing, **{name: value if isinstance(now, float) else (value, value)})
    station = Station(good)
    station.turn(5)
    good.pointing = msgspec.msgpack.decode(msgspec.msgpack.encode(spoiled), type=type(spoiled))
    for method in ("safety.arm", "safety.confirm"):
        assert station.ask(method).code == ""
    station.turn(20)
    return station


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("name", [*JUDGED, "deviation_rad", "axis_rad", "axis_rate_rad_s"])
def test_what_pointing_says_that_is_no_number_never_emits(good: Any, name: str, value: float) -> None:
    station = armed_with(good, name, value)
    assert not station.enable
    assert not station.laser.on
    assert station.state.armed, "the service lives, and waits for the votes"


@pytest.mark.parametrize("value", [math.inf, math.nan, 1e308])
@pytest.mark.parametrize("name", [name for name in NUMBERS if name != "way_ahead_rad"])
def test_no_number_of_pointing_ends_the_safety_service(good: Any, name: str, value: float) -> None:
    station = armed_with(good, name, value)
    station.ask("safety.disarm")
    assert not station.laser.on
    assert not station.state.armed


@pytest.mark.parametrize(
    ("what", "break_it", "votes"),
    [
        ("the place of Sun and Moon", lambda s: setattr(s.service._lookout, "_bodies", raising), {"sun", "moon"}),
        ("the quality of UTC", lambda s: setattr(s.service._lookout, "_time_source", raising), {"time"}),
    ],
)
def test_an_input_that_raises_is_missing_and_told_once(
    good: Any, what: str, break_it: Callable[[Station], None], votes: set[str]
) -> None:
    station = Station(good)
    station.emit()
    break_it(station)
    station.turn(550)  # places are computed every ten seconds
    assert set(against(station)) == votes
    assert station.state.latched
    assert [message.partition(" cannot be judged")[0] for message in told(station)] == [what]


@pytest.mark.parametrize(("vote", "attribute"), [("clearinghouse", "_clearance"), ("aircraft", "_traffic")])
def test_what_others_say_of_the_sky_is_a_no_when_it_raises(good: Any, vote: str, attribute: str) -> None:
    class Broken:
        look = staticmethod(raising)

    good.limits = replace(good.limits, enclosed_bench=False)
    station = Station(good)
    setattr(station.service._lookout, attribute, Broken())
    station.turn(20)
    assert against(station)[vote] == "cannot be judged (BoresightError: UTC is outside of the table.)"
    assert len(told(station)) == 1


def test_the_reading_of_a_vote_that_raised_does_not_count_as_its_age(good: Any) -> None:
    inputs = replace(good.inputs(), pointing=Reading(good.changed(good.pointing, azimuth_rad=math.inf), 0.2, True))
    opinions = ballot(inputs, good.limits).opinions
    assert opinions["sun"].failed
    assert not opinions["sun"].ok
    assert opinions["sun"].age_s == 0.0
