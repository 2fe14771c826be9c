from __future__ import annotations

import math

import pytest

from controller.bus.topics import Pair
from controller.tracking.offload import OffloadSettings, learn, set_point

SETTINGS = OffloadSettings()
URAD = 1e-6


def run(seconds: float, misaligned_rad: float, mirror_gain: float = 1.0) -> tuple[float, float]:
    """(set-point, mirror's mean) when the gimbal nulls camera error plus set-point and the mirror bears the rest."""
    known: Pair = (0.0, 0.0)
    for _ in range(round(seconds / 0.02)):
        camera = -set_point(known, SETTINGS)[0]
        known = learn(known, (mirror_gain * (camera + misaligned_rad), 0.0), (camera, 0.0), 0.02, SETTINGS)
    taken = set_point(known, SETTINGS)[0]
    return taken, misaligned_rad - taken


@pytest.mark.parametrize("misaligned_urad", [25.0, 80.0, -300.0])
def test_all_but_what_the_mirror_bears_at_no_cost_is_handed_to_the_gimbal(misaligned_urad: float) -> None:
    _, mirror = run(60.0, misaligned_urad * URAD)
    assert mirror == pytest.approx(math.copysign(SETTINGS.borne_rad, misaligned_urad), rel=0.01)


def test_a_misalignment_that_the_mirror_bears_leaves_the_gimbal_where_it_is() -> None:
    assert run(60.0, 15 * URAD)[0] == 0.0


def test_a_mirror_gain_that_is_a_tenth_off_leaves_the_mirror_a_tenth_more() -> None:
    assert run(60.0, 80 * URAD, mirror_gain=0.9)[1] == pytest.approx(SETTINGS.borne_rad, rel=0.15)


def test_the_transfer_is_slow() -> None:
    assert run(1.0, 80 * URAD)[0] < 0.15 * 80 * URAD


def test_what_the_gimbal_is_still_working_off_is_not_taken_for_misalignment() -> None:
    both = (90 * URAD, -40 * URAD)
    known: Pair = (0.0, 0.0)
    for _ in range(150):
        known = learn(known, both, both, 0.02, SETTINGS)
    assert known == (0.0, 0.0)


def test_jitter_that_mirror_and_camera_see_a_frame_apart_is_less_than_a_microradian_of_misalignment() -> None:
    known: Pair = (0.0, 0.0)
    learned = 0.0
    for number in range(2000):
        mirror, camera = (22 * URAD * math.sin(2 * math.pi * t_s) for t_s in (number * 0.02, (number - 1) * 0.02))
        known = learn(known, (mirror, 0.0), (camera, 0.0), 0.02, SETTINGS)
        learned = max(learned, abs(known[0]))
    assert learned < URAD


def test_the_set_point_is_limited() -> None:
    assert run(600.0, 2000 * URAD)[0] == pytest.approx(SETTINGS.limit_rad)
