"""The cones of a mount whose axes are not azimuth and elevation: its ways are its own, Sun and Moon are of the sky."""

from __future__ import annotations

import math

import numpy as np
import pytest

from controller.bus.topics import PointingState
from controller.geometry import trajectory
from controller.geometry.bodies import Place, sun_and_moon
from controller.geometry.earth import load_earth_orientation
from controller.geometry.frames import Site, azel_to_enu
from controller.pointing import keepout
from controller.pointing.calibration import choose_stars, spread_directions
from controller.pointing.course import Axes, along, course
from controller.pointing.ephemeris.frames import axes_of
from controller.pointing.ephemeris.live import Live, State
from controller.pointing.keepout import KeepOut, SunGuard
from controller.pointing.live_target import LiveTarget
from controller.pointing.mount_frame import ALT_AZ, MountFrame
from controller.pointing.mount_sky import in_axes, on_sky
from controller.pointing.plan import AxisLimits, clear_way, way
from controller.pointing.targets import Fixed
from hal.clock import NS

SITE = Site(28.2995, -16.5118, 2393.0, 770.0, 12.0, 0.3, "ogs")
LATITUDE = math.radians(28.2995)
NORTH = MountFrame.equatorial(LATITUDE)
LIMITS = AxisLimits(math.radians(3), math.radians(2), math.pi / 2, NORTH)
FAR = Place(0.0, math.radians(-60))
CONE = math.radians(4)
NOON = int(np.datetime64("2025-10-04T13:00:00", "ns").astype(np.int64))


def past_the_pole():
    """A body on a straight line that passes the celestial pole at a degree: a keyhole of an equatorial mount alone."""
    ahead, right = azel_to_enu(0.0, LATITUDE), azel_to_enu(math.pi / 2, 0.0)
    above = np.cross(right, ahead)
    along_it = math.cos(1.0) * above + math.sin(1.0) * right
    aside = np.cross(along_it, ahead)

    def path(t):
        away = 550e3 * (ahead + math.tan(math.radians(1)) * aside) + np.asarray(t)[:, None] / NS * 7500.0 * along_it
        return away, away

    return trajectory.fit(path, -120 * NS, 120 * NS)


def off(a, b):
    return 2 * np.arcsin(np.linalg.norm(np.asarray(a) - b, axis=-1) / 2)


def looks(planned, times):
    """Where the boresight looks (n, 3), angle by angle through the frame."""
    path = planned.path.sample(times)[:, :2]
    axes = planned.planned(times, path, path[:, 0])
    return np.array([azel_to_enu(*NORTH.sky(*pair)) for pair in axes])


@pytest.fixture
def sky(monkeypatch):
    def placed(sun=FAR, moon=FAR):
        monkeypatch.setattr(keepout, "sun_and_moon", lambda *_: (sun, moon))

    return placed


