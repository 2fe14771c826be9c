"""One instrument on all five transports of VISA, through the real pyvisa and pyvisa-py, in real time on loopback."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from reactor_loop import Loop

from hal.clock import RealClock
from hal.devices.pm100d import Pm100d
from hal.errors import ResourceError, WireError, WireTimeout
from hal.wires.visa import VisaWire, resource_manager
from sim_hw.devices import pm100d
from sim_hw.devices.scpi import Exchange
from sim_hw.timeline import Timeline
from sim_hw.wires.hislip import HislipServer
from sim_hw.wires.line import SerialLine
from sim_hw.wires.pty import PtyPort
from sim_hw.wires.rawsocket import RawSocketServer
from sim_hw.wires.scpi_line import ScpiLine
from sim_hw.wires.usbip import UsbipServer
from sim_hw.wires.usbtmc import UsbTmc
from sim_hw.wires.vxi11 import Vxi11Server

TRANSPORTS = ("socket", "hislip", "vxi11", "usbtmc", "serial")
BAUD = 115_200
LONG = 32_768


class Light:
    def received_power_w(self) -> float:
        return 2e-6


@dataclass
class Bench:
    loop: Loop
    exchange: Exchange
    resource: str
    hang_up: Callable[[], Any]

    def wire(self, timeout_s: float = 1.0) -> VisaWire:
        return VisaWire(self.resource, RealClock(), "power_meter", timeout_s)

    def delay(self, seconds: float) -> None:
        self.loop.call(lambda: setattr(self.exchange, "extra_delay_s", seconds))


@pytest.fixture(scope="module", autouse=True)
def libusb() -> None:
    """libusb opens a socket of its own when it is first used, and keeps it until the process ends."""
    resource_manager().close()


@pytest.fixture(params=TRANSPORTS)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    timeline = Timeline()
    meter = pm100d.Pm100d(timeline, Light(), np.random.default_rng(1))
    meter.scpi.add("LONG", query=lambda _: "x" * LONG)
    exchange = Exchange(timeline, meter.scpi)
    with Loop(timeline) as loop:
        server, resource, hang_up = loop.call(lambda: TRANSPORT[request.param](loop.reactor, timeline, exchange))
        yield Bench(loop, exchange, f"visa://{resource}", lambda: loop.call(hang_up))
        loop.call(server.close)


def on_socket(reactor: Any, timeline: Timeline, exchange: Exchange) -> tuple[Any, str, Callable[[], Any]]:
    server = RawSocketServer(reactor, exchange)
    return server, server.resource, server.hang_up


def on_hislip(reactor: Any, timeline: Timeline, exchange: Exchange) -> tuple[Any, str, Callable[[], Any]]:
    server = HislipServer(reactor, exchange)
    return server, server.resource, server.hang_up


def on_vxi11(reactor: Any, timeline: Timeline, exchange: Exchange) -> tuple[Any, str, Callable[[], Any]]:
    server = Vxi11Server(reactor, exchange, timeline)
    return server, server.resource, server.hang_up


def on_usbtmc(reactor: Any, timeline: Timeline, exchange: Exchange) -> tuple[Any, str, Callable[[], Any]]:
    device = UsbTmc(exchange, 0x1313, 0x8078, ("Thorlabs", "PM100D", "P0009084"))
    server = UsbipServer(reactor, {"1-1": device})
    resource = f"USB0::0x1313::0x8078::P0009084::INSTR?usbip=127.0.0.1:{server.port}/1-1"
    return server, resource, lambda: server.unplug("1-1")


def on_serial(reactor: Any, timeline: Timeline, exchange: Exchange) -> tuple[Any, str, Callable[[], Any]]:
    line = SerialLine(timeline, ScpiLine(exchange), BAUD)
    port = PtyPort(line, reactor)
    return port, f"ASRL{port.path}::INSTR?baud={BAUD}", line.hang_up


TRANSPORT = dict(zip(TRANSPORTS, (on_socket, on_hislip, on_vxi11, on_usbtmc, on_serial), strict=True))

EXCHANGES = (
    ("*IDN?", "Thorlabs,PM100D,P0009084,2.4.0"),
    ("*OPC?", "1"),
    ("SYST:ERR?", '+0,"No error"'),
    ("SENS:CORR:WAV 1310;WAV?", "1.31000000E+03"),
    (":SENSE:CORRECTION:WAVELENGTH?;*OPC?", "1.31000000E+03;1"),
    ("*ESE 32;*ESE?", "32"),
    ("SYST:ERR?", '+0,"No error"'),
)


def test_the_instrument_answers_identically_on_every_transport(bench: Bench) -> None:
    wire = bench.wire()
    assert [wire.query(question) for question, _ in EXCHANGES] == [answer for _, answer in EXCHANGES]
    wire.write("NO:SUCH:COMMAND 1")
    assert wire.query("SYST:ERR?").startswith("-113")
    wire.write("*ESE 32;NO:SUCH:COMMAND 1")
    assert int(wire.query("*STB?")) & 0b0010_0100 == 0b0010_0100  # event summary, error queue not empty
    wire.close()


def test_a_reply_of_32_kib_comes_whole(bench: Bench) -> None:
    wire = bench.wire(timeout_s=8.0)  # at 115200 baud it takes three seconds
    assert wire.query("LONG?") == "x" * LONG
    assert wire.query("*OPC?") == "1"
    wire.close()


@pytest.mark.parametrize("late_s", [0.5, 1.4])  # the second is longer than all that a serial line is asked meanwhile
def test_after_a_time_out_the_late_reply_is_never_the_answer_to_the_next_query(bench: Bench, late_s: float) -> None:
    wire = bench.wire(timeout_s=0.3)
    assert wire.query("*OPC?") == "1"
    bench.delay(late_s)
    with pytest.raises(WireError):
        wire.query("*IDN?")
    bench.delay(0.0)
    for _ in range(3):
        for question, answer in (("*OPC?", "1"), ("SENS:CORR:WAV?", "1.55000000E+03")):
            assert recovered(wire, question) == answer
    wire.close()


def recovered(wire: VisaWire, question: str) -> str:
    """The answer, from a wire that may need a few attempts to come back in step: errors are told, answers are right."""
    for _ in range(5):
        try:
            return wire.query(question)
        except WireError:
            continue
    raise AssertionError("it does not come back")


def test_a_silent_instrument_is_a_time_out_in_time(bench: Bench) -> None:
    wire = bench.wire(timeout_s=0.3)
    wire.query("*OPC?")
    bench.delay(30.0)
    begun_ns = RealClock().now_ns()
    with pytest.raises(WireError):
        wire.query("*IDN?")
    assert RealClock().now_ns() - begun_ns < 5_000_000_000
    wire.close()


def test_an_instrument_that_is_lost_is_a_wire_error(bench: Bench) -> None:
    wire = bench.wire(timeout_s=0.5)
    wire.query("*OPC?")
    bench.hang_up()
    with pytest.raises(WireError, match="power_meter: "):
        wire.query("*IDN?")
    wire.close()


def test_the_driver_reads_watts_over_every_transport(bench: Bench) -> None:
    meter = Pm100d.open(bench.resource, RealClock())
    meter.configure(1550e-9)
    assert meter.power_w() == pytest.approx(2e-6, rel=1e-2)
    meter.close()


@pytest.mark.parametrize("bench", ["hislip", "vxi11", "socket"], indirect=True)
def test_two_hosts_at_once_each_get_their_own_answers(bench: Bench) -> None:
    one, two = bench.wire(), bench.wire()
    for _ in range(10):
        assert one.query("*IDN?").startswith("Thorlabs")
        assert two.query("*OPC?") == "1"
    one.close()
    two.close()


@pytest.mark.parametrize("bench", ["hislip", "vxi11", "socket"], indirect=True)
@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 64, bytes(4096), b"HS" + b"\xff" * 14])
def test_garbage_from_one_host_does_not_harm_another(bench: Bench, garbage: bytes) -> None:
    found = re.search(r"(?:hislip0,|127\.0\.0\.1,|127\.0\.0\.1::)(\d+)", bench.resource)
    assert found is not None
    port = int(found[1])
    wire = bench.wire()
    with socket.create_connection(("127.0.0.1", port)) as rude:
        rude.sendall(garbage)
        assert wire.query("*OPC?") == "1"
    assert wire.query("*OPC?") == "1"
    wire.close()


@pytest.mark.parametrize(
    "resource", ["TCPIP0::127.0.0.1::hislip0,1::INSTR", "TCPIP0::127.0.0.1,1::inst0::INSTR", "ASRL/dev/no_port::INSTR"]
)
def test_an_instrument_that_is_not_there_is_named(resource: str) -> None:
    with pytest.raises(ResourceError, match="power_meter: "):
        VisaWire(f"visa://{resource}", RealClock(), "power_meter")


def test_a_time_out_is_told_as_one(bench: Bench) -> None:
    wire = bench.wire(timeout_s=0.3)
    wire.query("*OPC?")
    bench.delay(0.35)  # it comes back in step while it is being told
    with pytest.raises(WireTimeout, match="did not answer within"):
        wire.query("*IDN?")
    wire.close()
