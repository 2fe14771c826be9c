"""Planner, loop and service of mounts whose first axis is not vertical: their keyhole, and what they publish."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from controller.bus.topics import POINTING_STATE, STATION_EVENT, STATION_MODE, ModeState, PointingState
from controller.errors import BoresightError
from controller.geometry import trajectory
from controller.geometry.bodies import Place, separation_rad
from controller.geometry.frames import azel_to_enu
from controller.geometry.trackframe import about_axes
from controller.pointing import keepout
from controller.pointing.ground import Ground
from controller.pointing.keepout import NO_CONES, KeepOut
from controller.pointing.mount import MountModel
from controller.pointing.mount_frame import ALT_AZ, MountFrame
from controller.pointing.mount_sky import in_axes, on_sky, path_in_axes
from controller.pointing.plan import AxisLimits, Demand, demand, way
from controller.pointing.service import PointingService
from controller.pointing.targets import Fixed
from controller.pointing.wrap_memory import WrapMemory
from hal.clock import NS

RATE, DEGREE = math.radians(6), math.radians(1)
LATITUDE = math.radians(28.2995)
NORTH, SOUTH = MountFrame.equatorial(LATITUDE), MountFrame.equatorial(-LATITUDE)
LYING = MountFrame("alt-alt", 0.0, 0.0)
FRAMES = {"north": NORTH, "south": SOUTH, "alt-alt": LYING}
EVENING = int(np.datetime64("2025-10-04T21:00:00", "ns").astype(np.int64))


def straight(nearest, heading_rad, miss_rad=DEGREE, height_m=550e3, speed_m_s=7500.0, span_s=240):
    """A body on a straight line that is nearest, at a height, a little beside a direction (azimuth, elevation)."""
    ahead = azel_to_enu(*nearest)
    right = azel_to_enu(nearest[0] + math.pi / 2, 0.0)
    above = np.cross(right, ahead)
    along = math.cos(heading_rad) * above + math.sin(heading_rad) * right
    aside = np.cross(along, ahead)

    def path(t):
        away = height_m * (ahead + math.tan(miss_rad) * aside) + np.asarray(t)[:, None] / NS * speed_m_s * along
        return away, away

    return trajectory.fit(path, -span_s * NS // 2, span_s * NS // 2)


ZENITH = straight((0.0, math.pi / 2), 1.0)
POLE = straight((0.0, LATITUDE), 1.0)


@pytest.mark.parametrize(
    ("frame", "keyhole", "free"), [(ALT_AZ, ZENITH, POLE), (NORTH, POLE, ZENITH), (LYING, None, ZENITH)]
)
def test_a_pass_needs_a_plan_where_the_first_axis_points_and_nowhere_else(frame, keyhole, free):
    """At 89 degrees: through the zenith for an alt-azimuth mount, through the pole for an equatorial one."""
    limits = AxisLimits(RATE, RATE, math.pi / 2, frame)
    assert way(free, limits) is None
    assert max(demand(free, frame).rate_max_rad_s) < 0.8 * RATE
    if keyhole is None:
        return
    planned = way(keyhole, limits)
    assert planned is not None
    assert demand(keyhole, frame).rate_max_rad_s[0] > 5 * RATE
    assert f"turns {frame.axis_names[0]} early" in planned.sentence
    assert planned.error_max_rad < math.radians(6)
    over = way(keyhole, replace(limits, elevation_max_rad=math.pi))
    assert over is not None
    assert over.error_max_rad < planned.error_max_rad, "beyond 90 degrees of declination is over the top"


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_what_the_loop_says_about_the_axes_is_published_about_the_sky(frame):
    path = straight((2.0, 0.8), 0.3, miss_rad=0.1)
    turned = in_axes(path, frame)
    for t_utc_ns in range(-60 * NS, 61 * NS, 24 * NS):
        look, axes = path.receive(t_utc_ns), turned.receive(t_utc_ns)
        told = (axes.azimuth_rad, axes.elevation_rad, axes.azimuth_rate_rad_s, axes.elevation_rate_rad_s)
        along = {f"{name}_rad": (0.0, 0.0) for name in ("deviation", "point_ahead", "correction")}
        more = {"deviation_rate_rad_s": (0.0, 0.0), "command_latency_s": 0.0, "settled": True}
        said = PointingState(t_utc_ns, "track", *told, *told, axes.range_m, **along, **more)
        state = on_sky(said, frame)
        for name in ("azimuth_rad", "elevation_rad", "azimuth_rate_rad_s", "elevation_rate_rad_s"):
            wanted = getattr(look, name)
            for value in (getattr(state, name), getattr(state, f"target_{name}")):
                assert math.remainder(value - wanted, math.tau) == pytest.approx(0.0, abs=1e-10), name
        assert state.axes_rad == told[:2]
        assert state.axes_rate_rad_s == told[2:]
        # What moves on the sky moves so in instruments that turn with the mount.
        sky = np.array([look.azimuth_rate_rad_s * math.cos(look.elevation_rad), look.elevation_rate_rad_s])
        seen = about_axes(sky, state.field_rotation_rad)
        assert seen == pytest.approx([told[2] * math.cos(told[1]), told[3]], abs=1e-12)


def test_point_ahead_is_across_and_along_the_mounts_own_axes():
    path = straight((2.0, 0.8), 0.3, miss_rad=0.1)
    (segment,) = path.segments
    aside = tuple((axis[0] + 30.0, *axis[1:]) for axis in segment.receive)
    ahead = trajectory.Trajectory((replace(segment, transmit=aside),))
    look = ahead.receive(0)
    told = NORTH.on_sky(look.azimuth_rad, look.elevation_rad, path_in_axes(ahead, NORTH).point_ahead(0))
    assert told == pytest.approx(ahead.point_ahead(0), abs=1e-8)


def test_a_declination_that_the_axis_does_not_reach_is_no_pass():
    limits = AxisLimits(1.0, 1.0, math.radians(60), NORTH, math.radians(-30))
    asked = Demand((0.1, 0.1), (0.1, 0.1), (math.radians(-20), math.radians(70)))
    assert asked.refusal(limits) == "declination would have to go from -20.0 to 70.0 deg, and goes from -30 to 60 deg"
    over = replace(limits, elevation_max_rad=math.radians(210))
    assert asked.refusal(over) == ""
    assert asked.refusal(replace(limits, frame=ALT_AZ)) == ""


class Desk:
    """A pointing service of an equatorial mount, looking south-west at first."""

    def __init__(self, clock, mount, port, observer, place, low_deg, cones, mask):
        model = MountModel(IA=2e-3, IE=-1e-3, AN=5e-4, frame=NORTH)
        mount.angle[:] = mount.load[:] = model.encoder(*NORTH.axes(*np.radians(place)))
        park, ground = Fixed(math.pi, math.radians(50)), Ground(mask, math.radians(low_deg))
        self.service = PointingService(clock, port, lambda: mount, observer, park, model, cones, ground=ground)
        self.clock, self.mount, self.port, self.model = clock, mount, port, model
        self.service.open()

    def slew(self, azimuth_deg, elevation_deg, seconds):
        body = {"azimuth_rad": math.radians(azimuth_deg), "elevation_rad": math.radians(elevation_deg)}
        self.port.ask("pointing.slew", body)
        end_ns = self.clock.t_ns + round(seconds * NS)
        while self.clock.t_ns < end_ns:
            self.port.give(STATION_MODE, ModeState("SLEW", 0, "a test says so"))
            self.service.cycle()
        return self.port.bodies(POINTING_STATE)


@pytest.fixture
def make_desk(fake_clock, simulated_mount, recording_port, observer):
    def make(place=(200.0, 50.0), low_deg=-2.0, cones=NO_CONES, mask=None):
        clock = fake_clock(EVENING)
        mount = simulated_mount(clock, np.random.default_rng(7))
        return Desk(clock, mount, recording_port(clock), observer, place, low_deg, cones, mask)

    return make


def test_the_service_of_an_equatorial_mount_is_sent_to_and_tells_directions_of_the_sky(make_desk):
    desk = make_desk()
    state = desk.slew(170.0, 40.0, 15)[-1]
    wanted = tuple(np.radians([170.0, 40.0]))
    assert state.activity == "hold"
    assert (state.azimuth_rad, state.elevation_rad) == pytest.approx(wanted, abs=1e-4)
    looks = NORTH.sky(*desk.model.direction(*desk.mount.load))
    assert looks == pytest.approx(wanted, abs=1e-4)
    assert state.axis_rad == pytest.approx(NORTH.axes(*looks), abs=1e-4)
    named = desk.service._loop.model.to_body()
    assert (named["IH"], named["ME"]) == (-2e-3, -5e-4)


def test_a_slew_from_one_side_of_the_pole_to_the_other_goes_over_it_and_not_through_the_ground(make_desk):
    """It is 155 degrees of hour angle below the pole, and 205 above."""
    states = make_desk((60.0, 3.0)).slew(300.0, 3.0, 5)
    assert states[-1].elevation_rad > math.radians(8.0)
    assert math.radians(-102.0) < states[-1].axis_rad[0] < 0.0


def test_no_axis_of_an_equatorial_mount_ends_at_the_horizon_and_it_is_held_there_all_the_same(make_desk):
    desk = make_desk(low_deg=45.0)
    states = desk.slew(180.0, 10.0, 8)
    (told,) = (e for e in desk.port.bodies(STATION_EVENT) if e.code == "HORIZON")
    assert "below horizon_min_deg = 45" in told.message
    assert states[-1].activity == "idle"
    assert states[-1].elevation_rad > math.radians(40.0)
    assert desk.slew(180.0, 60.0, 4)[-1].elevation_rad > math.radians(45.0), "it may rise"


def test_what_is_wound_up_is_called_by_the_mounts_own_first_axis(make_desk, tmp_path):
    (tmp_path / "wrap.json").mkdir()  # nothing can be put in its place
    desk = make_desk()
    desk.service._wrap = WrapMemory(tmp_path / "wrap.json")
    desk.slew(170.0, 40.0, 1)
    (told,) = (e.message for e in desk.port.bodies(STATION_EVENT) if e.code == "AXES")
    assert told.startswith("how far hour angle is wound up cannot be kept")
    (tmp_path / "damaged.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BoresightError, match="does not say how far hour angle is wound up"):
        WrapMemory(tmp_path / "damaged.json", "hour angle").recall()


def test_a_slew_of_the_service_goes_round_a_sun_that_is_on_the_way_of_these_axes(make_desk, monkeypatch):
    """From east to west an hour angle culminates 77 degrees high; both ends are far from the Sun."""
    sun = Place(math.pi, math.radians(77))
    monkeypatch.setattr(keepout, "sun_and_moon", lambda *_: (sun, Place(0.0, -1.0)))
    desk = make_desk((80.0, 17.0), cones=KeepOut(math.radians(4), 0.0))
    states = desk.slew(280.0, 17.0, 120)
    assert "round the Sun" in desk.port.answers[-1].message
    assert states[-1].activity == "hold"
    assert min(separation_rad(Place(s.azimuth_rad, s.elevation_rad), sun) for s in states) > math.radians(4)
