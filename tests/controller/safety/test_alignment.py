"""Low power alignment: who may have it, which votes it asks, what ends it, and that full power never comes with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from safety_station import Station

from controller.bus.envelope import Lease
from controller.bus.port import Request
from controller.bus.topics import SAFETY_ENABLE
from controller.safety import latch
from controller.safety.latch import ALIGNMENT_S
from controller.safety.votes import ALIGNMENT_VOTERS, VOTERS
from hal.errors import WireError

CURRENT_A, CAP_W = 0.24, 0.3  # the mock's monitor says a watt an ampere
SKY = {"pointing", "horizon", "axis_limits", "sun", "moon", "ephemeris", "frames", "clearinghouse", "aircraft"}


@pytest.fixture
def station(good: Any) -> Station:
    good.limits = replace(good.limits, enclosed_bench=True, alignment_current_a=CURRENT_A, alignment_power_max_w=CAP_W)
    good.mode = good.changed(good.mode, mode="STOWED")
    station = Station(good)
    station.turn(5)
    return station


def aligning(station: Station) -> Station:
    assert station.ask("safety.arm", alignment=True).code == ""
    assert station.ask("safety.confirm").code == ""
    station.turn(10)
    return station


def test_an_enclosed_bench_emits_at_the_alignment_current_while_the_station_rests(station: Station) -> None:
    aligning(station)
    assert station.laser.on
    assert station.enable
    assert station.laser.current_a == CURRENT_A


def test_the_current_is_set_with_the_output_off_before_anything_is_enabled(station: Station) -> None:
    station.port.log.clear()
    aligning(station)
    said = [entry for entry in station.port.log if entry[0] in ("output", "configure")]
    assert said[:2] == [("output", False), ("configure", (CURRENT_A, station.good.limits.current_limit_a))]
    assert ("output", True) in said[2:]


def test_it_asks_every_vote_but_those_of_the_sky() -> None:
    assert set(VOTERS) - set(ALIGNMENT_VOTERS) == SKY


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"enclosed_bench": False}, "no enclosed bench"), ({"alignment_current_a": 0.0}, "no alignment_current_a")],
)
def test_a_rig_in_the_open_or_without_the_mode_is_refused(good: Any, change: dict[str, Any], reason: str) -> None:
    limits = replace(good.limits, enclosed_bench=True, alignment_current_a=CURRENT_A, alignment_power_max_w=CAP_W)
    good.limits = replace(limits, **change)
    good.mode = good.changed(good.mode, mode="STOWED")
    station = Station(good)
    station.turn(5)
    reply = station.ask("safety.arm", alignment=True)
    assert reply.code == "INTERLOCK"
    assert reason in reply.message
    assert station.laser.current_a == good.limits.current_a


def test_a_station_on_a_pass_is_refused(station: Station) -> None:
    station.good.mode = station.good.changed(station.good.mode, mode="POINT")
    station.turn(5)
    assert "park it first" in station.ask("safety.arm", alignment=True).message


@pytest.mark.parametrize("mode", ["SLEW", "ACQUIRE", "HOLD"])
def test_it_ends_when_the_station_leaves_its_rest_and_nothing_resumes(station: Station, mode: str) -> None:
    aligning(station)
    station.good.mode = station.good.changed(station.good.mode, mode=mode)
    station.turn(3)
    assert not station.laser.on
    assert not station.enable
    station.turn(10)
    assert station.laser.current_a == station.good.limits.current_a
    assert not station.laser.on


@pytest.mark.parametrize("end", ["a vote", "safe", "a disarm that is followed by an arm"])
def test_the_enable_line_waits_for_no_answer_of_the_laser(station: Station, end: str) -> None:
    aligning(station)
    station.port.log.clear()
    if end == "a vote":
        station.laser.current_a = 2 * CURRENT_A
        station.turn(40)
    elif end == "safe":
        station.ask("safe")
    else:
        station.port.queue.append(Request(b"2", "operator", "safety.disarm", {}, False, Lease("laser-1", 1)))
        station.ask("safety.arm")  # in the same turn
    said = [(name, body) for name, body in station.port.log if name in (SAFETY_ENABLE.name, "output", "configure")]
    withdrawn = next(n for n, (name, body) in enumerate(said) if name == SAFETY_ENABLE.name and not body.enable)
    talked = next(n for n, (name, _) in enumerate(said) if name != SAFETY_ENABLE.name)
    assert withdrawn < talked


def test_more_power_than_that_of_alignment_trips(station: Station) -> None:
    aligning(station)
    station.laser.current_a = CAP_W + 0.05  # a driver that has gone astray
    station.turn(10)
    assert not station.laser.on
    assert station.state.latched
    assert "power" in station.trips[-1].cause


@pytest.mark.parametrize("lost", ["fine", "beat of tracking", "mode"])
def test_the_loss_of_what_it_does_ask_trips(station: Station, lost: str) -> None:
    aligning(station)
    station.silent.add(lost)
    station.turn(60)
    assert not station.laser.on
    assert station.state.latched


def test_the_consent_ends_by_itself(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latch, "ALIGNMENT_S", ALIGNMENT_S / 100)  # ten minutes of turns, and nothing else in them
    aligning(station)
    station.turn(round(ALIGNMENT_S / 100 / 0.02) - 20)
    assert station.laser.on
    station.turn(30)
    assert not station.laser.on
    assert not station.state.armed


def test_a_laser_that_does_not_take_the_current_is_not_armed(station: Station) -> None:
    station.laser.broken = WireError("laser: it is gone.")
    assert station.ask("safety.arm", alignment=True).code == "DEVICE"
    assert station.ask("safety.confirm").code == "INTERLOCK"


def test_a_pass_after_an_alignment_is_flown_at_full_current(station: Station) -> None:
    aligning(station)
    station.ask("safety.disarm")
    station.turn(10)
    station.good.mode = station.good.changed(station.good.mode, mode="LINK")
    station.emit()
    assert station.laser.current_a == station.good.limits.current_a


@pytest.mark.parametrize("confirmed", [False, True])
def test_a_full_current_that_the_laser_took_without_an_answer_is_not_emitted_under_alignment(
    station: Station, confirmed: bool
) -> None:
    assert station.ask("safety.arm", alignment=True).code == ""
    if confirmed:
        station.quality = replace(station.good.time, synchronised=False)
        station.turn(60)
        assert station.ask("safety.confirm").code == ""
    take = station.laser.configure

    def lose_the_answer(current_a: float, limit_a: float) -> None:
        station.laser.configure = take  # type: ignore[method-assign]
        take(current_a, limit_a)
        raise WireError("laser: the answer is lost.")

    station.laser.configure = lose_the_answer  # type: ignore[method-assign]
    assert station.ask("safety.arm").code == "DEVICE"
    station.quality = station.good.time
    station.ask("safety.confirm")
    for _ in range(120):
        station.turn()
        assert not station.laser.on or station.laser.current_a == CURRENT_A


def test_a_current_that_somebody_else_has_set_meanwhile_is_not_emitted(station: Station) -> None:
    assert station.ask("safety.arm", alignment=True).code == ""
    station.laser.configure(1.2, 1.2)  # from its front panel
    assert station.ask("safety.confirm").code == ""
    station.turn(10)
    assert station.laser.on
    assert station.laser.current_a == CURRENT_A


def test_a_beam_board_that_is_plugged_in_again_does_not_emit_on_the_consent_before(station: Station) -> None:
    station.silent |= {"fine", "beat of tracking"}
    station.turn(60)
    station.ask("safety.arm", alignment=True)
    station.ask("safety.confirm")
    station.turn(10)
    station.silent.clear()
    station.turn(50)
    assert not station.laser.on
    assert station.state.latched
