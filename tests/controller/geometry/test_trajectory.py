"""Trajectories: fit, evaluation, rates, ends, and the way over the bus."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from controller.geometry import trajectory
from controller.geometry.earth import load_earth_orientation
from controller.geometry.frames import Site, azel_to_enu
from controller.geometry.trajectory import SEGMENTS_MAX, Trajectory, fit, fit_closely
from controller.pointing.elements import built_in_elements, find
from controller.pointing.prediction import Observer, apparent_enu_m, predict

NS = 1_000_000_000
SITE = Site(28.2995, -16.5118, 2393.0, 770.0, 12.0, 0.3, "ogs")
TOP = int(np.datetime64("2025-10-04T12:44:07.1", "ns").astype(np.int64))  # STARLINK-1008, 63.5 degrees


@pytest.fixture(scope="module")
def observer():
    return Observer(SITE, load_earth_orientation())


@pytest.fixture(scope="module")
def elements():
    return find(built_in_elements(), "STARLINK-1008")


@pytest.fixture(scope="module")
def path(elements, observer):
    return predict(elements, observer, TOP - 200 * NS, TOP + 200 * NS)


def units(looks):
    return azel_to_enu(looks[:, 0], looks[:, 1])


@pytest.mark.parametrize(
    ("top", "span_s", "segments"),
    [  # of STARLINK-1008: 14 degrees, where one polynomial suffices; 63 degrees, where the light path turns faster
        ("2025-10-04T14:23:55.3", 450, 1),
        ("2025-10-04T12:44:07.1", 605, 2),
    ],
)
def test_a_pass_is_followed_to_a_nanoradian(top, span_s, segments, elements, observer):
    middle = int(np.datetime64(top, "ns").astype(np.int64))
    path = predict(elements, observer, middle - span_s * NS // 2, middle + span_s * NS // 2)
    assert len(path.segments) == segments
    times = np.linspace(path.start_utc_ns, path.end_utc_ns, 3001).astype(np.int64)
    receive, transmit = apparent_enu_m(elements, times, observer)
    looks = path.sample(times)
    assert np.linalg.norm(units(looks) - receive / np.linalg.norm(receive, axis=1)[:, None], axis=1).max() < 1e-9
    assert np.abs(looks[:, 2] - np.linalg.norm(receive, axis=1)).max() < 1e-3
    ahead = np.array([path.transmit(int(t)) for t in times[::100]])
    unit = transmit[::100] / np.linalg.norm(transmit[::100], axis=1)[:, None]
    assert np.linalg.norm(units(ahead) - unit, axis=1).max() < 1e-9


def test_a_kink_is_closed_in_on_before_what_misses_less(observer):
    # A path with ripples that no polynomial follows (1e-8 of the range) and one kink of 100 m/s in it.
    def path(t_utc_ns):
        after_s = (t_utc_ns - TOP) / NS
        east = 100.0 * np.maximum(after_s, 0.0)
        north = 0.01 * np.sin(after_s)
        enu = np.stack([east, north, np.full_like(east, 1e6)], axis=-1)
        return enu, enu

    fitted = fit_closely(path, TOP - 411 * NS, TOP + 489 * NS)
    assert len(fitted.segments) <= SEGMENTS_MAX
    assert min(s.end_utc_ns - s.start_utc_ns for s in fitted.segments) < 4 * NS
    times = np.linspace(fitted.start_utc_ns, fitted.end_utc_ns, 3001).astype(np.int64)
    enu, _ = path(times)
    assert np.linalg.norm(units(fitted.sample(times)) - enu / np.linalg.norm(enu, axis=1)[:, None], axis=1).max() < 1e-6


def test_many_segments_sampled_at_once_are_what_each_moment_is_by_itself(elements, observer):
    long = predict(elements, observer, TOP - 2000 * NS, TOP + 2000 * NS)
    assert len(long.segments) >= 5
    times = np.arange(long.start_utc_ns, long.end_utc_ns, 7 * NS, dtype=np.int64)
    alone = np.array([long.receive(int(t)) for t in times])
    assert np.abs(units(long.sample(times)) - units(alone)).max() < 1e-10
    assert np.abs(long.sample(times)[:, 3:5] - alone[:, 3:5]).max() < 1e-10
    assert long.sample(times[:0]).shape == (0, 6)


def test_a_moment_by_itself_is_that_of_the_whole_polynomial_from_less_than_half_as_many_coefficients(path):
    times = np.linspace(path.start_utc_ns, path.end_utc_ns, 2001).astype(np.int64)
    alone = np.array([path.receive(int(t)) for t in times])
    alone[:, 0] = np.unwrap(alone[:, 0])
    off = np.abs(alone - path.sample(times)).max(axis=0)
    assert (off[[0, 1, 3, 4]] < 1e-11).all()
    assert (off[[2, 5]] < 1e-6).all()
    kept = [len(path.segments[0].piece(0, index)) for index in range(trajectory.PIECES)]
    assert sum(kept) / len(kept) < trajectory.NODES / 2


def test_rates_are_the_derivatives_of_what_is_evaluated(path):
    for t in range(path.start_utc_ns + NS, path.end_utc_ns - NS, 20 * NS):
        before, now, after = (path.receive(t + d) for d in (-NS // 100, 0, NS // 100))
        turned = math.remainder(after.azimuth_rad - before.azimuth_rad, math.tau) / 0.02
        assert now.azimuth_rate_rad_s == pytest.approx(turned, abs=1e-8)
        assert now.elevation_rate_rad_s == pytest.approx((after.elevation_rad - before.elevation_rad) / 0.02, abs=1e-8)
        assert now.range_rate_m_s == pytest.approx((after.range_m - before.range_m) / 0.02, abs=1e-3)


def test_point_ahead_is_the_angle_between_both_directions(path):
    t = TOP - 100 * NS
    receive, transmit = path.receive(t), path.transmit(t)
    apart = np.linalg.norm(azel_to_enu(*receive[:2]) - azel_to_enu(*transmit[:2]))
    x, y = path.point_ahead(t)
    assert math.hypot(x, y) == pytest.approx(apart, rel=1e-4)
    # It leads in the direction of apparent motion.
    motion = (receive.azimuth_rate_rad_s * math.cos(receive.elevation_rad), receive.elevation_rate_rad_s)
    cosine = (x * motion[0] + y * motion[1]) / math.hypot(x, y) / math.hypot(*motion)
    assert cosine > 0.99


def test_outside_its_span_a_trajectory_stands_still(path):
    before, first = path.receive(path.start_utc_ns - 100 * NS), path.receive(path.start_utc_ns)
    assert before[:3] == pytest.approx(first[:3])
    assert before[3:] == (0.0, 0.0, 0.0)
    assert path.receive(path.end_utc_ns + NS)[3:] == (0.0, 0.0, 0.0)


def test_a_long_span_is_cut_into_segments_that_join(elements, observer, monkeypatch):
    monkeypatch.setattr(trajectory, "SEGMENT_MAX_S", 150.0)
    path = predict(elements, observer, TOP - 200 * NS, TOP + 200 * NS)
    assert len(path.segments) == 3
    for one, two in zip(path.segments, path.segments[1:], strict=False):
        assert one.end_utc_ns == two.start_utc_ns
        left, right = path.receive(one.end_utc_ns - 1), path.receive(one.end_utc_ns)
        assert left[:2] == pytest.approx(right[:2], abs=2e-8)


def test_a_trajectory_survives_the_bus(path):
    body = msgspec.msgpack.decode(msgspec.msgpack.encode(path.to_body()))
    again = Trajectory.from_body(body)
    assert again == path
    assert again.receive(TOP) == path.receive(TOP)


def change(row, **fields):
    return {**row, **fields}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda r: [], "at least one segment"),
        (lambda r: [{k: v for k, v in r.items() if k != "receive"}], "receive"),
        (lambda r: [change(r, end_utc_ns=r["start_utc_ns"])], "follow each other"),
        (lambda r: [r, r], "follow each other"),
        (lambda r: [change(r, receive=[[1.0], [1.0]])], "three axes"),
        (lambda r: [change(r, transmit=[[1.0], [], [1.0]])], "three axes"),
        (lambda r: [change(r, receive=[[1.0], [math.nan], [1.0]])], "not finite"),
        (lambda r: [change(r, receive=[["x"], [1.0], [1.0]])], "float"),
        (lambda r: [change(r, receive=[[1.0] * 1200, [1.0], [1.0]])], "more than 64 coefficients"),
    ],
)
def test_segments_that_are_wrong_are_refused(path, spoil, words):
    with pytest.raises(ValueError, match=words):
        Trajectory.from_body(spoil(path.to_body()[0]))


def test_an_empty_span_is_refused():
    with pytest.raises(ValueError, match="end after it starts"):
        fit(lambda t: (np.ones((len(t), 3)), np.ones((len(t), 3))), 5, 5)
