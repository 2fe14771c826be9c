"""The shutter in the safety service: when it opens, in which order it closes, and what of it is a trip."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from safety_station import Station

from hal.errors import WireError, WireTimeout


@pytest.fixture
def station(good: Any) -> Station:
    good.limits = replace(good.limits, shutter=True)
    return Station(good, shuttered=True)


def said(station: Station, *names: str) -> list[tuple[str, Any]]:
    """What was done, in order; the enable word counts where it changes."""
    found: list[tuple[str, Any]] = []
    enabled: bool | None = None
    for name, body in station.port.log:
        if name == "safety/enable":
            if body.enable is not enabled and name in names:
                found.append((name, body.enable))
            enabled = body.enable
        elif name in names:
            found.append((name, body))
    return found


def test_it_opens_only_when_emission_was_confirmed_and_the_laser_waits_for_it(station: Station) -> None:
    station.turn(5)
    assert station.ask("safety.arm").code == ""
    station.turn(3)
    assert not station.shutter.wanted
    station.port.log.clear()
    assert station.ask("safety.confirm").code == ""
    station.turn(10)
    order = [what for what in said(station, "safety/enable", "blades", "output") if what != ("safety/enable", False)]
    assert order == [("safety/enable", True), ("blades", True), ("output", True)]


def test_a_laser_never_shines_on_blades_that_do_not_open(station: Station) -> None:
    station.turn(5)
    station.shutter.stuck = True
    station.ask("safety.arm")
    station.ask("safety.confirm")
    station.turn(30)
    assert ("output", True) not in station.port.log
    assert station.state.latched
    assert "shutter" in station.state.locked_reason
    assert not station.shutter.wanted


@pytest.mark.parametrize("method", ["safety.disarm", "stop", "safe"])
def test_every_end_tells_the_enable_line_then_the_shutter_then_the_laser(station: Station, method: str) -> None:
    station.emit()
    station.ask(method)
    station.turn(3)
    order = [what for what in said(station, "safety/enable", "blades", "output") if what != ("safety/enable", True)]
    assert order == [("safety/enable", False), ("blades", False), ("output", False)]


@pytest.mark.parametrize("error", [WireTimeout("shutter: no answer."), WireError("shutter: hung up.")])
def test_a_shutter_that_is_lost_while_it_emits_is_a_trip_at_once(station: Station, error: Exception) -> None:
    station.emit()
    station.shutter.broken = error
    station.turn(2)
    assert not station.enable
    assert not station.laser.on
    assert station.state.latched
    assert str(error) in station.state.locked_reason
    station.shutter.broken = None
    station.turn(100)
    assert not station.shutter.wanted, "it comes back closed"
    assert station.shutter.status is not None
    assert station.shutter.status.state == "closed"


@pytest.mark.parametrize("device", ["laser", "shutter"])
@pytest.mark.parametrize("method", ["safety.arm", "safety.confirm"])
def test_what_is_unplugged_after_a_consent_takes_it_back_and_plugged_in_again_emits_nothing(
    station: Station, device: str, method: str
) -> None:
    station.good.mode = station.good.changed(station.good.mode, mode="POINT")
    station.turn(5)
    for step in ("safety.arm", "safety.confirm")[: 1 if method == "safety.arm" else 2]:
        assert station.ask(step).code == ""
    plug = getattr(station, device)
    plug.broken = WireError(f"{device}: gone; check it.")
    station.turn(150)
    assert station.state.latched
    assert station.state.locked_reason == f"{device}: gone; check it."
    plug.broken = None
    station.turn(100)
    station.good.mode = station.good.changed(station.good.mode, mode="ACQUIRE")
    station.turn(30)
    assert not station.enable
    assert not station.laser.on
    station.emit()


def test_a_laser_that_is_lost_keeps_neither_enable_line_nor_shutter_waiting(station: Station) -> None:
    station.emit()
    station.port.log.clear()
    station.laser.broken = WireError("laser: it is gone.")
    station.turn(6)
    order = said(station, "safety/enable", "blades", "output")
    assert order[1:4] == [("safety/enable", False), ("blades", False), ("output", False)]


def test_a_shutter_that_closes_by_itself_is_a_trip(station: Station) -> None:
    station.emit()
    station.shutter.stuck = True
    station.shutter.status = replace(station.shutter.status, state="closed")  # type: ignore[type-var]
    station.turn(3)
    assert not station.enable
    assert station.state.latched


def test_it_is_let_go_of_when_the_service_ends(station: Station) -> None:
    station.emit()
    station.service.close()
    assert said(station, "blades", "output", "close", "let go of blades") == [
        ("blades", False),
        ("output", False),
        ("output", False),
        ("close", None),
        ("let go of blades", None),
    ]


def test_both_say_who_they_are(station: Station) -> None:
    assert set(station.service.identities()) == {"laser", "shutter"}
