"""The gimbal loop on a simulated mount with the timing of a NexStar."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from controller.bus.topics import Correction
from controller.pointing.correction import COAST_S, FADE_S, correction_at
from controller.pointing.elements import built_in_elements
from controller.pointing.loop import GimbalLoop
from controller.pointing.mount import MountModel
from controller.pointing.passes import find_passes
from controller.pointing.plan import plan
from controller.pointing.targets import Fixed
from hal.clock import NS

WIDE = (-9.0, 9.0)  # azimuth limits that let the mount start where the test puts it


def fly(clock, mount, loop, seconds, correct=None):
    """Run the loop; returns published states."""
    states = []
    end_ns = clock.t_ns + round(seconds * NS)
    while clock.t_ns < end_ns:
        sample = mount.position()
        begin = clock.now_ns()
        correction = correct(clock.utc_ns()) if correct else None
        rates, state = loop.step(begin, clock.utc_ns() - begin, sample, correction, 0.0)
        sending = clock.now_ns()
        mount.set_rate(*rates)
        loop.sent(*rates, begin, sending, clock.now_ns())
        states.append(state)
    return states


def sky_errors(mount, trajectory, clock, model, from_ns, motion_of=None, correct=None):
    """Where the load's axes really look minus the target: (t_utc_ns, xel, el) each 10 ms."""
    rows = []
    bare = model.changed(BA=0.0, BE=0.0)
    for t_ns, azimuth, elevation in mount.history:
        t_utc = t_ns + clock.utc_offset_ns
        if t_utc < from_ns:
            continue
        look = trajectory.receive(t_utc)
        az, el = bare.direction(azimuth, elevation)
        x, y = correct(t_utc) if correct else (0.0, 0.0)
        xel = math.remainder(az - look.azimuth_rad, math.tau) * math.cos(look.elevation_rad)
        rows.append((t_utc, xel - x, el - look.elevation_rad - y))
    return np.array(rows)


def test_the_encoder_follows_a_70_degree_pass_to_a_microradian(pass_70, fake_clock, simulated_mount):
    path = pass_70.trajectory
    clock = fake_clock(path.start_utc_ns - 5 * NS)
    start = path.receive(path.start_utc_ns)
    mount = simulated_mount(clock, np.random.default_rng(1), start=(start.azimuth_rad + 0.02, start.elevation_rad))
    loop = GimbalLoop(mount.capabilities, azimuth_limits_rad=WIDE)
    loop.follow(path)
    fly(clock, mount, loop, (path.end_utc_ns - path.start_utc_ns) / NS + 3)
    errors = sky_errors(mount, path, clock, MountModel(), pass_70.target.rise_utc_ns)
    errors = errors[errors[:, 0] < pass_70.target.set_utc_ns]
    away = np.abs(errors[:, 0] - pass_70.target.culmination_utc_ns) > 5 * NS
    assert np.sqrt((errors[away, 1:] ** 2).mean(axis=0)).max() < 1.5e-6  # 0.6 was measured, encoder noise 1.2
    assert np.abs(errors[:, 1:]).max() < 15e-6


def test_backlash_is_crossed_at_the_reversal_when_the_model_knows_it(pass_70, fake_clock, simulated_mount):
    path = pass_70.trajectory
    truth = MountModel(IA=3e-3, IE=-2e-3, AN=4e-4, AW=-7e-4, CA=2e-4, NPAE=1e-4, BA=75e-6, BE=75e-6)
    top = pass_70.target.culmination_utc_ns
    peaks = {}
    for name, model in (("known", truth), ("unknown", truth.changed(BA=0.0, BE=0.0))):
        clock = fake_clock(top - 60 * NS)
        look = path.receive(top - 60 * NS)
        start = truth.encoder(look.azimuth_rad, look.elevation_rad)
        mount = simulated_mount(
            clock, np.random.default_rng(4), start=(start[0], start[1] - 2e-3), backlash_rad=(150e-6, 150e-6)
        )
        loop = GimbalLoop(mount.capabilities, model, WIDE)
        loop.follow(path)
        fly(clock, mount, loop, 90)
        errors = sky_errors(mount, path, clock, truth, top - 5 * NS)
        peaks[name] = np.abs(errors[:, 2]).max()
    assert peaks["known"] < 40e-6
    assert peaks["unknown"] > 70e-6


