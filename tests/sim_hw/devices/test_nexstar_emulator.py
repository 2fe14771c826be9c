"""The emulated hand controller against Celestron's protocol document and what other clients have seen."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from sim_hw.devices.nexstar import NexStar
from sim_hw.timeline import NS, Timeline

ARCSEC = math.pi / 648_000


class Axes:
    """Ideal axes that follow every rate at once."""

    def __init__(self, timeline: Timeline, azimuth_deg: float = 0.0, elevation_deg: float = 0.0) -> None:
        self.timeline = timeline
        self.angle = [math.radians(azimuth_deg), math.radians(elevation_deg)]
        self.rate = [0.0, 0.0]
        self.since = [0, 0]
        self.log: list[tuple[int, int, float]] = []

    def encoder_rad(self) -> tuple[float, float]:
        for axis in (0, 1):
            self.angle[axis] += self.rate[axis] * (self.timeline.now_ns - self.since[axis]) / NS
            self.since[axis] = self.timeline.now_ns
        return self.angle[0], self.angle[1]

    def set_rate(self, axis: int, rate_rad_s: float) -> None:
        self.encoder_rad()
        self.rate[axis] = rate_rad_s
        self.log.append((self.timeline.now_ns, axis, rate_rad_s))


class Desk:
    """The emulator without a line: commands go in whole, replies come with their time."""

    def __init__(self, azimuth_deg: float = 0.0, elevation_deg: float = 0.0, utc0_ns: int = 0) -> None:
        self.timeline = Timeline(utc0_ns)
        self.axes = Axes(self.timeline, azimuth_deg, elevation_deg)
        self.mount = NexStar(self.timeline, self.axes, np.random.default_rng(1))
        self.replies: list[tuple[int, bytes]] = []
        self.mount.attach(lambda data: self.replies.append((self.timeline.now_ns, data)))

    def ask(self, command: bytes, wait_s: float = 1.0) -> bytes:
        self.replies.clear()
        self.mount.receive(command)
        self.timeline.advance(self.timeline.now_ns + round(wait_s * NS))
        return b"".join(data for _, data in self.replies)


# (azimuth and elevation in degrees, command, reply): the angles of the protocol document's own examples are given as
# fractions of a turn in hexadecimal: 12AB/10000 = 26.2518 deg, 4000/10000 = 90 deg (NexStar-i manual, appendix D).
TURN = 360.0
POSITIONS = [
    (0x12AB / 0x10000 * TURN, 90.0, b"Z", b"12AB,4000#"),
    (0x34AB05 / 0x1000000 * TURN, 0x12CE05 / 0x1000000 * TURN, b"z", b"34AB0500,12CE0500#"),
    (10.0, 5.0, b"Z", b"071C,038E#"),  # what Hamlib's client of model 1401 was sent for 10 and 5 degrees
    (359.999, 0.001, b"Z", b"0000,0000#"),
    (-90.0, -10.0, b"Z", b"C000,F8E4#"),  # azimuth runs 0 to 360; a negative elevation wraps
]


@pytest.mark.parametrize(("azimuth_deg", "elevation_deg", "command", "reply"), POSITIONS)
def test_angles_on_the_wire_are_fractions_of_a_turn(
    azimuth_deg: float, elevation_deg: float, command: bytes, reply: bytes
) -> None:
    assert Desk(azimuth_deg, elevation_deg).ask(command) == reply


SIMPLE = [
    (b"Kx", b"x#"),  # echo, "useful to check communication"
    (b"V", b"\x04\x15#"),
    (b"m", b"\x09#"),  # 9 = CPC
    (b"J", b"\x00#"),  # not aligned
    (b"L", b"0#"),  # no goto in progress; ASCII, unlike J
    (b"M", b"#"),
    (b"t", b"\x00#"),
    (b"T\x02", b"#"),
    (b"R34AB,12CE", b"#"),
    (b"r34AB0500,12CE0500", b"#"),
    (b"P\x01\x10\xfe\x00\x00\x00\x02", b"\x06\x11#"),  # version of the azimuth motor board, two bytes
]


@pytest.mark.parametrize(("command", "reply"), SIMPLE)
def test_each_command_gets_its_documented_reply(command: bytes, reply: bytes) -> None:
    assert Desk().ask(command) == reply


def test_tracking_mode_is_remembered() -> None:
    desk = Desk()
    desk.ask(b"T\x01")
    assert desk.ask(b"t") == b"\x01#"


def test_the_clock_is_the_bench_s() -> None:
    desk = Desk(utc0_ns=1_759_500_000 * NS)  # 2025-10-03T14:00:00Z
    assert desk.ask(b"h", wait_s=0.02) == bytes([14, 0, 0, 10, 3, 25, 0, 0]) + b"#"


def test_the_site_is_degrees_minutes_seconds_with_one_for_west() -> None:
    # ESA Optical Ground Station: 28.2995 N = 28 17 58, 16.5118 W = 16 30 42
    assert Desk().ask(b"w") == bytes([28, 17, 58, 0, 16, 30, 42, 1]) + b"#"


RATES = [
    # the document's own example: 150 arcsec/s is 600 = 2 * 256 + 88
    (b"P\x03\x10\x06\x02\x58\x00\x00", 0, 150 * ARCSEC),
    (b"P\x03\x10\x07\x02\x58\x00\x00", 0, -150 * ARCSEC),
    # SynScan manual's example: 120 arcsec/s is 480 = 1 * 256 + 224
    (b"P\x03\x11\x06\x01\xe0\x00\x00", 1, 120 * ARCSEC),
    (b"P\x03\x11\x07\x00\x01\x00\x00", 1, -0.25 * ARCSEC),
    (b"P\x02\x10\x24\x07\x00\x00\x00", 0, math.radians(1)),  # arrow-key rate 7 is 1 deg/s
    (b"P\x02\x11\x25\x00\x00\x00\x00", 1, 0.0),
]


@pytest.mark.parametrize(("command", "axis", "rate_rad_s"), RATES)
def test_a_rate_command_is_acknowledged_first_and_moves_later(command: bytes, axis: int, rate_rad_s: float) -> None:
    desk = Desk()

    assert desk.ask(command) == b"#"
    assert desk.replies[0][0] == 15_000_000
    (when_ns, moved, rate) = desk.axes.log[0]
    assert (moved, rate) == (axis, pytest.approx(rate_rad_s, abs=1e-15))
    assert 30_000_000 <= when_ns <= 120_000_000


def test_motion_starts_after_75_milliseconds_with_a_spread_of_15() -> None:
    desk = Desk()
    delays_s = []
    for _ in range(2000):
        start_ns = desk.timeline.now_ns
        desk.ask(b"P\x03\x10\x06\x02\x58\x00\x00", wait_s=0.2)
        delays_s.append((desk.axes.log[-1][0] - start_ns) / NS)

    # a normal cut at three sigma has 0.9866 of its sigma; three standard errors of 2000 draws
    assert np.mean(delays_s) == pytest.approx(0.075, abs=3 * 0.015 / math.sqrt(2000))
    assert np.std(delays_s) == pytest.approx(0.9866 * 0.015, rel=3 / math.sqrt(2 * 2000))


def test_a_later_rate_never_takes_effect_before_an_earlier_one() -> None:
    desk = Desk()
    for number in range(1, 200):
        desk.mount.receive(b"P\x03\x10\x06" + number.to_bytes(2) + b"\x00\x00")
        desk.timeline.advance(desk.timeline.now_ns + 1_000_000)
    desk.timeline.advance(desk.timeline.now_ns + NS)

    rates = [rate for _, _, rate in desk.axes.log]
    assert rates == sorted(rates)
    assert len(rates) == 199


def test_a_silent_host_leaves_the_last_rate_for_ever() -> None:
    desk = Desk()
    desk.ask(b"P\x03\x10\x06\x02\x58\x00\x00")
    desk.timeline.advance(3600 * NS)

    assert desk.axes.rate[0] == pytest.approx(150 * ARCSEC)


def test_a_mount_without_power_stands_and_begins_at_rest_when_it_has_it_again() -> None:
    desk = Desk()
    desk.ask(RATES[0][0])
    assert desk.axes.rate[0] != 0.0
    desk.mount.conditions()["off"]({})
    assert desk.axes.rate == [0.0, 0.0]
    desk.axes.log.clear()
    desk.ask(RATES[0][0])
    assert desk.axes.log == []
    desk.mount.conditions()["off"](None)
    assert desk.axes.rate == [0.0, 0.0]


def test_garbage_gets_no_reply_and_does_not_hide_the_next_command() -> None:
    desk = Desk()

    assert desk.ask(b"\xff?!\x00#") == b""
    assert desk.ask(b"Kx") == b"x#"


@pytest.mark.parametrize("command", [b"BZZZZ,0000", b"B12AB 4000", b"b00000000.00000000"])
def test_a_goto_that_cannot_be_read_gets_no_reply(command: bytes) -> None:
    desk = Desk()
    assert desk.ask(command) == b""
    assert not desk.mount.slewing


def test_half_a_command_is_forgotten() -> None:
    desk = Desk()
    assert desk.ask(b"P\x03\x10\x06") == b""
    assert desk.ask(b"Z") == b"0000,0000#"


def test_half_a_command_waits_for_its_rest() -> None:
    desk = Desk()
    desk.ask(b"P\x03\x10\x06", wait_s=0.1)
    assert desk.ask(b"\x02\x58\x00\x00") == b"#"


def test_a_board_that_is_not_there_costs_an_extra_byte_before_the_end_mark() -> None:
    """Protocol document, "Pass-through Commands with No Response"."""
    assert Desk().ask(b"P\x01\x12\xfe\x00\x00\x00\x02") == b"\x00\x00\x00#"
    assert Desk().ask(b"P\x01\x10\x99\x00\x00\x00\x00") == b"\x00#"


def test_commands_in_one_packet_are_answered_in_order_15_ms_apart() -> None:
    desk = Desk()

    assert desk.ask(b"KaKbKc") == b"a#b#c#"
    assert [t for t, _ in desk.replies] == [15_000_000, 30_000_000, 45_000_000]


def test_set_position_moves_the_zero_of_one_axis() -> None:
    desk = Desk(azimuth_deg=40)
    desk.ask(b"P\x04\x10\x04\x40\x00\x00\x00")  # azimuth is now a quarter of a turn

    assert desk.ask(b"P\x01\x10\x01\x00\x00\x00\x03") == b"\x40\x00\x00#"
    assert desk.ask(b"Z") == b"4000,0000#"


@pytest.mark.parametrize(
    ("start_deg", "target_deg", "command"),
    [
        ((0.0, 0.0), (180.494, 45.247), b"B805A,202D"),  # Hamlib's transcript of 180.5, 45.25
        ((350.0, 20.0), (10.0, -5.0), b"b071C71C7,FC71C71D"),  # through north, and below the horizon
    ],
)
def test_a_goto_arrives_and_says_so(
    start_deg: tuple[float, float], target_deg: tuple[float, float], command: bytes
) -> None:
    desk = Desk(*start_deg)

    assert desk.ask(command, wait_s=0.5) == b"#"
    assert desk.ask(b"L", wait_s=0.1) == b"1#"
    desk.timeline.advance(120 * NS)
    assert desk.ask(b"L") == b"0#"
    azimuth, elevation = np.degrees(desk.axes.encoder_rad())
    assert math.remainder(azimuth - target_deg[0], 360) == pytest.approx(0, abs=0.004)
    assert elevation == pytest.approx(target_deg[1], abs=0.004)
    assert desk.axes.rate == [0, 0]
    assert abs(azimuth - start_deg[0]) < 181  # the shorter way
    assert max(abs(rate) for _, _, rate in desk.axes.log) <= math.radians(3)


@pytest.mark.parametrize("command", [b"M", b"P\x03\x11\x06\x00\x00\x00\x00"])
def test_a_goto_ends_with_both_axes_at_rest(command: bytes) -> None:
    desk = Desk()
    desk.ask(b"B8000,2000", wait_s=3)
    assert desk.axes.rate[0] > 0

    desk.ask(command)
    assert desk.axes.rate == [0, 0]
    assert not desk.mount.slewing


def test_the_same_seed_moves_at_the_same_times() -> None:
    def log(act: Callable[[Desk], object]) -> list[tuple[int, int, float]]:
        desk = Desk()
        act(desk)
        return desk.axes.log

    def play(desk: Desk) -> None:
        for _ in range(5):
            desk.ask(b"P\x03\x10\x06\x02\x58\x00\x00", wait_s=0.05)

    assert log(play) == log(play)
