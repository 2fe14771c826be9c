"""Backlash of an axis: what it swallows, and a target so slow that it does not take it up by itself."""

from __future__ import annotations

import math

import numpy as np
import pytest

from controller.geometry.trajectory import Look
from controller.pointing.loop import GimbalLoop
from controller.pointing.mount import MountModel
from controller.pointing.play import BEGIN_RAD, PACE_S, Play
from hal.clock import NS

HALF_RAD = 75e-6
TURN_S = 0.09
START_RAD = (2.0, 0.7)


class Slow:
    """Elevation about a culmination at time zero, azimuth at an even pace: a satellite at 8000 km, near enough."""

    def receive(self, t_utc_ns):
        t_s = t_utc_ns / NS
        return Look(START_RAD[0] - 6e-4 * t_s, START_RAD[1] - 1.1e-7 * t_s**2, 9.3e6, -6e-4, -2.2e-7 * t_s, 0.0)

    def point_ahead(self, t_utc_ns):
        return 0.0, 0.0


@pytest.fixture
def play():
    play = Play()
    for encoder_rad in (0.0, 2 * HALF_RAD):
        play.update(encoder_rad, HALF_RAD)
    assert play.state == 1.0
    return play


def test_play_follows_the_encoders_travel():
    play = Play()
    states = [play.update(e, HALF_RAD) for e in (0.0, 40e-6, 100e-6, 200e-6, 175e-6, 50e-6, 0.0)]
    assert states == pytest.approx([0.0, 40 / 75, 1.0, 1.0, 50 / 75, -1.0, -1.0])


def test_the_axis_follows_the_encoder_beyond_its_play_alone(play):
    travels = (50e-6, -140e-6, -150e-6, -200e-6)
    assert [play.passes(travel) for travel in travels] == pytest.approx([50e-6, 0.0, 0.0, -50e-6], abs=1e-12)


def test_without_backlash_an_axis_follows_the_encoder_both_ways():
    play = Play()
    for encoder_rad in (0.0, 1e-3):
        play.update(encoder_rad, 0.0)
    assert (play.passes(1e-6), play.passes(-1e-6)) == (1e-6, -1e-6)
    play.stand(-1.0, 1e-3, 0.0, TURN_S)
    assert play.wanted == -1.0


def test_an_axis_that_a_slow_target_has_left_behind_is_pushed_from_the_other_side_and_then_let_go(play):
    turns = math.ceil(PACE_S / TURN_S)
    sides = []
    for needed_rad in [0.0] + [60e-6] * turns + [10e-6, 0.0] + [0.0] * turns:
        play.stand(-1.0, needed_rad, -8e-6, TURN_S)
        sides.append(play.wanted)
    assert sides[turns : turns + 2] == [1.0, 1.0]  # on the other side, until it has arrived
    assert (sides[0], sides[-1]) == (-1.0, -1.0)
    assert np.abs(np.diff(sides)).max() <= 2 * TURN_S / PACE_S + 1e-12


@pytest.mark.parametrize(
    ("needed_rad", "rate_rad_s"),
    [(BEGIN_RAD * 0.99, -8e-6), (60e-6, -60e-6), (-60e-6, -8e-6), (1e-3, -5e-3)],
    ids=["noise of the correction", "soon taken up by the motion", "on its own side", "a slew to a fast target"],
)
def test_an_axis_that_comes_back_by_itself_is_left_alone(play, needed_rad, rate_rad_s):
    for _ in range(9):
        play.stand(-1.0, needed_rad, rate_rad_s, TURN_S)
        assert play.wanted == -1.0


@pytest.mark.parametrize("from_s", [-200.0, -30.0, 10.0, 40.0, 250.0])
@pytest.mark.parametrize("below_rad", [2e-3, -2e-3], ids=["from below", "from above"])
def test_a_slow_target_is_followed_wherever_the_axes_come_from(from_s, below_rad, fake_clock, simulated_mount):
    clock, target = fake_clock(round(from_s * NS)), Slow()
    azimuth_rad, elevation_rad = target.receive(clock.utc_ns())[:2]
    start = azimuth_rad, elevation_rad - below_rad
    mount = simulated_mount(clock, np.random.default_rng(4), start=start, backlash_rad=(2 * HALF_RAD, 2 * HALF_RAD))
    loop = GimbalLoop(mount.capabilities, MountModel(BA=HALF_RAD, BE=HALF_RAD), (-9.0, 9.0))
    loop.follow(target)
    end_ns = clock.utc_ns() + 60 * NS
    told = []
    while clock.utc_ns() < end_ns:
        sample, begin_ns = mount.position(), clock.now_ns()
        rates, state = loop.step(begin_ns, clock.utc_offset_ns, sample, None, 0.0)
        sending_ns = clock.now_ns()
        mount.set_rate(*rates)
        loop.sent(*rates, begin_ns, sending_ns, clock.now_ns())
        told.append(state)
    seen = [(t_ns + clock.utc_offset_ns, el) for t_ns, _, el in mount.history]
    errors = np.array([el - target.receive(t_ns).elevation_rad for t_ns, el in seen if end_ns - t_ns < 50 * NS])
    assert np.abs(errors).max() < 30e-6  # the play is 150
    ahead_ns = NS // 10  # what is told of the axis' rate is what it does until it is told again
    known = dict(zip(np.array(seen)[:, 0].astype(np.int64) // 10_000_000, np.array(seen)[:, 1], strict=True))
    for state in told[100:-5]:
        t0, t1 = state.t_utc_ns // 10_000_000, (state.t_utc_ns + ahead_ns) // 10_000_000
        moved_rad = known[t1] - known[t0]
        assert abs(state.elevation_rate_rad_s * ahead_ns / NS - moved_rad) < 20e-6