def test_a_sun_beside_the_way_through_the_keyhole_at_the_pole_sends_the_mount_another_way(observer, sky):
    path = past_the_pole()
    planned = way(path, LIMITS)
    times = np.arange(planned.start_utc_ns, planned.end_utc_ns, NS // 4, dtype=np.int64)
    target = azel_to_enu(*path.sample(times)[:, :2].T)
    flown = looks(planned, times)
    assert off(along(path, planned, times).boresight, flown).max() < 1e-9
    assert off(along(path, planned, times).target, target).max() < 1e-9
    worst = off(flown, target).argmax()
    out = flown[worst] - target[worst]
    east, north, up = flown[worst] + out / np.linalg.norm(out) * math.radians(1)
    sky(sun=Place(math.atan2(east, north), math.asin(up / math.hypot(east, north, up))))
    cones = KeepOut(CONE, 0.0)
    assert "in the keyhole, passes" in cones.refusal(path, observer.site, observer.earth, planned)
    assert cones.refusal(path, observer.site, observer.earth) == ""  # the target is nowhere near
    other, why = clear_way(path, observer, LIMITS, cones)
    assert why == ""
    assert other != planned
    assert "turns hour angle early the other way round" in other.sentence


def test_the_way_ahead_of_the_boresight_is_published_about_the_sky():
    path = past_the_pole()
    planned = way(path, LIMITS)
    t_utc_ns = planned.start_utc_ns + 3 * NS
    pairs = {f"{name}_rad": (0.0, 0.0) for name in ("deviation", "point_ahead", "correction")}
    more = {"deviation_rate_rad_s": (0.0, 0.0), "command_latency_s": 0.0, "settled": True}
    numbers = dict.fromkeys(("azimuth_rad", "elevation_rad", "azimuth_rate_rad_s", "elevation_rate_rad_s"), 0.1)
    numbers |= {f"target_{name}": value for name, value in numbers.items()}
    told = planned.ahead(t_utc_ns)
    said = PointingState(t_utc_ns, "track", range_m=1.0, way_ahead_rad=told, **numbers, **pairs, **more)
    meant = looks(planned, t_utc_ns + np.arange(1, 11) * NS)
    published = np.array([azel_to_enu(*place) for place in on_sky(said, NORTH).way_ahead_rad])
    assert off(published, meant).max() < 1e-9
    assert on_sky(said, ALT_AZ).way_ahead_rad == told


def test_a_slew_from_east_to_west_culminates_on_a_wedge_and_meets_the_sun_there(observer, sky):
    """Along the horizon it is for an alt-azimuth mount, whose azimuth goes round."""
    sky(sun=Place(math.pi, math.radians(78)))
    guard = SunGuard(CONE, observer.site, observer.earth)
    for frame, refused in ((NORTH, "on its way the telescope would be"), (ALT_AZ, "")):
        here, there = frame.axes(math.radians(80), 0.3), in_axes(Fixed(math.radians(280), 0.3), frame)
        axes = Axes(here, math.radians(3), None, frame)
        taken = course(there, None, there.azimuth_rad, axes, 0)
        assert off(taken.boresight[0], azel_to_enu(math.radians(80), 0.3)) < math.radians(2)
        assert off(taken.boresight[-1], azel_to_enu(math.radians(280), 0.3)) < 1e-9
        why = guard.refusal(taken)
        assert (refused in why) if refused else why == ""


def test_a_live_target_is_followed_in_the_axes_of_a_mount_and_known_across_and_along_its_second_one(observer):
    site = observer.site
    place = site.itrf_m + np.array([60e3, 80e3, 90e3]) @ site.itrf_to_enu
    velocity = np.array([3e3, -5e3, 1e3]) @ site.itrf_to_enu
    covariance = np.zeros((6, 6))
    covariance[:3, :3] = site.itrf_to_enu.T @ np.diag([400.0, 100.0, 2500.0]) @ site.itrf_to_enu
    stream = Live("one", axes_of("ITRF", "here"), 5.0, 1.0)
    stream.take(State(NOON, place, velocity, covariance), NOON)
    seen = LiveTarget(stream, observer)
    turned = in_axes(seen, NORTH)
    assert isinstance(turned, LiveTarget)
    assert turned.stream is stream
    for t_utc_ns in (NOON, NOON + NS):
        look, axes = seen.receive(t_utc_ns), turned.receive(t_utc_ns)
        wanted = NORTH.axes(look.azimuth_rad, look.elevation_rad)
        assert (axes.azimuth_rad, axes.elevation_rad) == pytest.approx(wanted, abs=1e-10)
        # Its sigmas are those along two directions of the sky, found by moving the axes.
        ahead = azel_to_enu(*NORTH.sky(*wanted))
        up = azel_to_enu(*NORTH.sky(wanted[0], wanted[1] + 1e-6)) - ahead
        up /= np.linalg.norm(up)
        spread = np.array([400.0, 100.0, 2500.0])
        told = [math.sqrt((v**2 * spread).sum()) / look.range_m for v in (np.cross(ahead, up), up)]
        if t_utc_ns == NOON:
            assert turned.sigma_rad(t_utc_ns) == pytest.approx(told, rel=1e-3)
            assert seen.sigma_rad(t_utc_ns) != pytest.approx(told, rel=0.05)


def test_calibration_stars_keep_out_of_the_suns_cone_by_day_and_are_any_when_it_is_down():
    earth, cone = load_earth_orientation(), math.radians(30)
    site = SITE
    sun, _ = sun_and_moon(NOON, site, earth)
    assert sun.elevation_rad > math.radians(30)

    def nearest(**more):
        chosen = choose_stars(NOON, site, earth, 0.7, frame=NORTH, **more)
        assert len(chosen) == 12
        units = np.array([azel_to_enu(azimuth, elevation) for _, azimuth, elevation in chosen])
        return float(off(units, azel_to_enu(*sun)).min())

    assert nearest() < cone < nearest(sun_cone_rad=cone)
    night = NOON + 10 * 3600 * NS
    assert choose_stars(night, site, earth, 0.7, sun_cone_rad=cone) == choose_stars(night, site, earth, 0.7)


def test_directions_for_plates_leave_out_where_the_first_axis_points():
    everywhere = spread_directions(0.6)
    assert len(everywhere) == 12
    pole = MountFrame("equatorial", *everywhere[5])
    left = spread_directions(0.6, pole)
    assert set(left) == {place for place in everywhere if place != everywhere[5]}
