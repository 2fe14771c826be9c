"""The safety service with a recording port and a mock laser: what it says, what it switches, in which order."""

from __future__ import annotations

from typing import Any

import pytest
from safety_station import Station

from controller.bus.envelope import Lease
from controller.bus.port import Request, Sample
from controller.bus.topics import (
    SAFETY_ENABLE,
    SAFETY_LASER,
    SAFETY_STATE,
    STATION_EVENT,
    TRACKING_FINE,
    HeldLease,
    StationEvent,
)
from controller.geometry.bodies import Place
from controller.safety.inputs import TimeQuality
from controller.safety.opinion import Opinion
from controller.safety.votes import VOTERS, Voter
from hal.errors import DeviceError, WireError

DEG = 3.141592653589793 / 180


@pytest.fixture
def station(good: Any) -> Station:
    return Station(good)


def test_opening_switches_off_first_and_then_sets_current_and_limit(station: Station) -> None:
    assert station.port.log[:2] == [("output", False), ("configure", (1.0, 1.2))]


@pytest.mark.parametrize("emits", [True, False])
def test_a_lease_that_ends_takes_the_consent_back_before_emission_too(station: Station, emits: bool) -> None:
    if not emits:
        station.good.mode = station.good.changed(station.good.mode, mode="POINT")
    station.turn()
    station.ask("safety.arm")
    station.ask("safety.confirm")
    station.turn(10)
    assert station.enable is emits
    station.good.leases = station.good.changed(station.good.leases, held=[])
    station.turn()
    assert not station.enable
    assert not station.laser.on
    assert station.state.latched
    assert station.state.locked_reason == "lease: the lease laser-1 that armed is over"
    station.good.restore()
    station.turn(10)
    assert not station.enable, "its return resumes nothing"


def test_nothing_emits_before_arm_and_confirm(station: Station) -> None:
    station.turn(100)
    assert not station.enable
    assert ("output", True) not in station.port.log
    assert not station.state.armed
    assert [vote.name for vote in station.state.votes if not vote.ok] == ["lease"], "nobody has armed"
    assert station.ask("safety.confirm").code == "INTERLOCK"
    assert station.ask("safety.arm").code == ""
    station.turn(50)
    assert not station.enable


def test_the_laser_is_switched_on_after_its_interlock_has_closed(station: Station) -> None:
    station.emit()
    station.turn(5)
    assert station.state.emission_allowed
    assert station.state.armed


def test_enable_comes_before_output_when_switching_on(station: Station) -> None:
    station.turn(5)
    station.ask("safety.arm")
    station.port.log.clear()
    station.ask("safety.confirm")
    station.turn(5)
    enabled = next(i for i, (name, body) in enumerate(station.port.log) if name == SAFETY_ENABLE.name and body.enable)
    assert enabled < station.port.log.index(("output", True))


def test_an_interlock_that_does_not_close_latches_without_an_output(station: Station, monkeypatch: Any) -> None:
    station.turn(5)
    speak = station._speak

    def held_open() -> None:
        speak()
        station.laser.closed = False

    monkeypatch.setattr(station, "_speak", held_open)
    station.ask("safety.arm")
    station.ask("safety.confirm")
    station.turn(30)
    assert station.state.latched
    assert "interlock: open while emission is enabled" in station.state.locked_reason
    assert ("output", True) not in station.port.log
    assert not station.enable


@pytest.mark.parametrize(
    ("vote", "why"),
    [("interlock", "closed while emission is not enabled"), ("beam_board", "the enable line is up while")],
)
def test_an_interlock_that_is_bridged_or_a_line_that_is_stuck_up_is_never_emitted_behind(
    station: Station, monkeypatch: Any, vote: str, why: str
) -> None:
    station.emit()
    speak = station._speak

    def stuck() -> None:
        speak()
        if vote == "interlock":
            station.laser.closed = True
        else:
            station.port.put(TRACKING_FINE, station.good.changed(station.good.fine, enabled=True))

    monkeypatch.setattr(station, "_speak", stuck)
    station.ask("safety.disarm")
    station.turn(30)
    told = {one.name: one for one in station.state.votes}[vote]
    assert not told.ok
    assert why in told.reason
    station.ask("safety.arm")
    station.ask("safety.confirm")
    station.turn(30)
    assert not station.enable
    assert not station.laser.on


