"""A line on a real pty, opened by pyserial and by hal's wire, in real time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial

from hal.clock import NS, RealClock
from hal.errors import WireError, WireTimeout
from hal.wires.serial import SerialWire
from sim_hw.timeline import Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.pty import PtyPort
from sim_hw.wires.reactor import Reactor


class Parrot:
    """Answers at once with what it got."""

    def attach(self, send: Callable[[bytes], None]) -> None:
        self.receive = send


class Bench:
    """Reactor and port in a thread of their own."""

    def __init__(self, baud: int, link: Path | None) -> None:
        self.timeline = Timeline()
        self.line = SerialLine(self.timeline, Parrot(), baud)
        self.reactor = Reactor(self.timeline, RealClock())
        self.port = PtyPort(self.line, self.reactor, link)
        self._stop = threading.Event()
        self._todo: list[Callable[[], None]] = []
        self._thread = threading.Thread(target=lambda: self.reactor.run(self._stopped))
        self._thread.start()

    def do(self, action: Callable[[], None]) -> None:
        """Run in the reactor's thread, which alone may touch the line; returns when done."""
        done = threading.Event()
        self._todo.append(lambda: (action(), done.set()))  # type: ignore[func-returns-value]
        assert done.wait(5)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)
        self.port.close()
        self.reactor.close()

    def _stopped(self) -> bool:
        while self._todo:
            self._todo.pop(0)()
        return self._stop.is_set()


@pytest.fixture
def make() -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(baud: int = 9600, link: Path | None = None) -> Bench:
        benches.append(Bench(baud, link))
        return benches[-1]

    yield make
    for bench in benches:
        bench.close()


def test_a_round_trip_is_paced_as_the_line_would_be(make: Callable[..., Bench]) -> None:
    clock = RealClock()
    wire = SerialWire(make().port.resource, 9600, clock, "gimbal")
    start_ns = clock.now_ns()
    wire.write(b"x" * 48)
    assert wire.read(48, 2) == b"x" * 48
    passed_s = (clock.now_ns() - start_ns) / NS
    wire.close()

    assert passed_s >= 0.1  # 960 bits at 9600 baud


def test_a_fast_line_carries_a_capture_in_about_its_time(make: Callable[..., Bench]) -> None:
    clock = RealClock()
    wire = SerialWire(make(baud=921_600).port.resource, 921_600, clock, "beam_board")
    data = bytes(range(256)) * 64
    start_ns = clock.now_ns()
    received = b""
    for start in range(0, len(data), 4096):  # a pty's own buffer holds 4 KiB
        wire.write(data[start : start + 4096])
        received += wire.read(4096, 2)
    passed_s = (clock.now_ns() - start_ns) / NS
    wire.close()

    assert received == data
    assert passed_s >= len(data) * 10 / 921_600  # the two directions may overlap


def test_every_byte_value_passes_unchanged(make: Callable[..., Bench]) -> None:
    wire = SerialWire(make(baud=115_200).port.resource, 115_200, RealClock(), "gimbal")
    wire.write(bytes(range(256)))

    assert wire.read(256, 2) == bytes(range(256))
    wire.close()


def test_a_pulled_cable_hangs_up_and_a_new_port_comes_at_the_same_link(
    make: Callable[..., Bench], tmp_path: Path
) -> None:
    link = tmp_path / "gimbal"
    bench = make(link=link)
    wire = SerialWire(f"serial://{link}", 9600, RealClock(), "gimbal")
    bench.do(bench.line.hang_up)
    with pytest.raises(WireError, match="hung up") as caught:
        wire.read(1, 2)
    assert not isinstance(caught.value, WireTimeout)
    wire.close()
    assert not link.is_symlink()

    bench.do(bench.port.replug)
    with serial.Serial(str(link), timeout=2) as port:
        port.write(b"back")
        assert port.read(4) == b"back"


def test_a_client_that_comes_and_goes_leaves_the_port_open_for_the_next(make: Callable[..., Bench]) -> None:
    bench = make(baud=115_200)
    for _ in range(3):
        with serial.Serial(bench.port.path, timeout=2) as port:
            port.write(b"hi")
            assert port.read(2) == b"hi"


def test_close_takes_the_link_away(make: Callable[..., Bench], tmp_path: Path) -> None:
    bench = make(link=tmp_path / "gimbal")
    bench.close()

    assert list(tmp_path.iterdir()) == []


def test_a_host_that_does_not_read_loses_bytes_and_does_not_stop_the_bench(make: Callable[..., Bench]) -> None:
    bench = make(baud=12_000_000)
    bench.do(lambda: bench.line._send(b"x" * 200_000))
    deadline_ns = RealClock().now_ns() + 5 * NS
    while bench.port.overrun_bytes == 0 and RealClock().now_ns() < deadline_ns:
        bench.do(lambda: None)

    assert bench.port.overrun_bytes > 0
