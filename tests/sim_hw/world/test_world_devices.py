"""What emulators see of the world: board, laser, power meter, camera."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sim_hw.scene.sky import CatalogueStar
from sim_hw.world import Spot, World

MakeWorld = Callable[..., World]
MS = 1_000_000
NS = 1_000 * MS
VEGA = CatalogueStar(279.23473479, 38.78368896, 200.94, 286.23, 0.03)  # Hipparcos
# 21:00 on the same day: Vega stands high.
EVENING_NS = 1_759_611_600 * NS
STILL: dict[str, dict[str, object]] = {
    "jitter": {"psd_at_zero_urad2_hz": 0.0},
    "turbulence": {"scale": 0.0},
    "wind": {"rms_urad": 0.0, "gust_urad": 0.0},
    "camera": {"star_noise_arcsec": 0.0, "offset_urad": 0.0, "rotation_deg": 0.0, "scale_error": 0.0},
    "gimbal": {"worm_fundamental_pp_urad": 0.0, "worm_second_harmonic_pp_urad": 0.0},
}


def test_without_a_board_the_mirror_rests_and_nothing_is_emitted(make_world: MakeWorld) -> None:
    world = make_world()
    world.set_laser(True, 1.0)
    world.advance(100 * MS)
    truth = world.truth()
    assert truth["mirror_rad"] == (0.0, 0.0)
    assert truth["fine_error_rad"] == truth["total_error_rad"]
    assert not truth["emitting"]
    assert world.laser_power_w() == 0.0


def test_the_enable_line_gates_the_laser_and_its_change_is_told_once(
    make_world: MakeWorld, close_all: Callable[[World], Any]
) -> None:
    world = make_world()
    told: list[tuple[int, bool]] = []
    world.on_enable_change.append(lambda up: told.append((world.now_ns, up)))
    host = close_all(world)
    world.advance(100 * MS)
    assert world.enable_line
    assert world.laser_power_w() == pytest.approx(1.0)
    assert world.truth()["emitting"]
    host.board.set_interlock(False)
    world.advance(100 * MS + 200_000)
    assert not world.enable_line  # within two ticks
    world.advance(200 * MS)
    assert not world.truth()["emitting"]
    assert world.laser_power_w() == 0.0
    assert [up for _, up in told] == [True, False]
    assert told[1][0] - 100 * MS <= 10 * MS  # the driver learns of it on a grid; the light went with the line


def test_a_silent_host_loses_emission_after_the_watchdogs_time(
    make_world: MakeWorld, close_all: Callable[[World], Any]
) -> None:
    world = make_world()
    host = close_all(world)
    world.timeline.after(0.5, lambda: setattr(host, "talking", False))
    world.advance(2 * NS)
    rows = world.log.rows()
    last_ns = int(rows.t_ns[rows.emitting][-1])
    assert 650 * MS < last_ns <= 752 * MS


def test_the_satellite_answers_after_a_frame_its_response_time_and_the_light_time(
    make_world: MakeWorld, close_all: Callable[[World], Any]
) -> None:
    world = make_world()
    close_all(world)
    world.advance(1 * NS)
    rows = world.log.rows()
    lit_ns = int(rows.t_ns[rows.beacon_on][0])
    trip_ns = 2 * world.truth()["range_m"] / 299_792_458 * NS
    shortest_ns = int(rows.t_ns[rows.illuminated][0]) + 250 * MS + 49 * MS + trip_ns
    assert shortest_ns - 2 * MS <= lit_ns <= shortest_ns + 150 * MS
    assert world.received_power_w() > 1e-7


def test_the_satellite_goes_dark_after_its_hold_time(make_world: MakeWorld, close_all: Callable[[World], Any]) -> None:
    world = make_world()
    close_all(world)
    world.timeline.after(1.0, lambda: world.set_laser(False, 1.0))
    world.advance(5 * NS)
    rows = world.log.rows()
    dark_ns = int(rows.t_ns[rows.beacon_on][-1])
    # The frame in which the laser went off may still have seen enough of it.
    assert 3_990 * MS < dark_ns <= 4_056 * MS
    assert not np.any(rows.emitting & (rows.t_ns > 1_001 * MS))


def test_the_camera_sees_the_beacon_at_the_coarse_error_with_its_dispersion(
    make_world: MakeWorld, close_all: Callable[[World], Any]
) -> None:
    world = make_world(**STILL)
    close_all(world)
    world.advance(2 * NS)
    (spot,) = world.camera_spots(2 * NS - 5 * MS, 2 * NS)
    error = world.log.rows([(2 * NS - 4 * MS, 2 * NS + 1)]).coarse_error_rad.mean(axis=0)
    dispersion = float(world.directions(np.array([2.0])).beacon_offset_rad[0])
    assert (spot.x_rad, spot.y_rad) == pytest.approx((error[0], error[1] + dispersion), abs=2e-7)
    assert 0.2e6 < spot.electrons_per_s < 4e6


def test_the_beacon_is_not_seen_while_it_is_off(make_world: MakeWorld) -> None:
    world = make_world()
    world.advance(20 * MS)
    assert world.camera_spots(15 * MS, 20 * MS) == []
    assert world.camera_spots(0, 0) == []


def vega_spots(world: World, offset_rad: tuple[float, float] = (0.0, 0.0)) -> list[Spot]:
    """Turn the axes onto Vega by the truth, a little off, and look."""
    north, east, up = world._view._sky.north_east_up(0.025)[:, 0]  # type: ignore[union-attr]
    wanted = np.array([math.atan2(east, north), math.asin(up)])
    axes = wanted.copy()
    for _ in range(4):
        seen = np.array(world.axis_boresight_rad(*axes))
        axes += np.angle(np.exp(1j * (wanted - seen)))
    axes -= (offset_rad[0] / math.cos(wanted[1]), offset_rad[1])
    for axis in (0, 1):
        world.gimbal.state[axis] = (axes[axis], 0.0, 0.0, axes[axis], axes[axis], 0.0, axes[axis])
    world.advance(30 * MS)
    return world.camera_spots(20 * MS, 30 * MS)


def test_a_star_is_seen_where_the_boresight_leaves_it(make_world: MakeWorld) -> None:
    (spot,) = vega_spots(make_world(stars=[VEGA], utc0_ns=EVENING_NS, **STILL), (300e-6, -200e-6))
    assert (spot.x_rad, spot.y_rad) == pytest.approx((300e-6, -200e-6), abs=5e-7)
    assert spot.electrons_per_s == pytest.approx(2e7 * 10 ** (-0.4 * 0.03))


def test_a_star_out_of_the_field_is_not_seen(make_world: MakeWorld) -> None:
    assert vega_spots(make_world(stars=[VEGA], utc0_ns=EVENING_NS, **STILL), (0.012, 0.0)) == []


def test_stars_have_places_that_are_off_by_the_stated_noise(make_world: MakeWorld) -> None:
    noisy = {**STILL, "camera": {**STILL["camera"], "star_noise_arcsec": 5.0}}
    off = []
    for seed in range(12):
        (spot,) = vega_spots(make_world(seed=seed, stars=[VEGA], utc0_ns=EVENING_NS, **noisy))
        off += [spot.x_rad, spot.y_rad]
    assert 0.6 * 24.2e-6 < float(np.std(off)) < 1.5 * 24.2e-6


@pytest.mark.parametrize("key", ["rotation_deg", "scale_error", "offset_urad"])
def test_how_the_camera_is_mounted_moves_its_spots(make_world: MakeWorld, key: str) -> None:
    mounted = {**STILL, "camera": {k: v for k, v in STILL["camera"].items() if k != key}}
    offset = (2e-3, 1e-3)
    (straight,) = vega_spots(make_world(stars=[VEGA], utc0_ns=EVENING_NS, **STILL), offset)
    (turned,) = vega_spots(make_world(stars=[VEGA], utc0_ns=EVENING_NS, **mounted), offset)
    assert math.hypot(turned.x_rad - straight.x_rad, turned.y_rad - straight.y_rad) > 1e-6


def test_truth_has_the_fields_of_the_bus_topic(make_world: MakeWorld) -> None:
    from controller.bus.topics import Truth

    world = make_world()
    for at_ns in (0, 50 * MS):
        world.advance(at_ns)
        assert Truth(**world.truth()).t_utc_ns == world.timeline.utc0_ns + at_ns


def test_light_of_a_pass_spans_what_the_quad_cell_is_specified_for(make_world: MakeWorld) -> None:
    """Noise-equivalent angle 0.5 to 1.5 urad a sample, of the requirements, at 0.34 to 1.7 of nominal power."""
    calm = {"scale": 0.0}
    soon_ns = make_world().timeline.utc0_ns
    low = make_world(utc0_ns=soon_ns - 135 * NS, turbulence=calm)
    high = make_world(utc0_ns=soon_ns + 28 * NS, turbulence=calm)
    for world, elevation_deg, gain, sigma_urad in ((low, 20.0, 0.35, 1.5), (high, 63.5, 1.74, 0.5)):
        world.advance(10 * MS)
        d = world.directions(np.array([0.01]))
        assert math.degrees(d.elevation_rad[0]) == pytest.approx(elevation_deg, abs=0.6)
        assert world._tape.gain[50] == pytest.approx(gain, rel=0.05)
        plant = world._fine_parameters
        assert plant is not None
        assert 1e6 * plant.noise_equivalent_angle_rad(gain) == pytest.approx(sigma_urad, rel=0.06)


def test_the_summary_says_what_the_air_does_to_the_pass(make_world: MakeWorld) -> None:
    drawn = make_world().drawn
    assert 3.2e-6 < drawn["tilt_rms_rad"] < 5.4e-6  # between 63 and 20 degrees, test_turbulence_profile's figures
    assert 25.0 < drawn["tilt_corner_hz"] < 70.0
    assert 0.5e-6 < drawn["fine"]["noise_equivalent_angle_rad"] < 1.5e-6
    assert make_world(turbulence={"scale": 0.0}).drawn["tilt_rms_rad"] == 0.0
    assert json.loads(json.dumps(drawn)) == drawn  # plain numbers


def test_the_log_goes_on_past_its_first_block(make_world: MakeWorld) -> None:
    world = make_world()
    world.advance(61 * NS)
    rows = world.log.rows([(59_999 * MS, 60_003 * MS)])
    assert list(rows.t_ns) == [59_999 * MS, 60_000 * MS, 60_001 * MS, 60_002 * MS]
    assert world.log.count == 61_000
    assert np.all(np.diff(rows.total_error_rad, axis=0) != 0.0)


def test_statistics_count_only_the_windows_asked_for(make_world: MakeWorld) -> None:
    world = make_world()
    world.advance(100 * MS)
    assert world.statistics([(0, 50 * MS), (40 * MS, 60 * MS)]).seconds == pytest.approx(0.059)
    nothing = world.statistics([])
    assert nothing.seconds == 0.0
    assert math.isnan(nothing.coarse_rms_rad[0])