LOSSES: list[tuple[str, Any]] = [
    ("mode SAFE", lambda s: setattr(s.good, "mode", s.good.changed(s.good.mode, mode="SAFE"))),
    ("mode gone", lambda s: s.silent.add("mode")),
    ("pointing gone", lambda s: s.silent.add("pointing")),
    ("pointing off", lambda s: setattr(s.good, "pointing", s.good.changed(s.good.pointing, deviation_rad=(0.01, 0.0)))),
    ("axis fast", lambda s: setattr(s.good, "pointing", s.good.changed(s.good.pointing, azimuth_rate_rad_s=1.0))),
    ("frames gone", lambda s: s.silent.add("coarse")),
    ("board gone", lambda s: s.silent.add("fine")),
    ("board latched", lambda s: setattr(s.good, "fine", s.good.changed(s.good.fine, latched=True))),
    ("pointing dead", lambda s: s.silent.add("beat of pointing")),
    ("tracking dead", lambda s: s.silent.add("beat of tracking")),
    ("station dead", lambda s: s.silent.add("beat of station")),
    ("time lost", lambda s: setattr(s, "quality", None)),
    ("time unsynchronised", lambda s: setattr(s, "quality", TimeQuality(False, 0.0))),
    ("elements unknown", lambda s: setattr(s.good, "mode", s.good.changed(s.good.mode, ephemeris_epoch_utc_ns=0))),
    ("laser off by itself", lambda s: setattr(s.laser, "on", False)),
    ("photodiode unplugged", lambda s: setattr(s.laser, "watts_per_amp", 0.0)),
    ("laser key", lambda s: setattr(s.laser, "tripped", "key lock")),
    ("laser gone", lambda s: setattr(s.laser, "broken", WireError("laser: gone; check it."))),
    ("laser refuses", lambda s: setattr(s.laser, "broken", DeviceError("laser: refuses; check it.", -221))),
]


@pytest.mark.parametrize(("name", "lose"), LOSSES, ids=[name for name, _ in LOSSES])
def test_each_loss_switches_off_latches_and_never_resumes(station: Station, name: str, lose: Any) -> None:
    station.emit()
    lose(station)
    station.turn(300 if name == "time lost" else 40)
    assert not station.enable
    assert station.state.latched
    assert station.state.locked_reason
    first_no = next(i for i, (n, b) in enumerate(station.port.log) if n == SAFETY_ENABLE.name and not b.enable)
    assert ("output", False) in station.port.log[first_no:] or station.laser.broken
    assert ("output", False) not in station.port.log[:first_no]
    # all is well again: nothing comes back
    station.laser.broken, station.laser.tripped, station.quality = None, "", TimeQuality(True, 0.0)
    station.laser.watts_per_amp = 1.0
    station.silent.clear()
    station.good.restore()
    station.turn(100)
    assert not station.enable
    assert not station.laser.on
    assert station.state.latched
    # and a new arm and confirm bring it back
    station.emit()


