"""Dark and flat frames of a sensor with a pattern, hot and blind pixels, vignetting; and of the emulated camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from controller.cli.bench import open_bench
from controller.cli.demo import DEFAULT_RIG, choose_pass
from controller.cli.rig import emulated_devices
from controller.tracking import frames
from controller.tracking.centroid import centroid
from controller.tracking.frames import Correction, FramesError, MeanFrame
from hal.rig import load_rig, open_device
from hal.traits import Frame, Region

SIZE = 64
SENSOR = Region(0, 0, SIZE, SIZE)


class Patterned:
    """A sensor of which everything is known; `light` is in counts before vignetting."""

    sensor = SENSOR

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        self.rng = rng
        self.pattern = 200 + rng.normal(0, 6, (SIZE, SIZE))
        self.pattern[10, 20] = 5000  # hot
        y, x = np.mgrid[:SIZE, :SIZE]
        self.response = 1 - 0.3 * ((x - 32) ** 2 + (y - 32) ** 2) / 32**2 / 2
        self.response[40, 41] = 0.0  # blind
        self.light = np.zeros((SIZE, SIZE))
        self.number = 0
        self.stopped = 0

    def configure(self, exposure_s: float, frame_rate_hz: float, region: Region) -> None:
        self.exposure_s = exposure_s

    def start(self) -> None: ...

    def stop(self) -> None:
        self.stopped += 1

    def read(self, timeout_s: float) -> Frame:
        self.number += 1
        image = self.pattern + self.light * self.response + self.rng.normal(0, 3, (SIZE, SIZE))
        return Frame(0, self.exposure_s, SENSOR, np.rint(image).astype(np.uint16), self.number)


def take(camera: Patterned, light: float, count: int = 100) -> MeanFrame:
    camera.light = np.full((SIZE, SIZE), light)
    return frames.average(camera, 0.005, 50.0, count, lambda done: None)  # type: ignore[arg-type]


def test_a_mean_frame_has_the_pattern_and_the_noise_of_one_pixel() -> None:
    camera = Patterned()
    dark = take(camera, 0.0)
    assert np.abs(dark.image - camera.pattern).max() < 5 * 3 / 10
    assert dark.noise_counts == pytest.approx(3, rel=0.1)
    assert camera.stopped == 1


def test_a_corrected_frame_of_even_light_is_even() -> None:
    camera = Patterned()
    correction = Correction(take(camera, 0.0), take(camera, 20_000.0))
    camera.light = np.full((SIZE, SIZE), 10_000.0)
    raw = camera.read(1)
    corrected = correction.apply(raw).astype(float)
    assert raw.image.std() > 500
    assert corrected.std() < 12
    assert correction.bad_pixels == 2
    assert abs(corrected[10, 20] - np.median(corrected)) < 40
    assert abs(corrected[40, 41] - np.median(corrected)) < 40


def test_a_hot_pixel_is_no_beacon_after_the_correction_and_a_star_stays_where_it_is() -> None:
    camera = Patterned()
    correction = Correction(take(camera, 0.0), None)
    camera.light[:] = 0.0
    raw = camera.read(1)
    assert centroid(raw.image, SENSOR) is not None
    assert centroid(correction.apply(raw), SENSOR) is None
    y, x = np.mgrid[:SIZE, :SIZE]
    camera.light = 2000 * np.exp(-((x - 41.3) ** 2 + (y - 22.7) ** 2) / (2 * 1.5**2))
    spot = centroid(correction.apply(camera.read(1)), SENSOR)
    assert spot is not None
    assert (spot.x_px, spot.y_px) == pytest.approx((41.3, 22.7), abs=0.05)


def test_a_region_is_corrected_by_its_own_part_of_the_frames() -> None:
    camera = Patterned()
    correction = Correction(take(camera, 0.0), None)
    camera.light[:] = 0.0
    whole = camera.read(1)
    region = Region(16, 8, 32, 16)
    part = Frame(0, 0.005, region, whole.image[8:24, 16:48], 1)
    assert np.array_equal(correction.apply(part), correction.apply(whole)[8:24, 16:48])


def test_a_dark_frame_of_another_exposure_is_refused() -> None:
    camera = Patterned()
    correction = Correction(take(camera, 0.0, 5), None)
    camera.exposure_s = 0.01
    with pytest.raises(FramesError, match="boresight rig frames dark"):
        correction.apply(camera.read(1))


def test_light_in_a_dark_frame_and_a_flat_that_is_none_are_refused() -> None:
    camera = Patterned()
    camera.pattern[10, 20] = 200
    y, x = np.mgrid[:SIZE, :SIZE]
    star = MeanFrame(
        (camera.pattern + 900 * np.exp(-((x - 30) ** 2 + (y - 30) ** 2) / 4.5)).astype(np.float32), 0.005, 9, 3.0
    )
    with pytest.raises(FramesError, match="spot at \\(30, 30\\) px of the dark frame; cover the telescope"):
        frames.refuse_dark(star)
    with pytest.raises(FramesError, match="use more light"):
        frames.refuse_flat(take(camera, 1000.0, 3))
    with pytest.raises(FramesError, match="use less light"):
        frames.refuse_flat(take(camera, 64_000.0, 3))
    uneven = take(camera, 20_000.0, 3)
    uneven.image[:, : SIZE // 4] *= 0.3
    with pytest.raises(FramesError, match="not even"):
        frames.refuse_flat(uneven)
    frames.refuse_flat(take(camera, 20_000.0, 3))


def test_frames_are_kept_and_found_again_and_a_broken_file_is_a_sentence(tmp_path: Path) -> None:
    assert Correction.load(tmp_path) is None
    camera = Patterned()
    for kind, light in (("dark", 0.0), ("flat", 20_000.0)):
        frames.save(take(camera, light, 20), tmp_path / f"{kind}.npz")
    kept = Correction.load(tmp_path)
    assert kept is not None
    assert kept.bad_pixels == 2
    (tmp_path / "flat.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(FramesError, match=r"flat\.npz: is no mean frame"):
        Correction.load(tmp_path)


def test_the_emulated_cameras_dark_frame_is_its_pedestal_background_and_noise() -> None:
    rig = load_rig(DEFAULT_RIG, dict.fromkeys(emulated_devices(DEFAULT_RIG), ""))
    target = choose_pass(rig, None, "", above_limits=False).target
    with open_bench(DEFAULT_RIG, target.elements, target.rise_utc_ns - 60 * 10**9) as bench:
        camera = open_device(bench.rig, "camera", bench.lockstep)  # type: ignore[arg-type]
        dark = frames.average(camera, 0.005, 10.0, 4, lambda done: None)
        camera.close()
    assert dark.image.mean() == pytest.approx(200, abs=0.5)  # 100 counts of pedestal, 100 electrons of background
    assert dark.noise_counts == pytest.approx(np.sqrt(100 + 9), rel=0.15)  # their shot noise, and read noise of 3 e
    frames.refuse_dark(dark)
