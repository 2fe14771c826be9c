"""VisaWire over real pyvisa-py: USBTMC in simulated time, raw sockets in real time."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import usb.backend.libusb1

from controller.services.lockstep import Lockstep
from hal.clock import RealClock
from hal.errors import HalError, ProtocolError, ResourceError, WireError, WireTimeout
from hal.wires.visa import VisaWire, resource_manager
from sim_hw.devices.pm100d import Pm100d
from sim_hw.devices.scpi import Exchange
from sim_hw.timeline import Timeline
from sim_hw.wires.memory_usb import MemoryUsbBackend, as_default_backend
from sim_hw.wires.rawsocket import RawSocketServer
from sim_hw.wires.reactor import Reactor
from sim_hw.wires.usbip import UsbipServer
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
def memory(request: pytest.FixtureRequest) -> Iterator[UsbBench]:
    bench = UsbBench(request.param)
    with as_default_backend(bench.backend):
        yield bench


class RealTime:
    """A bench's timeline and wires at the machine's pace, in a thread of their own."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.reactor = Reactor(self.timeline, RealClock())
        self.meter = Pm100d(self.timeline, Light(), np.random.default_rng(1))
        self.exchange = Exchange(self.timeline, self.meter.scpi)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.reactor.run, args=(self._stop.is_set,))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()


class SocketBench(RealTime):
    def __init__(self) -> None:
        super().__init__()
        self.server = RawSocketServer(self.reactor, self.exchange)

    def wire(self) -> VisaWire:
        return VisaWire(f"visa://{self.server.resource}", RealClock(), "power_meter")

    def switch_off(self) -> None:
        self.stop()
        self.server.close()


class UsbipBench(RealTime):
    def __init__(self) -> None:
        super().__init__()
        identity = ("Thorlabs", "PM100D", "P0009084")
        self.device = UsbTmc(self.exchange, 0x1313, 0x8078, identity, discards_interrupted=False)
        self.server = UsbipServer(self.reactor, {"1-1": self.device})
        self.resource = f"{USB}?usbip=127.0.0.1:{self.server.port}/1-1"

    def wire(self) -> VisaWire:
        return VisaWire(self.resource, RealClock(), "power_meter")


@pytest.fixture
def raw() -> Iterator[SocketBench]:
    yield from run(SocketBench())


@pytest.fixture
def usbip() -> Iterator[UsbipBench]:
    yield from run(UsbipBench())


def run(bench: Any) -> Iterator[Any]:
    bench.start()
    yield bench
    bench.stop()
    bench.server.close()
    bench.reactor.close()


def test_a_query_over_usbtmc_takes_simulated_time(memory: UsbBench) -> None:
    wire = memory.wire()
    before_ns = memory.clock.now_ns()
    assert wire.query("*IDN?") == IDENTITY
    assert memory.clock.now_ns() - before_ns == 1_000_000  # the exchange's latency
    wire.close()


def test_a_long_reply_crosses_packet_borders_whole(memory: UsbBench) -> None:
    wire = memory.wire()
    assert wire.query(";".join(["*IDN?"] * 60)) == ";".join([IDENTITY] * 60)
    wire.close()


@pytest.mark.parametrize("size", [499, 500, 501, 1011, 1012, 1013])
def test_replies_that_end_at_a_packet_border_arrive(memory: UsbBench, size: int) -> None:
    memory.meter.scpi.add("TEST", query=lambda args: "x" * size)
    wire = memory.wire()
    assert wire.query("TEST?") == "x" * size
    assert wire.query("*IDN?") == IDENTITY
    wire.close()