@pytest.mark.parametrize("name", list(VOTERS))
def test_the_no_of_any_vote_takes_emission_away_in_one_cycle(
    station: Station, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    station.emit()
    monkeypatch.setitem(VOTERS, name, Voter(lambda inputs, limits: Opinion(False, "spoiled"), "nothing"))
    station.turn()
    assert not station.enable
    assert not station.laser.on
    assert station.state.latched
    assert station.state.locked_reason == f"{name}: spoiled"


def test_a_laser_that_is_lost_while_emitting_is_named_in_the_trip(station: Station) -> None:
    station.emit()
    station.laser.broken = WireError("laser: gone; check it.")
    station.turn(10)
    assert station.state.locked_reason == "laser: gone; check it."


def test_off_comes_within_two_cycles_of_a_vote_that_turns_to_no(station: Station) -> None:
    station.emit()
    station.good.pointing = station.good.changed(station.good.pointing, deviation_rad=(0.01, 0.0))
    station.turn()
    assert not station.enable
    assert not station.laser.on


@pytest.mark.parametrize(
    ("source", "code", "message", "stops"),
    [
        ("supervisor", "DIED", "tracking was killed by SIGKILL and is not started again by itself", True),
        ("supervisor", "DIED", "record died with exit code 1; it is started again in 2 s", False),
        ("supervisor", "RESTARTED", "tracking was started again", False),
        ("tracking", "DIED", "tracking says so itself", False),
    ],
)
def test_the_death_of_a_process_that_emission_relies_on_is_heard_at_once(
    station: Station, source: str, code: str, message: str, stops: bool
) -> None:
    station.emit()
    event = StationEvent("error", code, message)
    station.port.events = [Sample(STATION_EVENT.name, source, 0, 0, station.clock.now_ns(), True, event)]
    station.turn()
    assert station.laser.on is not stops
    assert station.enable is not stops


def test_a_pause_of_the_station_switches_off_and_the_same_consent_goes_on(station: Station) -> None:
    station.emit()
    station.good.mode = station.good.changed(station.good.mode, mode="POINT")
    station.turn()
    assert not station.enable
    assert not station.laser.on
    assert not station.state.latched
    station.good.mode = station.good.changed(station.good.mode, mode="ACQUIRE")
    station.turn(10)
    assert station.laser.on


def test_a_station_that_is_sent_to_another_target_emits_at_it_by_a_new_consent_alone(station: Station) -> None:
    good = station.good
    station.emit()
    for mode in ("SLEW", "POINT", "ACQUIRE"):
        good.mode = good.changed(good.mode, mode=mode, target="B")
        good.pointing = good.changed(good.pointing, target="B")
        station.turn(10)
        assert not station.enable
        assert not station.laser.on
    assert not station.state.armed
    assert not station.state.latched, "it is the station's own doing"
    assert "one consent is for one pass" in station.state.locked_reason
    station.emit()


def test_the_end_of_a_pass_is_no_trip_and_takes_the_consent_back(station: Station) -> None:
    station.emit()
    low = 19.99 * DEG
    station.good.pointing = station.good.changed(station.good.pointing, elevation_rad=low, target_elevation_rad=low)
    station.turn()
    assert not station.laser.on
    station.good.mode = station.good.changed(station.good.mode, mode="STOWED")
    station.turn(5)
    assert (station.state.latched, station.state.armed) == (False, False)
    station.good.restore()
    station.turn(20)
    assert not station.laser.on


@pytest.mark.parametrize(("method", "latched"), [("stop", False), ("safe", True), ("safety.disarm", False)])
def test_the_operator_stops_emission_in_the_same_cycle(station: Station, method: str, latched: bool) -> None:
    station.emit()
    assert station.ask(method).code == ""
    assert not station.enable
    assert not station.laser.on
    assert station.state.latched is latched
    station.turn(50)
    assert not station.laser.on


def test_a_clock_that_is_set_moves_the_sun_at_once(station: Station) -> None:
    target = station.good.pointing
    station.emit()
    station.good.sun = Place(target.target_azimuth_rad, target.target_elevation_rad)
    station.turn()
    assert station.laser.on, "its place is computed every ten seconds"
    station.clock.utc_offset_ns += 3600 * 10**9
    station.turn()
    assert not station.laser.on
    assert station.trips[-1].cause.startswith("time: UTC was stepped by +3600.000 s")
    assert "sun" in [vote.name for vote in station.trips[-1].after if not vote.ok]


@pytest.mark.parametrize("consent", [("safety.arm",), ("safety.arm", "safety.confirm")])
def test_a_clock_that_is_set_takes_the_consent_back_before_emission_too(
    station: Station, consent: tuple[str, ...]
) -> None:
    station.quality = TimeQuality(False, 16.0)  # not set yet: this is what emission waits for
    station.turn(5)
    for method in consent:
        assert station.ask(method).code == ""
    station.turn(5)
    assert not station.state.latched
    station.clock.utc_offset_ns += 7200 * 10**9
    station.quality = TimeQuality(True, 1e-5)
    station.turn()
    assert station.state.latched
    assert "UTC was stepped by +7200.000 s" in station.state.locked_reason
    station.turn(300)
    assert not station.enable, "that UTC is known now resumes nothing"


def test_a_laser_found_on_is_switched_off_and_told(station: Station) -> None:
    station.turn(10)
    station.laser.on = True  # somebody at the front panel
    station.turn(10)
    assert not station.laser.on
    told = [v for n, b in station.port.log if n == SAFETY_STATE.name for v in b.votes if v.name == "read_back"]
    assert any(not vote.ok for vote in told)


def test_a_lost_laser_is_told_once_and_is_set_again_when_it_is_back(station: Station) -> None:
    station.turn(5)
    station.port.log.clear()
    station.laser.broken = WireError("laser: gone; check it.")
    station.turn(200)
    assert [b.code for n, b in station.port.log if n == STATION_EVENT.name] == ["DEVICE"]
    station.laser.broken = None
    station.turn(60)
    assert ("configure", (1.0, 1.2)) in station.port.log
    assert [vote.name for vote in station.state.votes if not vote.ok] == ["lease"], "nobody has armed"


def test_a_laser_whose_answer_was_lost_is_told_off_at_once_and_not_only_when_it_is_tried_again(
    station: Station,
) -> None:
    station.emit()
    read = station.laser.status

    def lose_the_answer() -> Any:
        station.laser.status = read  # type: ignore[method-assign]
        raise WireError("laser: the answer is lost.")

    station.laser.status = lose_the_answer  # type: ignore[method-assign]
    station.port.log.clear()
    station.turn(6)
    assert not station.laser.on
    said = [entry for entry in station.port.log if entry == ("output", False) or entry[0] == "safety/enable"]
    assert said.index(("output", False)) < 8


@pytest.mark.parametrize("gone", [("fine",), ("beat of tracking",), ("beat of station",)])
def test_a_board_or_service_that_was_gone_takes_the_consent_back_before_emission_too(
    station: Station, gone: tuple[str, ...]
) -> None:
    station.good.mode = station.good.changed(station.good.mode, mode="STOWED")
    station.turn(5)
    assert station.ask("safety.arm").code == ""
    assert station.ask("safety.confirm").code == ""
    station.silent |= set(gone)
    station.turn(80)
    assert station.state.latched
    station.silent.clear()
    station.turn(20)
    station.good.mode = station.good.changed(station.good.mode, mode="LINK")
    station.turn(20)
    assert not station.laser.on


def test_a_locked_rig_refuses_to_arm_and_says_why(good: Any) -> None:
    station = Station(good, ("the laser is real and the gimbal is emulated",))
    station.turn()
    reply = station.ask("safety.arm")
    assert reply.code == "INTERLOCK"
    assert "the laser is real and the gimbal is emulated" in reply.message
    assert station.state.locked_reason == "the laser is real and the gimbal is emulated"


def test_another_hand_cannot_confirm(station: Station) -> None:
    station.turn()
    station.ask("safety.arm", "operator")
    assert station.ask("safety.confirm", "a script").code == "INTERLOCK"


def test_the_same_person_under_another_lease_cannot_confirm(station: Station) -> None:
    def ask(method: str, generation: int) -> str:
        lease = Lease(f"laser-{generation}", generation)
        station.port.queue.append(Request(b"1", "anna", method, {}, False, lease))
        station.turn()
        return station.port.replies[-1].code

    held = [HeldLease("laser", "anna", "laser-7", 7, 0, "arms")]
    station.good.leases = station.good.changed(station.good.leases, held=held)
    station.turn()
    assert ask("safety.arm", 7) == ""
    assert ask("safety.confirm", 8) == "INTERLOCK", "it was lost and taken again in between"
    assert ask("safety.confirm", 7) == ""


def test_an_unknown_method_is_named(station: Station) -> None:
    reply = station.ask("safety.fire")
    assert (reply.code, "safety.fire" in reply.message) == ("SCHEMA", True)
    assert station.ask("ping").code == ""


def test_messages_come_at_their_rates(station: Station) -> None:
    station.turn(5)
    station.port.log.clear()
    station.turn(100)  # two seconds
    count = {t.name: sum(n == t.name for n, _ in station.port.log) for t in (SAFETY_ENABLE, SAFETY_LASER, SAFETY_STATE)}
    assert count[SAFETY_ENABLE.name] == 100
    assert count[SAFETY_LASER.name] == pytest.approx(20, abs=1)
    assert count[SAFETY_STATE.name] >= 33


def test_closing_switches_off_and_says_so(station: Station) -> None:
    station.emit()
    station.service.close()
    assert not station.enable
    assert not station.laser.on
    assert station.port.log[-1] == ("close", None)
