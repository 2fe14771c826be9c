"""What brings the axes to rest when much goes wrong at once: half a command, UTC that is set, what is no number."""

from __future__ import annotations

import math

import pytest

from controller.bus.envelope import Lease
from controller.bus.port import Request
from controller.bus.topics import STATION_MODE, TRACKING_CORRECTION, Correction, ModeState
from controller.geometry.trajectory import Trajectory
from hal.clock import NS
from hal.errors import WireTimeout

SLEW = {"azimuth_rad": 2.0, "elevation_rad": 0.6}


@pytest.mark.parametrize("ending", ["stop", "HOLD", "SAFE", "FAULT"])
def test_a_mount_that_may_have_heard_half_of_its_first_command_is_stopped(make_bench, ending):
    bench = make_bench()
    bench.turn(0.5)
    set_rate = bench.mount.set_rate

    def half(azimuth_rad_s, elevation_rad_s):
        bench.mount.set_rate = set_rate
        set_rate(azimuth_rad_s, 0.0)
        raise WireTimeout("gimbal: nothing came")

    bench.mount.set_rate = half
    bench.port.ask("pointing.slew", SLEW)
    bench.port.give(STATION_MODE, ModeState("SLEW", 0, ""))
    bench.service.cycle()
    stops = bench.mount.stops
    if ending == "stop":
        bench.port.ask("stop", control=True)
    else:
        bench.mode = ending
    bench.turn(1.0)
    assert bench.mount.stops > stops
    assert not bench.moving


@pytest.mark.parametrize("mode", ["HOLD", "SAFE", "FAULT", None])
def test_a_clock_that_is_set_back_hides_no_word_and_no_silence_of_the_station(make_bench, mode):
    bench = make_bench()
    assert bench.ask("pointing.slew", SLEW).code == ""
    bench.turn(2.0)
    bench.clock.utc_offset_ns -= 60 * NS
    bench.mode = mode
    bench.turn(2.0)
    assert not bench.moving


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_correction_that_is_no_number_holds_the_axes(make_bench, number):
    bench = make_bench(start=(-1.4, 0.9))
    assert bench.ask("pointing.track", {"star": "Vega"}).code == ""
    bench.turn(25)
    t_utc_ns = bench.clock.utc_ns()
    bench.port.give(TRACKING_CORRECTION, Correction(t_utc_ns, (number, 0.0), (0.0, 0.0), (5e-6, 5e-6), "coarse"))
    bench.turn(1.0)
    assert "is no number. The axes are held." in bench.events[-1].message
    assert not bench.moving


def segment(bench, **change):
    start_ns = bench.clock.utc_ns()
    one = {"start_utc_ns": start_ns, "end_utc_ns": start_ns + 600 * NS, "receive": [[1e5], [1e5, 1.0], [1e6]]}
    return {"segments": [{**one, "transmit": one["receive"], **change}]}


@pytest.mark.parametrize(
    "change",
    [
        {"start_utc_ns": math.inf},
        {"end_utc_ns": math.inf},
        {"start_utc_ns": 0, "end_utc_ns": 2**70},
        {"end_utc_ns": "tomorrow"},
        {"receive": [[1e160], [1e160], [1e160]]},
        {"receive": [[math.nan], [0.0], [1.0]]},
        {"receive": 5},
    ],
)
def test_a_path_that_cannot_be_flown_is_a_sentence_and_no_end_of_the_service(make_bench, change):
    bench = make_bench()
    assert bench.ask("pointing.track", segment(bench, **change)).code == "SCHEMA"
    assert bench.ask("pointing.slew", SLEW).code == ""


@pytest.mark.parametrize("body", [{"segments": 5}, {"segments": [5]}, {"segments": []}, {"name": "x", "states": 3}])
def test_what_is_no_path_at_all_is_a_sentence_too(make_bench, body):
    bench = make_bench()
    for method in ("pointing.track", "pointing.follow"):
        assert bench.ask(method, body).code == "SCHEMA"


def test_times_that_overflow_are_a_sentence(make_bench):
    bench = make_bench()
    lines = {"name": "x", "line1": "", "line2": "", "start_utc_ns": math.inf, "end_utc_ns": math.inf}
    assert bench.ask("pointing.track", lines).code == "SCHEMA"


def test_a_path_of_two_samples_or_less_is_a_sentence(make_bench):
    bench = make_bench()
    end_ns = bench.clock.utc_ns() + NS // 5
    reply = bench.ask("pointing.track", segment(bench, end_utc_ns=end_ns))
    assert (reply.code, "A trajectory lasts from 0.5 s" in reply.message) == ("SCHEMA", True)


def test_a_target_straight_overhead_is_a_direction(make_bench):
    bench = make_bench()
    up = Trajectory.from_body(segment(bench, receive=[[0.0], [0.0], [1e6]])["segments"])
    look = up.receive(bench.clock.utc_ns() + NS)
    assert look.elevation_rad == pytest.approx(math.pi / 2)
    assert (look.range_m, look.azimuth_rate_rad_s) == (1e6, 0.0)


def test_the_cables_of_a_mount_without_stops_are_not_wound_beyond_their_limit(make_bench):
    bench = make_bench(start=(4.5, 0.5))
    bench.service._loop.wind(4.5)
    assert bench.ask("pointing.slew", {"azimuth_rad": 4.5, "elevation_rad": 0.5}).code == ""
    bench.turn(2.0)
    low, high = bench.service._loop._azimuth_limits_rad
    wound = bench.service._loop
    for _ in range(60):  # what is followed goes round and round
        wound._path_azimuth = wound._reachable(wound._path_azimuth + 0.1)
        assert low <= wound._path_azimuth <= high


def test_a_mount_model_that_is_tried_ends_with_the_lease_under_which_it_is(make_bench):
    bench = make_bench()
    known = {"IA": 0.01, "IE": -0.02}

    def ask(method, body, lease):
        bench.port.inbox.append(Request(b"", "anna", method, body, False, lease))
        bench.turn(0.05)
        return bench.port.answers[-1]

    first, second = Lease("gimbal-1", 1), Lease("gimbal-2", 2)
    assert ask("pointing.model", known, first).code == ""
    assert ask("pointing.try", {"IA": 0.5}, first).body["IA"] == 0.5
    assert ask("pointing.try", {"IA": 0.6}, first).body["IA"] == 0.6
    assert ask("pointing.model", {}, first).body["IA"] == 0.6
    told = ask("pointing.model", {}, second).body
    assert {name: told[name] for name in known} == known
    assert "the mount model before it is in use" in bench.events[-1].message
    assert ask("pointing.try", {"IA": 0.7}, second).code == ""
    assert ask("pointing.model", {"IA": 0.8}, second).code == ""
    assert ask("pointing.model", {}, first).body["IA"] == 0.8, "it is the one in use now"


def test_a_park_by_the_station_ends_a_trial_too(make_bench):
    bench = make_bench()
    bench.port.inbox.append(Request(b"", "anna", "pointing.try", {"IA": 0.5}, False, Lease("gimbal-1", 1)))
    bench.turn(0.05)
    assert bench.ask("pointing.park").code == ""
    assert bench.service._loop.model.IA == 0.0
    assert bench.states[-1].activity in ("slew", "hold")
