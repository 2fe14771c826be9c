"""Lockstep leaves nothing to chance: a seed gives one recording and one summary, whatever else the machine does."""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from controller.cli.summary import summarise
from controller.record import Recorded, read_messages

ARC_S = 12.0
WALL_TIMES = {"wall_s", "realtime_factor"}


@pytest.fixture
def twice(short_pass: Callable[[float], Any], tmp_path: Path) -> list[tuple[list[Recorded], bytes, dict[str, Any]]]:
    """Messages, file and summary of the same flight, flown twice."""
    flights = []
    for name in ("first", "second"):
        short_pass.out = tmp_path / name  # type: ignore[attr-defined]
        (tmp_path / name).mkdir()
        flown = short_pass(ARC_S)
        recording = tmp_path / name / "recording.mcap"
        flights.append((list(read_messages(recording)), recording.read_bytes(), summarise(flown, 1, 1e-7)))
    return flights


@pytest.mark.timeout(300)
def test_a_seed_gives_one_recording_payload_for_payload_and_one_summary(
    twice: list[tuple[list[Recorded], bytes, dict[str, Any]]],
) -> None:
    (first, first_bytes, one), (second, second_bytes, other) = twice
    assert {"ACQUIRE", "COARSE"} <= one["mode_times_s"].keys()  # enough has happened to differ
    assert len(first) > 5000
    for number, (a, b) in enumerate(zip_longest(first, second)):
        assert a == b, f"message {number} differs"
    assert first_bytes == second_bytes
    figures = [{key: value for key, value in s.items() if key not in WALL_TIMES} for s in (one, other)]
    assert repr(figures[0]) == repr(figures[1])  # NaN equals NaN
    assert one.keys() >= WALL_TIMES