def test_a_late_reply_over_usbtmc_is_never_the_answer_to_the_next_query(memory: UsbBench) -> None:
    wire = memory.wire()
    memory.exchange.extra_delay_s = 0.5
    before_ns = memory.clock.now_ns()
    with pytest.raises(WireTimeout, match=r"^power_meter: .* did not answer within 0.1 s; check"):
        wire.query("*IDN?", 0.1)
    assert memory.clock.now_ns() - before_ns >= 100_000_000
    memory.exchange.extra_delay_s = 0.0
    assert wire.query("SENS:CORR:WAV?") == "1.55000000E+03"
    memory.timeline.advance(memory.timeline.now_ns + 10**9)
    assert wire.query("SENS:CORR:WAV?") == "1.55000000E+03"
    wire.close()


def test_a_reply_that_is_ready_but_unread_is_dropped_by_the_resynchronisation(memory: UsbBench) -> None:
    wire = memory.wire()
    memory.exchange.extra_delay_s = 0.101
    with pytest.raises(WireTimeout):
        wire.query("*IDN?", 0.1)
    memory.timeline.advance(memory.timeline.now_ns + 10**9)
    memory.exchange.extra_delay_s = 0.0
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


def test_a_wire_that_cannot_be_brought_back_in_step_refuses_until_it_can(memory: UsbBench) -> None:
    wire = memory.wire()
    clear = memory.device.control
    memory.exchange.extra_delay_s = 9.0

    def no_clear(request_type: int, request: int, value: int, index: int, data: bytes, length: int) -> bytes:
        return b"\x80" if request == 5 else clear(request_type, request, value, index, data, length)

    memory.device.control = no_clear  # type: ignore[method-assign]
    with pytest.raises(WireError):
        wire.query("*IDN?", 0.1)
    with pytest.raises(WireError, match="does not come back in step"):
        wire.query("SENS:CORR:WAV?")
    memory.device.control = clear  # type: ignore[method-assign]
    memory.exchange.extra_delay_s = 0.0
    assert wire.query("SENS:CORR:WAV?") == "1.55000000E+03"
    wire.close()


def test_an_unplugged_instrument_is_a_wire_error_and_works_again_when_it_is_back(memory: UsbBench) -> None:
    wire = memory.wire()
    memory.backend.unplug("power_meter")
    with pytest.raises(WireError, match=r"^power_meter: .* is lost .*check its power and cable"):
        wire.query("*IDN?")
    with pytest.raises(WireError):
        wire.write("*CLS")
    memory.backend.plug("power_meter", memory.device)
    assert wire.query("*IDN?") == IDENTITY
    wire.close()


def test_bytes_that_are_no_text_are_a_protocol_error(memory: UsbBench) -> None:
    memory.meter.scpi.add("TEST", query=lambda args: "\xff\xfe")
    wire = memory.wire()
    with pytest.raises(ProtocolError, match="is no text"):
        wire.query("TEST?")
    assert wire.query("*IDN?") == IDENTITY
    wire.close()


@pytest.mark.parametrize(
    "transfer",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x02\x02\xfd\x00\x05", id="half-a-header"),
        pytest.param(b"\x7f\x02\xfd\x00\x05\x00\x00\x00\x01\x00\x00\x00hello\n", id="another-message-id"),
        pytest.param(bytes(range(7, 71)), id="garbage"),
    ],
)
def test_a_damaged_transfer_is_a_protocol_error_and_the_next_query_is_answered(
    memory: UsbBench, transfer: bytes
) -> None:
    wire = memory.wire()
    whole, damaged = memory.device.bulk_in, [transfer]
    memory.device.bulk_in = lambda ep, n: damaged.pop() if damaged else whole(ep, n)  # type: ignore[method-assign]
    with pytest.raises(ProtocolError, match=r"power_meter: .* damaged USBTMC transfer"):
        wire.query("*IDN?")
    assert wire.query("SENS:CORR:WAV?") == "1.55000000E+03"
    wire.close()


