"""The panel: when faults begin and end, from a scenario, by time, by command count and by hand."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from reactor_loop import Loop

from controller.cli import main
from controller.cli.bench import BenchError, open_bench
from controller.cli.demo import DEFAULT_RIG, choose_pass
from controller.cli.fault import DOOR
from controller.cli.rig import emulated_devices
from hal.clock import NS
from hal.errors import WireError, WireTimeout
from hal.rig import load_rig, open_device
from sim_hw.faults.door import FaultDoor
from sim_hw.faults.panel import Faults, Reach
from sim_hw.faults.table import DEVICES, TABLE, FaultError, word_named
from sim_hw.timeline import Timeline
from sim_hw.wires.line import SerialLine


class Echo:
    send: Callable[[bytes], None]

    def attach(self, send: Callable[[bytes], None]) -> None:
        self.send = send

    def receive(self, data: bytes) -> None:
        self.send(data)


class Desk:
    """A panel with one echoing device on a fast line."""

    def __init__(self, timeline: Timeline | None = None) -> None:
        self.timeline = timeline or Timeline()
        self.line = SerialLine(self.timeline, Echo(), 10_000_000)
        reach = {"gimbal": Reach(self.line, self.line.hang_up, self.line.plug_in)}
        self.faults = Faults(self.timeline, np.random.default_rng(1), reach)

    def ask(self, data: bytes = b"hello", within_s: float = 0.01) -> bytes:
        self.line.host_write(data)
        self.timeline.advance(self.timeline.now_ns + round(within_s * NS))
        return self.line.host_read(100)


def test_a_fault_begins_and_ends_at_its_times() -> None:
    desk = Desk()
    desk.faults.at("gimbal", "off", at_s=1.0, for_s=2.0)
    seen = []
    for _ in range(8):
        seen.append(desk.ask() == b"hello")
        desk.timeline.advance(desk.timeline.now_ns + NS // 2)
    assert seen == [True, True, False, False, False, False, True, True]


def test_a_fault_begins_at_a_command_and_lasts_for_some() -> None:
    desk = Desk()
    desk.faults.at("gimbal", "off", at_command=3, for_commands=2)
    assert [desk.ask() == b"hello" for _ in range(6)] == [True, True, False, False, True, True]


def test_the_newest_fault_of_a_device_is_the_one_it_has() -> None:
    desk = Desk()
    desk.faults.start("gimbal", "off")
    desk.faults.start("gimbal", "duplicated", for_s=1.0)
    assert desk.faults.active == {"gimbal": "duplicated"}
    assert desk.ask() == b"hellohello"
    desk.timeline.advance(2 * NS)
    assert desk.faults.active == {}
    assert desk.ask() == b"hello"


def test_a_seed_gives_the_same_losses() -> None:
    def losses() -> list[bytes]:
        desk = Desk()
        desk.faults.start("gimbal", "intermittent", parameters={"probability": 0.5})
        return [desk.ask() for _ in range(50)]

    first = losses()
    assert first == losses()
    assert 10 < first.count(b"") < 40


@pytest.mark.parametrize(
    "word", ["off", "garbage", "delayed", "split", "duplicated", "slow", "late_reply", "intermittent"]
)
def test_a_fault_of_the_wire_has_touched_what_it_spoiled_and_nothing_before_a_reply(word: str) -> None:
    desk = Desk()
    desk.faults.start("gimbal", word, parameters={"probability": 1.0} if word == "intermittent" else {})
    assert desk.faults.touched == 0
    desk.ask(b"hello, who is there")
    assert desk.faults.touched == 1
    desk.faults.clear()
    desk.ask()
    assert desk.faults.touched == 1


def test_a_reply_that_is_not_lost_is_not_touched() -> None:
    desk = Desk()
    desk.faults.start("gimbal", "intermittent", parameters={"probability": 0.5})
    lost = [desk.ask() for _ in range(50)].count(b"")
    assert desk.faults.touched == lost > 0


def test_without_power_a_device_that_knows_what_that_is_is_mute_as_well() -> None:
    desk, told = Desk(), []
    desk.faults._reach["gimbal"].conditions = {"off": told.append}
    desk.faults.start("gimbal", "off")
    assert desk.ask() == b""
    desk.faults.clear()
    assert told == [{}, None]
    assert desk.ask() == b"hello"


@pytest.mark.parametrize("word", ["hang_up", "replug"])
def test_a_cable_that_was_pulled_is_touched(word: str) -> None:
    desk = Desk()
    desk.faults.start("gimbal", word)
    assert desk.faults.touched == 1


@pytest.mark.parametrize(
    ("device", "word", "parameters", "told"),
    [
        ("gimbl", "off", {}, "did you mean gimbal"),
        ("gimbal", "intermitent", {}, "did you mean intermittent"),
        ("gimbal", "saturated", {}, "an encoder has no limit"),
        ("gimbal", "delayed", {"delay": 1.0}, "did you mean delay_s"),
        ("camera", "off", {}, "is not emulated here"),
    ],
)
def test_what_is_no_fault_is_refused_with_the_nearest_word(
    device: str, word: str, parameters: dict[str, float], told: str
) -> None:
    with pytest.raises(FaultError, match=told):
        Desk().faults.start(device, word, parameters=parameters)


def test_every_device_has_every_word_or_a_reason() -> None:
    for word in TABLE.values():
        for device in DEVICES:
            if word.applies_to(device):
                assert word_named(word.name, device) is word
            else:
                assert len(word.not_for[device]) > 20


def scenario_with(tmp_path: Path, more: str) -> Path:
    shipped = Path(__file__).parents[2] / "sim_hw" / "scenarios" / "default.toml"
    path = tmp_path / "faults.toml"
    path.write_text(shipped.read_text(encoding="utf-8") + more)
    return path


def bench_of(scenario: Path):
    rig = load_rig(DEFAULT_RIG, dict.fromkeys(emulated_devices(DEFAULT_RIG), ""))
    target = choose_pass(rig, None, "", above_limits=False).target
    return open_bench(DEFAULT_RIG, target.elements, target.rise_utc_ns - 60 * NS, scenario)


def test_a_scenario_plans_faults(tmp_path: Path) -> None:
    path = scenario_with(tmp_path, '\n[[faults]]\ndevice = "gimbal"\nfault = "off"\nat_s = 2.0\nfor_s = 3.0\n')
    with bench_of(path) as bench:
        gimbal = open_device(bench.rig, "gimbal", bench.lockstep)
        gimbal.position()
        bench.lockstep.sleep_until(2_100_000_000)
        with pytest.raises(WireTimeout):
            gimbal.position()
        bench.lockstep.sleep_until(6 * NS)
        gimbal.position()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('device = "gimbal"\nfault = "of"\nat_s = 2.0', "did you mean off"),
        ('device = "gimbal"\nfault = "off"', "give at_s or at_command"),
        ('device = "gimbal"\nfault = "off"\nat_s = 2.0\nlevel = 3', "no parameter 'level'"),
        ('fault = "off"\nat_s = 2.0', "faults"),
        ('device = "gimbal"\nfault = "off"\nat_s = -2.0', "at_s"),
    ],
)
def test_a_wrong_fault_in_a_scenario_is_refused_with_the_reason(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(BenchError, match=told):
        bench_of(scenario_with(tmp_path, f"\n[[faults]]\n{text}\n"))


def test_an_operator_starts_and_clears_a_fault_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Loop(Timeline()) as loop:
        desk = Desk(loop.reactor._world)
        door = loop.call(lambda: FaultDoor(loop.reactor, desk.faults, tmp_path / DOOR))
        where = ["--run-dir", str(tmp_path)]
        main(["fault", "gimbal", "delayed", "--set", "delay_s=0.5", *where])
        assert "now: gimbal delayed" in capsys.readouterr().out
        main(["fault", "--json", *where])
        told = json.loads(capsys.readouterr().out)
        assert told["active"] == {"gimbal": "delayed"}
        assert set(told["table"]) == set(TABLE)
        main(["fault", "--clear", *where])
        assert "nothing is wrong" in capsys.readouterr().out
        with pytest.raises(SystemExit):
            main(["fault", "gimbal", "delayd", *where])
        assert "did you mean delayed" in capsys.readouterr().err
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as rude:
            rude.connect(str(tmp_path / DOOR))
            rude.sendall(b"garbage\n[]\n")
            assert b"no wish of the fault panel" in rude.recv(4096)
        loop.call(door.close)


def test_without_a_bench_the_command_says_how_to_start_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fault", "gimbal", "off", "--run-dir", str(tmp_path)])
    assert "start one with `boresight emulate" in capsys.readouterr().err


def test_a_device_that_is_off_is_told_from_one_that_was_unplugged(tmp_path: Path) -> None:
    with bench_of(scenario_with(tmp_path, "")) as bench:
        gimbal = open_device(bench.rig, "gimbal", bench.lockstep)
        bench.faults.start("gimbal", "off")
        with pytest.raises(WireTimeout):
            gimbal.position()
        bench.faults.start("gimbal", "hang_up")
        with pytest.raises(WireError, match="hung up"):
            gimbal.position()
