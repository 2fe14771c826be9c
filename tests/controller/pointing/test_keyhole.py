"""Passes near the zenith, flown on a simulated mount with and without a plan."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from controller.geometry import trajectory
from controller.geometry.frames import azel_to_enu
from controller.pointing.keyhole import ways_through
from controller.pointing.loop import GimbalLoop
from controller.pointing.mount import MountModel
from controller.pointing.plan import AxisLimits, outage_s
from hal.clock import NS
from hal.traits import AxisPosition

EARTH_M, MU = 6378137.0, 3.986004418e14
RATE, ACCELERATION = math.radians(6), math.radians(6)
MODEL = MountModel(IA=2e-3, IE=1e-3, CA=1e-4, NPAE=-1e-4, AN=4e-4, AW=3e-4)


def circle(peak_deg, height_m=550e3, span_s=300, heading_rad=math.pi / 2, sense=1.0):
    """A circular orbit over an Earth at rest that culminates at a height, computed on a plane of its own."""
    radius = EARTH_M + height_m
    pace = math.sqrt(MU / radius**3)
    zenith = math.radians(90 - peak_deg)
    ground = zenith - math.asin(EARTH_M / radius * math.sin(zenith))

    def path(t):
        angle = pace * np.asarray(t) / NS
        along, aside = radius * np.sin(angle), sense * radius * np.cos(angle) * math.sin(ground)
        up = radius * np.cos(angle) * math.cos(ground) - EARTH_M
        c, s = math.cos(heading_rad), math.sin(heading_rad)
        enu = np.stack([along * s - aside * c, along * c + aside * s, up], axis=-1)
        return enu, enu

    return trajectory.fit(path, -span_s * NS // 2, span_s * NS // 2)


def flown(clock, mount, path, way, seconds=(-30, 45), travel=None, model=MODEL):
    """Angle between boresight and target, each 10 ms, and the loop's last state."""
    look = path.receive(seconds[0] * NS)
    mount.capabilities = replace(
        mount.capabilities, rate_max_rad_s=RATE, acceleration_max_rad_s2=ACCELERATION, travel_rad=travel
    )
    mount.angle[:] = mount.load[:] = model.encoder(look.azimuth_rad, look.elevation_rad)
    loop = GimbalLoop(mount.capabilities, model, None if travel else (-9.0, 9.0))
    loop.follow(path, way)
    states = []
    while clock.utc_ns() < seconds[1] * NS:
        sample = mount.position()
        if travel:
            sample = replace(sample, azimuth_rad=mount.angle[0])
        begin = clock.now_ns()
        rates, state = loop.step(begin, clock.utc_ns() - begin, sample, None, 0.0)
        sending = clock.now_ns()
        mount.set_rate(*rates)
        loop.sent(*rates, begin, sending, clock.now_ns())
        states.append(state)
    rows = np.array([row for row in mount.history if row[0] + clock.utc_offset_ns > (seconds[0] + 5) * NS])
    sky = np.array([azel_to_enu(*model.direction(a, e)) for a, e in rows[:, 1:]])
    true = path.sample(rows[:, 0].astype(np.int64) + clock.utc_offset_ns)
    off = 2 * np.arcsin(np.linalg.norm(sky - azel_to_enu(true[:, 0], true[:, 1]), axis=1) / 2)
    return np.degrees(off), states[-1], rows


@pytest.fixture
def fly(fake_clock, simulated_mount):
    def run(path, way, **more):
        clock = fake_clock(-30 * NS)
        return flown(clock, simulated_mount(clock, np.random.default_rng(1)), path, way, **more)

    return run


def test_an_89_degree_pass_on_a_6_degree_gimbal_stays_within_its_plan_and_without_it_does_not(fly):
    path = circle(89.0)
    way = next(ways_through(path, RATE, ACCELERATION, math.pi / 2))
    planned, last, _ = fly(path, way)
    follows, _, _ = fly(path, None)
    assert math.degrees(way.error_max_rad) < 4.0
    assert planned.max() < math.degrees(way.error_max_rad) + 0.05
    assert follows.max() > 2.5 * planned.max()  # it is furthest away when the target is long past
    assert planned[-500:].max() < 0.002
    assert last.settled


