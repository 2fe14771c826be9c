"""Where every straight way leads through the Sun's cone the axes go round it; nobody takes a way-point for more."""

from __future__ import annotations

import math

import numpy as np
import pytest

from controller.geometry.bodies import Place
from controller.geometry.frames import azel_to_enu
from controller.pointing import keepout
from controller.pointing.commands import CommandError
from controller.pointing.drive import loop_for
from controller.pointing.keepout import KeepOut, SunGuard
from controller.pointing.mount import MountModel
from controller.pointing.routes import Routes, detours
from controller.pointing.targets import Fixed
from hal.clock import NS
from hal.traits import AxisPosition

CONE = math.radians(30)  # of the bench
FAR = Place(0.0, math.radians(-60))
SUN = Place(0.0, math.radians(40))  # in the north, where only one turn of azimuth fits: the southern half of the Earth
FROM, TO = (math.radians(-45), math.radians(35)), (math.radians(50), math.radians(45))
SLEW = {"azimuth_rad": TO[0], "elevation_rad": TO[1], "approach": [1, 1]}


def apart(place, angles):
    a, b = azel_to_enu(*place), azel_to_enu(*np.asarray(angles, dtype=float).T)
    return 2 * np.arcsin(np.linalg.norm(b - a, axis=-1) / 2)


@pytest.fixture
def sky(monkeypatch):
    def placed(sun=SUN):
        monkeypatch.setattr(keepout, "sun_and_moon", lambda *_: (sun, FAR))

    return placed


@pytest.fixture
def bench(make_bench, sky):
    sky()
    return make_bench(start=FROM)


def seen(bench):
    return [(state.azimuth_rad, state.elevation_rad) for state in bench.states]


def test_a_slew_that_would_cross_the_suns_cone_goes_round_it(bench):
    assert "round the Sun" in bench.ask("pointing.slew", SLEW).message
    last = bench.turn(120)
    assert (last.activity, last.settled) == ("hold", True)
    assert apart(TO, [(last.azimuth_rad, last.elevation_rad)])[0] < 1e-3
    assert apart(SUN, seen(bench)).min() > CONE
    assert [e.message for e in bench.events if e.code == "SUN"] == [
        "the target: the axes go round the Sun, by 2 way-points"
    ]


def test_a_way_point_is_never_told_as_the_end_of_the_slew(bench):
    bench.ask("pointing.slew", SLEW)
    bench.turn(120)
    for state in bench.states:
        arrived = apart(TO, [(state.azimuth_rad, state.elevation_rad)])[0] < 1e-3
        assert arrived or (state.activity in {"idle", "slew"} and not state.settled)


def test_without_the_sun_in_between_it_goes_straight(bench, sky):
    sky(sun=FAR)
    assert bench.ask("pointing.slew", SLEW).message == "the gimbal is on its way"


def test_what_is_in_the_cone_itself_is_refused_and_nothing_moves(bench):
    answer = bench.ask("pointing.slew", {"azimuth_rad": SUN.azimuth_rad, "elevation_rad": SUN.elevation_rad - 0.1})
    assert answer.code == "LIMIT"
    assert answer.message.startswith("that is 5.7 deg from the Sun")
    assert not bench.moving


@pytest.mark.parametrize("how", ["stop", "HOLD"])
def test_whoever_stops_it_on_its_way_round_stops_it_for_good(bench, how):
    bench.ask("pointing.slew", SLEW)
    bench.turn(5)
    assert bench.moving
    if how == "stop":
        bench.ask("stop")
    else:
        bench.mode = how
    bench.turn(20)
    assert not bench.moving
    assert bench.states[-1].activity == "idle"


def test_a_new_command_takes_the_place_of_a_way_round(bench):
    bench.ask("pointing.slew", SLEW)
    bench.turn(5)
    near = bench.states[-1]
    bench.ask("pointing.slew", {"azimuth_rad": near.azimuth_rad + 0.02, "elevation_rad": near.elevation_rad})
    last = bench.turn(30)
    assert last.activity == "hold"
    assert abs(last.azimuth_rad - near.azimuth_rad - 0.02) < 1e-3


def test_a_refused_command_leaves_a_way_round_as_it_is(bench):
    bench.ask("pointing.slew", SLEW)
    bench.turn(5)
    assert bench.ask("pointing.slew", {"azimuth_rad": SUN.azimuth_rad, "elevation_rad": SUN.elevation_rad}).code
    last = bench.turn(120)
    assert apart(TO, [(last.azimuth_rad, last.elevation_rad)])[0] < 1e-3


@pytest.mark.parametrize("far", [1, 40])  # seconds: before the first way-point, and between the two
def test_a_sun_that_has_moved_into_the_next_stretch_ends_it_at_a_way_point(bench, sky, far):
    bench.ask("pointing.slew", SLEW)
    bench.turn(far)
    detour = bench.service._detour
    assert detour is not None
    stop = (*(leg for leg in detour.legs), detour.target)[0]
    sky(sun=Place(stop.azimuth_rad, stop.elevation_rad))
    last = bench.turn(120)
    assert last.activity == "idle"
    assert "the axes are held" in bench.events[-1].message
    assert not bench.moving


