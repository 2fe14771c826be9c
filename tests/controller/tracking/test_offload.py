from __future__ import annotations

import math

import pytest

from controller.tracking.offload import Offload, OffloadSettings, rest, step

SETTINGS = OffloadSettings()
URAD = 1e-6


def run(seconds: float, misaligned_rad: float, state: Offload | None = None, dt_s: float = 0.02) -> Offload:
    """The gimbal follows the set-point at once; the mirror bears the rest."""
    state = state or Offload()
    for _ in range(round(seconds / dt_s)):
        state = step(state, (misaligned_rad - state.offset_rad[0], 0.0), dt_s, SETTINGS)
    return state


def test_a_misalignment_is_handed_to_the_gimbal() -> None:
    state = run(60.0, 80 * URAD)
    assert state.offset_rad[0] == pytest.approx(80 * URAD, abs=1.5 * SETTINGS.release_rad)
    assert not state.active


def test_the_transfer_is_slow() -> None:
    assert run(1.0, 80 * URAD).offset_rad[0] < 0.15 * 80 * URAD


def test_a_mean_below_the_threshold_moves_nothing() -> None:
    assert run(60.0, 20 * URAD).offset_rad == (0.0, 0.0)


def test_once_engaged_it_goes_on_below_the_threshold_until_released() -> None:
    mean = (15 * URAD, 0.0)
    assert step(Offload((0.0, 0.0), mean, True), mean, 0.02, SETTINGS).active
    assert not step(Offload((0.0, 0.0), mean, False), mean, 0.02, SETTINGS).active
    assert not step(Offload((0.0, 0.0), (1 * URAD, 0.0), True), (1 * URAD, 0.0), 0.02, SETTINGS).active


def test_jitter_of_the_mirror_is_not_handed_over() -> None:
    state, moved = Offload(), 0.0
    for number in range(2000):
        t_s = number * 0.02
        state = step(state, (22 * URAD * math.sin(2 * math.pi * t_s), 0.0), 0.02, SETTINGS)
        moved = max(moved, abs(state.offset_rad[0]))
    assert moved < 2 * URAD


def test_the_offset_is_limited() -> None:
    assert run(600.0, 2000 * URAD).offset_rad[0] == pytest.approx(SETTINGS.limit_rad)


def test_opening_the_loop_keeps_what_was_learned() -> None:
    assert rest(Offload((3 * URAD, 0.0), (50 * URAD, 0.0), True)) == Offload((3 * URAD, 0.0), (0.0, 0.0), False)
