"""A poke that a gust has spoiled is repeated; one that shows a wrong set-up is not."""

from __future__ import annotations

from typing import Any

import pytest

from controller.calibrate import POKES_MAX, Calibration
from controller.tracking.camera_model import CameraModel, PokeError, UnsteadyPokeError

MODEL = CameraModel(((1e-5, 0.0), (0.0, 1e-5)), (0.0, 0.0))


@pytest.fixture
def poked(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`poked(outcomes)` is what comes of pokes that end so, one after the other, and how many there were."""

    def after(outcomes: list[CameraModel | PokeError]) -> tuple[CameraModel | PokeError, int]:
        left = iter(outcomes)
        count = 0

        def poke(self: Calibration, star: object) -> CameraModel:
            nonlocal count
            count += 1
            outcome = next(left)
            if isinstance(outcome, PokeError):
                raise outcome
            return outcome

        monkeypatch.setattr(Calibration, "_poke", poke)
        calibration = Calibration.__new__(Calibration)
        try:
            return calibration._poke_well(None), count  # type: ignore[arg-type]
        except PokeError as error:
            return error, count

    return after


def test_a_spoiled_poke_is_repeated_until_one_fits(poked: Any) -> None:
    assert poked([UnsteadyPokeError("28 µrad"), MODEL]) == (MODEL, 2)


def test_pokes_that_are_all_spoiled_end_the_calibration_with_the_last_ones_words(poked: Any) -> None:
    last = UnsteadyPokeError("43 µrad")
    assert poked([*[UnsteadyPokeError("28 µrad")] * (POKES_MAX - 1), last, MODEL]) == (last, POKES_MAX)


def test_a_mirrored_image_is_told_at_once(poked: Any) -> None:
    mirrored = PokeError("camera: the image is mirrored")
    assert poked([mirrored, MODEL]) == (mirrored, 1)