@pytest.mark.parametrize(("sense", "heading_deg"), [(1.0, 20.0), (-1.0, 200.0)])
def test_a_mount_that_goes_over_the_top_misses_by_no_more_than_the_pass_misses_the_zenith(fly, sense, heading_deg):
    path = circle(89.0, heading_rad=math.radians(heading_deg), sense=sense)
    way = next(ways_through(path, RATE, ACCELERATION, math.pi))
    travel = ((-math.radians(450), math.radians(450)), (0.0, math.pi))
    planned, last, rows = fly(path, way, travel=travel)
    assert planned.max() < 1.05
    assert rows[-1, 2] > math.radians(105)  # elevation went on beyond the zenith
    assert np.abs(np.diff(rows[:, 1])).sum() < math.radians(
        90
    )  # azimuth comes back; following the pass it turns by 170 degrees
    assert planned[-500:].max() < 0.002
    assert last.settled
    assert last.elevation_rad < math.pi / 2  # what is told is a direction in the sky
    true = path.receive(last.t_utc_ns)
    assert math.remainder(last.azimuth_rad - true.azimuth_rad, math.tau) == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("peak_deg", [84.0, 89.0, 89.999])
def test_the_planned_axes_keep_to_rate_and_acceleration(peak_deg):
    path = circle(peak_deg)
    for elevation_max in (math.pi / 2, math.pi):
        way = next(ways_through(path, RATE, ACCELERATION, elevation_max))
        times = np.arange(-40 * NS, 40 * NS, NS // 50, dtype=np.int64)
        looks = path.sample(times)
        axes = np.array([way.axes(int(t), *look[:2]) for t, look in zip(times, looks, strict=True)])
        rates = np.diff(axes, axis=0) * 50
        assert np.abs(rates).max() < RATE
        assert np.abs(np.diff(rates[:, 0])).max() * 50 < ACCELERATION
        assert way.error_max_rad < math.radians(4.6)


def test_a_pass_that_azimuth_can_follow_needs_no_plan():
    assert not list(ways_through(circle(70.0), RATE, ACCELERATION, math.pi))
    assert outage_s(circle(70.0), AxisLimits(RATE, ACCELERATION)) == 0.0


def test_the_operator_is_told_when_how_long_and_how_far():
    path = circle(89.0)
    early = next(ways_through(path, RATE, ACCELERATION, math.pi / 2)).sentence
    assert early == (
        "the pass goes through the keyhole at 00:00:00 UTC: the mount turns azimuth early, for 31 s, and is off the "
        "target by up to 3.7 deg"
    )
    assert "goes over the top, for 9 s" in next(ways_through(path, RATE, ACCELERATION, math.pi)).sentence


def passes(rng, count):
    """Passes of all headings and heights, to either side."""
    for _ in range(count):
        heading, sense = rng.uniform(-math.pi, math.pi), rng.choice([-1.0, 1.0])
        yield circle(rng.uniform(10, 80), heading_rad=heading, sense=sense, span_s=600)


def turned(capabilities, path, stands):
    """Azimuth of the axes along a path from where the mount stands, and the loop that flies it."""
    loop = GimbalLoop(capabilities)
    loop.follow(path)
    azimuths = [stands]
    for t in np.linspace(path.start_utc_ns, path.end_utc_ns, 40).astype(np.int64):
        loop.step(0, int(t), AxisPosition(0, azimuths[-1], 0.5), None, 0.0)
        azimuths.append(loop._wanted(path, int(t), 0, None, 0.0)[0])
    return np.array(azimuths[1:]), loop


@pytest.mark.parametrize("elevation_max_deg", [90, 180])
def test_a_450_degree_gimbal_starts_each_pass_on_the_side_that_never_unwinds_in_it(
    elevation_max_deg, simulated_mount, fake_clock
):
    rng = np.random.default_rng(3)
    low, high = 0.0, math.radians(450)
    travel = ((low, high), (0.0, math.radians(elevation_max_deg)))
    capabilities = replace(simulated_mount(fake_clock(), rng).capabilities, travel_rad=travel)
    nearer, none_fits, over = 0, 0, 0
    for path in passes(rng, 30):
        stands = float(rng.uniform(low, high))
        azimuths, loop = turned(capabilities, path, stands)
        sky = path.sample(np.linspace(path.start_utc_ns, path.end_utc_ns, 40).astype(np.int64))[:, 0]
        turns = [sky + math.tau * k for k in (-1, 0, 1, 2)]
        fits = any(low <= turn.min() and turn.max() <= high for turn in turns)
        assert low <= azimuths.min()
        assert azimuths.max() <= high
        unwound = np.abs(np.diff(azimuths)).max() > math.radians(180)
        assert unwound == loop.unwinds
        assert not (fits and unwound)
        assert ("unwind in the middle" in loop.notice) == (not fits)
        none_fits += not fits
        over += not fits and not unwound
        nearest = min(turns, key=lambda turn: abs(turn[0] - stands))
        nearer += fits and (nearest.min() < low or nearest.max() > high)
    assert nearer > 2  # the side that is nearer would have unwound in the middle of many
    assert none_fits > 1  # across the overlap: no side will do
    assert over == (none_fits if elevation_max_deg == 180 else 0)  # but over the top will
