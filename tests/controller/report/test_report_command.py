"""`boresight report` draws again what was recorded, whole or cut off, in a folder or alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from controller.cli import main


def test_a_folder_gets_its_report_again(real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(real / "recording.mcap", tmp_path)
    main(["report", str(tmp_path)])
    assert capsys.readouterr().out.strip() == str(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_recording_that_was_cut_off_gets_a_report_beside_it(real: Path, tmp_path: Path) -> None:
    whole = (real / "recording.mcap").read_bytes()
    (tmp_path / "night.mcap").write_bytes(whole[: len(whole) * 2 // 3])
    (tmp_path / "summary.json").write_text("of another pass")
    main(["report", str(tmp_path / "night.mcap")])
    assert (tmp_path / "night.html").stat().st_size > 10_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["night.html", "night.mcap", "summary.json"]
