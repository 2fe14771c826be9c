"""A recording on the bus again: seen by any client, marked, and never beside a station."""

from __future__ import annotations

import json
import math
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controller.bus.client import Client
from controller.bus.endpoints import registry_endpoint, static_table
from controller.bus.envelope import BusError, Envelope, body_of, pack
from controller.bus.registry import RegistryClient
from controller.bus.socket_port import SocketPort
from controller.bus.topics import (
    LINK_STATE,
    SERVICE_HEARTBEAT,
    SIM_TRUTH,
    STATION_EVENT,
    STATION_MODE,
    Heartbeat,
    LinkState,
    ModeState,
    Truth,
)
from controller.cli import main
from controller.record import Recorder, RecordingError, read_messages
from controller.replay import Replay, Replayed
from hal.clock import NS, Deadline, RealClock

T0_NS = 1_790_000_000 * NS
PORTS = 1 + 3 * 8
PAIR = (0.0, 0.0)
TRUTH = Truth(1, 1.0, 1.0, 6e5, PAIR, PAIR, PAIR, PAIR, PAIR, 0.0, False, False, False)
Port = Callable[[int], int]


def record(path: Path, seconds: float = 1.0) -> Path:
    """What a real station said: mode, link and a heartbeat, 50 times a second."""
    with Recorder(path) as recorder:
        for step in range(round(50 * seconds)):
            t_ns = T0_NS + step * NS // 50
            for topic, source, body in (
                (STATION_MODE, "station", ModeState("LINK", T0_NS, "as recorded", "STARLINK-1")),
                (LINK_STATE, "link", LinkState(t_ns, step * 1e-9 if step else math.nan, 1e-7, above=False)),
                (SERVICE_HEARTBEAT, "station", Heartbeat(t_ns, step, 0)),
            ):
                envelope = Envelope(v=1, k="tlm", m=topic.name, src=source, t=t_ns, seq=step + 1, b=pack(body))
                recorder.write(topic.name, envelope)
            recorder.tick(t_ns)
    return path


def heard(replay: Replay, base_port: int, speed: float = 1.0) -> tuple[Replayed, list[Envelope]]:
    """Run the replay with a client that listens from before its start."""
    found: list[Envelope] = []
    with Client(static_table(base_port=base_port)) as client:
        client.subscribe_all()

        def listen() -> bool:
            found.extend(client.envelopes(0))
            return False

        done = replay.run(speed, listen)
        found.extend(client.envelopes(0.3))
    return done, found


def test_a_client_sees_what_was_recorded_in_its_order_from_the_services_that_said_it(
    tmp_path: Path, free_base_port: Port
) -> None:
    base_port, path = free_base_port(PORTS), record(tmp_path / "night.mcap")
    with Replay(path, RealClock(), base_port=base_port) as replay:
        done, found = heard(replay, base_port)
    assert done.messages == 150
    assert not done.skipped
    assert done.recorded_s == pytest.approx(0.98)
    recorded = {message.log_time_ns: message for message in read_messages(path) if message.topic == LINK_STATE.name}
    links = [body_of(envelope) for envelope in found if envelope.m == LINK_STATE.name]
    assert len(links) > 25, "all that came after the client had connected"
    assert [link.t_utc_ns for link in links] == list(recorded)[-len(links) :]
    assert all(link.received_power_w == recorded[link.t_utc_ns].body["received_power_w"] for link in links[1:])
    assert {(envelope.m, envelope.src) for envelope in found} >= {
        (LINK_STATE.name, "link"),
        (STATION_MODE.name, "station"),
        (SERVICE_HEARTBEAT.name, "station"),
    }


def test_everything_is_marked_although_the_recording_was_real(tmp_path: Path, free_base_port: Port) -> None:
    base_port, path = free_base_port(PORTS), record(tmp_path / "night.mcap")
    assert not any(message.simulated for message in read_messages(path))
    with Replay(path, RealClock(), base_port=base_port) as replay:
        _, found = heard(replay, base_port)
    assert len(found) > 50
    assert all(envelope.sim and envelope.clk == "sim" for envelope in found)
    events = [body_of(envelope).message for envelope in found if envelope.m == STATION_EVENT.name]
    assert events == ["this is a replay of night.mcap, 1 times as fast"]


@pytest.mark.parametrize("speed", [0.5, 2.0])
def test_the_pace_is_that_of_the_recording_times_the_speed(tmp_path: Path, free_base_port: Port, speed: float) -> None:
    base_port, clock = free_base_port(PORTS), RealClock()
    with Replay(record(tmp_path / "night.mcap"), clock, base_port=base_port) as replay:
        began_ns = clock.now_ns()
        replay.run(speed)
        took_s = (clock.now_ns() - began_ns) / NS
    assert 0.98 / speed <= took_s < 0.98 / speed + 0.5


