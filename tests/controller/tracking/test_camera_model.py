from __future__ import annotations

import math

import numpy as np
import pytest

from controller.tracking.camera_model import CameraModel, PokeError, fit, nominal, poke_offsets
from hal.traits import Region

SENSOR = Region(0, 0, 1024, 1024)
SCALE = 17e-6


def rotated(angle_deg: float, scale: float = SCALE, mirrored: bool = False) -> CameraModel:
    c, s = scale * math.cos(math.radians(angle_deg)), scale * math.sin(math.radians(angle_deg))
    flip = -1.0 if mirrored else 1.0
    return CameraModel(((c, -s * flip), (s, c * flip)), (511.5, 511.5))


def poke(true: CameraModel, noise_px: float = 0.05, seed: int = 1, target=(80e-6, -40e-6)):
    rng = np.random.default_rng(seed)
    offsets = poke_offsets(1e-3)
    pixels = []
    for x, y in offsets:
        u, v = true.pixel((target[0] - x, target[1] - y))
        pixels.append((u + rng.normal(0, noise_px), v + rng.normal(0, noise_px)))
    return offsets, pixels


@pytest.mark.parametrize("angle_deg", [-20.0, 0.0, 3.0, 25.0])
def test_a_poke_finds_scale_and_rotation(angle_deg: float) -> None:
    found = fit(*poke(rotated(angle_deg, 1.03 * SCALE)), nominal(SENSOR, SCALE))
    assert math.degrees(found.rotation_rad) == pytest.approx(angle_deg, abs=0.1)
    assert found.scale_rad == pytest.approx(1.03 * SCALE, rel=2e-3)


def test_error_and_pixel_are_inverse() -> None:
    model = rotated(12.0)
    assert model.pixel(model.error(700.3, 255.9)) == pytest.approx((700.3, 255.9))


def test_a_mirrored_image_is_refused() -> None:
    with pytest.raises(PokeError, match="mirrored"):
        fit(*poke(rotated(5.0, mirrored=True)), nominal(SENSOR, SCALE))


def test_both_axes_reversed_is_refused_as_a_turn_of_180_degrees() -> None:
    with pytest.raises(PokeError, match=r"turned by -?180 degrees"):
        fit(*poke(rotated(180.0)), nominal(SENSOR, SCALE))


def test_a_wrong_pixel_scale_names_both_figures_and_the_key() -> None:
    with pytest.raises(PokeError, match=r"20\.4\d µrad, the rig file says 17\.00; correct \[camera\] pixel_scale_urad"):
        fit(*poke(rotated(0.0, 1.2 * SCALE), noise_px=0.0), nominal(SENSOR, SCALE * 1.0000001))


def test_a_spot_that_stands_still_is_refused() -> None:
    with pytest.raises(PokeError, match="did not move"):
        fit(poke_offsets(1e-3), [(500.0, 500.0)] * 6, nominal(SENSOR, SCALE))


def test_a_poke_in_noise_is_refused() -> None:
    with pytest.raises(PokeError, match="wait for calmer air"):
        fit(*poke(rotated(0.0), noise_px=8.0, seed=3), nominal(SENSOR, SCALE))


def test_three_points_are_not_a_poke() -> None:
    offsets, pixels = poke(rotated(0.0))
    with pytest.raises(PokeError, match="four or more"):
        fit(offsets[:3], pixels[:3], nominal(SENSOR, SCALE))


def test_the_region_holds_the_asked_errors_and_stays_on_the_sensor() -> None:
    model = nominal(SENSOR, SCALE)
    region = model.region(500e-6, SENSOR)
    assert region == Region(480, 480, 64, 64)
    assert model.region(1.0, SENSOR) == SENSOR
    edge = CameraModel(model.matrix, (10.0, 1015.0)).region(500e-6, SENSOR)
    assert (edge.x, edge.y) == (0, 960)
