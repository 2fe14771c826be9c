"""Recordings: open for everybody, the same for a seed, and readable after a kill."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path

import jsonschema
import pytest
from idle_bench import Idle
from mcap.reader import make_reader

from controller.bus.envelope import BusError, Envelope, pack
from controller.bus.local import LocalBus
from controller.bus.topics import (
    LINK_STATE,
    SERVICE_HEARTBEAT,
    SIM_TRUTH,
    TOPICS,
    Heartbeat,
    LinkState,
    Truth,
)
from controller.record import (
    FLUSH_NS,
    Damage,
    Recorder,
    RecordingError,
    finished,
    json_schema,
    read,
    read_attachments,
    read_messages,
    read_metadata,
    recover,
    recover_folder,
)
from controller.record.index import MAGIC
from controller.record.sink import claim
from controller.services.lockstep import Lockstep
from hal.clock import NS

UTC0_NS = 1_790_000_000 * NS
PAIR = (1e-6, -2e-6)
TRUTH = Truth(UTC0_NS, 1.0, 1.0, 6e5, PAIR, PAIR, PAIR, PAIR, PAIR, 1e-6, True, True, False)


def record(path: Path, seed: int = 1, messages: int = 60, close: bool = True) -> Recorder:
    """A recording of two services and the truth, one message of each every 50 ms."""
    clock = Lockstep(Idle(), UTC0_NS)
    bus = LocalBus(clock, seed)
    recorder = Recorder(path, {"run": {"seed": str(seed)}})
    recorder.attach("rig.toml", "application/toml", b"[station]\n")
    bus.tap(recorder.write)
    for number in range(messages // 3):
        now_ns = clock.utc_ns()
        bus.port("link").publish(LINK_STATE, LinkState(now_ns, number * 1e-9, 1e-7, above=False))
        bus.port("link").publish(SERVICE_HEARTBEAT, Heartbeat(now_ns, number, 0))
        bus.port("bench").publish(SIM_TRUTH, TRUTH)
        recorder.tick(clock.now_ns())
        clock.sleep_until(clock.now_ns() + NS // 20)
    if close:
        recorder.close()
    return recorder


def test_what_was_published_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    record(path)
    topics = [topic for topic, _, _ in read(path)]
    assert topics == [LINK_STATE.name, SERVICE_HEARTBEAT.name, SIM_TRUTH.name] * 20
    link = [message for message in read_messages(path) if message.topic == LINK_STATE.name]
    assert [message.seq for message in link] == list(range(1, 21))
    assert (link[3].source, link[3].simulated, link[3].log_time_ns) == ("link", True, UTC0_NS + 3 * NS // 20)
    assert link[3].body == {"t_utc_ns": UTC0_NS + 3 * NS // 20, "received_power_w": 3 * 1e-9} | {
        "threshold_w": 1e-7,
        "above": False,
    }
    assert read_metadata(path) == {"run": {"seed": "1"}}
    assert read_attachments(path) == {"rig.toml": b"[station]\n"}


def test_every_message_fits_the_schema_that_is_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    record(path)
    seen = 0
    with path.open("rb") as file:
        for schema, channel, message in make_reader(file).iter_messages():
            assert schema is not None
            assert (schema.encoding, channel.message_encoding) == ("jsonschema", "json")
            jsonschema.validate(json.loads(message.data), json.loads(schema.data))
            seen += 1
    assert seen == 60


def test_every_topic_has_a_schema_with_an_object_at_its_root() -> None:
    for topic in TOPICS.values():
        schema = json_schema(topic.body)
        assert schema["type"] == "object"
        jsonschema.Draft202012Validator.check_schema(schema)


def test_one_seed_gives_the_same_file_byte_for_byte(tmp_path: Path) -> None:
    for name in ("first", "second"):
        record(tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_a_number_that_is_not_finite_is_null(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    with Recorder(path) as recorder:
        body = pack(LinkState(1, math.nan, math.inf, above=False))
        recorder.write(LINK_STATE.name, Envelope(v=1, k="tlm", m=LINK_STATE.name, src="link", b=body))
    (message,) = read_messages(path)
    assert message.body["received_power_w"] is None
    assert message.body["threshold_w"] is None


def test_a_body_that_does_not_fit_its_topic_is_not_recorded(tmp_path: Path) -> None:
    with Recorder(tmp_path / "run.mcap") as recorder, pytest.raises(BusError, match="'link/state'"):
        recorder.write(LINK_STATE.name, Envelope(v=1, k="tlm", m=LINK_STATE.name, src="link", b=pack({"above": 3})))


def test_what_was_flushed_is_readable_while_the_recorder_runs(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    recorder = record(path, close=False)
    try:
        read_now = list(read(path))
        # 50 ms apart and flushed every 100 ms: at most two moments of three messages are still in memory
        assert 60 - 6 <= len(read_now) < 60
        assert not finished(path)
    finally:
        recorder.close()
    assert finished(path)
    assert len(list(read(path))) == 60


def test_a_flush_comes_without_messages_too(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    with Recorder(path) as recorder:
        for t_utc_ns in (1, 2):
            body = pack(LinkState(t_utc_ns, 1.0, 1.0, above=False))
            recorder.write(LINK_STATE.name, Envelope(v=1, k="tlm", m=LINK_STATE.name, src="link", t=t_utc_ns, b=body))
            recorder.tick(t_utc_ns)
        assert len(list(read(path))) == 1
        recorder.tick(NS)
        assert len(list(read(path))) == 2


def test_a_file_cut_at_any_byte_reads_to_its_last_whole_flush_and_recovers(tmp_path: Path) -> None:
    whole = tmp_path / "whole.mcap"
    record(whole, messages=30)
    data, everything = whole.read_bytes(), list(read_messages(whole))
    seen = set()
    for length in range(len(MAGIC), len(data), 37):
        path = tmp_path / "cut.mcap"
        path.write_bytes(data[:length])
        damage: list[Damage] = []
        kept = list(read_messages(path, damage.append))
        assert damage == [], "a torn end is no damage"
        assert kept == everything[: len(kept)]
        seen.add(len(kept))
        assert recover(path) == len(kept)
        assert finished(path)
        assert list(read_messages(path)) == kept
    assert {0, len(everything)} < seen, "some cuts lose nothing, some everything, some a part"


def test_recovery_keeps_metadata_and_attachments_and_opens_in_other_readers(tmp_path: Path) -> None:
    path = tmp_path / "cut.mcap"
    record(path)
    path.write_bytes(path.read_bytes()[:-600])
    assert not finished(path)
    assert recover(path) is not None
    assert read_metadata(path) == {"run": {"seed": "1"}}
    assert read_attachments(path) == {"rig.toml": b"[station]\n"}
    with path.open("rb") as file:
        reader = make_reader(file)
        summary = reader.get_summary()
        assert summary is not None
        assert {channel.topic for channel in summary.channels.values()} == {
            LINK_STATE.name,
            SERVICE_HEARTBEAT.name,
            SIM_TRUTH.name,
        }


def test_a_finished_recording_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    record(path)
    before = path.read_bytes()
    assert recover(path) is None
    assert path.read_bytes() == before


def test_a_damaged_index_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    record(path)
    data = bytearray(path.read_bytes())
    data[-200] ^= 0xFF
    path.write_bytes(data)
    assert not finished(path)
    assert recover(path) == 60
    assert finished(path)


def test_a_recovery_that_is_told_to_stop_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "cut.mcap"
    record(path)
    data = path.read_bytes()[:-600]
    path.write_bytes(data)
    asked = iter([False, False, True])
    assert recover(path, lambda: next(asked)) is None
    assert path.read_bytes() == data
    assert [file.name for file in tmp_path.iterdir()] == ["cut.mcap"]


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_second_process_that_mends_the_same_file_leaves_the_copy_of_the_first_alone(
    tmp_path: Path, interrupted: bool
) -> None:
    path = tmp_path / "cut.mcap"
    record(path)
    path.write_bytes(path.read_bytes()[:-600])
    whole = list(read_messages(path))
    asked = count()
    second: list[int | None] = []

    def in_the_middle() -> bool:
        if next(asked) == len(whole) // 2:
            second.append(recover(path, lambda: interrupted))
        return False

    assert recover(path, in_the_middle) == len(whole)
    assert second == [None]
    assert list(read_messages(path)) == whole
    assert [file.name for file in tmp_path.iterdir()] == ["cut.mcap"]


def test_a_copy_that_another_process_has_just_put_in_place_is_not_made_twice(tmp_path: Path) -> None:
    path, partial = tmp_path / "cut.mcap", tmp_path / "cut.mcap.partial"
    partial.touch()
    with partial.open("ab") as late:
        partial.rename(path)
        assert not claim(late, partial)
        assert claim(late, path)


def test_a_file_that_is_being_written_is_not_replaced_under_its_recorder(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    recorder = record(path, close=False)
    assert recover(path) is None
    assert recover_folder(tmp_path) == {}
    recorder.close()
    assert finished(path)
    assert len(list(read(path))) == 60


def test_an_empty_file_does_not_keep_a_recorder_from_starting(tmp_path: Path) -> None:
    (tmp_path / "empty.mcap").touch()
    with pytest.raises(RecordingError, match=r"empty\.mcap"):
        recover(tmp_path / "empty.mcap")
    assert recover_folder(tmp_path) == {}
    assert [path.name for path in tmp_path.iterdir()] == ["empty.mcap"]


def test_a_folder_is_recovered_file_by_file(tmp_path: Path) -> None:
    record(tmp_path / "good.mcap")
    record(tmp_path / "cut.mcap")
    (tmp_path / "cut.mcap").write_bytes((tmp_path / "cut.mcap").read_bytes()[:-900])
    assert list(recover_folder(tmp_path)) == ["cut.mcap"]
    assert recover_folder(tmp_path) == {}


def test_a_sender_whose_clock_is_a_year_ahead_delays_no_flush(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    with Recorder(path) as recorder:
        for number, t_utc_ns in enumerate((UTC0_NS + 365 * 86400 * NS, UTC0_NS)):
            body = pack(LinkState(t_utc_ns, 1.0, 1.0, above=False))
            recorder.write(LINK_STATE.name, Envelope(v=1, k="tlm", m=LINK_STATE.name, src="link", t=t_utc_ns, b=body))
            recorder.tick(number * FLUSH_NS)
        assert len(list(read(path))) == 2


@pytest.mark.parametrize("content", [b"", b"no recording"])
def test_what_is_no_recording_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"notes\.txt is no recording"):
        list(read(path))
    with pytest.raises(RecordingError, match=r"absent\.mcap cannot be read"):
        list(read(tmp_path / "absent.mcap"))


def test_a_recording_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    record(path)
    with pytest.raises(RecordingError, match="cannot be written"):
        Recorder(path)


KILLED = """
import sys
from pathlib import Path
from controller.bus.envelope import Envelope, pack
from controller.bus.topics import Heartbeat
from controller.record import Recorder

recorder = Recorder(Path(sys.argv[1]))
for number in range(100_000):
    t_ns = number * 1_000_000
    body = pack(Heartbeat(t_ns, number, 0))
    envelope = Envelope(v=1, k="tlm", m="service/heartbeat", src="x", t=t_ns, seq=number, b=body)
    recorder.write("service/heartbeat", envelope)
    recorder.tick(t_ns)
    if number % 100 == 0:
        print(number, flush=True)
"""


def test_a_recording_after_kill_9_is_readable_to_the_last_flush(tmp_path: Path) -> None:
    path = tmp_path / "killed.mcap"
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        flushed = 0
        while flushed < 1000:  # a flush every 100 ms, a message every ms: number n * 100 has been flushed when told
            flushed = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
    cycles = [body["cycles"] for _, _, body in read(path)]
    assert cycles == list(range(len(cycles)))
    assert len(cycles) > flushed
    assert recover(path) == len(cycles)
    assert finished(path)