def test_a_transfer_that_breaks_off_is_a_time_out_and_the_next_query_is_answered(memory: UsbBench) -> None:
    wire = memory.wire()
    half = b"\x02\x02\xfd\x00\x1f\x00\x00\x00\x01\x00\x00\x00Thor"  # 31 bytes are announced
    whole, broken = memory.device.bulk_in, [half]

    def bulk_in(endpoint: int, length: int) -> bytes | None:
        data = whole(endpoint, length)
        return broken.pop() if data and broken else data

    memory.device.bulk_in = bulk_in  # type: ignore[method-assign]
    with pytest.raises(WireTimeout):
        wire.query("*IDN?", 0.1)
    assert wire.query("SENS:CORR:WAV?") == "1.55000000E+03"
    wire.close()


def test_a_usb_instrument_that_is_not_there_is_named_with_what_to_do(memory: UsbBench) -> None:
    with pytest.raises(ResourceError, match=r"^laser: USB0::.* is not there; plug it in"):
        VisaWire("visa://USB0::0x1313::0x804a::M1::INSTR", memory.clock, "laser")


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


def test_it_opens_after_somebody_else_in_the_process_has_closed_the_resource_manager(raw: SocketBench) -> None:
    raw.wire().close()
    resource_manager().close()  # one for the whole process, as pyvisa has it
    wire = raw.wire()
    assert wire.query("*IDN?") == IDENTITY
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


def test_an_exported_usb_instrument_is_reached_over_usbip(usbip: UsbipBench) -> None:
    before = usb.backend.libusb1._lib_object
    wire = usbip.wire()
    assert usb.backend.libusb1._lib_object is before
    assert wire.query("*IDN?") == IDENTITY
    wire.write("SENS:CORR:WAV 1310")
    assert wire.query("SENS:CORR:WAV?") == "1.31000000E+03"
    wire.close()


def test_a_late_reply_over_usbip_is_never_the_answer_to_the_next_query(usbip: UsbipBench) -> None:
    wire = usbip.wire()
    usbip.exchange.extra_delay_s = 0.15
    with pytest.raises(WireTimeout):
        wire.query("*IDN?", 0.05)
    usbip.exchange.extra_delay_s = 0.0
    assert wire.query("SENS:CORR:WAV?", 2.0) == "1.55000000E+03"
    wire.close()


def test_an_exported_instrument_opens_again_after_it_was_closed(usbip: UsbipBench) -> None:
    for _ in range(2):
        wire = usbip.wire()
        assert wire.query("SYST:VERS?") == "1999.0"
        wire.close()


@pytest.mark.parametrize("exporter", ["127.0.0.1:1/1-1", "nowhere", "127.0.0.1:/1-1"])
def test_an_exporter_that_is_not_there_is_one_sentence(exporter: str) -> None:
    with pytest.raises(ResourceError, match=r"^laser: USB0::.*rig file, \[laser\]"):
        VisaWire(f"{USB}?usbip={exporter}", RealClock(), "laser")


NO_LIBUSB = """
import usb.backend.libusb1 as libusb
libusb._load_library = lambda find_library=None: (_ for _ in ()).throw(OSError("no libusb here"))
from hal.clock import RealClock
from hal.wires.visa import VisaWire, resource_manager
resource_manager()
try:
    VisaWire("visa://USB0::0x1313::0x8078::P1::INSTR", RealClock(), "power_meter")
except Exception as error:
    print(error)
wire = VisaWire("visa://USB0::0x1313::0x8078::P0009084::INSTR?usbip={exporter}", RealClock(), "power_meter")
print(wire.query("*IDN?"))
wire.close()
"""


def test_without_libusb_an_exported_instrument_is_reached_and_one_of_this_machine_says_what_is_missing(
    usbip: UsbipBench,
) -> None:
    exporter = usbip.resource.partition("usbip=")[2]
    words = [sys.executable, "-W", "ignore", "-c", NO_LIBUSB.format(exporter=exporter)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    missing, identity = done.stdout.splitlines()
    assert missing.endswith("needs libusb, which is missing; install it (Debian: apt install libusb-1.0-0).")
    assert identity.startswith("Thorlabs,PM100D,P0009084")
