"""Framing, modem lines and break: through pyserial's own RFC 2217 client, and refused where a port has none."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from reactor_loop import Loop

from hal.clock import RealClock
from hal.errors import ResourceError, WireError, WireTimeout
from hal.wires.opening import open_stream
from hal.wires.serial import ModemLines, SerialWire
from sim_hw.timeline import Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.modem import DeviceLines, Framing
from sim_hw.wires.pty import PtyPort
from sim_hw.wires.rfc2217 import Rfc2217Server


class Echo:
    send: Callable[[bytes], None]

    def attach(self, send: Callable[[bytes], None]) -> None:
        self.send = send

    def receive(self, data: bytes) -> None:
        self.send(data)


@pytest.fixture
def loop() -> Iterator[Loop]:
    with Loop(Timeline()) as loop:
        yield loop


@pytest.fixture
def line(loop: Loop) -> SerialLine:
    return SerialLine(loop.reactor._world, Echo(), 57_600)


@pytest.fixture
def server(loop: Loop, line: SerialLine) -> Iterator[Rfc2217Server]:
    server = loop.call(lambda: Rfc2217Server(line, loop.reactor, Framing(57_600, 7, "E")))
    yield server
    loop.call(server.close)


@pytest.fixture
def wire(server: Rfc2217Server) -> Iterator[SerialWire]:
    wire = open_stream(server.resource, RealClock(), "rotator", baud=57_600, framing="7E1")
    assert isinstance(wire, SerialWire)
    yield wire
    wire.close()


def until(clock: RealClock, so: Callable[[], bool]) -> bool:
    """Ask until something is so, for at most two seconds."""
    for _ in range(200):
        if so():
            return True
        clock.sleep_until(clock.now_ns() + 10_000_000)
    return False


def test_baud_rate_data_bits_and_parity_reach_the_line(server: Rfc2217Server, wire: SerialWire) -> None:
    assert server.host_framing == Framing(57_600, 7, "E", 1.0)
    wire.write(b"AZ123.4\r")
    assert wire.read(8, 2.0) == b"AZ123.4\r"


def test_dtr_rts_and_break_reach_the_device(server: Rfc2217Server, wire: SerialWire) -> None:
    wire.set_dtr(False)
    wire.set_rts(False)
    assert until(RealClock(), lambda: not (server.host_lines.dtr or server.host_lines.rts))
    wire.set_dtr(True)
    assert until(RealClock(), lambda: server.host_lines.dtr and not server.host_lines.rts)
    wire.send_break(0.05)
    assert until(RealClock(), lambda: server.host_lines.breaks == 1 and not server.host_lines.brk)


def test_what_the_device_drives_is_seen_by_the_host(loop: Loop, server: Rfc2217Server, wire: SerialWire) -> None:
    assert until(RealClock(), lambda: wire.modem_lines() == ModemLines(cts=True, dsr=True, dcd=True, ri=False))
    loop.call(lambda: server.drive(DeviceLines(cts=False, dcd=False, ri=True)))
    assert until(RealClock(), lambda: wire.modem_lines() == ModemLines(cts=False, dsr=True, dcd=False, ri=True))


@pytest.mark.parametrize(("baud", "framing"), [(9600, "7E1"), (57_600, "8N1"), (57_600, "7O1")])
def test_a_host_of_another_framing_reads_garbage(server: Rfc2217Server, baud: int, framing: str) -> None:
    wire = open_stream(server.resource, RealClock(), "rotator", baud=baud, framing=framing)
    wire.write(b"AZ123.4\r")
    with pytest.raises(WireTimeout, match="baud rate"):
        wire.read(8, 0.3)
    wire.close()


def test_a_pty_without_modem_lines_says_so(loop: Loop, line: SerialLine) -> None:
    port = loop.call(lambda: PtyPort(line, loop.reactor))
    wire = open_stream(port.resource, RealClock(), "rotator", baud=57_600)
    assert isinstance(wire, SerialWire)
    for use in (lambda: wire.set_dtr(True), lambda: wire.set_rts(False), wire.modem_lines):
        with pytest.raises(WireError, match=r"rotator: .* has no modem lines; name a real port or rfc2217://"):
            use()
    wire.write(b"still there")
    assert wire.read(11, 2.0) == b"still there"
    wire.close()
    loop.call(port.close)


def test_a_pty_cannot_do_parity_and_says_what_can(loop: Loop, line: SerialLine) -> None:
    port = loop.call(lambda: PtyPort(line, loop.reactor))
    with pytest.raises(ResourceError, match=r"cannot do 7E1 .* rfc2217://"):
        open_stream(port.resource, RealClock(), "rotator", baud=9600, framing="7E1")
    loop.call(port.close)


@pytest.mark.parametrize("word", ["", "8", "9N1", "8X1", "8N3", "N81"])
def test_what_is_no_framing_is_refused(word: str) -> None:
    with pytest.raises(ResourceError, match="as 8N1 or 7E1"):
        open_stream("serial:///dev/null", RealClock(), "rotator", baud=9600, framing=word)
