"""The pointing service keeps the telescope out of the Sun: before it moves, and while it does."""

from __future__ import annotations

import math

import numpy as np
import pytest

from controller.geometry.bodies import Place, separation_rad, sun_and_moon
from controller.pointing.ground import Ground
from controller.pointing.targets import Fixed
from hal.clock import NS

NOON = int(np.datetime64("2025-10-04T12:44:00", "ns").astype(np.int64))  # the Sun at azimuth 175, elevation 57 deg


def test_nothing_is_pointed_into_the_cone_of_the_sun(make_bench):
    bench = make_bench(NOON)
    reply = bench.ask("pointing.slew", {"azimuth_rad": math.radians(180), "elevation_rad": math.radians(50)})
    assert reply.code == "LIMIT"
    assert "from the Sun" in reply.message
    assert not bench.moving


def sun_distance_deg(bench, observer):
    """How near the Sun the axes came on their way, each 10 ms."""
    t_utc_ns = bench.clock.utc_ns()
    sun, _ = sun_and_moon(t_utc_ns, observer.site, observer.earth)
    return min(math.degrees(separation_rad(Place(a, e), sun)) for _, a, e in bench.mount.history)


def test_a_slew_that_would_cross_the_sun_goes_round_by_the_other_side(make_bench, observer):
    bench = make_bench(NOON, start=(math.radians(100), math.radians(50)))
    there = {"azimuth_rad": math.radians(250), "elevation_rad": math.radians(50)}
    assert bench.ask("pointing.slew", there).code == ""
    assert bench.turn(100).activity == "hold"
    assert math.degrees(bench.mount.angle[0]) == pytest.approx(-110, abs=0.01)  # 150 degrees onwards is the Sun
    assert sun_distance_deg(bench, observer) > 30
    assert not bench.events


def test_a_slew_with_the_sun_on_either_side_goes_below_it(make_bench, observer):
    bench = make_bench(NOON, start=(math.radians(100), math.radians(50)))
    bench.service._loop._azimuth_limits_rad = (0.0, math.radians(300))  # its cables allow one way only
    there = {"azimuth_rad": math.radians(250), "elevation_rad": math.radians(50)}
    assert "round the Sun" in bench.ask("pointing.slew", there).message
    assert bench.turn(120).activity == "hold"
    assert sun_distance_deg(bench, observer) > 30
    assert min(elevation for _, _, elevation in bench.mount.history) < math.radians(26)  # it is 57 degrees up


def test_a_slew_with_the_sun_on_either_side_and_a_wall_below_it_is_refused_with_the_distance(make_bench):
    bench = make_bench(NOON, start=(math.radians(100), math.radians(50)), ground=Ground(None, math.radians(28)))
    bench.service._loop._azimuth_limits_rad = (0.0, math.radians(300))
    reply = bench.ask("pointing.slew", {"azimuth_rad": math.radians(250), "elevation_rad": math.radians(50)})
    assert reply.code == "LIMIT"
    assert "on its way the telescope would be 7.0 deg from the Sun" in reply.message
    assert not bench.moving


def test_a_telescope_that_stands_in_the_cone_may_leave_it_and_not_cross_it(make_bench):
    bench = make_bench(NOON, start=(math.radians(150), math.radians(50)))
    bench.service._loop._azimuth_limits_rad = (0.0, math.radians(300))
    across = {"azimuth_rad": math.radians(250), "elevation_rad": math.radians(50)}
    assert "on its way" in bench.ask("pointing.slew", across).message
    assert bench.ask("pointing.slew", {"azimuth_rad": math.radians(90), "elevation_rad": math.radians(50)}).code == ""
    assert bench.turn(40).activity == "hold"


def test_motion_into_the_sun_that_no_plan_foresaw_is_held_and_may_go_back(make_bench):
    bench = make_bench(NOON, start=(math.radians(100), math.radians(50)))
    bench.turn(0.2)
    bench.service._loop.follow(Fixed(math.radians(250), math.radians(50)))
    bench.turn(30)
    assert any(e.code == "SUN" for e in bench.events)
    assert not bench.moving
    assert math.degrees(bench.mount.angle[0]) < 145
    assert bench.ask("pointing.slew", {"azimuth_rad": math.radians(90), "elevation_rad": math.radians(50)}).code == ""
    assert bench.turn(30).activity == "hold"


def test_at_night_the_sun_is_in_nobodys_way(make_bench):
    bench = make_bench(NOON + 9 * 3600 * NS)
    assert bench.ask("pointing.slew", {"azimuth_rad": math.radians(180), "elevation_rad": 0.5}).code == ""
