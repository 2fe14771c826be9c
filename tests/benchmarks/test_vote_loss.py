"""What `benchmarks.vote_loss` makes of measurements: what was missed is told, and fails."""

from __future__ import annotations

from typing import Any

from benchmarks.vote_loss import failed, figures, section, summary


def result(times_ms: list[float], missed: int) -> dict[str, Any]:
    return {
        "vote_to_line": {**figures(times_ms), "missed": missed, "untimed": 0, "tripped_before": 0},
        "safety_killed_to_line": {**figures([]), "missed": 0},
        "scheduling": "SCHED_OTHER",
        "cores": 2,
        "load_1_min": 0.0,
        "machine": "x86_64",
        "commit": "0",
    }


def test_where_every_line_stayed_up_that_is_told_and_a_failure() -> None:
    nothing = result([], 200)
    assert "| a vote lost in the safety process | enable line of the beam board | 0 | 200 | - | - | - |" in section(
        nothing
    )
    assert summary(nothing)[0] == "vote_to_line: 0 times, 200 missed"
    assert failed(nothing)


def test_one_that_was_missed_is_a_failure_and_none_is_not() -> None:
    assert failed(result([10.0, 12.0], 1))
    assert not failed(result([10.0, 12.0], 0))
    assert "| 2 | 0 | " in section(result([10.0, 12.0], 0))