def test_a_far_target_is_reached_at_full_speed_without_overshoot(pass_70, fake_clock, simulated_mount):
    clock = fake_clock(0)
    mount = simulated_mount(clock, np.random.default_rng(0), start=(0.3, 0.4))
    loop = GimbalLoop(mount.capabilities)
    goal = Fixed(2.0, 1.0)
    loop.follow(goal)
    states = fly(clock, mount, loop, 60)
    angles = np.array(mount.history)[:, 1:]
    assert abs(angles[-1] - (2.0, 1.0)).max() < 60e-6
    assert angles.max(axis=0) == pytest.approx([2.0, 1.0], abs=200e-6)
    assert max(abs(s.azimuth_rate_rad_s) for s in states) == pytest.approx(math.radians(3), rel=1e-6)
    speeds = np.diff(angles, axis=0) / 0.01
    assert np.abs(np.diff(speeds, axis=0)).max() / 0.01 < math.radians(2) * 1.01
    assert states[-1].activity == "hold"
    assert states[-1].settled
    assert not states[0].settled
    ideal_s = 1.7 / math.radians(3) + 3 / 2
    arrived = next(s.t_utc_ns for s in states if s.settled) / NS
    assert arrived < ideal_s + 5


@pytest.mark.parametrize("elevation", [0.92, 1.38])
@pytest.mark.parametrize("approach", [(1.0, 1.0), (-1.0, -1.0), (1.0, -1.0)])
def test_a_star_is_approached_from_the_side_that_was_asked_for(approach, elevation, fake_clock, simulated_mount):
    clock = fake_clock(0)
    mount = simulated_mount(clock, np.random.default_rng(1), start=(2.002, elevation), backlash_rad=(150e-6, 150e-6))
    loop = GimbalLoop(mount.capabilities)
    loop.follow(Fixed(2.0, elevation, approach))
    states = fly(clock, mount, loop, 30)
    assert states[-1].settled
    lead = np.array(mount.angle) - np.array(mount.load)
    assert lead == pytest.approx(75e-6 * np.array(approach), abs=3e-6)


def test_a_rig_that_declares_an_approach_gets_it_for_every_direction_that_stands_still(fake_clock, simulated_mount):
    """Slews, parks and homes are Fixed targets of this loop; the play is 2 mrad, more than a way of its own."""
    clock = fake_clock(0)
    mount = simulated_mount(clock, np.random.default_rng(1), start=(2.1, 0.95), backlash_rad=(2e-3, 2e-3))
    mount.capabilities = replace(mount.capabilities, approach_rad=0.01)
    loop = GimbalLoop(mount.capabilities)
    for goal in (Fixed(2.0, 0.9), Fixed(2.05, 0.95), Fixed(1.9, 0.8, unwound=True)):
        loop.follow(goal)
        assert fly(clock, mount, loop, 30)[-1].settled
        lead = np.array(mount.angle) - np.array(mount.load)
        assert lead == pytest.approx(np.array([1e-3, 1e-3]), abs=5e-6)
        assert mount.angle == pytest.approx([goal.azimuth_rad, goal.elevation_rad], abs=100e-6)


def test_coarse_encoders_come_to_their_way_point_too(fake_clock, simulated_mount):
    clock = fake_clock(0)
    mount = simulated_mount(clock, np.random.default_rng(1), start=(2.1, 0.95))
    mount.capabilities = replace(mount.capabilities, resolution_rad=math.radians(0.1))
    position = mount.position

    def coarse():
        seen, grain = position(), math.radians(0.1)
        return replace(
            seen,
            azimuth_rad=round(seen.azimuth_rad / grain) * grain,
            elevation_rad=round(seen.elevation_rad / grain) * grain,
        )

    mount.position = coarse
    loop = GimbalLoop(mount.capabilities)
    loop.follow(Fixed(2.0, 0.9, (1.0, -1.0)))
    assert fly(clock, mount, loop, 30)[-1].settled


def test_inside_its_dead_band_an_axis_is_left_alone(fake_clock, simulated_mount):
    clock = fake_clock(0)
    mount = simulated_mount(clock, np.random.default_rng(1), start=(2.0, 0.9))
    mount.capabilities = replace(mount.capabilities, dead_band_rad=0.01)
    loop = GimbalLoop(mount.capabilities)
    loop.follow(Fixed(2.005, 0.905))
    assert fly(clock, mount, loop, 10)[-1].settled
    assert mount.angle == [2.0, 0.9]
    loop.follow(Fixed(2.03, 0.9))
    fly(clock, mount, loop, 10)
    assert mount.angle[0] == pytest.approx(2.03, abs=0.01)
    assert mount.angle[0] > 2.0


def test_azimuth_takes_the_turn_in_which_the_whole_path_fits(fake_clock, simulated_mount):
    clock = fake_clock(0)
    mount = simulated_mount(clock, np.random.default_rng(1), start=(math.radians(170), 0.5))
    loop = GimbalLoop(mount.capabilities)
    loop.follow(Fixed(math.radians(-170), 0.5))
    fly(clock, mount, loop, 12)
    assert mount.angle[0] == pytest.approx(math.radians(190), abs=1e-4)  # 20 degrees, not 340
    tight = GimbalLoop(mount.capabilities, azimuth_limits_rad=(-math.pi, math.pi))
    mount.angle[0] = math.radians(170)
    tight.follow(Fixed(math.radians(-170), 0.5))
    fly(clock, mount, tight, 5)
    assert mount.angle[0] < math.radians(170)  # the long way, inside the limits


