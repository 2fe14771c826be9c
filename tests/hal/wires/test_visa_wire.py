"""VisaWire over real pyvisa-py: USBTMC in simulated time, raw sockets in real time."""

from __future__ import annotations

import selectors
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from controller.services.lockstep import Lockstep
from hal.clock import RealClock
from hal.errors import HalError, ProtocolError, ResourceError, WireError, WireTimeout
from hal.wires.visa import VisaWire
from sim_hw.devices.pm100d import Pm100d
from sim_hw.devices.scpi import Exchange
from sim_hw.timeline import Timeline
from sim_hw.wires.memory_usb import MemoryUsbBackend, as_default_backend
from sim_hw.wires.rawsocket import RawSocketServer
from sim_hw.wires.usbtmc import UsbTmc

USB = "visa://USB0::0x1313::0x8078::P0009084::INSTR"
IDENTITY = "Thorlabs,PM100D,P0009084,2.4.0"


class Light:
    def received_power_w(self) -> float:
        return 1e-6


class UsbBench:
    """A power meter on the in-process bus; time is simulated."""

    def __init__(self, discards_interrupted: bool = True) -> None:
        self.timeline = Timeline()
        self.clock = Lockstep(self.timeline)
        self.meter = Pm100d(self.timeline, Light(), np.random.default_rng(1))
        self.exchange = Exchange(self.timeline, self.meter.scpi)
        self.device = UsbTmc(self.exchange, 0x1313, 0x8078, ("Thorlabs", "PM100D", "P0009084"), discards_interrupted)
        self.backend = MemoryUsbBackend(self.clock)
        self.backend.plug("power_meter", self.device)

    def wire(self) -> VisaWire:
        return VisaWire(USB, self.clock, "power_meter")


@pytest.fixture(params=[True, False], ids=["drops-interrupted", "keeps-interrupted"])
def usb(request: pytest.FixtureRequest) -> Iterator[UsbBench]:
    bench = UsbBench(request.param)
    with as_default_backend(bench.backend):
        yield bench


class Selecting:
    """A reactor of its own in a thread: sockets, and the timeline at the pace of the machine's clock."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self._selector = selectors.DefaultSelector()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        self._selector.register(fd, selectors.EVENT_READ, callback)

    def remove_reader(self, fd: int) -> None:
        self._selector.unregister(fd)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def close(self) -> None:
        self._selector.close()

    def _run(self) -> None:
        clock = RealClock()
        start_ns = clock.now_ns()
        while not self._stop.is_set():
            for key, _ in self._selector.select(0.001):
                key.data()
            self.timeline.advance(clock.now_ns() - start_ns)


class SocketBench:
    def __init__(self) -> None:
        self.timeline = Timeline()
        self.reactor = Selecting(self.timeline)
        self.meter = Pm100d(self.timeline, Light(), np.random.default_rng(1))
        self.exchange = Exchange(self.timeline, self.meter.scpi)
        self.server = RawSocketServer(self.reactor, self.exchange)
        self.reactor.start()

    def wire(self) -> VisaWire:
        return VisaWire(f"visa://{self.server.resource}", RealClock(), "power_meter")

    def switch_off(self) -> None:
        self.reactor.stop()
        self.server.close()


@pytest.fixture
def raw() -> Iterator[SocketBench]:
    bench = SocketBench()
    yield bench
    bench.reactor.stop()
    bench.server.close()
    bench.reactor.close()


def test_a_query_over_usbtmc_takes_simulated_time(usb: UsbBench) -> None:
    wire = usb.wire()
    before_ns = usb.clock.now_ns()
    assert wire.query("*IDN?") == IDENTITY
    assert usb.clock.now_ns() - before_ns == 1_000_000  # the exchange's latency
    wire.close()


def test_a_long_reply_crosses_packet_borders_whole(usb: UsbBench) -> None:
    wire = usb.wire()
    assert wire.query(";".join(["*IDN?"] * 60)) == ";".join([IDENTITY] * 60)
    wire.close()


@pytest.mark.parametrize("size", [499, 500, 501, 1011, 1012, 1013])
def test_replies_that_end_at_a_packet_border_arrive(usb: UsbBench, size: int) -> None:
    usb.meter.scpi.add("TEST", query=lambda args: "x" * size)
    wire = usb.wire()
    assert wire.query("TEST?") == "x" * size
    assert wire.query("*IDN?") == IDENTITY
    wire.close()


def test_a_late_reply_over_usbtmc_is_never_the_answer_to_the_next_query(usb: UsbBench) -> None:
    wire = usb.wire()
    usb.exchange.extra_delay_s = 0.5
    before_ns = usb.clock.now_ns()
    with pytest.raises(WireTimeout, match=r"^power_meter: .* did not answer within 0.1 s; check"):
        wire.query("*IDN?", 0.1)
    assert usb.clock.now_ns() - before_ns >= 100_000_000
    usb.exchange.extra_delay_s = 0.0
    assert wire.query("SENS:CORR:WAV?") == "1.55000000E+03"
    usb.timeline.advance(usb.timeline.now_ns + 10**9)
    assert wire.query("SENS:CORR:WAV?") == "1.55000000E+03"
    wire.close()


def test_a_reply_that_is_ready_but_unread_is_dropped_by_the_resynchronisation(usb: UsbBench) -> None:
    wire = usb.wire()
    usb.exchange.extra_delay_s = 0.101
    with pytest.raises(WireTimeout):
        wire.query("*IDN?", 0.1)
    usb.timeline.advance(usb.timeline.now_ns + 10**9)
    usb.exchange.extra_delay_s = 0.0
    assert wire.query("SENS:CORR:WAV?") == "1.55000000E+03"
    wire.close()


def test_without_the_device_clear_the_late_reply_would_answer_the_next_query(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trap itself: on an instrument that keeps interrupted replies, pyvisa-py alone mixes answers up."""
    bench = UsbBench(discards_interrupted=False)
    monkeypatch.setattr(VisaWire, "_clear", lambda self: None)
    with as_default_backend(bench.backend):
        wire = bench.wire()
        bench.exchange.extra_delay_s = 0.5
        with pytest.raises(WireTimeout):
            wire.query("*IDN?", 0.1)
        bench.exchange.extra_delay_s = 0.0
        assert wire.query("SENS:CORR:WAV?") == IDENTITY
        wire.close()