def test_a_slow_replay_does_not_look_stale(tmp_path: Path, free_base_port: Port) -> None:
    base_port, clock = free_base_port(PORTS), RealClock()
    fresh: list[bool] = []
    with (
        Client(static_table(base_port=base_port)) as client,
        Replay(record(tmp_path / "night.mcap", 0.5), clock, base_port=base_port) as replay,
    ):
        client.subscribe(STATION_MODE)

        def listen() -> bool:
            list(client.envelopes(0))
            if client.store.latest(STATION_MODE) is not None:
                fresh.append(client.store.fresh(STATION_MODE, "", clock.now_ns()) is not None)
            return False

        replay.run(0.2, listen)
    assert len(fresh) > 20
    assert all(fresh)


def test_a_number_that_was_not_finite_is_so_again(tmp_path: Path, free_base_port: Port) -> None:
    base_port, path = free_base_port(PORTS), tmp_path / "night.mcap"
    with Recorder(path) as recorder:
        for step in range(25):
            t_ns = T0_NS + step * NS // 50
            body = pack(LinkState(t_ns, math.nan, 1e-7, above=False))
            recorder.write(LINK_STATE.name, Envelope(v=1, k="tlm", m=LINK_STATE.name, src="link", t=t_ns, b=body))
    with Replay(path, RealClock(), base_port=base_port) as replay:
        done, found = heard(replay, base_port)
    assert done.messages == 25
    assert all(math.isnan(body_of(envelope).received_power_w) for envelope in found if envelope.m == LINK_STATE.name)


@pytest.mark.parametrize(("service", "method", "control"), [("station", "track", False), ("safety", "stop", True)])
def test_a_command_is_refused_and_says_that_this_is_a_replay(
    tmp_path: Path, free_base_port: Port, service: str, method: str, control: bool
) -> None:
    base_port = free_base_port(PORTS)
    with (
        replaying(record(tmp_path / "night.mcap", 5.0), rig_at(tmp_path, base_port)),
        Client(static_table(base_port=base_port)) as client,
    ):
        reply = client.call(service, method, {}, 10.0, control)
    assert (reply.code, reply.message) == ("TRANSPORT", f"{method} was not executed: this is a replay of night.mcap")


def test_the_registry_names_the_services_of_a_replay(tmp_path: Path, free_base_port: Port) -> None:
    base_port, clock = free_base_port(PORTS), RealClock()
    with replaying(record(tmp_path / "night.mcap", 5.0), rig_at(tmp_path, base_port)):
        table = RegistryClient(registry_endpoint(base_port=base_port), clock).lookup(10.0)
    assert table == static_table(base_port=base_port)


@pytest.mark.parametrize("service", ["supervisor", "safety", "bench"])
def test_a_replay_refuses_to_run_beside_a_station_and_takes_nothing(
    tmp_path: Path, free_base_port: Port, service: str
) -> None:
    base_port, clock = free_base_port(PORTS), RealClock()
    table, path = static_table(base_port=base_port), record(tmp_path / "night.mcap", 0.1)
    station = SocketPort(service, clock, table)
    with pytest.raises(BusError, match=f"of service '{service}' is in use: a station is running"):
        Replay(path, clock, base_port=base_port)
    station.close()
    with Replay(path, clock, base_port=base_port) as replay:
        assert replay.run().messages == 15


def test_no_service_of_a_station_starts_beside_a_replay(tmp_path: Path, free_base_port: Port) -> None:
    base_port, clock = free_base_port(PORTS), RealClock()
    table = static_table(base_port=base_port)
    with Replay(record(tmp_path / "night.mcap", 0.1), clock, base_port=base_port):
        for service in table:
            with pytest.raises(BusError, match="is in use"):
                SocketPort(service, clock, table)


def test_what_nobody_understands_any_more_is_counted_by_reason(tmp_path: Path, free_base_port: Port) -> None:
    base_port, path = free_base_port(PORTS), tmp_path / "night.mcap"
    with Recorder(path) as recorder:
        body = pack(LinkState(1, 1.0, 1.0, above=True))
        for source in ("link", "operator"):
            recorder.write(LINK_STATE.name, Envelope(v=1, k="tlm", m=LINK_STATE.name, src=source, t=1, b=body))
        recorder.write(SIM_TRUTH.name, Envelope(v=1, k="tlm", m=SIM_TRUTH.name, src="link", t=1, b=pack(TRUTH)))
    with Replay(path, RealClock(), base_port=base_port) as replay:
        done = replay.run()
    assert done.messages == 1
    assert done.skipped == {
        "no service operator in the bus table": 1,
        "service 'link' may not publish sim/truth/line_of_sight: only the bench knows the truth": 1,
    }


