"""The loop for gimbals that are sent to steps, on a simulated rotator of whole degrees."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from simulated_rotator import CAPABILITIES, DEG, SimulatedRotator

from controller.pointing.drive import loop_for, send
from controller.pointing.implied import implied_error
from controller.pointing.loop import GimbalLoop
from controller.pointing.mount import MountModel
from controller.pointing.steps import DEAD_BAND, StepLoop, next_step
from controller.pointing.targets import Fixed
from hal.clock import NS
from hal.traits import GimbalCapabilities


def fly(clock, rotator, loop, seconds, step_s=0.05):
    states, end_ns = [], clock.t_ns + round(seconds * NS)
    while clock.t_ns < end_ns:
        sample = rotator.position()
        begin_ns = clock.now_ns()
        command, state = loop.step(begin_ns, clock.utc_ns() - begin_ns, sample, None, 0.0)
        send(rotator, loop, command, begin_ns, clock)
        states.append(state)
        clock.sleep_until(begin_ns + round(step_s * NS))
    return states


def sky_errors(rotator, trajectory, clock, from_utc_ns):
    rows = np.array([row for row in rotator.history if row[0] + clock.utc_offset_ns >= from_utc_ns])
    looks = trajectory.sample(rows[:, 0].astype(np.int64) + clock.utc_offset_ns)
    azimuth = np.remainder(rows[:, 1] - looks[:, 0] + math.pi, math.tau) - math.pi
    return np.hypot(azimuth * np.cos(looks[:, 1]), rows[:, 2] - looks[:, 1])


@pytest.mark.parametrize(
    ("takes", "rates", "loop"),
    [
        ({"rate"}, (), GimbalLoop),
        ({"rate", "position"}, (), GimbalLoop),
        ({"rate", "position"}, (0.1,), StepLoop),
        ({"position"}, (), StepLoop),
        ({"rate"}, (0.1,), GimbalLoop),
    ],
)
def test_a_gimbal_gets_the_loop_that_makes_the_most_of_it(takes, rates, loop):
    limits = GimbalCapabilities(0.1, 0.1, 1e-6, 1e-6, 0.1, True, frozenset(takes), 0.01, rates)
    assert limits.best == ("rate" if loop is GimbalLoop else "position")
    assert type(loop_for(limits)) is loop


def test_a_rate_becomes_the_nearest_that_the_gimbal_has():
    speeds = GimbalCapabilities(1.0, 1.0, 1e-6, 1e-6, 0.1, True, rates_rad_s=(0.1, 0.5, 1.0))
    assert [speeds.possible(rate) for rate in (0.04, 0.06, -0.29, -0.31, 7.0)] == [0.0, 0.1, -0.1, -0.5, 1.0]
    gappy = GimbalCapabilities(1.0, 1.0, 1e-6, 1e-6, 0.1, True, rate_gaps_rad_s=((0.2, 0.4),))
    assert [gappy.possible(rate) for rate in (0.1, 0.25, -0.35, 0.5, -3.0)] == [0.1, 0.2, -0.4, 0.5, -1.0]


def test_a_step_is_taken_at_the_half_and_taken_back_beyond_the_dead_band():
    assert next_step(10.49, 10.0, 1.0, 1.0) == 10.0
    assert next_step(10.51, 10.0, 1.0, 1.0) == 11.0
    assert next_step(10.49, 11.0, 1.0, 1.0) == 11.0
    assert next_step(10.5 - DEAD_BAND - 0.01, 11.0, 1.0, 1.0) == 10.0


def test_whole_degrees_follow_a_pass_to_within_the_half_step_that_was_told(pass_70, fake_clock):
    path = pass_70.trajectory
    told = implied_error(path, CAPABILITIES)
    clock = fake_clock(path.start_utc_ns - 120 * NS)
    rotator = SimulatedRotator(clock)
    loop = StepLoop(CAPABILITIES)
    loop.follow(path)
    states = fly(clock, rotator, loop, 120 + (path.end_utc_ns - path.start_utc_ns) / NS)
    errors = sky_errors(rotator, path, clock, path.start_utc_ns)
    assert told.swing_s == 0.0
    assert errors.max() == pytest.approx(told.max_rad, rel=0.15)
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(told.rms_rad, rel=0.15)
    assert np.sqrt(np.mean(errors**2)) < 0.45 * DEG
    assert errors.max() < 0.80 * DEG
    assert states[-1].settled
    assert states[-1].activity == "track"


def test_an_axis_that_is_later_than_anybody_says_is_sent_earlier(pass_70, fake_clock):
    """At up to 2 deg/s of azimuth, a second late is two steps."""
    path = pass_70.trajectory
    clock = fake_clock(path.start_utc_ns - 120 * NS)
    rotator = SimulatedRotator(clock, late_s=0.5)
    loop = StepLoop(CAPABILITIES)
    loop.follow(path)
    fly(clock, rotator, loop, 120 + (path.end_utc_ns - path.start_utc_ns) / NS)
    errors = sky_errors(rotator, path, clock, path.start_utc_ns)
    assert np.sqrt(np.mean(errors**2)) < 1.15 * implied_error(path, CAPABILITIES).rms_rad


def test_each_step_is_sent_once_and_nothing_between(pass_70, fake_clock):
    path = pass_70.trajectory
    clock = fake_clock(path.start_utc_ns - 120 * NS)
    rotator = SimulatedRotator(clock)
    loop = StepLoop(CAPABILITIES)
    loop.follow(path)
    fly(clock, rotator, loop, 120 + (path.end_utc_ns - path.start_utc_ns) / NS)
    looks = path.sample(np.arange(path.start_utc_ns, path.end_utc_ns, NS // 10, dtype=np.int64))
    travelled = np.abs(np.diff(looks[:, :2], axis=0)).sum() / DEG
    assert len(rotator.sent) <= travelled + 4
    assert len(set(rotator.sent)) == len(rotator.sent)


def test_a_pass_over_the_end_of_travel_swings_round_for_as_long_as_was_told(pass_70, fake_clock):
    low, high = (0.0, 360 * DEG)
    path = pass_70.trajectory
    looks = path.sample(np.arange(path.start_utc_ns, path.end_utc_ns, NS, dtype=np.int64))
    middle = float(looks[len(looks) // 2, 0])
    limits = GimbalCapabilities(
        6 * DEG, 20 * DEG, DEG, 6 * DEG, 0.1, True, frozenset({"position"}), DEG,
        travel_rad=((low + middle, high + middle), (0.0, 90 * DEG)),
    )  # fmt: skip
    told = implied_error(path, limits)
    clock = fake_clock(path.start_utc_ns - 120 * NS)
    rotator = SimulatedRotator(clock, (math.degrees(middle), 0.0), limits)
    loop = StepLoop(limits)
    loop.follow(path)
    fly(clock, rotator, loop, 120 + (path.end_utc_ns - path.start_utc_ns) / NS)
    azimuths = np.array([row[1] for row in rotator.history])
    assert 40 < told.swing_s < 65  # up to 360 deg at 6 deg/s
    assert f"{told.swing_s:.0f} s are lost while azimuth swings round" in told.sentence(limits)
    assert low + middle - DEG <= azimuths.min()
    assert azimuths.max() <= high + middle + DEG
    errors = sky_errors(rotator, path, clock, path.start_utc_ns)
    assert np.count_nonzero(errors > 2.0 * DEG) * 0.01 == pytest.approx(told.swing_s, abs=2.0)
    assert errors[-500:].max() < 0.8 * DEG


@pytest.mark.parametrize("elevation_deg", [20.0, 0.0])
def test_a_rotator_with_an_approach_comes_upwards_also_at_the_end_of_its_travel(elevation_deg, fake_clock):
    clock = fake_clock(0)
    limits = replace(CAPABILITIES, approach_rad=4 * DEG)
    rotator = SimulatedRotator(clock, (120.0, 40.0), limits)
    go_to = rotator.go_to
    rotator.go_to = lambda azimuth, elevation: go_to(azimuth, max(0.0, elevation))  # as drivers cut it
    loop = loop_for(limits)
    loop.follow(Fixed(100 * DEG, elevation_deg * DEG))
    states = fly(clock, rotator, loop, 40)
    assert states[-1].settled
    sent = [tuple(round(angle) for angle in angles) for angles in rotator.sent]
    assert sent[0] == (96, max(0, elevation_deg - 4))
    assert sent[-1] == (100, elevation_deg)
    assert [angle / DEG for angle in rotator.angle] == pytest.approx([100, elevation_deg])


def test_a_dead_band_spares_the_motors_and_costs_what_was_told(pass_70, fake_clock):
    path = pass_70.trajectory
    limits = replace(CAPABILITIES, dead_band_rad=3 * DEG)
    told = implied_error(path, limits)
    clock = fake_clock(path.start_utc_ns - 40 * NS)
    rotator = SimulatedRotator(clock, capabilities=limits)
    loop = loop_for(limits)
    loop.follow(path)
    fly(clock, rotator, loop, 40 + (path.end_utc_ns - path.start_utc_ns) / NS)
    errors = sky_errors(rotator, path, clock, path.start_utc_ns)
    assert 3 * DEG < errors.max() <= told.max_rad
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(told.rms_rad, rel=0.15)
    looks = path.sample(np.arange(path.start_utc_ns, path.end_utc_ns, NS // 10, dtype=np.int64))
    travelled = np.abs(np.diff(looks[:, :2], axis=0)).sum() / DEG
    assert len(rotator.sent) < 0.4 * travelled


def test_a_command_that_was_lost_is_sent_again(fake_clock):
    clock = fake_clock(0)
    rotator = SimulatedRotator(clock, (100.0, 20.0))
    loop = StepLoop(CAPABILITIES)
    loop.follow(Fixed(120 * DEG, 40 * DEG))
    rotator.deaf = True
    fly(clock, rotator, loop, 1.0)
    assert len(rotator.sent) == 1
    rotator.deaf = False
    states = fly(clock, rotator, loop, 12.0)
    assert [angle / DEG for angle in rotator.angle] == pytest.approx([120, 40])
    assert len(rotator.sent) == 2
    assert states[-1].activity == "hold"


def test_without_a_target_it_is_stopped_once(fake_clock):
    clock = fake_clock(0)
    rotator = SimulatedRotator(clock, (100.0, 20.0))
    loop = StepLoop(CAPABILITIES)
    loop.follow(Fixed(200 * DEG, 40 * DEG))
    fly(clock, rotator, loop, 2.0)
    loop.follow(None)
    command, _ = loop.step(clock.now_ns(), 0, rotator.position(), None, 0.0)
    assert not loop.at_rest
    assert send(rotator, loop, command, clock.now_ns(), clock)
    assert loop.at_rest
    assert rotator.stops == 1


def test_a_direction_across_north_is_reached_through_the_overlap(fake_clock):
    clock = fake_clock(0)
    rotator = SimulatedRotator(clock, (350.0, 20.0))
    loop = StepLoop(CAPABILITIES, MountModel(IA=2 * DEG))
    fly(clock, rotator, loop, 0.2)
    loop.follow(Fixed(10 * DEG, 20 * DEG))
    fly(clock, rotator, loop, 10.0)
    assert rotator.angle[0] / DEG == pytest.approx(372)


def test_what_coarse_encoders_imply_is_told_and_fine_ones_need_no_word():
    coarse = GimbalCapabilities(0.1, 0.1, 0.1 * DEG, 1e-5, 0.1, True)
    fine = GimbalCapabilities(0.1, 0.1, 1e-6, 1e-6, 0.1, True)
    target = Fixed(1.0, 0.5)
    assert implied_error(target, coarse).sentence(coarse) == (
        "its encoders have steps of 0.1 deg: expect 0.04 deg rms and up to 0.07 deg off the target"
    )
    assert implied_error(target, fine).sentence(fine) == ""


def test_what_is_told_of_a_fixed_direction_is_its_rounding():
    implied = implied_error(Fixed(10.3 * DEG, 60.4 * DEG), CAPABILITIES)
    assert implied.max_rad == pytest.approx(math.hypot(0.3 * math.cos(60.4 * DEG), 0.4) * DEG)
    assert "it is sent to steps of 1 deg" in implied.sentence(CAPABILITIES)
