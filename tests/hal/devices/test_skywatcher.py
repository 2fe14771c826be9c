"""Sky-Watcher's motor controller: worked bytes, rates that turn round, both speed ranges, answers without a name."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from ideal_axes import IdealAxes
from reactor_loop import Loop
from rotators import LIMITS

from controller.services.lockstep import Lockstep
from hal.clock import RealClock
from hal.devices.skywatcher import SkyWatcher, low_first
from hal.errors import DeviceError, ProtocolError
from hal.guardian import stop_device
from sim_hw.devices import skywatcher
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.memory_serial import serving
from sim_hw.wires.udp import UdpServer

DEG = math.radians(1.0)
EQ6 = {"counts": 9_024_000, "timer_hz": 64_935, "high_speed_ratio": 16}  # what an EQ6 of firmware 2 tells of itself


class Bench:
    def __init__(self, **board: int) -> None:
        self.timeline = Timeline()
        self.axes = IdealAxes(self.timeline, azimuth_deg=30.0, elevation_deg=40.0)
        self.board = skywatcher.SkyWatcher(self.timeline, self.axes, **LIMITS, **board)
        self.line = SerialLine(self.timeline, self.board, 9600)
        self.clock = Lockstep(self.timeline)
        self.open = partial(SkyWatcher, "simhw://mount", 9600, self.clock, command_latency_s=0.02, **LIMITS)

    def wait(self, seconds: float) -> None:
        self.clock.sleep_until(self.timeline.now_ns + round(seconds * NS))

    def say(self, command: str) -> str:
        return self.board.answer(command)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    with serving({"mount": bench.line}, bench.clock):
        yield bench


@pytest.fixture
def eq6() -> Iterator[Bench]:
    bench = Bench(**EQ6)
    with serving({"mount": bench.line}, bench.clock):
        yield bench


def heard(bench: Bench) -> list[str]:
    """What the board hears from now on."""
    commands: list[str] = []
    answer = bench.board.answer

    def listen(line: str) -> str:
        commands.append(line)
        return answer(line)

    bench.board.answer = listen  # type: ignore[method-assign]
    return commands


def test_a_goto_to_30_5_degrees_has_the_bytes_that_hamlib_sends() -> None:
    """Hamlib 4.7's rotator 2801 with 9,216,000 counts a turn: 30.5 degrees is `:S100EA8B`."""
    assert b":S1" + low_first(0x800000 + round(30.5 / 360 * 9_216_000)) == b":S100EA8B"


def test_the_board_tells_what_a_real_one_tells(bench: Bench) -> None:
    """AZ-GTi: 2,073,600 counts (1FA400) and 16 MHz (F42400), as pysynscan's example has them."""
    assert [bench.say(":" + ask) for ask in ("a1", "b1", "g2")] == ["=00A41F", "=0024F4", "=01"]


@pytest.mark.parametrize(
    ("command", "answer"),
    [(":Z1", "!0"), (":j", "!1"), (":I1123", "!1"), (":j4", "!3"), (":I1ZZZZZZ", "!3"), (":J1", "!4"), ("j1", "")],
)
def test_the_board_refuses_with_the_codes_of_the_document(bench: Bench, command: str, answer: str) -> None:
    assert bench.say(command) == answer


def test_a_direction_is_not_taken_while_the_axis_turns(bench: Bench) -> None:
    for command in (":F1", ":G110", ":I1E80300", ":J1"):
        assert bench.say(command) == "="
    bench.wait(0.1)
    assert bench.say(":f1") == "=111"
    assert bench.say(":G111") == bench.say(":E1000080") == "!2"
    bench.say(":K1")
    assert bench.say(":f1") == "=111"  # it brakes
    bench.wait(2.0)
    assert bench.say(":f1") == "=101"


def test_a_rate_is_changed_on_the_way_and_turned_round_at_rest(bench: Bench) -> None:
    mount = bench.open()
    mount.set_rate(0.01, 0.0)
    commands = heard(bench)
    mount.set_rate(0.011, 0.0)
    bench.wait(0.1)
    assert [command[:3] for command in commands if command[1] not in "jf"] == [":I1"]
    assert bench.axes.rate[0] == pytest.approx(0.011, rel=1e-3)
    before_ns = bench.timeline.now_ns
    mount.set_rate(-0.011, 0.02)
    assert bench.timeline.now_ns - before_ns < 0.12 * NS  # azimuth still brakes, and elevation has not waited for it
    bench.wait(0.1)
    assert bench.axes.rate == pytest.approx([0.0, 0.02], rel=1e-3)
    mount.position()
    bench.wait(0.1)
    assert bench.axes.rate == pytest.approx([-0.011, 0.02], rel=1e-3)


def test_an_azimuth_rate_leaves_the_elevation_alone(bench: Bench) -> None:
    mount = bench.open()
    commands = heard(bench)
    for step in range(20):
        mount.set_rate(0.01 + 1e-4 * step, 0.0)
    assert not [command for command in commands if "2" in command[2:3] and command[1] in "GIJ"]
    assert bench.axes.rate[1] == 0.0


