"""docs/recording.md promises what the code holds."""

from __future__ import annotations

import re
from pathlib import Path

from controller.cli.export import Format
from controller.record_service import FLUSH_NS, LOSS_BOUND_NS, PERIOD_S
from hal.clock import NS
from hal.rig_sections import RecordingSection

PAGE = (Path(__file__).parents[2] / "docs" / "recording.md").read_text(encoding="utf-8")


def test_the_loss_bound_of_the_page_is_the_one_that_the_kills_are_measured_against() -> None:
    assert re.findall(r"\*\*(\d+)\s+milliseconds\*\*", PAGE) == [str(LOSS_BOUND_NS // 1_000_000)]
    turns_ms = round(2 * PERIOD_S * 1000)
    assert PERIOD_S * NS < FLUSH_NS < 2 * PERIOD_S * NS, "at every second turn"
    assert 2 * turns_ms * 1_000_000 <= LOSS_BOUND_NS, "as much again for a machine that is late"
    assert f"flushes every {turns_ms} ms" in PAGE


def test_every_format_of_an_export_is_explained_and_no_other() -> None:
    assert re.findall(r"^- \*\*([a-z]+)\*\*:", PAGE.partition("## Export")[2], flags=re.M) == list(Format)


def test_the_page_shows_the_defaults_of_the_rig_file() -> None:
    shown = dict(re.findall(r"^    (file_max_\w+) = ([\d.]+)$", PAGE, flags=re.M))
    assert shown == {name: str(value) for name, value in RecordingSection().model_dump().items()}
