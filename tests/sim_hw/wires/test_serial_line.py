"""SerialLine: pacing, order, loss."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import HOST_BUFFER_BYTES, SerialLine

BYTE_NS = 10 * NS // 9600 + 1  # 8N1 has ten bits a byte; 1.0417 ms at 9600 baud, rounded up


class Recorder:
    """A device that notes what it got and when."""

    send: Callable[[bytes], None]

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.got: list[tuple[int, bytes]] = []

    def attach(self, send: Callable[[bytes], None]) -> None:
        self.send = send

    def receive(self, data: bytes) -> None:
        self.got.append((self.timeline.now_ns, data))


@pytest.fixture
def timeline() -> Timeline:
    return Timeline()


@pytest.fixture
def device(timeline: Timeline) -> Recorder:
    return Recorder(timeline)


@pytest.fixture
def line(timeline: Timeline, device: Recorder) -> SerialLine:
    return SerialLine(timeline, device, 9600)


def test_the_device_gets_a_command_when_its_last_byte_has_arrived(
    timeline: Timeline, device: Recorder, line: SerialLine
) -> None:
    line.host_write(b"12345678")
    timeline.advance(NS)

    assert device.got == [(8_333_334, b"12345678")]  # 8 bytes * 10 bits / 9600 baud


def test_a_second_write_queues_behind_the_first(timeline: Timeline, device: Recorder, line: SerialLine) -> None:
    line.host_write(b"a")
    line.host_write(b"b")
    timeline.advance(NS)

    assert [t for t, _ in device.got] == [BYTE_NS, 2 * BYTE_NS]


def test_the_host_sees_one_byte_every_ten_bits(timeline: Timeline, device: Recorder, line: SerialLine) -> None:
    device.send(b"xyz")

    assert line.host_read(9) == b""
    timeline.advance(BYTE_NS)
    assert line.host_read(9) == b"x"
    assert line.available_at(1) == 2 * 10 * NS // 9600 + 1
    timeline.advance(NS)
    assert line.host_read(9) == b"yz"


def test_how_long_a_read_must_wait_is_known_only_once_the_device_has_sent(
    timeline: Timeline, device: Recorder, line: SerialLine
) -> None:
    device.send(b"abc")

    assert line.available_at(3) == 3_125_000  # 30 bits at 9600 baud
    assert line.available_at(4) is None


@given(
    bursts=st.lists(st.tuples(st.integers(0, 20_000_000), st.binary(min_size=1, max_size=30)), max_size=12),
    reads=st.lists(st.integers(1, 25), max_size=30),
    baud=st.sampled_from([1200, 9600, 115200, 921600]),
)
def test_whatever_is_read_when_no_byte_is_lost_or_early(
    bursts: list[tuple[int, bytes]], reads: list[int], baud: int
) -> None:
    timeline = Timeline()
    device = Recorder(timeline)
    line = SerialLine(timeline, device, baud)
    for t_ns, data in bursts:
        timeline.schedule(t_ns, lambda data=data: device.send(data))
    out = b""
    for n in reads:
        timeline.advance(timeline.now_ns + 700_000)
        ready_ns = line.available_at(n)
        assert (ready_ns is not None and ready_ns <= timeline.now_ns) == (line.available() >= n)
        out += line.host_read(n)
        assert len(out) <= timeline.now_ns * baud // (10 * NS)
    timeline.advance(timeline.now_ns + 60 * NS)
    out += line.host_read(10_000)

    assert out == b"".join(data for _, data in sorted(bursts, key=lambda burst: burst[0]))


def test_a_pulled_cable_loses_both_directions(timeline: Timeline, device: Recorder, line: SerialLine) -> None:
    device.send(b"lost")
    line.host_write(b"lost too")
    line.hang_up()
    device.send(b"and this")
    timeline.advance(NS)

    assert device.got == []
    assert line.available() == 0
    line.plug_in()
    line.host_write(b"!")
    timeline.advance(2 * NS)
    assert device.got[-1][1] == b"!"


def test_a_device_that_babbles_at_a_host_that_sleeps_loses_the_newest(device: Recorder, line: SerialLine) -> None:
    device.send(bytes(HOST_BUFFER_BYTES))
    device.send(b"late")

    assert line.overrun_bytes == 4
