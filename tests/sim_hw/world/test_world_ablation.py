"""Each default disturbance is there: switching it off changes the figure that it should, and little else."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from sim_hw.scene.truth_log import Statistics
from sim_hw.world import World

NS = 1_000_000_000
LINK = [(3 * NS, 30 * NS)]
Linked = Callable[..., World]


def figures(world: World) -> Statistics:
    return world.statistics(LINK, 1e-7)


def both(pair: tuple[float, float]) -> float:
    return math.hypot(*pair)


def test_the_default_world_gives_figures_of_the_size_its_sources_say(linked: Linked) -> None:
    s = figures(linked())
    assert 15e-6 < both(s.coarse_rms_rad) < 150e-6  # worm, wind and backlash; nobody corrects here
    assert both(s.total_rms_rad) > both(s.coarse_rms_rad)
    assert 1e-6 < both(s.fine_rms_rad) < 10e-6  # a 20 Hz loop on 16 urad of jitter
    assert both(s.transmit_rms_rad) > both(s.fine_rms_rad)
    assert s.power_fraction > 0.8  # of the loop that these tests close; not the product's
    assert s.mirror_saturation_fraction == 0.0


OFF: dict[str, tuple[dict[str, dict[str, object]], str, float, float]] = {
    # name: what is switched off, the figure, and the ratio (off / on) that it falls between
    "worm": (
        {"gimbal": {"worm_fundamental_pp_urad": 0.0, "worm_second_harmonic_pp_urad": 0.0}},
        "coarse_rms_rad",
        0.0,
        0.97,
    ),
    "wind": ({"wind": {"rms_urad": 0.0}}, "coarse_rms_rad", 0.5, 0.999),
    "jitter": ({"jitter": {"psd_at_zero_urad2_hz": 0.0}}, "fine_rms_rad", 0.0, 0.8),
    "tilt": ({"turbulence": {"tilt": False}}, "fine_rms_rad", 0.5, 0.99),
    "anisoplanatism": ({"turbulence": {"tilt": False}}, "transmit_rms_rad", 0.3, 0.97),
    "hysteresis and quad noise": (
        {"fine": {"hysteresis": 0.0, "shot_nea_rad": 0.0, "floor_nea_rad": 0.0}},
        "fine_rms_rad",
        0.9,
        0.9999,
    ),
    "ephemeris": ({"ephemeris": {"along_track_m": 0.0, "cross_track_m": 0.0}}, "nominal_rms_rad", 0.0, 0.8),
}


@pytest.mark.parametrize("name", OFF)
def test_switching_a_disturbance_off_lowers_its_figure(linked: Linked, name: str) -> None:
    override, figure, low, high = OFF[name]
    ratio = both(getattr(figures(linked(**override)), figure)) / both(getattr(figures(linked()), figure))
    assert low <= ratio < high, f"{figure} without {name}: {ratio:.3f} of the default"


def test_scintillation_moves_the_received_power(linked: Linked) -> None:
    def flicker(world: World) -> float:
        gain = world._tape.gain[: 15 * 10_000]
        return float(np.std(np.diff(np.log(gain), n=1)))

    assert flicker(linked(turbulence={"scintillation": False})) < 0.01 * flicker(linked())


def test_misalignment_is_an_open_loop_error(make_world: Callable[..., World]) -> None:
    def miss(world: World) -> float:
        wanted = np.array([1.0, 0.8])
        seen = np.array(world.axis_boresight_rad(*wanted))
        return float(np.linalg.norm(seen - wanted))

    nothing = {f"{k}_urad": 0.0 for k in ("index_azimuth", "index_elevation", "collimation", "axis_north", "axis_west")}
    assert miss(make_world(misalignment=nothing)) == pytest.approx(0.0, abs=1e-15)
    assert miss(make_world()) > 50e-6


def test_encoder_noise_is_on_the_encoders(make_world: Callable[..., World]) -> None:
    still, usual = make_world(gimbal={"encoder_rms_urad": 0.0}), make_world()
    assert len({still.gimbal.encoder_rad() for _ in range(5)}) == 1
    assert len({usual.gimbal.encoder_rad() for _ in range(5)}) == 5


def test_the_gust_blows_once_while_the_target_is_high(
    make_world: Callable[..., World], follow: Callable[..., object]
) -> None:
    errors = []
    for gust_urad in (0.0, 60.0):
        world = make_world(wind={"gust_urad": gust_urad})
        start_s = world.drawn["gust_start_s"]
        assert world.directions(np.array([start_s])).elevation_rad[0] > math.radians(20)
        follow(world)
        world.advance(round((start_s + 10.0) * NS))
        errors.append(world.log.rows([(NS, world.now_ns)]).coarse_error_rad)
    blown = np.hypot(*(errors[1] - errors[0]).T)
    assert blown.max() == pytest.approx(60e-6, rel=0.02)
    assert np.count_nonzero(blown > 1e-6) == pytest.approx(3000, rel=0.1)


def test_backlash_shows_at_the_elevation_reversal(
    make_world: Callable[..., World], follow: Callable[..., object]
) -> None:
    def jump(world: World) -> float:
        follow(world, knows_play=False)
        world.advance(30 * NS)
        error = world.log.rows([(1 * NS, 30 * NS)]).coarse_error_rad[:, 1]
        return float(np.ptp(error))

    assert jump(make_world()) - jump(make_world(gimbal={"backlash_urad": 0.0})) == pytest.approx(150e-6, rel=0.3)


def test_friction_is_felt_at_the_reversal(linked: Linked) -> None:
    free = linked(gimbal={"friction_static_urad": 0.0, "friction_coulomb_urad": 0.0})
    usual = linked()
    change = np.abs(usual.log.rows(LINK).coarse_error_rad - free.log.rows(LINK).coarse_error_rad)[:, 1]
    assert 3e-6 < change.max() < 20e-6


def test_a_cloud_takes_beacon_and_downlink(linked: Linked) -> None:
    world = linked(cloud={"windows_s": ((10.0, 12.0),)})
    under = world.statistics([(10_100_000_000, 11_900_000_000)], 1e-7)
    clear = world.statistics([(5 * NS, 9 * NS)], 1e-7)
    assert under.power_fraction == 0.0
    assert clear.power_fraction > 0.8