def test_a_way_point_beyond_the_soft_limits_of_the_axes_is_none(make_bench, sky):
    sky()
    bench = make_bench(start=FROM)
    bench.service._routes._ends_rad = (math.radians(30), math.radians(80))
    assert bench.ask("pointing.slew", SLEW).code == "LIMIT"
    assert not bench.moving


class Balloon:
    """Stands 60 km from the station, in the direction TO, and says so."""

    def __init__(self, bench, observer):
        self.bench = bench
        enu = 60e3 * azel_to_enu(*TO)
        self.position_m = (observer.site.itrf_m + enu @ observer.site.itrf_to_enu).tolist()

    def state(self, ago_s=0.1):
        t_utc_ns = self.bench.clock.utc_ns() - round(ago_s * NS)
        return {"t_utc_ns": t_utc_ns, "position_m": self.position_m, "velocity_m_s": [0.0, 0.0, 0.0]}

    def follow(self):
        now = self.bench.clock.utc_ns()
        body = {"name": "balloon", "frame": "ITRF", "age_max_s": 2.0, "start_utc_ns": now, "end_utc_ns": now + NS}
        return self.bench.ask("pointing.follow", body | {"states": [self.state(1.0), self.state(0.5)]})

    def fed(self, seconds):
        for _ in range(round(2 * seconds)):
            body = {"name": "balloon", "frame": "ITRF", "states": [self.state()]}
            assert self.bench.ask("pointing.feed", body).code == ""
            self.bench.turn(0.5)
        return self.bench.states[-1]


def test_a_stream_of_states_is_fed_while_the_mount_goes_round_and_followed_from_there(bench, observer):
    balloon = Balloon(bench, observer)
    assert "round the Sun" in balloon.follow().message
    assert balloon.fed(100).activity == "track"
    assert apart(SUN, seen(bench)).min() > CONE
    assert apart(TO, seen(bench)[-1:])[0] < 1e-3


def test_a_stream_that_falls_silent_while_the_mount_goes_round_holds_it(bench, observer):
    balloon = Balloon(bench, observer)
    balloon.follow()
    balloon.fed(5)
    assert bench.moving
    bench.turn(5)
    assert not bench.moving
    assert bench.states[-1].activity == "silent"
    assert "the stream of balloon is silent" in bench.events[-1].message


def test_by_day_a_mount_of_one_turn_finds_a_way_to_every_place_three_degrees_outside_of_the_cone(
    sky, simulated_mount, fake_clock, observer
):
    clock = fake_clock(1_790_000_000 * NS)
    rng = np.random.default_rng(5)
    straight = round_it = 0
    for _ in range(120):
        sun = Place(rng.uniform(0, math.tau), math.radians(rng.uniform(5, 70)))
        sky(sun=sun)
        ends = np.column_stack([rng.uniform(-math.pi, math.pi, 2), np.radians(rng.uniform(20, 80, 2))])
        if apart(sun, ends).min() < CONE + math.radians(3):
            continue
        loop = loop_for(simulated_mount(clock, rng, start=tuple(ends[0])).capabilities)
        loop._azimuth_limits_rad = -math.pi, math.pi
        loop.see(AxisPosition(clock.now_ns(), *ends[0]))
        guard = SunGuard(CONE, observer.site, observer.earth)
        routes, goal = Routes(observer, KeepOut(CONE, 0.0), guard), Fixed(*ends[1])
        try:
            routes.straight(loop, goal, goal, clock.utc_ns())
            straight += 1
        except CommandError:
            assert routes.round(loop, goal, goal, clock.utc_ns()), (sun, ends)
            round_it += 1
    assert straight > 40
    assert round_it > 10


def test_the_shortest_detour_is_tried_first():
    ways = detours((0.0, 0.5), [(1.0, 0.5)])
    lengths = [
        sum(
            max(abs(a.azimuth_rad - b.azimuth_rad), abs(a.elevation_rad - b.elevation_rad))
            for a, b in zip([Fixed(0.0, 0.5), *legs], [*legs, Fixed(1.0, 0.5)], strict=True)
        )
        for legs in ways
    ]
    assert lengths == sorted(lengths)
    assert all(legs for legs in ways)


@pytest.mark.parametrize("play_rad", [0.0, 75e-6])
@pytest.mark.parametrize("first", [(60.0, 40.0), (-60.0, 20.0)])
def test_a_direction_is_reached_and_told_so_whichever_way_the_axes_last_went(make_bench, sky, play_rad, first):
    """Play that was left on the other side once kept a slew from ever ending."""
    sky(sun=FAR)
    bench = make_bench(start=(0.0, 0.5))
    bench.service._loop.use(MountModel(BA=play_rad, BE=play_rad))
    for azimuth_deg, elevation_deg in (first, (0.0, 30.0), first, (5.0, 50.0)):
        there = {"azimuth_rad": math.radians(azimuth_deg), "elevation_rad": math.radians(elevation_deg)}
        assert bench.ask("pointing.slew", there).code == ""
        last = bench.turn(40)
        assert (last.activity, last.settled) == ("hold", True)