def test_a_wire_that_cannot_be_brought_back_in_step_refuses_until_it_can(usb: UsbBench) -> None:
    wire = usb.wire()
    clear = usb.device.control
    usb.exchange.extra_delay_s = 9.0

    def no_clear(request_type: int, request: int, value: int, index: int, data: bytes, length: int) -> bytes:
        return b"\x80" if request == 5 else clear(request_type, request, value, index, data, length)

    usb.device.control = no_clear  # type: ignore[method-assign]
    with pytest.raises(WireError):
        wire.query("*IDN?", 0.1)
    with pytest.raises(WireError, match="does not come back in step"):
        wire.query("SENS:CORR:WAV?")
    usb.device.control = clear  # type: ignore[method-assign]
    usb.exchange.extra_delay_s = 0.0
    assert wire.query("SENS:CORR:WAV?") == "1.55000000E+03"
    wire.close()


def test_an_unplugged_instrument_is_a_wire_error_and_works_again_when_it_is_back(usb: UsbBench) -> None:
    wire = usb.wire()
    usb.backend.unplug("power_meter")
    with pytest.raises(WireError, match=r"^power_meter: .* is lost .*check its power and cable"):
        wire.query("*IDN?")
    with pytest.raises(WireError):
        wire.write("*CLS")
    usb.backend.plug("power_meter", usb.device)
    assert wire.query("*IDN?") == IDENTITY
    wire.close()


def test_bytes_that_are_no_text_are_a_protocol_error(usb: UsbBench) -> None:
    usb.meter.scpi.add("TEST", query=lambda args: "\xff\xfe")
    wire = usb.wire()
    with pytest.raises(ProtocolError, match="is no text"):
        wire.query("TEST?")
    assert wire.query("*IDN?") == IDENTITY
    wire.close()


def test_a_usb_instrument_that_is_not_there_is_named_with_what_to_do(usb: UsbBench) -> None:
    with pytest.raises(ResourceError, match=r"^laser: USB0::.* is not there; plug it in"):
        VisaWire("visa://USB0::0x1313::0x804a::M1::INSTR", usb.clock, "laser")


@pytest.mark.parametrize("resource", ["usb://1313:8078", "visa://nonsense", "visa://TCPIP0::127.0.0.1::1::SOCKET"])
def test_a_resource_that_cannot_be_opened_is_one_sentence(resource: str) -> None:
    with pytest.raises(ResourceError) as told:
        VisaWire(resource, RealClock(), "laser")
    assert str(told.value).startswith("laser: ")
    assert "rig file, [laser]" in str(told.value)
    assert "\n" not in str(told.value)


def test_a_query_over_a_raw_socket_is_answered(raw: SocketBench) -> None:
    wire = raw.wire()
    assert wire.query("*IDN?") == IDENTITY
    wire.write("SENS:CORR:WAV 1310")
    assert wire.query("SENS:CORR:WAV?") == "1.31000000E+03"
    wire.close()


def test_a_late_reply_over_a_raw_socket_is_never_the_answer_to_the_next_query(raw: SocketBench) -> None:
    wire = raw.wire()
    raw.exchange.extra_delay_s = 0.15
    with pytest.raises(WireTimeout):
        wire.query("*IDN?", 0.05)
    assert wire.query("SENS:CORR:WAV?", 2.0) == "1.55000000E+03"
    raw.exchange.extra_delay_s = 0.0
    assert wire.query("SYST:VERS?") == "1999.0"
    wire.close()


def test_an_instrument_that_hangs_up_is_an_error_and_works_again_when_it_is_back(raw: SocketBench) -> None:
    wire = raw.wire()
    assert wire.query("*IDN?") == IDENTITY
    raw.server.hang_up()
    with pytest.raises(WireError):
        wire.query("*IDN?", 0.05)
    assert wire.query("*IDN?") == IDENTITY
    wire.close()


def test_an_instrument_that_has_gone_for_good_stays_an_error(raw: SocketBench) -> None:
    wire = raw.wire()
    raw.switch_off()
    for _ in range(2):
        with pytest.raises(HalError) as told:
            wire.query("*IDN?", 0.05)
        assert isinstance(told.value, WireError)
    wire.close()