def test_an_empty_recording_is_named(tmp_path: Path, free_base_port: Port) -> None:
    Recorder(tmp_path / "empty.mcap").close()
    with pytest.raises(RecordingError, match=r"empty\.mcap holds no messages"):
        Replay(tmp_path / "empty.mcap", RealClock(), base_port=free_base_port(PORTS))


def rig_at(folder: Path, base_port: int) -> Path:
    text = Path("controller/data/rigs/ogs.toml").read_text(encoding="utf-8")
    path = folder / "rig.toml"
    path.write_text(re.sub(r"base_port = \d+", f"base_port = {base_port}", text), encoding="utf-8")
    return path


@contextmanager
def replaying(path: Path, rig: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The command as a process of its own, from its first message on."""
    command = [sys.executable, "-m", "controller.cli", "replay", str(path), "--rig", str(rig), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            base_port = int(re.findall(r"base_port = (\d+)", rig.read_text(encoding="utf-8"))[0])
            with Client(static_table(base_port=base_port)) as client:
                deadline = Deadline(RealClock(), 30)
                while client.wait_for(STATION_MODE, "station", 0.5) is None:
                    assert process.poll() is None, process.communicate()
                    assert not deadline.expired
            yield process
        finally:
            process.kill()


def test_status_and_watch_show_a_replay_as_simulated(
    tmp_path: Path, free_base_port: Port, capsys: pytest.CaptureFixture[str]
) -> None:
    rig = rig_at(tmp_path, free_base_port(PORTS))
    with replaying(record(tmp_path / "night.mcap", 5.0), rig):
        main(["status", "--rig", str(rig), "--json"])
        seen = json.loads(capsys.readouterr().out)
        assert seen["simulated"] is True
        assert seen["topics"][STATION_MODE.name]["fresh"]
        assert seen["topics"][STATION_MODE.name]["body"]["target"] == "STARLINK-1"
        main(["watch", "--rig", str(rig), "--seconds", "0.5"])
        shown = capsys.readouterr().out
    assert "SIMULATED" in shown
    assert "this is a replay of night.mcap" in shown


def test_the_command_tells_in_json_what_it_did(tmp_path: Path, free_base_port: Port) -> None:
    rig, path = rig_at(tmp_path, free_base_port(PORTS)), record(tmp_path / "night.mcap", 2.0)
    with replaying(path, rig, "--json", "--speed", "2") as process:
        told = json.loads(process.communicate(timeout=30)[0])
    assert process.returncode == 0
    assert told == {
        "file": str(path),
        "speed": 2.0,
        "messages": 300,
        "recorded_s": 1.98,
        "skipped": {},
        "interrupted": False,
        "damage": [],
    }


def test_a_replay_that_is_terminated_says_how_far_it_came(tmp_path: Path, free_base_port: Port) -> None:
    rig = rig_at(tmp_path, free_base_port(PORTS))
    with replaying(record(tmp_path / "night.mcap", 20.0), rig, "--json") as process:
        process.send_signal(signal.SIGTERM)
        told = json.loads(process.communicate(timeout=30)[0])
    assert told["interrupted"] is True
    assert 0 < told["messages"] < 3000


def test_the_command_refuses_beside_a_station_with_a_sentence(
    tmp_path: Path, free_base_port: Port, capsys: pytest.CaptureFixture[str]
) -> None:
    base_port = free_base_port(PORTS)
    station = SocketPort("pointing", RealClock(), static_table(base_port=base_port))
    try:
        with pytest.raises(SystemExit) as ended:
            main(["replay", str(record(tmp_path / "n.mcap", 0.1)), "--rig", str(rig_at(tmp_path, base_port))])
    finally:
        station.close()
    assert ended.value.code == 1
    assert "is in use: a station is running" in capsys.readouterr().err


def test_the_truth_of_a_recording_is_replayed_by_the_bench_alone(tmp_path: Path, free_base_port: Port) -> None:
    base_port, path = free_base_port(PORTS), tmp_path / "night.mcap"
    with Recorder(path) as recorder:
        for step in range(25):
            envelope = Envelope(v=1, k="tlm", m=SIM_TRUTH.name, src="bench", t=T0_NS + step * NS // 50, b=pack(TRUTH))
            recorder.write(SIM_TRUTH.name, envelope)
    with Replay(path, RealClock(), base_port=base_port) as replay:
        _, found = heard(replay, base_port)
    assert {envelope.src for envelope in found if envelope.m == SIM_TRUTH.name} == {"bench"}
