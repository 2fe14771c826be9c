"""Centroids against the Cramér-Rao bound, and detection against noise alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from controller.tracking import centroid as code
from controller.tracking.centroid import centroid, detect, threshold
from hal.traits import Region
from sim_hw.scene.frame import FrameRenderer, Sensor

EXPOSURE_S = 0.005
SENSOR = Sensor(width_px=64, height_px=64)  # 100 e of background a frame, 3 e read noise, spots of 1.5 px


def frame(renderer: FrameRenderer, spots: list[tuple[float, float, float]], size: int = 64) -> NDArray[np.uint16]:
    """An image with spots given as (x_px, y_px, electrons)."""
    scale, middle = renderer.sensor.pixel_scale_rad, (renderer.sensor.width_px - 1) / 2
    light = [((x - middle) * scale, (y - middle) * scale, e / EXPOSURE_S) for x, y, e in spots]
    return renderer.render(0, 0, size, size, EXPOSURE_S, light)


def bound_px(electrons: float) -> float:
    """Cramér-Rao bound of x for unknown x, y, flux and background, from the pixel-integrated model by differences.

    F_ab = sum (dmu/da)(dmu/db) / (mu + read_noise^2 + 1/12), averaged over places within a pixel.
    """

    def model(x: float, y: float, flux: float, background: float) -> NDArray[np.float64]:
        def share(centre: float) -> NDArray[np.float64]:
            edges = (np.arange(-12.5, 13) - centre) / (math.sqrt(2) * SENSOR.spot_sigma_px)
            return 0.5 * np.diff([math.erf(e) for e in edges])

        return background + flux * np.outer(share(y), share(x))

    variances = []
    for x in (0.0, 0.25, 0.5):
        at, steps = np.array([x, 0.3, electrons, 100.0]), (1e-4, 1e-4, electrons * 1e-4, 1e-2)
        slopes = [
            ((model(*(at + h * np.eye(4)[i])) - model(*(at - h * np.eye(4)[i]))) / (2 * h)).ravel()
            for i, h in enumerate(steps)
        ]
        variance = model(*at).ravel() + SENSOR.read_noise_e**2 + 1 / 12
        fisher = np.array([[np.sum(a * b / variance) for b in slopes] for a in slopes])
        variances.append(np.linalg.inv(fisher)[0, 0])
    return math.sqrt(float(np.mean(variances)))


@pytest.mark.parametrize(
    ("electrons", "stated_px"),
    # bounds as measured for this spot, background and read noise: 0.137, 0.0360 and 0.0078 px
    [(1_000, 0.137), (5_000, 0.0360), (50_000, 0.0078)],
)
def test_the_centroid_is_within_five_percent_of_the_cramer_rao_bound(electrons: float, stated_px: float) -> None:
    bound = bound_px(electrons)
    assert bound == pytest.approx(stated_px, rel=0.01)
    rng = np.random.default_rng(electrons)
    renderer = FrameRenderer(SENSOR, rng)
    errors, told = [], []
    for _ in range(2000):
        x, y = 31.5 + rng.uniform(-3, 3, 2)
        found = centroid(frame(renderer, [(x, y, electrons)]))
        assert found is not None
        errors += [found.x_px - x, found.y_px - y]
        told.append(found.sigma_px)
    rms = float(np.std(errors))
    assert rms < 1.05 * bound  # 4000 values tell their scatter to 1.1 %
    assert abs(np.mean(errors)) < 4 * rms / math.sqrt(len(errors))
    assert np.mean(told) == pytest.approx(rms, rel=0.05)


def test_the_flux_and_its_signal_to_noise_are_those_of_the_spot() -> None:
    renderer = FrameRenderer(SENSOR, np.random.default_rng(1))
    found = [centroid(frame(renderer, [(30.2, 33.7, 20_000)])) for _ in range(300)]
    flux = np.array([f.flux for f in found if f])
    assert flux.size == 300
    assert flux.mean() == pytest.approx(20_000, rel=0.005)
    assert found[0] is not None
    assert found[0].snr == pytest.approx(flux.mean() / flux.std(), rel=0.2)


def test_noise_alone_shows_no_spot() -> None:
    renderer = FrameRenderer(SENSOR, np.random.default_rng(2))
    assert [centroid(frame(renderer, [])) for _ in range(2000)] == [None] * 2000


def test_the_threshold_is_the_false_alarm_probability_of_one_pixel() -> None:
    # one-sided normal quantiles: P(z > 4.7534) = 1e-6, P(z > 5.9978) = 1e-9
    assert threshold(1, 1e-6) == pytest.approx(4.7534, abs=1e-4)
    assert threshold(1000, 1e-6) == pytest.approx(5.9978, abs=1e-4)


def test_a_region_gives_places_on_the_sensor() -> None:
    image = frame(FrameRenderer(SENSOR, np.random.default_rng(3)), [(20.0, 40.0, 50_000)])
    found = centroid(image, Region(100, 200, 64, 64))
    assert found is not None
    assert (found.x_px, found.y_px) == (pytest.approx(120.0, abs=0.05), pytest.approx(240.0, abs=0.05))


def test_the_brighter_of_two_spots_wins() -> None:
    image = frame(FrameRenderer(SENSOR, np.random.default_rng(4)), [(10, 12, 4_000), (50, 45, 9_000)])
    found = centroid(image)
    assert found is not None
    assert (found.x_px, found.y_px) == (pytest.approx(50, abs=0.2), pytest.approx(45, abs=0.2))


def test_a_spot_cut_by_the_edge_is_still_found_where_it_is() -> None:
    image = frame(FrameRenderer(SENSOR, np.random.default_rng(5)), [(1.2, 30.4, 50_000)])
    found = centroid(image)
    assert found is not None
    assert (found.x_px, found.y_px) == (pytest.approx(1.2, abs=0.05), pytest.approx(30.4, abs=0.05))


def test_saturated_pixels_do_not_pull_a_centroid() -> None:
    sensor = Sensor(width_px=64, height_px=64, full_well_e=1e6)  # the 16 bits are full first
    image = frame(FrameRenderer(sensor, np.random.default_rng(6)), [(30.3, 30.8, 3e6)])
    assert np.count_nonzero(image == 65535) > 4
    found = centroid(image)
    assert found is not None
    assert (found.x_px, found.y_px) == (pytest.approx(30.3, abs=0.03), pytest.approx(30.8, abs=0.03))


@pytest.mark.parametrize("shape", [(2, 2), (1, 40), (3, 3), (64, 64)])
def test_a_flat_image_of_any_shape_shows_nothing(shape: tuple[int, int]) -> None:
    assert centroid(np.full(shape, 100, dtype=np.uint16)) is None
    assert detect(np.full(shape, 100, dtype=np.uint16), 4) == []


def test_stars_are_listed_brightest_first_and_no_more_than_asked_for() -> None:
    renderer = FrameRenderer(Sensor(width_px=256, height_px=256), np.random.default_rng(8))
    stars = [(30.0, 40.0, 30_000.0), (200.3, 60.25, 12_000.0), (128.0, 220.0, 60_000.0), (90.0, 90.0, 4_000.0)]
    image = frame(renderer, stars, 256)
    found = detect(image, 8)
    assert [(round(f.x_px), round(f.y_px)) for f in found] == [(128, 220), (30, 40), (200, 60), (90, 90)]
    assert [round(f.x_px) for f in detect(image, 2)] == [128, 30]


def test_a_read_only_frame_as_the_camera_gives_it_is_accepted() -> None:
    image = frame(FrameRenderer(SENSOR, np.random.default_rng(9)), [(30, 30, 9_000)])
    read_only = np.frombuffer(image.tobytes(), dtype="<u2").reshape(image.shape)
    assert centroid(read_only) == centroid(image)
    assert detect(read_only, 1) == [centroid(image)]


def test_compiled_and_plain_python_agree() -> None:
    small = FrameRenderer(Sensor(width_px=24, height_px=24), np.random.default_rng(10))
    image = frame(small, [(9.3, 14.2, 20_000), (18.0, 4.0, 6_000)], 24)
    background, variance = code._background(image)
    assert code._background.py_func(image) == pytest.approx((background, variance), rel=1e-12)
    arguments = image, 1.5, 1.0, 6.0
    assert code._brightest.py_func(*arguments) == pytest.approx(code._brightest(*arguments), rel=1e-12)
    several = code._several(image, 3, 1.5, 1.0, 6.0)
    assert np.count_nonzero(several[:, 3]) == 2
    assert code._several.py_func(image, 3, 1.5, 1.0, 6.0) == pytest.approx(several, rel=1e-12)
    place = image, 9, 14, background, variance, 1.5, 1.0
    assert code._refine.py_func(*place) == pytest.approx(code._refine(*place), rel=1e-12)
    shares = [np.zeros((2, 9)), np.zeros((2, 9))]
    for profile, out in zip((code._profile, code._profile.py_func), shares, strict=True):
        profile(out[0], out[1], 5, 9.3, 1.5)
    assert shares[0] == pytest.approx(shares[1], rel=1e-12)


def test_light_that_is_no_spot_is_none() -> None:
    ramp = np.tile(np.arange(64, dtype=np.uint16) * 40, (64, 1))  # brightest at its edge, and nowhere a centre
    found = centroid(ramp)
    assert found is None or found.x_px > 55
    full = np.full((32, 32), 100, dtype=np.uint16)
    full[8:24, 8:24] = 65535
    assert centroid(full) is None  # nothing but saturated pixels around its middle
