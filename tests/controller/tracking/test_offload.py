from __future__ import annotations

import math

import pytest

from controller.bus.topics import Pair
from controller.tracking.offload import OffloadSettings, step

SETTINGS = OffloadSettings()
URAD = 1e-6


def run(seconds: float, misaligned_rad: float, offset: Pair = (0.0, 0.0), mirror_gain: float = 1.0) -> Pair:
    """The gimbal nulls camera error plus set-point at once; the mirror bears the rest and shows `mirror_gain` of it."""
    for _ in range(round(seconds / 0.02)):
        camera = -offset[0]
        mirror = mirror_gain * (camera + misaligned_rad)
        offset = step(offset, (mirror, 0.0), (camera, 0.0), 0.02, SETTINGS)
    return offset


@pytest.mark.parametrize("misaligned_urad", [3.0, 20.0, 80.0])
def test_a_misalignment_of_any_size_is_handed_to_the_gimbal(misaligned_urad: float) -> None:
    assert run(60.0, misaligned_urad * URAD)[0] == pytest.approx(misaligned_urad * URAD, rel=0.01)


def test_a_mirror_gain_that_is_a_tenth_off_leaves_the_mirror_no_mean() -> None:
    assert run(60.0, 80 * URAD, mirror_gain=0.9)[0] == pytest.approx(80 * URAD, rel=0.01)


def test_the_transfer_is_slow() -> None:
    assert run(1.0, 80 * URAD)[0] < 0.15 * 80 * URAD


def test_what_the_gimbal_is_still_working_off_is_not_taken_for_misalignment() -> None:
    both = (90 * URAD, -40 * URAD)
    offset = (0.0, 0.0)
    for _ in range(150):
        offset = step(offset, both, both, 0.02, SETTINGS)
    assert offset == (0.0, 0.0)


def test_jitter_that_mirror_and_camera_see_a_frame_apart_moves_the_gimbal_less_than_a_microradian() -> None:
    offset, moved = (0.0, 0.0), 0.0
    for number in range(2000):
        mirror, camera = (22 * URAD * math.sin(2 * math.pi * t_s) for t_s in (number * 0.02, (number - 1) * 0.02))
        offset = step(offset, (mirror, 0.0), (camera, 0.0), 0.02, SETTINGS)
        moved = max(moved, abs(offset[0]))
    assert moved < URAD


def test_the_offset_is_limited() -> None:
    assert run(600.0, 2000 * URAD)[0] == pytest.approx(SETTINGS.limit_rad)
