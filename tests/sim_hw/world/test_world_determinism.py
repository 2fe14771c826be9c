"""A seed gives one truth, bit for bit, however the world is advanced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sim_hw.world import World

MakeWorld = Callable[..., World]
MS = 1_000_000
NS = 1_000 * MS


@pytest.mark.parametrize("step_ns", [1_000 * MS, 7 * MS, 1_370_321])
def test_how_time_is_cut_changes_nothing(make_world: MakeWorld, close_all: Callable[..., Any], step_ns: int) -> None:
    reference, cut = make_world(seed=3), make_world(seed=3)
    changes: list[list[tuple[int, bool]]] = [[], []]
    for world, seen in zip((reference, cut), changes, strict=True):
        world.on_enable_change.append(lambda up, w=world, s=seen: s.append((w.now_ns, up)))
        host = close_all(world, lags=world is cut)
        world.timeline.after(1.1, lambda h=host: setattr(h, "talking", False))  # the watchdog will bite
    end_ns = 2_100 * MS
    reference.advance(end_ns)
    readings = []
    while cut.now_ns < end_ns:
        cut.advance(min(cut.now_ns + step_ns, end_ns))
        cut.work_ahead()
        readings.append((cut.truth(), cut.received_power_w(), cut.camera_spots(cut.now_ns - 5 * MS, cut.now_ns)))
    assert cut.truth() == reference.truth()
    assert cut.received_power_w() == reference.received_power_w()
    assert np.array_equal(cut.log.rows().values, reference.log.rows().values)
    assert np.array_equal(cut.fine_capture_rad(3.0), reference.fine_capture_rad(3.0))
    assert np.array_equal(cut.gimbal.state, reference.gimbal.state)
    assert changes[0] == changes[1]
    assert [up for _, up in changes[0]] == [True, False]
    assert len(readings) == -(-end_ns // step_ns)


def test_a_seed_repeats_and_another_differs(make_world: MakeWorld) -> None:
    a, b, c = make_world(seed=3), make_world(seed=3), make_world(seed=4)
    for world in (a, b, c):
        world.advance(50 * MS)
    assert a.drawn == b.drawn
    assert np.array_equal(a.log.rows().values, b.log.rows().values)
    assert a.drawn["mount"] != c.drawn["mount"]
    assert not np.array_equal(a.log.rows().values, c.log.rows().values)


def test_switching_one_disturbance_off_leaves_every_other_draw(make_world: MakeWorld) -> None:
    quiet = make_world(wind={"rms_urad": 0.0}, jitter={"psd_at_zero_urad2_hz": 0.0})
    usual = make_world()
    assert quiet.drawn["mount"] == usual.drawn["mount"]
    assert quiet.drawn["ephemeris_cross_track_m"] == usual.drawn["ephemeris_cross_track_m"]
    for world in (quiet, usual):
        world.advance(100 * MS)
    assert np.array_equal(quiet._tape.gain[:1000], usual._tape.gain[:1000])
    assert np.array_equal(quiet._tape.apart_rad[:1000], usual._tape.apart_rad[:1000])


def test_reading_sensors_more_often_changes_no_truth(make_world: MakeWorld) -> None:
    nosy, plain = make_world(), make_world()
    for _ in range(20):
        nosy.advance(nosy.now_ns + 3_333_333)
        nosy.gimbal.encoder_rad()
        nosy.received_power_w()
        nosy.camera_spots(nosy.now_ns - 2 * MS, nosy.now_ns)
    plain.advance(nosy.now_ns)
    assert np.array_equal(nosy.log.rows().values, plain.log.rows().values)
