"""The recorder of a running station, in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from scarce_disk import files_end_at

from controller.bus.endpoints import static_table
from controller.bus.envelope import Envelope, pack
from controller.bus.port import Sample
from controller.bus.socket_port import SocketPort
from controller.bus.topics import (
    LINK_STATE,
    SERVICE_HEARTBEAT,
    SIM_TRUTH,
    STATION_EVENT,
    Heartbeat,
    LinkState,
    StationEvent,
    Truth,
)
from controller.record import Recorder, finished, read_attachments, read_messages, read_metadata
from controller.record_service import RecorderService
from hal.clock import NS, Deadline, RealClock

NAMES = ("recorder", "link", "bench")
PAIR = (0.0, 0.0)


def test_every_topic_of_every_service_is_recorded_truth_included(
    tmp_path: Path, free_base_port: Callable[[int], int]
) -> None:
    clock, table = RealClock(), static_table(base_port=free_base_port(1 + 3 * len(NAMES)), services=NAMES)
    cut_off = tmp_path / "0.mcap"
    with Recorder(cut_off) as recorder:
        recorder.write(
            LINK_STATE.name,
            Envelope(v=1, k="tlm", m=LINK_STATE.name, src="x", b=pack(LinkState(1, 1.0, 1.0, above=True))),
        )
    cut_off.write_bytes(cut_off.read_bytes()[:-20])
    with ExitStack() as stack:
        ports = {name: SocketPort(name, clock, table, simulated=True) for name in NAMES}
        for port in ports.values():
            stack.callback(port.close)
        service = RecorderService(
            clock, ports["recorder"], table, tmp_path, {"run": {"seed": "1"}}, {"rig.toml": b"[station]"}
        )
        service.open()
        stack.callback(service.close)
        names = {thread.name for thread in threading.enumerate()}
        assert "mender" not in names, "the priority that a service gets once it is open is not for mending"
        (path,) = set(tmp_path.glob("*.mcap")) - {cut_off}
        truth = Truth(1, 1.0, 1.0, 6e5, PAIR, PAIR, PAIR, PAIR, PAIR, 0.0, False, False, False)
        deadline = Deadline(clock, 10)
        wanted = {(LINK_STATE.name, "link"), (SIM_TRUTH.name, "bench"), (SERVICE_HEARTBEAT.name, "recorder")}
        seen: set[tuple[str, str]] = set()
        codes: set[str] = set()
        while not (wanted <= seen and "RECOVERED" in codes):
            assert not deadline.expired, seen
            ports["link"].publish(LINK_STATE, LinkState(clock.utc_ns(), 1e-6, 1e-7, above=True))
            ports["bench"].publish(SIM_TRUTH, truth)
            ports["recorder"].publish(SERVICE_HEARTBEAT, Heartbeat(1, 1, 0))
            service.cycle()
            clock.sleep_until(clock.now_ns() + NS // 50)
            seen = {(message.topic, message.source) for message in read_messages(path)}
            codes = {message.body.get("code", "") for message in read_messages(path)}
        request = ports["link"].send("recorder", "recorder.dance", {}, 5.0)
        while (reply := ports["link"].result(request)) is None:
            service.cycle()
            clock.sleep_until(clock.now_ns() + NS // 500)
        assert reply.code == "SCHEMA"
    assert finished(path)
    assert all(message.simulated for message in read_messages(path))
    assert read_metadata(path) == {"run": {"seed": "1"}, "file": {"run": path.stem, "part": "1"}}
    assert read_attachments(path) == {"rig.toml": b"[station]"}
    assert finished(cut_off), "what an earlier run left has its index again"
    messages = [message.body.get("message", "") for message in read_messages(path)]
    assert any("0.mcap had been cut off: 1 messages are readable again" in message for message in messages)


def test_a_full_disk_is_told_once_as_an_error_and_its_end_once(
    tmp_path: Path, free_base_port: Callable[[int], int]
) -> None:
    clock, table = RealClock(), static_table(base_port=free_base_port(1 + 3 * len(NAMES)), services=NAMES)
    with ExitStack() as stack:
        ports = {name: SocketPort(name, clock, table, simulated=True) for name in NAMES}
        for port in ports.values():
            stack.callback(port.close)
        service = RecorderService(clock, ports["recorder"], table, tmp_path)
        service.open()
        stack.callback(service.close)
        (path,) = tmp_path.glob("*.mcap")

        def turn_until(ready: Callable[[], bool]) -> None:
            deadline = Deadline(clock, 10)
            while not ready():
                assert not deadline.expired
                ports["link"].publish(LINK_STATE, LinkState(clock.utc_ns(), 1e-6, 1e-7, above=True))
                service.cycle()
                heard.extend(ports["link"].drain(STATION_EVENT))
                clock.sleep_until(clock.now_ns() + NS // 100)

        def told(code: str) -> list[tuple[str, str]]:
            return [(sample.body.level, sample.body.message) for sample in heard if sample.body.code == code]

        heard: list[Sample[StationEvent]] = []
        turn_until(lambda: len(list(read_messages(path))) > 3)
        with files_end_at(path.stat().st_size + 10):
            turn_until(lambda: bool(told("DISK_FULL")))
            dropping_ns = clock.now_ns()
            turn_until(lambda: clock.now_ns() > dropping_ns + NS // 2)
        turn_until(lambda: bool(told("DISK_ROOM")))
        turn_until(lambda: any(message.body.get("code") == "DISK_ROOM" for message in read_messages(path)))
        ((level, sentence),) = told("DISK_FULL")
        assert level == "error"
        assert str(path) in sentence
        ((_, sentence),) = told("DISK_ROOM")
        assert int(sentence.split()[-4]) > 10, "what is missing was counted"
    assert finished(path)
