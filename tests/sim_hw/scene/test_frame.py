"""Rendered frames against the statistics that a sensor has."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sim_hw.scene.frame import FrameRenderer, Sensor


def renderer(seed: int = 1, **changes: float) -> FrameRenderer:
    return FrameRenderer(Sensor(**{"width_px": 128, "height_px": 128, **changes}), np.random.default_rng(seed))  # type: ignore[arg-type]


@pytest.mark.parametrize("background_e_s", [20_000.0, 2_000.0, 0.0], ids=["normal", "poisson", "dark"])
def test_the_background_has_the_mean_and_variance_of_photons_and_read_noise(background_e_s: float) -> None:
    frames = renderer(background_e_s=background_e_s, read_noise_e=3.0)
    image = np.stack([frames.render(0, 0, 128, 128, 0.005, []) for _ in range(20)]).astype(float)
    expected_e = background_e_s * 0.005
    n = image.size
    variance = expected_e + 9.0 + 1 / 12  # shot, read, rounding
    assert image.mean() == pytest.approx(100 + expected_e, abs=5 * math.sqrt(variance / n))
    assert image.var() == pytest.approx(variance, rel=5 * math.sqrt(2 / n) + 0.002)


def test_a_spots_light_is_all_there_and_shot_noise_is_its_square_root() -> None:
    frames = renderer(background_e_s=0.0, read_noise_e=0.0)
    totals = [frames.render(0, 0, 128, 128, 0.01, [(0.0, 0.0, 2e6)]).sum() - 100.0 * 128 * 128 for _ in range(400)]
    assert np.mean(totals) == pytest.approx(20_000, abs=5 * math.sqrt(20_000 / 400) + 20)
    assert np.std(totals) == pytest.approx(math.sqrt(20_000), rel=0.15)


def test_each_pixel_gets_the_integral_of_the_gaussian_over_it() -> None:
    frames = renderer(background_e_s=20_000.0)
    scale = frames.sensor.pixel_scale_rad
    mean = np.mean(
        [frames.render(60, 60, 8, 8, 0.005, [(0.3 * scale, -0.1 * scale, 1e7)]).astype(float) for _ in range(3000)],
        axis=0,
    )
    # pixel 64 across and 63 down; the spot's centre is at 63.5 + 0.3 and 63.5 - 0.1, sigma 1.5
    share_x = 0.5 * (math.erf(0.7 / (1.5 * math.sqrt(2))) + math.erf(0.3 / (1.5 * math.sqrt(2))))
    share_y = 0.5 * (math.erf(0.1 / (1.5 * math.sqrt(2))) + math.erf(0.9 / (1.5 * math.sqrt(2))))
    assert mean[3, 4] == pytest.approx(200 + 50_000 * share_x * share_y, rel=0.002)


def test_a_full_well_is_the_most_that_a_pixel_shows() -> None:
    frames = renderer(full_well_e=1_000.0)
    assert frames.render(0, 0, 128, 128, 0.01, [(0.0, 0.0, 1e9)]).max() == 1_100


def test_sixteen_bits_are_the_most_that_a_pixel_shows() -> None:
    frames = renderer(full_well_e=1e9)
    assert frames.render(0, 0, 128, 128, 0.01, [(0.0, 0.0, 1e10)]).max() == 65_535


def test_a_region_shows_its_part_of_the_sensor() -> None:
    scale = Sensor().pixel_scale_rad
    image = renderer().render(80, 20, 32, 16, 0.005, [((95.0 - 63.5) * scale, (28.0 - 63.5) * scale, 1e8)])
    assert image.shape == (16, 32)
    assert np.unravel_index(np.argmax(image), image.shape) == (8, 15)


def test_light_outside_of_the_region_changes_nothing_but_the_region_it_is_in() -> None:
    far = [(1.0, 1.0, 1e9)]
    assert np.array_equal(renderer(5).render(0, 0, 64, 64, 0.005, far), renderer(5).render(0, 0, 64, 64, 0.005, []))


def test_the_same_seed_gives_the_same_frames_and_another_seed_others() -> None:
    def three(seed: int) -> np.ndarray:
        frames = renderer(seed)
        return np.stack([frames.render(0, 0, 64, 64, 0.005, [(0.0, 0.0, 1e6)]) for _ in range(3)])

    assert np.array_equal(three(1), three(1))
    assert not np.array_equal(three(1), three(2))
    assert not np.array_equal(three(1)[0], three(1)[1])
