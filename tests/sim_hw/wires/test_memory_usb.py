"""The in-process bus, seen through pyusb, with time that passes only when somebody waits."""

from __future__ import annotations

import errno
import struct
from collections import deque
from collections.abc import Callable

import pytest
import usb.core
import usb.util

from sim_hw.timeline import Timeline
from sim_hw.wires.contract import UsbStall
from sim_hw.wires.memory_usb import MemoryUsbBackend, as_default_backend

IN, OUT = 0x81, 0x02


class Alone:
    """A Waiter for one caller: nobody else runs, so waiting just lets the timeline's events happen."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline

    def now_ns(self) -> int:
        return self.timeline.now_ns

    def wait(self, ready: Callable[[], int | None], deadline_ns: int | None) -> bool:
        while (at_ns := ready()) is None or at_ns > self.timeline.now_ns:
            times = [t for t in (self.timeline.next_event_ns(), at_ns, deadline_ns) if t is not None]
            if not times:
                raise RuntimeError("nothing can happen any more")
            self.timeline.advance(min(times))
            if deadline_ns is not None and self.timeline.now_ns >= deadline_ns:
                break
        at_ns = ready()
        return at_ns is not None and at_ns <= self.timeline.now_ns


class Echo:
    """A vendor device that sends back what it got, after a while."""

    device_descriptor = struct.pack("<BBHBBBBHHHBBBB", 18, 1, 0x0200, 0, 0, 0, 64, 0x1209, 0x0001, 0x0100, 1, 2, 3, 1)
    _intf = bytes([9, 4, 0, 0, 2, 0xFF, 0xFF, 0, 0])
    _extra = bytes([4, 0x24, 7, 7])
    _eps = struct.pack("<BBBBHB", 7, 5, IN, 2, 512, 0) + struct.pack("<BBBBHB", 7, 5, OUT, 2, 512, 0)
    configuration_descriptor = struct.pack("<BBHBBBBB", 9, 2, 9 + 9 + 4 + 14, 1, 1, 0, 0x80, 50) + _intf + _extra + _eps

    def __init__(self, timeline: Timeline, delay_s: float = 0.010, serial: str = "S1") -> None:
        self.strings = {1: "Maker", 2: "Echo", 3: serial}
        self.changed: Callable[[], None] = lambda: None
        self.timeline, self.delay_s = timeline, delay_s
        self.ready: deque[bytes] = deque()

    def control(self, request_type: int, request: int, value: int, index: int, data: bytes, length: int) -> bytes:
        if request == 0x55:
            raise UsbStall("not mine")
        return bytes([request, value & 0xFF])

    def bulk_out(self, endpoint: int, data: bytes) -> None:
        if data == b"stall":
            raise UsbStall("as asked")
        self.timeline.after(self.delay_s, lambda: self._answer(data))

    def bulk_in(self, endpoint: int, length: int) -> bytes | None:
        return self.ready.popleft() if self.ready else None

    def _answer(self, data: bytes) -> None:
        self.ready.append(data)
        self.changed()


@pytest.fixture
def timeline() -> Timeline:
    return Timeline()


@pytest.fixture
def backend(timeline: Timeline) -> MemoryUsbBackend:
    backend = MemoryUsbBackend(Alone(timeline))
    backend.plug("echo", Echo(timeline))
    return backend


@pytest.fixture
def device(backend: MemoryUsbBackend) -> usb.core.Device:
    return usb.core.find(backend=backend)


def test_pyusb_reads_identity_strings_and_every_descriptor(device: usb.core.Device) -> None:
    assert (device.idVendor, device.idProduct) == (0x1209, 0x0001)
    assert (device.manufacturer, device.product, device.serial_number) == ("Maker", "Echo", "S1")
    configuration = device.get_active_configuration()
    interface = configuration[(0, 0)]
    assert (interface.bInterfaceClass, list(interface.extra_descriptors)) == (0xFF, [4, 0x24, 7, 7])
    assert [endpoint.bEndpointAddress for endpoint in interface] == [IN, OUT]
    assert [endpoint.wMaxPacketSize for endpoint in interface] == [512, 512]


def test_a_read_lets_simulated_time_pass_until_the_answer_is_there(device: usb.core.Device, timeline: Timeline) -> None:
    device.write(OUT, b"hello")
    assert timeline.now_ns == 0
    assert bytes(device.read(IN, 64, timeout=100)) == b"hello"
    assert timeline.now_ns == 10_000_000


def test_a_time_out_is_in_simulated_milliseconds_and_loses_nothing(device: usb.core.Device, timeline: Timeline) -> None:
    device.write(OUT, b"late")
    with pytest.raises(usb.core.USBTimeoutError) as caught:
        device.read(IN, 64, timeout=4)
    assert caught.value.errno == errno.ETIMEDOUT
    assert timeline.now_ns == 4_000_000
    assert bytes(device.read(IN, 64, timeout=100)) == b"late"


def test_a_stalled_endpoint_stays_halted_until_it_is_cleared(device: usb.core.Device) -> None:
    for data in (b"stall", b"fine"):
        with pytest.raises(usb.core.USBError) as caught:
            device.write(OUT, data)
        assert caught.value.errno == errno.EPIPE
    device.clear_halt(OUT)
    assert device.write(OUT, b"fine") == 4


def test_class_requests_reach_the_device_and_may_stall(device: usb.core.Device) -> None:
    assert bytes(device.ctrl_transfer(0xC0, 7, 9, 0, 2)) == b"\x07\x09"
    with pytest.raises(usb.core.USBError) as caught:
        device.ctrl_transfer(0xC0, 0x55, 0, 0, 2)
    assert caught.value.errno == errno.EPIPE


def test_unplugging_ends_the_read_that_waits(
    device: usb.core.Device, backend: MemoryUsbBackend, timeline: Timeline
) -> None:
    timeline.after(0.002, lambda: backend.unplug("echo"))
    with pytest.raises(usb.core.USBError) as caught:
        device.read(IN, 64, timeout=1000)
    assert caught.value.errno == errno.ENODEV
    assert timeline.now_ns == 2_000_000
    assert usb.core.find(backend=backend) is None


def test_a_library_that_names_no_backend_finds_the_emulated_devices(backend: MemoryUsbBackend) -> None:
    with as_default_backend(backend):
        assert usb.core.find(idVendor=0x1209).product == "Echo"


def test_one_port_of_the_bus_shows_one_device(backend: MemoryUsbBackend, timeline: Timeline) -> None:
    backend.plug("second", Echo(timeline, serial="S2"))
    assert [d.serial_number for d in usb.core.find(find_all=True, backend=backend)] == ["S1", "S2"]
    assert [d.serial_number for d in usb.core.find(find_all=True, backend=backend.at("second"))] == ["S2"]
    assert list(usb.core.find(find_all=True, backend=backend.at("nobody"))) == []


def test_standard_requests_go_the_usual_ways(device: usb.core.Device) -> None:
    device.set_configuration(1)
    device.set_interface_altsetting(0, 0)
    assert bytes(device.ctrl_transfer(0x81, 10, 0, 0, 1)) == b"\x00"  # GET_INTERFACE
    assert bytes(device.ctrl_transfer(0x80, 8, 0, 0, 1)) == b"\x01"  # GET_CONFIGURATION
    device.ctrl_transfer(0x02, 3, 0, OUT)  # SET_FEATURE(ENDPOINT_HALT)
    assert bytes(device.ctrl_transfer(0x82, 0, 0, OUT, 2)) == b"\x01\x00"  # GET_STATUS: halted
    device.reset()
    assert bytes(device.ctrl_transfer(0x82, 0, 0, OUT, 2)) == b"\x00\x00"
    assert device.parent is None
    for request_type, request, value in ((0x80, 6, 0x0600), (0x80, 12, 0), (0x00, 7, 0)):
        with pytest.raises(usb.core.USBError, match="Pipe error"):
            device.ctrl_transfer(request_type, request, value, 0, 2 if request_type else None)


def test_no_kernel_driver_is_in_the_way(device: usb.core.Device) -> None:
    with pytest.raises(NotImplementedError):
        device.is_kernel_driver_active(0)


def test_a_waiting_read_is_told_of_a_stall(device: usb.core.Device, timeline: Timeline) -> None:
    timeline.after(0.001, lambda: device.ctrl_transfer(0x02, 3, 0, IN) and None)
    timeline.after(0.002, lambda: device.write(OUT, b"x") and None)
    with pytest.raises(usb.core.USBError) as caught:
        device.read(IN, 64, timeout=1000)
    assert caught.value.errno == errno.EPIPE


@pytest.mark.parametrize("request_of", [(0x00, 0x09, 256, 0), (0x01, 0x0B, 300, 0), (0x01, 0x0B, 0, 7)])
def test_a_configuration_or_setting_that_does_not_exist_is_a_stall(
    device: usb.core.Device, request_of: tuple[int, int, int, int]
) -> None:
    """Found by fuzzing: configuration 256 was taken, and whoever listed the devices then found a broken server."""
    with pytest.raises(usb.core.USBError) as raised:
        device.ctrl_transfer(*request_of)
    assert raised.value.errno == errno.EPIPE
    assert device.ctrl_transfer(0x80, 0x08, 0, 0, 1)[0] == 1
