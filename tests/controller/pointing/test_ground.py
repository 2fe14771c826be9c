"""A wall, a roof, a railing: the telescope is moved round what stands there, on every way, and never below its edge."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_rotator import DEG, SimulatedRotator

from controller.bus.topics import POINTING_STATE, STATION_MODE, ModeState
from controller.errors import BoresightError
from controller.geometry.horizon import HorizonMask
from controller.pointing.calibration import choose_stars
from controller.pointing.course import Axes, course
from controller.pointing.ground import Ground, GroundGuard
from controller.pointing.mount_frame import ALT_AZ, MountFrame
from controller.pointing.service import PointingService
from controller.pointing.targets import Fixed
from hal.clock import NS

EVENING = int(np.datetime64("2025-10-04T21:00:00", "ns").astype(np.int64))
WALL = range(85, 96)


def wall(elevation_deg=30.0, around_deg=-10.0, where=WALL):
    return Ground(HorizonMask(tuple((elevation_deg if i in where else around_deg) * DEG for i in range(360))))


def direction(azimuth_deg, elevation_deg):
    return {"azimuth_rad": azimuth_deg * DEG, "elevation_rad": elevation_deg * DEG}


def lowest_over_the_wall_deg(history):
    """Of where the axes really were, while they looked towards it."""
    return min(e for _, a, e in history if 84 * DEG < a < 96 * DEG) / DEG


def test_a_slew_past_a_wall_goes_over_it_and_without_the_mask_through_it(make_bench):
    lowest = []
    for ground in (wall(), wall(-10.0)):
        bench = make_bench(start=(60 * DEG, 20 * DEG), ground=ground)
        assert bench.ask("pointing.slew", direction(120, 20)).code == ""
        assert bench.turn(60).activity == "hold"
        assert bench.mount.angle == pytest.approx([120 * DEG, 20 * DEG], abs=1e-4)
        lowest.append(lowest_over_the_wall_deg(bench.mount.history))
    assert lowest[0] > 30.1
    assert lowest[1] == pytest.approx(20.0, abs=0.01)


def test_a_rotator_of_whole_degrees_goes_over_it_too(fake_clock, recording_port, observer):
    clock = fake_clock(EVENING)
    port, rotator = recording_port(clock), SimulatedRotator(clock, (60.0, 20.0))
    park = Fixed(0.0, 30 * DEG)
    service = PointingService(clock, port, lambda: rotator, observer, park, ground=wall(30.4))
    service.open()
    port.ask("pointing.slew", direction(120, 20))
    while clock.t_ns < 60 * NS:
        port.give(STATION_MODE, ModeState("SLEW", 0, "a test says so"))
        service.cycle()
    assert rotator.angle == pytest.approx([120 * DEG, 20 * DEG])
    assert lowest_over_the_wall_deg(rotator.history) >= 30.4
    assert port.bodies(POINTING_STATE)[-1].activity == "hold"


def test_a_direction_behind_the_wall_is_refused_with_both_elevations_and_nothing_moves(make_bench):
    bench = make_bench(start=(60 * DEG, 20 * DEG), ground=wall())
    reply = bench.ask("pointing.slew", direction(90, 30.2))
    assert reply.code == "LIMIT"
    assert reply.message == (
        "that is 30.2 deg high, and the telescope stays 0.5 deg above the mask's 30.0 deg at azimuth 90.0"
    )
    assert not bench.moving
    assert bench.ask("pointing.slew", direction(90, 31)).code == ""


def test_a_pass_that_rises_behind_a_roof_is_waited_for_at_its_edge(make_bench, pass_70):
    path = pass_70.trajectory
    ground = wall(32.0, where=range(2, 358))  # not where it is parked
    bench = make_bench(path.start_utc_ns, start=(math.pi, 45 * DEG), ground=ground)
    bench.mode = "POINT"
    assert bench.ask("pointing.track", {"segments": path.to_body(), "name": "it"}).code == ""
    (told,) = (event.message for event in bench.events if event.code == "HORIZON")
    assert "of the path are below the mask of the mount's motion: it waits above its edge" in told
    bench.turn((path.end_utc_ns - path.start_utc_ns) / NS - 1)
    assert min(e for _, _, e in bench.mount.history) / DEG > 32.4
    off = [state for state in bench.states if state.target_elevation_rad > 33 * DEG][20:]
    assert max(math.hypot(*state.deviation_rad) for state in off) < 1e-3, "above the roof it is followed as ever"
    assert not any("axes are held" in event.message for event in bench.events)


def test_a_path_that_is_all_below_is_refused(make_bench, pass_70):
    path = pass_70.trajectory
    bench = make_bench(path.start_utc_ns, ground=wall(80.0, where=range(2, 358)))
    reply = bench.ask("pointing.track", {"segments": path.to_body()})
    assert (reply.code, reply.message) == ("LIMIT", "all of that path is below the mask of the mount's motion")


def test_the_course_that_the_suns_cone_is_asked_about_goes_over_the_wall_as_the_mount_does():
    axes = Axes((60 * DEG, 20 * DEG), 3 * DEG, None, ALT_AZ, wall())
    taken = course(Fixed(120 * DEG, 20 * DEG), None, 120 * DEG, axes, EVENING).boresight
    azimuth, elevation = np.arctan2(taken[:, 0], taken[:, 1]) / DEG, np.arcsin(taken[:, 2]) / DEG
    over = (azimuth > 84) & (azimuth < 96)
    assert over.any()
    assert elevation[over].min() > 30
    assert elevation[-1] == pytest.approx(20)


def followed(ground, here, goal, step_rad=0.5 * DEG):
    """Where two axes that go as far as `step_rad` a turn come by: (n, 2)."""
    places = [here]
    for _ in range(2000):
        (azimuth, elevation), _ = ground.aim(here, goal, ALT_AZ)
        away = azimuth - here[0], elevation - here[1]
        here = tuple(a + min(step_rad, max(-step_rad, b)) for a, b in zip(here, away, strict=True))
        places.append(here)
        if max(map(abs, away)) < 1e-9:
            break
    return np.array(places)


@settings(max_examples=40)
@given(st.lists(st.floats(-10.0, 60.0), min_size=36, max_size=36), st.data())
def test_whatever_stands_around_the_way_is_above_it_and_ends_at_the_goal(edges_deg, data):
    ground = Ground(HorizonMask(tuple(edges_deg[i // 10] * DEG for i in range(360))))
    turns = st.floats(-200.0, 200.0).map(lambda deg: deg * DEG)
    aways = st.floats(0.0, 1.0)

    def place():
        azimuth, share, over = data.draw(turns), data.draw(aways), data.draw(st.booleans())
        looks = azimuth + math.pi * over
        low = ground.between(looks, looks) + ground.margin_rad
        elevation = low + share * (math.pi / 2 - low)
        return azimuth, math.pi - elevation if over else elevation

    here, goal = place(), place()
    way = followed(ground, here, goal)
    assert way[-1] == pytest.approx(goal, abs=1e-6)
    for azimuth, elevation in way:
        over = elevation > math.pi / 2
        height = math.pi - elevation if over else elevation
        assert height >= ground.at(azimuth + math.pi * over) - 1e-9


def test_the_highest_edge_between_two_azimuths_counts_by_all_their_turns():
    ground = wall()
    assert ground.between(70 * DEG, 83.5 * DEG) < 0
    assert ground.between(70 * DEG, 83.6 * DEG) == pytest.approx(30 * DEG), "half a degree of margin, and the next"
    assert ground.between(430 * DEG, 443.6 * DEG) == pytest.approx(30 * DEG)
    assert ground.between(-350 * DEG, 370 * DEG) == pytest.approx(30 * DEG)


def test_the_guard_ends_motion_downwards_and_sideways_into_a_wall_and_lets_it_rise():
    guard = GroundGuard(wall())
    assert guard.entering(80 * DEG, 20 * DEG) == ""
    assert "20.0 deg high and goes down, below the horizon_mask of [gimbal] = 30" in guard.entering(86 * DEG, 20 * DEG)
    assert guard.entering(86 * DEG, 21 * DEG) == ""
    assert guard.entering(86 * DEG, 20.99 * DEG) == "", "encoders tremble"
    assert "goes down" in guard.entering(86 * DEG, 20.5 * DEG)


def test_a_telescope_that_stands_over_the_top_is_watched_on_the_side_to_which_it_looks():
    guard = GroundGuard(wall())
    assert guard.entering(270 * DEG, 140 * DEG) == ""
    assert "20.0 deg high and goes down" in guard.entering(270 * DEG, 160 * DEG)


def test_a_mount_that_may_not_look_where_it_is_parked_is_not_taken(fake_clock, recording_port, observer):
    """A rotator of whole degrees keeps a degree from the edge, where a finer mount keeps half of one."""
    clock = fake_clock(EVENING)
    rotator, park = SimulatedRotator(clock, (60.0, 40.0)), Fixed(90 * DEG, 30.7 * DEG)
    service = PointingService(clock, recording_port(clock), lambda: rotator, observer, park, ground=wall())
    with pytest.raises(BoresightError, match=r"the telescope stays 1\.0 deg above the mask"):
        service.open()


def test_what_gets_below_the_edge_all_the_same_is_held_at_the_next_turn(make_bench):
    bench = make_bench(start=(60 * DEG, 31 * DEG), ground=wall(30.0, where=range(2, 358)))
    assert bench.ask("pointing.slew", direction(62, 31)).code == ""
    bench.turn(5)
    bench.mount.angle[1] = bench.mount.load[1] = 29.5 * DEG
    before = len(bench.events)
    bench.turn(0.15)
    assert any("below the horizon_mask" in event.message for event in bench.events[before:])


def test_a_leaning_mount_aims_above_the_edge_with_either_side_of_its_second_axis():
    frame = MountFrame.equatorial(28 * DEG)
    ground = wall(30.0, 30.0)
    goal = frame.axes(200 * DEG, 10 * DEG)
    for aim in (goal, (goal[0] + math.pi, math.pi - goal[1])):
        raised, waits = ground.aim(aim, aim, frame)
        assert not waits
        azimuth, elevation = frame.sky(*raised)
        assert elevation == pytest.approx(30.5 * DEG)
        assert math.remainder(azimuth - 200 * DEG, math.tau) == pytest.approx(0.0, abs=1e-9)
        assert abs(raised[0] - aim[0]) < math.pi / 2
    above = frame.axes(200 * DEG, 40 * DEG)
    assert ground.aim(above, above, frame) == (above, False)


def test_no_star_behind_a_wall_is_chosen_to_calibrate_on(observer):
    free = choose_stars(EVENING, observer.site, observer.earth, 0.7)
    ground = wall(60.0, -10.0, range(60))
    chosen = choose_stars(EVENING, observer.site, observer.earth, 0.7, ground=ground)
    assert any(ground.too_low(azimuth, elevation) for _, azimuth, elevation in free)
    assert not any(ground.too_low(azimuth, elevation) for _, azimuth, elevation in chosen)