def test_a_correction_moves_the_boresight_by_itself(pass_70, fake_clock, simulated_mount):
    path = pass_70.trajectory
    clock = fake_clock(pass_70.target.rise_utc_ns)
    look = path.receive(pass_70.target.rise_utc_ns)
    mount = simulated_mount(clock, np.random.default_rng(2), start=(look.azimuth_rad, look.elevation_rad))
    loop = GimbalLoop(mount.capabilities, azimuth_limits_rad=WIDE)
    loop.follow(path)
    begin = pass_70.target.rise_utc_ns

    def correction(t_utc):
        offset = (4e-4, -2e-4 + 2e-6 * (t_utc - begin) / NS)
        return Correction(t_utc, offset, (0.0, 2e-6), (1e-5, 1e-5), "coarse")

    states = fly(clock, mount, loop, 30, correction)
    errors = sky_errors(mount, path, clock, MountModel(), begin + 10 * NS, correct=lambda t: correction(t).offset_rad)
    assert np.abs(errors[:, 1:].mean(axis=0)).max() < 4e-6
    last = states[-1]
    assert last.correction_rad == pytest.approx(last.deviation_rad, abs=2e-5)


def test_deviation_is_boresight_minus_prediction_whatever_the_correction(pass_70, fake_clock, simulated_mount):
    path = pass_70.trajectory
    t = pass_70.target.rise_utc_ns
    clock = fake_clock(t)
    look = path.receive(t + NS // 1000)
    mount = simulated_mount(
        clock, np.random.default_rng(2), start=(look.azimuth_rad + 1e-3, look.elevation_rad - 5e-4), encoder_rad=0.0
    )
    loop = GimbalLoop(mount.capabilities, azimuth_limits_rad=WIDE)
    loop.follow(path)
    (state,) = fly(clock, mount, loop, 0.05, lambda t: Correction(t, (1e-3, 1e-3), (0.0, 0.0), (0.0, 0.0), "scan"))
    assert state.deviation_rad == pytest.approx((1e-3 * math.cos(look.elevation_rad), -5e-4), abs=1e-6)


def test_a_silent_coarse_loop_is_held_and_then_let_go():
    correction = Correction(0, (1e-4, 0.0), (1e-5, 0.0), (0.0, 0.0), "coarse")
    at = lambda s: correction_at(correction, s, round(s * NS))[0]  # noqa: E731
    assert at(0.2) == pytest.approx(1.02e-4)
    assert at(2.0) == at(1.0) == pytest.approx(1.03e-4)  # grows no further than it is fresh
    assert at(COAST_S + FADE_S / 2) == pytest.approx(0.515e-4)
    assert at(COAST_S + FADE_S) == at(100.0) == 0.0
    assert correction_at(None, 0.0, 0) == (0.0, 0.0)
    assert correction_at(Correction(0, (1.0, 1.0), (0.0, 0.0), (0.0, 0.0), "none"), 0.0, 0) == (0.0, 0.0)


def test_without_a_target_nothing_moves(fake_clock, simulated_mount):
    clock = fake_clock(0)
    mount = simulated_mount(clock, np.random.default_rng(1))
    loop = GimbalLoop(mount.capabilities)
    rates, state = loop.step(clock.now_ns(), 0, mount.position(), None, 0.0)
    assert rates == (0.0, 0.0)
    assert state.activity == "idle"
    assert loop.at_rest


def test_a_keyhole_pass_is_flown_with_the_outage_that_was_predicted(observer, limits, fake_clock, simulated_mount):
    one = next(s for s in built_in_elements() if s.name == "STARLINK-2436")  # 86.1 degrees over the OGS
    day = (one.epoch_utc_ns, one.epoch_utc_ns + 86_400 * NS)
    found = find_passes(one, observer.site, observer.earth, *day, math.radians(20))
    planned = plan(max(found, key=lambda p: p.elevation_max_rad), observer, limits)
    path, top = planned.trajectory, planned.target.culmination_utc_ns
    clock = fake_clock(top - 40 * NS)
    look = path.receive(top - 40 * NS)
    model = MountModel(IA=1e-3, CA=1e-4, NPAE=-1e-4, AN=5e-4, AW=3e-4)
    start = model.encoder(look.azimuth_rad, look.elevation_rad)
    mount = simulated_mount(clock, np.random.default_rng(3), start=start)
    loop = GimbalLoop(mount.capabilities, model, WIDE)
    loop.follow(path, planned.way)
    states = fly(clock, mount, loop, 110)
    errors = sky_errors(mount, path, clock, model, top - 35 * NS)
    lost_s = np.count_nonzero(np.hypot(errors[:, 1], errors[:, 2]) > 1e-3) * 0.01
    assert lost_s == pytest.approx(planned.outage_s, rel=0.1)
    assert np.hypot(errors[-500:, 1], errors[-500:, 2]).max() < 15e-6  # caught up
    assert states[-1].settled
