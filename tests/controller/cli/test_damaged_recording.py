"""Commands that read a damaged recording do their work with what is left, say what is missing, and end with 1."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from damaged_files import chunks, flipped, unclosed

from controller.bus.envelope import Envelope, pack
from controller.bus.topics import LINK_STATE, STATION_MODE, LinkState, ModeState
from controller.cli import main
from controller.record import Recorder, finished
from hal.clock import NS

T0_NS = 1_790_000_000 * NS
EXAMPLE = Path("controller/data/rigs/ogs.toml")
FLUSHES = 10


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    """A recording with a flush every 100 ms, two messages in each."""
    path = tmp_path / "whole.mcap"
    with Recorder(path) as recorder:
        for number in range(FLUSHES):
            t_ns = T0_NS + number * NS // 10
            for topic, body in (
                (STATION_MODE, ModeState("LINK", T0_NS, "as recorded", "X")),
                (LINK_STATE, LinkState(t_ns, 1e-6, 1e-7, above=True)),
            ):
                recorder.write(
                    topic.name, Envelope(v=1, k="tlm", m=topic.name, src="link", t=t_ns, seq=number, b=pack(body))
                )
            recorder.tick(t_ns)
    data = path.read_bytes()
    path.unlink()
    return data


@pytest.fixture
def damaged(whole: bytes, tmp_path: Path) -> tuple[Path, int, int]:
    """A finished recording whose fifth chunk is damaged, with the place and the length of that chunk."""
    path = tmp_path / "recording.mcap"
    at, length = chunks(whole)[4]
    path.write_bytes(flipped(whole, at + length // 2))
    return path, at, length


def refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 1


@pytest.mark.parametrize("form", ["csv", "parquet", "sigmf"])
def test_an_export_writes_what_it_can_read_and_says_what_is_missing(
    form: str, damaged: tuple[Path, int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    path, at, length = damaged
    refused(["export", str(path), "--to", form])
    out, err = capsys.readouterr()
    assert err.startswith(
        f"boresight: {path} is damaged in 1 place, first at byte {at}: {length} bytes cannot be read; "
    )
    assert err.count("\n") == 1
    assert re.findall(r": (\d+) rows", out)[0] == str(FLUSHES - 1)


def test_the_json_of_an_export_lists_the_places(
    damaged: tuple[Path, int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    path, at, length = damaged
    refused(["export", str(path), "--to", "csv", "--to", "sigmf", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["rows"]["link_state.csv"] == FLUSHES - 1
    assert told["damage"] == [{"path": str(path), "at_byte": at, "length_bytes": length, "orphans": 0}]


def test_an_export_that_fails_says_that_the_recording_is_damaged_too(
    damaged: tuple[Path, int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    refused(["export", str(damaged[0]), "--to", "tdm"])
    err = capsys.readouterr().err
    assert "is damaged in 1 place" in err
    assert "there is nothing for a TDM" in err


def test_a_replay_says_what_it_could_not_publish(
    damaged: tuple[Path, int, int],
    tmp_path: Path,
    free_base_port: Callable[[int], int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, at, _ = damaged
    text = re.sub(r"base_port = \d+", f"base_port = {free_base_port(1 + 3 * 8)}", EXAMPLE.read_text(encoding="utf-8"))
    rig = tmp_path / "rig.toml"
    rig.write_text(text, encoding="utf-8")
    refused(["replay", str(path), "--rig", str(rig), "--speed", "100", "--json"])
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert told["messages"] == 2 * (FLUSHES - 1)
    assert [place["at_byte"] for place in told["damage"]] == [at]
    assert f"first at byte {at}" in err


@pytest.mark.parametrize("closed", [True, False])
def test_a_report_is_drawn_of_what_is_left(
    closed: bool, whole: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recording.mcap"
    at, length = chunks(whole)[4]
    before = flipped(whole if closed else unclosed(whole), at + length // 2)
    path.write_bytes(before)
    refused(["report", str(path)])
    assert path.with_suffix(".html").exists()
    named = path if closed else tmp_path / "recording.mcap.damaged"
    assert f"{named} is damaged in 1 place, first at byte {at}" in capsys.readouterr().err
    assert named.read_bytes() == before
    assert finished(path)