def test_a_rate_below_the_slowest_is_rest(bench: Bench) -> None:
    mount = bench.open()
    (gap,) = mount.capabilities.rate_gaps_rad_s
    assert gap == pytest.approx((0.0, math.tau * 16e6 / 0xFFFFFF / 2_073_600))  # the longest period
    mount.set_rate(0.4 * gap[1], 0.6 * gap[1])
    bench.wait(0.1)
    assert bench.axes.rate == pytest.approx([0.0, gap[1]])


def test_both_angles_are_of_one_moment(bench: Bench) -> None:
    mount = bench.open()
    mount.set_rate(-0.05, 0.05)
    bench.wait(1.0)
    seen = mount.position()
    now_s = (bench.timeline.now_ns - seen.t_ns) / NS
    azimuth, elevation = bench.axes.encoder_rad()
    assert seen.azimuth_rad == pytest.approx(azimuth + 0.05 * now_s, abs=5e-5)
    assert seen.elevation_rad == pytest.approx(elevation - 0.05 * now_s, abs=5e-5)


def test_an_old_board_turns_fast_in_its_high_range_and_slow_in_its_low_one(eq6: Bench) -> None:
    mount = eq6.open()
    commands = heard(eq6)
    mount.set_rate(0.05, 0.001)
    eq6.wait(1.0)
    assert [command for command in commands if command.startswith(":G")] == [":G130", ":G210"]
    assert eq6.axes.rate == pytest.approx([0.05, 0.001], rel=0.05)


def test_an_axis_that_seems_to_have_jumped_is_not_believed_and_asked_again(bench: Bench) -> None:
    mount = bench.open()
    mount.position()
    told: list[bytes] = []

    def another(data: bytes, put: Any) -> None:
        told.append(data)
        put(b"=000080\r" if len(told) == 1 else data)  # a stray answer: azimuth 0

    bench.line.fault = another
    with pytest.raises(ProtocolError, match=r"a jump to 0\.000, 40\.000 deg"):
        mount.position()
    assert mount.position().azimuth_rad == pytest.approx(30 * DEG, abs=1e-5)


def test_a_mount_that_lost_power_refuses_to_start_and_says_why(bench: Bench) -> None:
    mount = bench.open()
    for channel in bench.board._channels:
        channel.initialised = False
    with pytest.raises(DeviceError, match=r"gimbal: its azimuth has no power; see what took it"):
        mount.set_rate(0.01, 0.0)


def test_a_goto_ends_at_the_count_it_was_sent_to(bench: Bench) -> None:
    mount = bench.open()
    mount.go_to(32 * DEG, 41 * DEG)
    bench.wait(5)
    assert [angle / DEG for angle in bench.axes.encoder_rad()] == pytest.approx([32, 41], abs=5e-4)
    assert mount.identity == {"model": "Sky-Watcher", "firmware": "03.40", "mount": "A5"}


def test_an_equatorial_mount_that_is_switched_on_at_its_pole_counts_from_there(bench: Bench) -> None:
    """Both counts are 800000 at the axes' 90 degrees: the other way round a goto is off by a quarter turn."""
    switched_on = skywatcher.SkyWatcher(bench.timeline, bench.axes, **LIMITS, start_rad=(90 * DEG, 90 * DEG))
    count = 0x800000 - 2_073_600 // 6  # 60 degrees below 90
    assert switched_on.answer(":j1") == "=" + count.to_bytes(3, "little").hex().upper()
    for channel in bench.board._channels:
        channel.offset_rad = 90 * DEG
    mount = bench.open(start_deg=(90.0, 90.0))
    here = mount.position()
    assert (here.azimuth_rad / DEG, here.elevation_rad / DEG) == pytest.approx((30.0, 40.0), abs=1e-3)
    mount.go_to(32 * DEG, 41 * DEG)
    bench.wait(5)
    assert [angle / DEG for angle in bench.axes.encoder_rad()] == pytest.approx([32, 41], abs=5e-4)


def test_over_udp_a_mount_turns_and_is_stopped_by_whoever_takes_over() -> None:
    timeline = Timeline()
    axes = IdealAxes(timeline, azimuth_deg=30.0, elevation_deg=40.0)
    clock = RealClock()
    with Loop(timeline) as loop:
        server = loop.call(lambda: UdpServer(loop.reactor, skywatcher.SkyWatcher(timeline, axes, **LIMITS)))
        mount = SkyWatcher(server.resource, 9600, clock, command_latency_s=0.02, **LIMITS)
        mount.set_rate(0.02, -0.01)
        for _ in range(500):
            mount.position()
            if all(axes.rate):
                break
        mount.close()
        assert axes.rate == pytest.approx([0.02, -0.01], rel=1e-3)
        assert stop_device("skywatcher", server.resource, 9600, "gimbal", clock, give_up_s=5.0)
        assert axes.rate == [0.0, 0.0]
        loop.call(server.close)
