"""A recording whose disk fills up, and one that goes on in the next file."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from threading import Event

import pytest
from mcap.reader import make_reader
from scarce_disk import files_end_at

from controller.bus.envelope import Envelope, pack
from controller.bus.topics import STATION_EVENT, StationEvent
from controller.record import (
    FLUSH_NS,
    Damage,
    Recorder,
    RotatingRecorder,
    Rotation,
    finished,
    parts_of,
    read_attachments,
    read_messages,
    read_metadata,
    read_run,
    recover,
    recover_folder,
    rename_run,
    sentences,
)
from controller.record.recover import NoRoomError, sweep

noise = random.Random(1)


def message(number: int) -> tuple[str, Envelope]:
    """An event that does not compress: 600 bytes of text."""
    body = pack(StationEvent("info", str(number), noise.randbytes(300).hex()))
    return STATION_EVENT.name, Envelope(v=1, k="evt", m=STATION_EVENT.name, src="x", t=number, seq=number, b=body)


def record(recorder: Recorder | RotatingRecorder, numbers: Iterable[int]) -> None:
    """A flush for each."""
    for number in numbers:
        recorder.write(*message(number))
        recorder.tick(number * FLUSH_NS)


def numbers(path: Path) -> list[int]:
    return [int(message.body["code"]) for message in read_messages(path)]


def test_a_full_disk_costs_the_messages_that_came_meanwhile_and_no_others(tmp_path: Path) -> None:
    path, recorder = tmp_path / "run.mcap", Recorder(tmp_path / "run.mcap")
    record(recorder, range(5))
    with files_end_at(path.stat().st_size + 300):  # a part of the next flush fits
        record(recorder, range(5, 11))  # the disk is tried again after a second, with number 15
        assert recorder.refused == "File too large"
        assert numbers(path) == [0, 1, 2, 3, 4], "what is there stays readable"
    record(recorder, range(11, 20))
    recorder.close()
    assert finished(path)
    assert recorder.dropped == 10, "number 5 waited in memory; 6 to 15 came until a try found the room"
    assert numbers(path) == [0, 1, 2, 3, 4, 5, *range(16, 20)]
    with path.open("rb") as file:
        assert len(list(make_reader(file).iter_messages())) == 10, "the index is true, too"


def test_a_recorder_that_starts_on_a_full_disk_begins_when_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    with files_end_at(10):
        recorder = Recorder(path, {"boresight": {"version": "1"}})
        record(recorder, range(3))
        assert not path.exists(), "no name stands for nothing"
    record(recorder, range(20, 23))
    recorder.close()
    assert finished(path)
    assert read_metadata(path) == {"boresight": {"version": "1"}}
    assert (recorder.dropped, numbers(path)) == (4, [21, 22])


def test_a_file_that_a_full_disk_denied_its_index_is_whole_and_gets_it_later(tmp_path: Path) -> None:
    path, recorder = tmp_path / "run.mcap", Recorder(tmp_path / "run.mcap")
    recorder.write(*message(1))
    recorder.tick(0)
    size = path.stat().st_size
    with files_end_at(size + 100):
        recorder.write(*message(2))
        recorder.close()
    assert path.stat().st_size == size
    assert not finished(path)
    assert recover(path) == 1
    assert finished(path)


def test_a_recording_that_finds_no_room_for_its_mended_copy_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "cut.mcap"
    with Recorder(path) as recorder:
        record(recorder, range(10))
    data = path.read_bytes()[:-700]
    path.write_bytes(data)
    told: list[str] = []
    with files_end_at(2000):
        with pytest.raises(NoRoomError, match=r"cut\.mcap was cut off and gets no index .*: make room"):
            recover(path)
        assert recover_folder(tmp_path, told.append) == {}
    assert len(told) == 1
    assert path.read_bytes() == data
    assert [file.name for file in tmp_path.iterdir()] == ["cut.mcap"]
    assert recover_folder(tmp_path, told.append) == {"cut.mcap": 10}


def rotated(folder: Path, rotation: Rotation) -> RotatingRecorder:
    recorder = RotatingRecorder(
        folder / "run.mcap", 0, {"boresight": {"version": "1"}}, {"rig.toml": b"[station]"}, rotation
    )
    record(recorder, range(40))
    return recorder


def test_a_file_that_is_large_enough_is_followed_by_one_that_opens_by_itself(tmp_path: Path) -> None:
    rotated(tmp_path, Rotation(file_max_bytes=5_000)).close()
    parts = parts_of(tmp_path / "run.mcap")
    assert [part.name for part in parts[:3]] == ["run.mcap", "run-0002.mcap", "run-0003.mcap"]
    assert len(parts) > 4
    for number, part in enumerate(parts, 1):
        assert finished(part)
        assert part.stat().st_size < 10_000
        assert read_attachments(part) == {"rig.toml": b"[station]"}
        assert read_metadata(part) == {
            "boresight": {"version": "1"},
            "file": {"run": "run", "part": str(number)},
        }
        with part.open("rb") as file:
            assert all(schema is not None for schema, _, _ in make_reader(file).iter_messages())
    assert [int(message.body["code"]) for message in read_run(parts[0])] == list(range(40)), "none is lost between"
    assert parts_of(parts[1]) == [parts[1]], "a later file stands for itself"


def test_a_file_that_is_old_enough_is_followed_by_another(tmp_path: Path) -> None:
    rotated(tmp_path, Rotation(file_max_ns=10 * FLUSH_NS)).close()
    assert [len(numbers(part)) for part in parts_of(tmp_path / "run.mcap")] == [11, 10, 10, 9]


def test_a_file_whose_index_takes_its_time_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, close = Event(), Recorder.close

    def close_slowly(self: Recorder) -> None:
        disk.wait()
        close(self)

    monkeypatch.setattr(Recorder, "close", close_slowly)
    recorder = rotated(tmp_path, Rotation(file_max_ns=30 * FLUSH_NS))
    first, second = parts_of(tmp_path / "run.mcap")
    assert numbers(second) == list(range(31, 40)), "what came meanwhile is on the disk"
    assert not finished(first)
    disk.set()
    recorder.close()
    assert finished(first)
    assert finished(second)


def part_of(run: str, part: int, path: Path) -> Path:
    """A file that says of itself which part of which run it is, with that part as its message."""
    with Recorder(path, {"file": {"run": run, "part": str(part)}}) as recorder:
        recorder.write(*message(part))
    return path


def test_files_of_other_runs_are_no_parts_of_this_one(tmp_path: Path) -> None:
    first = part_of("17", 1, tmp_path / "run.mcap")
    for part in (10000, 2):
        part_of("17", part, tmp_path / f"run-{part:04d}.mcap")
    part_of("16", 3, tmp_path / "run-0003.mcap")
    part_of("17", 2, tmp_path / "run-0004.mcap")
    record(alone := Recorder(tmp_path / "run-20251003.mcap"), range(3))
    alone.close()
    for name in ("run-0005.mcap", "run-2.mcap", "rerun-0002.mcap", "run-0003.txt"):
        (tmp_path / name).touch()
    assert [part.name for part in parts_of(first)] == ["run.mcap", "run-0002.mcap", "run-10000.mcap"]


def test_a_recording_that_says_of_no_run_stands_alone(tmp_path: Path) -> None:
    for name in ("pass.mcap", "pass-20251003.mcap"):
        Recorder(tmp_path / name).close()
    assert parts_of(tmp_path / "pass.mcap") == [tmp_path / "pass.mcap"]


def test_a_file_that_is_missing_between_two_others_is_told(tmp_path: Path) -> None:
    first = part_of("17", 1, tmp_path / "run.mcap")
    part_of("17", 4, tmp_path / "run-0004.mcap")
    damage: list[Damage] = []
    assert [int(message.body["code"]) for message in read_run(first, damage.append)] == [1, 4]
    assert sentences(damage) == [
        f"{tmp_path / name} is missing, between two files of its recording that are there; put it beside them"
        for name in ("run-0002.mcap", "run-0003.mcap")
    ]


def test_without_room_for_a_new_file_the_old_one_goes_on(tmp_path: Path) -> None:
    recorder = rotated(tmp_path, Rotation(file_max_ns=50 * FLUSH_NS))
    with files_end_at(10):  # the header of a new file does not fit
        for number in range(40, 60):
            recorder.tick(number * FLUSH_NS)
        assert [path.name for path in tmp_path.iterdir()] == ["run.mcap"]
    recorder.write(*message(60))
    recorder.tick(60 * FLUSH_NS)
    recorder.close()
    assert len(list(tmp_path.iterdir())) == 2
    assert [int(message.body["code"]) for message in read_run(tmp_path / "run.mcap")] == [*range(40), 60]


def test_a_run_that_is_renamed_keeps_its_files_and_inherits_none(tmp_path: Path) -> None:
    for run, name, parts in (("17", "17", 3), ("16", "16", 1), ("15", "recording", 2)):
        for part in range(1, parts + 1):
            part_of(run, part, tmp_path / (f"{name}-{part:04d}.mcap" if part > 1 else f"{name}.mcap"))
    other = part_of("14", 7, tmp_path / "recording-0007.mcap")
    first = rename_run(tmp_path / "17-0003.mcap", "recording")
    assert first == tmp_path / "recording.mcap"
    assert [read_metadata(part)["file"] for part in parts_of(first)] == [
        {"run": "17", "part": str(part)} for part in (1, 2, 3)
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "16.mcap",
        "recording-0002.mcap",
        "recording-0003.mcap",
        "recording-0007.mcap",
        "recording.mcap",
    ]
    assert other not in parts_of(first)


def test_a_run_of_one_file_may_have_its_name_already(tmp_path: Path) -> None:
    (tmp_path / "recording.mcap").write_text("the pass")
    assert rename_run(tmp_path / "recording.mcap", "recording").read_text() == "the pass"


def test_a_recorder_that_never_found_room_leaves_nothing(tmp_path: Path) -> None:
    with files_end_at(10):
        Recorder(tmp_path / "run.mcap").close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_had_not_finished_is_swept_and_what_is_under_way_is_not(tmp_path: Path) -> None:
    (tmp_path / "old.mcap.partial").touch()
    with files_end_at(10):
        under_way = Recorder(tmp_path / "run.mcap")
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["run.mcap.partial"]
    under_way.close()
    assert finished(tmp_path / "run.mcap")
