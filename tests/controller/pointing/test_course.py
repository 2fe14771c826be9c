"""The boresight's own way counts for the cones: through a keyhole, on the slew, and where azimuth unwinds."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from controller.bus.topics import POINTING_STATE, STATION_EVENT, STATION_MODE, ModeState
from controller.geometry.bodies import Place
from controller.geometry.frames import azel_to_enu, enu_to_azel
from controller.pointing import keepout
from controller.pointing.course import Axes, along, course
from controller.pointing.elements import built_in_elements, find
from controller.pointing.keepout import NO_CONES, KeepOut
from controller.pointing.passes import DAY_NS, PassError, find_passes
from controller.pointing.plan import AxisLimits, choose, clear_way, plan, ways
from controller.pointing.service import PointingService
from controller.pointing.targets import Fixed
from hal.clock import NS

MASK = math.radians(20)
LIMITS = AxisLimits(math.radians(3), math.radians(2))
FAR = Place(0.0, math.radians(-60))
CONE = math.radians(4)
BEYOND_RAD = math.radians(1)


def between(a, b):
    return 2 * np.arcsin(np.linalg.norm(np.asarray(a) - b, axis=-1) / 2)


@pytest.fixture(scope="module")
def keyhole(observer):
    """A real pass that peaks at 88 degrees over a mount of 3 degrees a second."""
    one = find(built_in_elements(), "STARLINK-2703")
    found = find_passes(one, observer.site, observer.earth, one.epoch_utc_ns, one.epoch_utc_ns + DAY_NS, MASK)
    return plan(max(found, key=lambda p: p.elevation_max_rad), observer, LIMITS)


def beside(path, way):
    """A place just beyond where the boresight is furthest from the target."""
    flown = along(path, way, np.arange(way.start_utc_ns, way.end_utc_ns, NS // 4, dtype=np.int64))
    off = between(flown.boresight, flown.target)
    here, seen = flown.boresight[off.argmax()], flown.target[off.argmax()]
    away = here - seen * (here @ seen)
    azimuth, elevation = enu_to_azel(here * math.cos(BEYOND_RAD) + away / np.linalg.norm(away) * math.sin(BEYOND_RAD))
    return Place(float(azimuth), float(elevation))


@pytest.fixture
def sky(monkeypatch):
    def placed(sun=FAR, moon=FAR):
        monkeypatch.setattr(keepout, "sun_and_moon", lambda *_: (sun, moon))

    return placed


def test_a_sun_beside_the_way_through_a_keyhole_sends_the_mount_another_way(keyhole, observer, sky):
    path, early = keyhole.trajectory, keyhole.way
    sky(sun=beside(path, early))
    cones = KeepOut(CONE, 0.0)
    assert cones.refusal(path, observer.site, observer.earth) == ""  # the target is nowhere near
    refusal = cones.refusal(path, observer.site, observer.earth, early)
    assert re.search(r"in the keyhole, passes (0.9|1.0) deg from the Sun", refusal)
    other, why = clear_way(path, observer, LIMITS, cones)
    assert why == ""
    assert "turns azimuth early the other way round" in other.sentence
    over, why = clear_way(path, observer, replace(LIMITS, elevation_max_rad=math.pi), cones)
    assert why == ""
    assert "goes over the top" in over.sentence
    assert plan(keyhole.target, observer, LIMITS, cones).way == other


def test_a_keyhole_pass_with_sun_and_moon_on_either_side_is_refused_with_the_reason(keyhole, observer, sky):
    path = keyhole.trajectory
    one, other = ways(path, LIMITS)
    sky(sun=beside(path, one), moon=beside(path, other))
    elements = [keyhole.target.elements]
    flown = choose(elements, observer, LIMITS, math.radians(80), above_limits=True, keep_out=NO_CONES)
    assert flown.target.elevation_max_rad == keyhole.target.elevation_max_rad
    with pytest.raises(PassError, match=r"the mount, away from it in the keyhole, passes (0.9|1.0) deg from the Sun"):
        choose(elements, observer, LIMITS, math.radians(80), above_limits=True, keep_out=KeepOut(CONE, CONE))
    over = choose(
        elements,
        observer,
        replace(LIMITS, elevation_max_rad=math.pi),
        math.radians(80),
        above_limits=True,
        keep_out=KeepOut(CONE, CONE),
    )
    assert over.way.over


@pytest.fixture
def fly(fake_clock, simulated_mount, recording_port, observer, keyhole):
    """Flies the keyhole by the service from just before the mount leaves the target; what came of it."""

    def run(cones, seconds, one_turn=False):
        path, start = keyhole.trajectory, keyhole.way.start_utc_ns - 10 * NS
        clock = fake_clock(start)
        look = path.receive(start)
        mount = simulated_mount(clock, np.random.default_rng(5), start=(look.azimuth_rad, look.elevation_rad))
        port = recording_port(clock)
        park = Fixed(0.0, 0.5)
        service = PointingService(clock, port, lambda: mount, observer, park, cones=cones)
        service.open()
        turned = path.sample(np.linspace(path.start_utc_ns, path.end_utc_ns, 50).astype(np.int64))[:, 0]
        stops = float(turned.min()) - 0.5, float(turned.max()) + 0.5
        service._loop._azimuth_limits_rad = stops if one_turn else (-9.0, 9.0)
        port.ask("pointing.track", {"name": "a pass", "segments": path.to_body(), "above_limits": True})
        while clock.utc_ns() < start + seconds * NS:
            port.give(STATION_MODE, ModeState("POINT", 0, "a test says so"))
            service.cycle()
        rows = np.array([row[1:] for row in mount.history])
        return port, azel_to_enu(rows[:, 0], rows[:, 1])

    return run


def test_the_service_flies_the_way_that_keeps_out_of_the_suns_cone(fly, keyhole, sky):
    sun = beside(keyhole.trajectory, keyhole.way)
    sky(sun=sun)
    port, boresight = fly(KeepOut(CONE, 0.0), 78)
    assert port.answers[-1].code == ""
    assert any("the other way round" in e.message for e in port.bodies(STATION_EVENT))
    assert between(boresight, azel_to_enu(*sun)).min() > CONE
    assert port.bodies(POINTING_STATE)[-1].settled


def test_the_service_refuses_a_keyhole_whose_every_way_leads_into_the_suns_cone(fly, keyhole, sky, monkeypatch):
    sun = beside(keyhole.trajectory, keyhole.way)
    sky(sun=sun)
    monkeypatch.setattr("controller.pointing.routes.ways", lambda path, limits: [keyhole.way])
    port, boresight = fly(KeepOut(CONE, 0.0), 1, one_turn=True)
    assert port.answers[-1].code == "LIMIT"
    assert "on its way the telescope would be 0.9" in port.answers[-1].message
    assert between(boresight, boresight[0]).max() < 1e-5


def test_a_moon_beside_every_way_is_told_and_only_darkens(fly, keyhole, sky, monkeypatch):
    sky(moon=beside(keyhole.trajectory, keyhole.way))
    monkeypatch.setattr("controller.pointing.routes.ways", lambda path, limits: [keyhole.way])
    port, _ = fly(KeepOut(CONE, CONE), 1)
    assert port.answers[-1].code == ""
    (told,) = [e.message for e in port.bodies(STATION_EVENT) if e.code == "CONE"]
    assert re.match(r"a pass: the mount, away from it in the keyhole, passes (0.9|1.0) deg from the Moon", told)
    assert told.endswith("no emission there")


def test_the_way_ahead_is_told_from_before_the_mount_leaves_the_target_until_it_is_back(keyhole):
    path, way = keyhole.trajectory, keyhole.way
    assert way.ahead(way.start_utc_ns - 11 * NS) == ()
    assert way.ahead(way.end_utc_ns) == ()
    for t_utc_ns in (way.start_utc_ns - 9 * NS, way.start_utc_ns + 20 * NS, way.end_utc_ns - NS):
        told = np.array(way.ahead(t_utc_ns))
        meant = along(path, way, t_utc_ns + np.arange(1, 11) * NS).boresight
        assert np.abs(azel_to_enu(told[:, 0], told[:, 1]) - meant).max() < 1e-9
        assert told[:, 1].max() <= math.pi / 2


def test_an_azimuth_that_unwinds_looks_all_round(pass_70):
    path = pass_70.trajectory
    looks = path.sample(np.array([path.start_utc_ns, path.end_utc_ns]))
    first, last = looks[:, 0]
    middle = (first + last) / 2
    stops = (min(first, middle), max(first, middle)) if first < last else (middle, middle + math.tau)
    axes = Axes(None, math.radians(3), (stops[1] - math.tau, stops[1]) if first < last else stops)
    taken = course(path, None, first, axes, path.start_utc_ns)
    turned = np.unwrap(np.arctan2(taken.boresight[:, 0], taken.boresight[:, 1]))
    swing = np.ptp(turned)
    free = course(path, None, first, Axes(None, math.radians(3)), path.start_utc_ns)
    assert not free.left.any()
    assert swing > math.radians(180) + abs(middle - first)
    assert taken.left.sum() > 10
