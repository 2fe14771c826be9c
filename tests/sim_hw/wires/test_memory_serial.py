"""`simhw://` through pyserial and through hal's SerialWire, in simulated time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import serial

from controller.services.lockstep import Lockstep
from hal.errors import ResourceError, WireError, WireTimeout
from hal.wires.serial import SerialWire
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.memory_serial import serving


class Parrot:
    """Answers what it gets, after 15 ms."""

    send: Callable[[bytes], None]

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.delay_s = 0.015

    def attach(self, send: Callable[[bytes], None]) -> None:
        self.send = send

    def receive(self, data: bytes) -> None:
        self.timeline.after(self.delay_s, lambda: self.send(data))


class Bench:
    def __init__(self) -> None:
        self.timeline = Timeline()
        self.device = Parrot(self.timeline)
        self.line = SerialLine(self.timeline, self.device, 9600)
        self.clock = Lockstep(self.timeline)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    with serving({"gimbal": bench.line}, bench.clock):
        yield bench


@pytest.fixture
def wire(bench: Bench) -> Iterator[SerialWire]:
    wire = SerialWire("simhw://gimbal", 9600, bench.clock, "gimbal")
    yield wire
    wire.close()


def test_a_round_trip_takes_the_time_of_line_and_device(bench: Bench, wire: SerialWire) -> None:
    wire.write(b"12345678")
    reply = wire.read(8, 1)

    assert reply == b"12345678"
    # 80 bits out, 15 ms in the device, 80 bits back, at 9600 baud
    assert bench.clock.now_ns() == pytest.approx(2 * 80 / 9600 * NS + 15_000_000, abs=2)


def test_a_time_out_is_exact_and_simulated(bench: Bench, wire: SerialWire) -> None:
    with pytest.raises(WireTimeout):
        wire.read(1, 3.5)

    assert bench.clock.now_ns() == 3_500_000_000


def test_a_partial_reply_waits_until_the_deadline(bench: Bench, wire: SerialWire) -> None:
    wire.write(b"abc")
    with pytest.raises(WireTimeout, match="3 of 4 bytes"):
        wire.read(4, 0.1)

    assert bench.clock.now_ns() == 100_000_000


def test_without_a_time_out_pyserial_waits_for_ever_or_for_the_bytes(bench: Bench) -> None:
    with serial.serial_for_url("simhw://gimbal", timeout=None) as port:
        port.write(b"xy")
        assert port.read(2) == b"xy"


def test_a_zero_time_out_takes_what_is_there_and_no_time(bench: Bench) -> None:
    with serial.serial_for_url("simhw://gimbal", timeout=0) as port:
        port.write(b"xyz")
        bench.timeline.advance(19_300_000)  # 3.125 ms + 15 ms + one byte of 1.04 ms
        assert port.in_waiting == 1
        assert port.read(3) == b"x"
        assert bench.clock.now_ns() == 19_300_000


def test_flush_waits_for_the_last_bit(bench: Bench) -> None:
    with serial.serial_for_url("simhw://gimbal", timeout=0) as port:
        port.write(b"12345678")
        port.flush()
    assert bench.clock.now_ns() == 8_333_334


def test_a_hang_up_ends_a_blocked_read_at_its_time(bench: Bench, wire: SerialWire) -> None:
    bench.timeline.after(0.2, bench.line.hang_up)
    with pytest.raises(WireError, match="hung up"):
        wire.read(1, 1)

    assert bench.clock.now_ns() == 200_000_000
    with pytest.raises(WireError, match="hung up"):
        wire.write(b"x")


def test_an_emulated_line_is_exclusive_like_a_port(wire: SerialWire, bench: Bench) -> None:
    with pytest.raises(ResourceError, match="is busy"):
        SerialWire("simhw://gimbal", 9600, bench.clock, "gimbal")


def test_an_unknown_line_does_not_exist(bench: Bench) -> None:
    with pytest.raises(ResourceError, match="simhw://mount does not exist"):
        SerialWire("simhw://mount", 9600, bench.clock, "gimbal")


def test_a_line_can_be_closed_and_opened_again(bench: Bench) -> None:
    for _ in range(2):
        wire = SerialWire("simhw://gimbal", 9600, bench.clock, "gimbal")
        wire.write(b"!")
        assert wire.read(1, 1) == b"!"
        wire.close()


def test_two_services_that_share_simulated_time_each_get_their_own_reply(bench: Bench) -> None:
    slow = Parrot(bench.timeline)
    slow.delay_s = 0.05
    got: list[tuple[str, bytes, int]] = []

    def talk(name: str, text: bytes) -> None:
        wire = SerialWire(f"simhw://{name}", 9600, bench.clock, name)
        wire.write(text)
        got.append((name, wire.read(1, 1), bench.clock.now_ns()))
        wire.close()

    with serving({"slow": SerialLine(bench.timeline, slow, 9600)}, bench.clock):
        bench.clock.spawn("a", lambda: talk("slow", b"S"))
        bench.clock.spawn("b", lambda: talk("gimbal", b"F"))
        bench.clock.run()

    assert not bench.clock.failures
    assert [(name, reply) for name, reply, _ in got] == [("gimbal", b"F"), ("slow", b"S")]
    assert got[0][2] < got[1][2]
