"""A recording whose bytes the disk did not keep: what is damaged is left out and told, all the rest is read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from damaged_files import chunks, flipped, frames, unclosed
from mcap.reader import make_reader

from controller.bus.envelope import Envelope, pack
from controller.bus.topics import SERVICE_HEARTBEAT, STATION_EVENT, Heartbeat, StationEvent
from controller.record import (
    FLUSH_NS,
    Damage,
    Mender,
    Recorder,
    finished,
    read_attachments,
    read_messages,
    read_metadata,
    recover,
    sentences,
)
from controller.record.index import MAGIC

FLUSHES = 12


def record(path: Path, numbers: Iterable[int] = range(FLUSHES)) -> bytes:
    """A message of each of two topics a flush, numbered from 0; returns what is in the file."""
    with Recorder(path, {"boresight": {"version": "1"}}) as recorder:
        recorder.attach("rig.toml", "application/toml", b"[station]\n")
        for number in numbers:
            for topic, body in (
                (SERVICE_HEARTBEAT, Heartbeat(number, number, 0)),
                (STATION_EVENT, StationEvent("info", str(number), "said")),
            ):
                said = Envelope(v=1, k="tlm", m=topic.name, src="x", t=number, seq=number, b=pack(body))
                recorder.write(topic.name, said)
            recorder.tick(number * FLUSH_NS)
    return path.read_bytes()


def numbers(path: Path, damage: list[Damage] | None = None) -> list[int]:
    return [message.seq for message in read_messages(path, (damage if damage is not None else []).append)]


def both(wanted: Iterable[int]) -> list[int]:
    return [number for number in wanted for _ in range(2)]


@pytest.mark.parametrize("closed", [True, False])
def test_a_flipped_bit_costs_the_messages_of_its_chunk_and_its_place_is_told(tmp_path: Path, closed: bool) -> None:
    path = tmp_path / "run.mcap"
    data = record(path)
    (at, length), after = chunks(data)[5], chunks(data)[6]
    path.write_bytes(flipped(data if closed else unclosed(data), at + length // 2))
    damage: list[Damage] = []
    assert numbers(path, damage) == both(number for number in range(FLUSHES) if number != 5)
    assert damage == [Damage(path, at, length)]
    assert at + length < after[0]
    (sentence,) = sentences(damage)
    assert sentence == (
        f"{path} is damaged in 1 place, first at byte {at}: {length} bytes cannot be read; take another copy of the "
        "file if there is one"
    )


def test_no_flipped_bit_costs_more_than_the_record_it_is_in(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    data = record(path)
    first = chunks(data)[0][0]
    for at in range(len(MAGIC), frames(data)[-1][0], 3):
        path.write_bytes(flipped(data, at, at % 8))
        damage: list[Damage] = []
        found = numbers(path, damage)
        assert len(both(range(FLUSHES))) - len(found) <= 2, at
        if found != both(range(FLUSHES)):
            told = [place.at_byte <= at < place.at_byte + place.length_bytes for place in damage]
            assert any(told), f"nothing is lost without a word: {at}"
        if at >= first:
            assert read_metadata(path) == {"boresight": {"version": "1"}}
            assert read_attachments(path) == {"rig.toml": b"[station]\n"}


@pytest.mark.parametrize("at_the_end", [False, True])
@pytest.mark.parametrize("bit", [1, 40])  # a little too long, and longer than the file
@pytest.mark.parametrize("closed", [True, False])
def test_a_length_that_is_damaged_leads_to_the_next_chunk(
    tmp_path: Path, bit: int, closed: bool, at_the_end: bool
) -> None:
    path = tmp_path / "run.mcap"
    data = record(path)
    lost = FLUSHES - 1 if at_the_end else 5
    at = chunks(data)[lost][0]
    following = frames(data)[-1][0] + (13 if closed else 0) if at_the_end else chunks(data)[lost + 1][0]
    path.write_bytes(flipped(data if closed else unclosed(data), at + 1 + bit // 8, bit % 8))
    damage: list[Damage] = []
    assert numbers(path, damage) == both(number for number in range(FLUSHES) if number != lost)
    assert damage == [Damage(path, at, following - at)]


def test_zeros_over_many_chunks_cost_those_chunks(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    data = record(path)
    (begin, _), (end, _) = chunks(data)[3], chunks(data)[8]
    path.write_bytes(data[:begin] + bytes(end - begin) + data[end:])
    damage: list[Damage] = []
    assert numbers(path, damage) == both([0, 1, 2, *range(8, FLUSHES)])
    assert damage == [Damage(path, begin, end - begin)]


def test_the_index_describes_what_a_damaged_chunk_had_described(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    data = record(path)
    at, length = chunks(data)[0]
    path.write_bytes(flipped(data, at + length // 2))
    assert numbers(path) == both(range(1, FLUSHES))


def test_messages_that_nothing_describes_any_more_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    data = record(path)
    at, length = chunks(data)[0]
    path.write_bytes(flipped(unclosed(data), at + length // 2))
    damage: list[Damage] = []
    assert numbers(path, damage) == []
    (sentence,) = sentences(damage)
    assert f"byte {at}: {length} bytes, and {2 * (FLUSHES - 1)} messages whose channel was described there," in sentence


def test_mending_keeps_what_can_be_read_and_the_damaged_file_beside_it(tmp_path: Path) -> None:
    path, kept = tmp_path / "run.mcap", tmp_path / "run.mcap.damaged"
    data = record(path)
    (at, length), (again_at, again_length) = chunks(data)[4], chunks(data)[7]
    before = flipped(flipped(unclosed(data), at + length // 2), again_at + again_length // 2)
    path.write_bytes(before)
    damage: list[Damage] = []
    wanted = both(number for number in range(FLUSHES) if number not in {4, 7})
    assert recover(path, damaged=damage.append) == len(wanted)
    assert finished(path)
    with path.open("rb") as file:
        assert [message.sequence for _, _, message in make_reader(file).iter_messages()] == wanted
    assert kept.read_bytes() == before
    assert damage == [Damage(kept, at, length), Damage(kept, again_at, again_length)]
    (sentence,) = sentences(damage)
    assert sentence == (
        f"{kept} is damaged in 2 places, first at byte {at}: {length + again_length} bytes cannot be read; run.mcap "
        "has all the rest"
    )
    assert sorted(tmp_path.iterdir()) == [path, kept]


def test_a_damaged_file_that_is_kept_takes_no_other_ones_place(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    data = record(path)
    at, length = chunks(data)[4]
    for number in range(2):
        path.write_bytes(flipped(unclosed(data), at + length // 2 + number))
        recover(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run.mcap", "run.mcap.damaged", "run.mcap.damaged-2"]


def test_the_recorder_tells_what_the_mended_file_lacks(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    data = record(path)
    at, length = chunks(data)[4]
    path.write_bytes(flipped(unclosed(data), at + length // 2))
    mender = Mender(tmp_path)
    news: list[tuple[str, str]] = []
    while len(news) < 2:
        news += mender.news()
    mender.close()
    recovered, damaged = news
    assert recovered == ("RECOVERED", f"run.mcap had been cut off: {2 * (FLUSHES - 1)} messages are readable again")
    assert damaged[0] == "DAMAGED"
    assert damaged[1].startswith(f"{path}.damaged is damaged in 1 place, first at byte {at}")
