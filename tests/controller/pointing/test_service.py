"""The pointing service with a simulated mount and a port without a bus."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from msgspec.structs import replace

from controller.bus.port import Sample
from controller.bus.topics import (
    SERVICE_HEARTBEAT,
    STATION_EVENT,
    STATION_MODE,
    TRACKING_CORRECTION,
    Correction,
    ModeState,
    StationEvent,
)
from controller.errors import BoresightError
from controller.pointing.offsets import OffsetBook
from controller.pointing.service import MODE_STALE_S, PointingService
from controller.pointing.targets import Fixed
from controller.pointing.wrap_memory import WrapMemory
from controller.services.rules import DEFAULT_RULES
from hal.clock import NS
from hal.errors import DeviceError, WireError, WireTimeout


@pytest.fixture
def tracking(make_bench, pass_70):
    """A bench that follows a pass, ten seconds after it rose."""
    path, target = pass_70.trajectory, pass_70.target
    rise = target.rise_utc_ns
    look = path.receive(rise)
    bench = make_bench(rise, (look.azimuth_rad + math.tau, look.elevation_rad))
    bench.service._loop._azimuth_limits_rad = (-9.0, 9.0)
    reply = bench.ask("pointing.track", track_body(target))
    assert reply.code == "", reply.message
    bench.turn(10)
    return bench


def track_body(target):
    return {
        "name": target.elements.name,
        "line1": target.elements.line1,
        "line2": target.elements.line2,
        "start_utc_ns": target.rise_utc_ns,
        "end_utc_ns": target.set_utc_ns,
    }


def test_a_pass_is_tracked_from_its_two_lines(tracking, pass_70):
    state = tracking.states[-1]
    assert state.activity == "track"
    assert state.settled
    assert np.abs(state.deviation_rad).max() < 20e-6
    look = pass_70.trajectory.receive(state.t_utc_ns)
    assert math.remainder(state.target_azimuth_rad - look.azimuth_rad, math.tau) == pytest.approx(0, abs=1e-9)
    assert np.hypot(*state.point_ahead_rad) == pytest.approx(25e-6, abs=3e-6)  # 20 degrees up: pat.md 5.1
    assert state.range_m == pytest.approx(look.range_m)


def test_memory_is_given_back_once_a_way_was_planned_and_not_otherwise(tracking, pass_70, monkeypatch):
    given = []
    monkeypatch.setattr("controller.pointing.service.give_back", lambda: given.append(1))
    for method, body in (("stop", {}), ("pointing.model", {}), ("pointing.offset", {})):
        tracking.ask(method, body)
    tracking.turn(1.0)
    assert not given
    assert tracking.ask("pointing.track", track_body(pass_70.target)).code == ""
    assert len(given) == 1


def test_states_come_about_ten_times_a_second(tracking):
    times = [s.t_utc_ns for s in tracking.states[-50:]]
    assert 9 < 1e9 / np.mean(np.diff(times)) < 14


def test_ready_segments_are_tracked_as_well(make_bench, pass_70):
    path = pass_70.trajectory
    look = path.receive(path.start_utc_ns)
    bench = make_bench(path.start_utc_ns, (look.azimuth_rad, look.elevation_rad))
    assert bench.ask("pointing.track", {"segments": path.to_body()}).code == ""
    assert bench.turn(3).target_elevation_rad == pytest.approx(path.receive(bench.states[-1].t_utc_ns).elevation_rad)


def test_a_bright_star_is_tracked_by_its_name(make_bench):
    evening = int(np.datetime64("2025-10-04T21:00:00", "ns").astype(np.int64))
    bench = make_bench(evening, (-1.4, 0.9))
    assert bench.ask("pointing.track", {"star": "Vega"}).code == ""
    state = bench.turn(25)
    assert state.activity == "track"
    assert state.settled
    assert np.hypot(*state.point_ahead_rad) < 1e-9


def test_the_correction_of_the_coarse_loop_is_added(tracking):
    for _ in range(60):
        now = tracking.clock.utc_ns()
        tracking.port.give(TRACKING_CORRECTION, Correction(now, (3e-4, -1e-4), (0.0, 0.0), (0.0, 0.0), "coarse"))
        tracking.turn(0.05)
    state = tracking.states[-1]
    assert state.correction_rad == pytest.approx((3e-4, -1e-4))
    assert state.deviation_rad == pytest.approx((3e-4, -1e-4), abs=10e-6)


@pytest.mark.parametrize("method", ["stop", "safe", "pointing.stop"])
def test_stop_stops_and_stays_stopped(tracking, method):
    assert tracking.ask(method).code == ""
    assert not tracking.moving
    tracking.turn(2)
    assert not tracking.moving
    assert tracking.states[-1].activity == "idle"


@pytest.mark.parametrize("mode", ["HOLD", "SAFE", "FAULT"])
def test_a_mode_that_holds_ends_the_motion_and_nothing_resumes(tracking, mode):
    tracking.mode = mode
    assert not tracking.moving
    tracking.mode = "SLEW"
    tracking.turn(1)
    assert not tracking.moving


def test_a_station_that_falls_silent_ends_the_motion_within_half_a_second(tracking):
    tracking.mode = None
    begin = tracking.clock.t_ns
    while tracking.service._loop.target is not None:
        tracking.service.cycle()
        assert tracking.clock.t_ns - begin < 0.5 * NS
    assert not tracking.moving
    assert "says nothing" in tracking.events[-1].message
    assert MODE_STALE_S < 0.5


def test_what_must_rest_is_stopped_before_the_mount_is_asked_anything(tracking, monkeypatch):
    stops, seen = tracking.mount.stops, []

    def position():
        seen.append(tracking.mount.stops)
        raise WireTimeout("gimbal: nothing came")

    monkeypatch.setattr(tracking.mount, "position", position)
    tracking.port.give(STATION_MODE, ModeState("SAFE", 0, "a vote"))
    tracking.service.cycle()
    assert seen == [stops + 1]
    tracking.service.cycle()
    assert tracking.mount.stops == stops + 2, "the second lost answer: once more, and nothing for the turn before"


def test_a_stop_that_comes_while_the_mount_is_asked_is_obeyed_before_the_next_rate(tracking, monkeypatch):
    ask, stops, rates = tracking.mount.position, tracking.mount.stops, []

    def position():
        tracking.port.give(STATION_MODE, ModeState("SAFE", 0, "a vote"))
        return ask()

    monkeypatch.setattr(tracking.mount, "position", position)
    monkeypatch.setattr(tracking.mount, "set_rate", lambda *rate: rates.append(rate))
    tracking.service.cycle()
    assert tracking.mount.stops == stops + 1
    assert rates == [(0.0, 0.0)]


def test_a_station_that_died_ends_the_motion_in_one_turn(tracking):
    event = StationEvent("error", "DIED", "station was killed by SIGKILL and is not started again by itself")
    sample = Sample(STATION_EVENT.name, "supervisor", 0, tracking.clock.utc_ns(), tracking.clock.t_ns, True, event)
    tracking.port.events.append(replace(sample, source="somebody else"))
    tracking.service.cycle()
    assert tracking.service._loop.target is not None, "only the supervisor knows"
    tracking.port.events.append(sample)
    tracking.service.cycle()
    assert tracking.service._loop.target is None
    assert not tracking.moving


def test_a_command_that_the_station_gave_from_hold_is_not_ended_by_the_old_hold(make_bench):
    bench = make_bench()
    bench.mode = None
    bench.port.give(STATION_MODE, ModeState("HOLD", 0, "operator"))
    bench.port.ask("pointing.slew", {"azimuth_rad": 0.5, "elevation_rad": 0.6})
    bench.service.cycle()
    bench.service.cycle()
    assert bench.service._loop.target is not None
    bench.mode = "SLEW"
    assert bench.moving


@pytest.mark.parametrize("mode", ["SAFE", "FAULT"])
@pytest.mark.parametrize("method", ["pointing.slew", "pointing.park", "pointing.track"])
def test_no_motion_begins_in_safe_or_fault(make_bench, mode, method):
    bench = make_bench()
    bench.mode = mode
    bench.turn(0.1)
    reply = bench.ask(method, {"azimuth_rad": 1.0, "elevation_rad": 1.0})
    assert reply.code == "INTERLOCK"
    assert not bench.moving


def test_parking_ends_at_the_park_position_and_rests(make_bench):
    bench = make_bench(start=(0.4, 0.9))
    bench.mode = "STOWED"
    assert bench.ask("pointing.park").code == ""
    state = bench.turn(25)
    assert state.activity == "hold"
    assert state.settled
    assert (state.azimuth_rad, state.elevation_rad) == pytest.approx((0.0, math.radians(30)), abs=1e-4)
    assert not bench.moving


def test_the_path_ends_and_the_axes_stand(tracking, pass_70):
    tracking.clock.t_ns = pass_70.trajectory.end_utc_ns - tracking.clock.utc_offset_ns - NS
    tracking.mount._advance(tracking.clock.t_ns)
    tracking.turn(2)
    assert not tracking.moving
    assert any(e.code == "PASS_END" for e in tracking.events)


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({}, "SCHEMA", "track needs"),
        ({"star": "Sirrius"}, "SCHEMA", "no star named"),
        ({"segments": [{}]}, "SCHEMA", "segment"),
        ({"segments": []}, "SCHEMA", "at least one"),
        ({"segments": 3}, "SCHEMA", "segment|iterable|object"),
        ({"line1": "1 x", "line2": "2 x", "name": "X", "start_utc_ns": 1, "end_utc_ns": 2}, "SCHEMA", "line"),
        ({"line1": "", "line2": "", "name": "X", "start_utc_ns": 2, "end_utc_ns": 1}, "SCHEMA", "after start"),
    ],
)
def test_a_wrong_track_command_is_answered_with_what_is_wrong(make_bench, body, code, words):
    bench = make_bench()
    reply = bench.ask("pointing.track", body)
    assert reply.code == code
    import re

    assert re.search(words, reply.message)
    assert not bench.moving


def test_elements_with_a_bad_checksum_are_refused_over_the_bus(make_bench, pass_70):
    body = track_body(pass_70.target)
    body["line2"] = body["line2"][:-1] + str((int(body["line2"][-1]) + 1) % 10)
    reply = make_bench(body["start_utc_ns"]).ask("pointing.track", body)
    assert reply.code == "SCHEMA"
    assert "checksum" in reply.message


def test_elements_that_are_too_old_are_refused(make_bench, pass_70):
    body = track_body(pass_70.target)
    month = 30 * 86_400 * NS
    body |= {"start_utc_ns": body["start_utc_ns"] + month, "end_utc_ns": body["end_utc_ns"] + month}
    reply = make_bench(body["start_utc_ns"]).ask("pointing.track", body)
    assert "days old" in reply.message


def test_a_pass_that_is_over_is_refused(make_bench, pass_70):
    bench = make_bench(pass_70.trajectory.end_utc_ns + NS)
    assert bench.ask("pointing.track", track_body(pass_70.target)).code == "LIMIT"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"azimuth_rad": 1.0}, "SCHEMA"),
        ({"azimuth_rad": math.nan, "elevation_rad": 0.5}, "SCHEMA"),
        ({"azimuth_rad": 1.0, "elevation_rad": -0.2}, "LIMIT"),
        ({"azimuth_rad": 1.0, "elevation_rad": 0.5, "approach": [2, 0]}, "SCHEMA"),
        ({"azimuth_rad": 1.0, "elevation_rad": 0.5, "approach": 1}, "SCHEMA"),
    ],
)
def test_a_wrong_slew_is_refused(make_bench, body, code):
    bench = make_bench()
    assert bench.ask("pointing.slew", body).code == code
    assert not bench.moving


def test_a_mount_model_is_taken_and_told(make_bench):
    bench = make_bench()
    assert bench.ask("pointing.model", {"IA": 0.01, "BE": 7e-5}).code == ""
    assert bench.ask("pointing.model").body["IA"] == 0.01
    assert bench.turn(0.2).azimuth_rad == pytest.approx(-0.01, abs=1e-5)
    assert bench.ask("pointing.model", {"XX": 1.0}).code == "SCHEMA"


def test_an_unknown_method_is_named(make_bench):
    assert "pointing.fly" in make_bench().ask("pointing.fly").message


def test_one_late_reply_is_passed_over(tracking):
    tracking.mount.fail = [WireTimeout("gimbal: nothing came")]
    tracking.turn(2)
    assert tracking.states[-1].activity == "track"
    assert tracking.states[-1].settled


def test_a_mount_that_does_not_answer_is_a_fault_that_only_a_command_ends(tracking):
    tracking.mount.fail = [WireError("gimbal: the port hung up; plug it in again.")] * 4
    tracking.turn(3)
    assert tracking.states[-1].activity == "fault"
    assert any("hung up" in e.message for e in tracking.events)
    tracking.turn(3)
    assert not tracking.mount.fail
    assert any("answers again" in e.message for e in tracking.events)
    assert tracking.states[-1].activity == "fault"
    assert not tracking.moving
    assert tracking.ask("pointing.slew", {"azimuth_rad": 0.1, "elevation_rad": 0.5}).code == ""
    assert tracking.moving
    assert tracking.states[-1].activity == "slew"


def test_a_mount_that_is_long_in_not_answering_does_not_make_its_service_look_hung(tracking):
    def mute():
        tracking.clock.t_ns += round(2.4 * NS)  # three probes of 0.8 s
        raise WireTimeout("gimbal: nothing answers.")

    tracking.mount.position = tracking.mount.stop = mute
    for _ in range(4):
        tracking.service.cycle()
        tracking.service._beat()  # as `run` does
    beats = [beat.t_utc_ns for beat in tracking.port.bodies(SERVICE_HEARTBEAT)]
    assert len(beats) > 6
    assert max(np.diff(beats)) < DEFAULT_RULES.silence_ns("pointing")


def test_closing_stops_the_axes_and_tries_again_when_it_must(tracking):
    tracking.mount.fail = [DeviceError("gimbal: busy.")]
    stops = tracking.mount.stops
    tracking.service.close()
    assert tracking.mount.stops == stops + 2
    assert tracking.mount.closed
    tracking.mount._advance(tracking.clock.t_ns + 2 * NS)
    assert tracking.mount.rate == [0.0, 0.0]


def test_closing_before_opening_is_harmless(fake_clock, recording_port, observer):
    clock = fake_clock(0)
    PointingService(clock, recording_port(clock), lambda: None, observer, Fixed(0.0, 0.5)).close()


@pytest.mark.parametrize("way_deg", [[150, 250], [-150, -250]])
def test_a_mount_without_stops_unwinds_the_way_it_was_wound_after_a_restart(way_deg, make_bench, tmp_path):
    file = tmp_path / "wrap.json"
    before = make_bench(wrap=WrapMemory(file))
    for azimuth_deg in way_deg:
        before.ask("pointing.slew", {"azimuth_rad": math.radians(azimuth_deg), "elevation_rad": 0.5})
        before.turn(60)
    stands = before.mount.angle[0]
    assert math.degrees(stands) == pytest.approx(way_deg[-1], abs=0.1)
    after = make_bench(start=(stands, 0.5), wrap=WrapMemory(file))  # the mount shows its angle without the turns
    after.ask("pointing.park")
    after.turn(100)
    assert after.mount.angle[0] == pytest.approx(0.0, abs=1e-3)
    forgets = make_bench(start=(stands, 0.5))
    forgets.ask("pointing.park")
    forgets.turn(100)
    assert abs(forgets.mount.angle[0]) == pytest.approx(math.tau, abs=1e-3)  # wound up further, for ever


def test_where_the_cables_are_is_written_while_the_mount_turns_and_not_at_every_turn_of_the_loop(make_bench, tmp_path):
    file = tmp_path / "wrap.json"
    writes = []

    class Counted(WrapMemory):
        def note(self, azimuth_rad):
            before = self._written_rad
            super().note(azimuth_rad)
            writes.extend([azimuth_rad] if self._written_rad != before else [])

    bench = make_bench(wrap=Counted(file))
    bench.ask("pointing.slew", {"azimuth_rad": math.radians(100), "elevation_rad": 0.5})
    bench.turn(20)  # sixty degrees
    assert math.degrees(json.loads(file.read_text())["azimuth_rad"]) == pytest.approx(50, abs=15)
    bench.turn(30)
    assert 4 <= len(writes) <= 6


def test_turns_that_nobody_knows_stop_the_start(make_bench, tmp_path):
    file = tmp_path / "wrap.json"
    file.write_text("{}")
    with pytest.raises(BoresightError, match="unwind the mount by hand and delete the file"):
        make_bench(wrap=WrapMemory(file))


def test_a_full_disk_does_not_stop_the_mount_and_is_told_once(make_bench, tmp_path):
    (tmp_path / "wrap.json").mkdir()  # nothing can be put in its place
    bench = make_bench()
    bench.service._wrap = WrapMemory(tmp_path / "wrap.json")
    bench.ask("pointing.slew", {"azimuth_rad": 1.0, "elevation_rad": 0.5})
    bench.turn(2)
    assert bench.states[-1].activity == "slew"
    assert [event.code for event in bench.events].count("AXES") == 1


def test_an_operators_time_bias_moves_the_mount_and_is_there_again_in_the_next_pass(make_bench, pass_70, tmp_path):
    body = track_body(pass_70.target)
    path, at = pass_70.trajectory, pass_70.target.rise_utc_ns + 20 * NS
    look = path.receive(at)
    flown = []
    for session in range(2):
        bench = make_bench(at, (look.azimuth_rad + math.tau, look.elevation_rad))
        bench.service._loop._azimuth_limits_rad = (-9.0, 9.0)
        bench.service._offsets = OffsetBook(tmp_path / "offsets.json")
        assert bench.ask("pointing.track", body).code == ""
        if session == 0:
            assert bench.ask("pointing.offset", {"time_s": 0.5}).body["name"] == pass_70.target.elements.name
        state = bench.turn(12)
        wanted = path.receive(state.t_utc_ns + NS // 2)
        assert state.time_bias_s == 0.5
        assert math.remainder(state.azimuth_rad - wanted.azimuth_rad, math.tau) == pytest.approx(0.0, abs=1e-4)
        assert state.elevation_rad == pytest.approx(wanted.elevation_rad, abs=1e-4)
        assert abs(wanted.elevation_rad - path.receive(state.t_utc_ns).elevation_rad) > 1e-3
        flown.append(bench)
    assert [e.code for e in flown[0].events].count("OFFSET") == 1
    assert flown[1].ask("pointing.slew", {"azimuth_rad": 1.0, "elevation_rad": 1.0}).code == ""
    assert flown[1].turn(0.3).time_bias_s == 0.0, "an offset belongs to its object"
    assert flown[1].ask("pointing.offset", {"time_s": 1.0}).message == "nothing is tracked"


def test_a_stale_earth_orientation_is_told_with_the_pass_and_shown_in_the_telemetry(tracking, make_bench, pass_70):
    assert not tracking.states[-1].degraded
    bench = make_bench(pass_70.target.rise_utc_ns)
    earth = bench.service._observer.earth
    old = dataclasses.replace(earth, measured_until_mjd=pass_70.target.rise_utc_ns / 86_400e9 + 40587 - 45)
    bench.service._observer = dataclasses.replace(bench.service._observer, earth=old)
    bench.ask("pointing.track", track_body(pass_70.target))
    (told,) = [event.message for event in bench.events if event.code == "EARTH"]
    assert "measured until 45 days before" in told
    state = bench.states[-1]
    assert state.degraded
    assert state.earth_age_days == pytest.approx(45.0, abs=0.01)
    assert state.ut1_error_s == pytest.approx(9.2e-3, abs=1e-4)
