"""The USB serial device over the real pyusb, used by hand as a class driver does; the kernel's is in tests/kernel."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
import usb.core

from controller.services.lockstep import Lockstep
from sim_hw.timeline import Timeline
from sim_hw.wires.cdc_acm import CdcAcm
from sim_hw.wires.memory_usb import MemoryUsbBackend
from sim_hw.wires.modem import DeviceLines, Framing


class Echo:
    send: Callable[[bytes], None]

    def attach(self, send: Callable[[bytes], None]) -> None:
        self.send = send

    def receive(self, data: bytes) -> None:
        self.send(data)


@pytest.fixture
def acm() -> CdcAcm:
    return CdcAcm(Echo(), 0x1209, 0x0003, ("Boresight", "Beam board", "B42"))


@pytest.fixture
def host(acm: CdcAcm) -> usb.core.Device:
    backend = MemoryUsbBackend(Lockstep(Timeline()))
    backend.plug("board", acm)
    return usb.core.find(backend=backend)


def test_pyusb_reads_a_communication_and_a_data_interface(host: usb.core.Device) -> None:
    interfaces = list(host.get_active_configuration())
    assert [(i.bInterfaceClass, i.bInterfaceSubClass, i.bNumEndpoints) for i in interfaces] == [(2, 2, 1), (10, 0, 2)]
    assert host.serial_number == "B42"
    union = bytes(interfaces[0].extra_descriptors)[-5:]
    assert union == bytes([5, 0x24, 6, 0, 1])


def test_bytes_go_there_and_back(host: usb.core.Device) -> None:
    host.write(0x02, b"hello", 100)
    assert bytes(host.read(0x82, 512, 100)) == b"hello"
    with pytest.raises(usb.core.USBTimeoutError):
        host.read(0x82, 512, 100)


def test_line_coding_is_kept_and_read_back(host: usb.core.Device, acm: CdcAcm) -> None:
    coding = struct.pack("<IBBB", 57_600, 0, 2, 7)  # 7E1
    host.ctrl_transfer(0x21, 0x20, 0, 0, coding)
    assert acm.framing == Framing(57_600, 7, "E", 1.0)
    assert bytes(host.ctrl_transfer(0xA1, 0x21, 0, 0, 7)) == coding


def test_dtr_rts_and_break_are_seen(host: usb.core.Device, acm: CdcAcm) -> None:
    host.ctrl_transfer(0x21, 0x22, 3, 0, None)
    assert (acm.host_lines.dtr, acm.host_lines.rts) == (True, True)
    host.ctrl_transfer(0x21, 0x22, 1, 0, None)
    assert (acm.host_lines.dtr, acm.host_lines.rts) == (True, False)
    host.ctrl_transfer(0x21, 0x23, 0xFFFF, 0, None)
    assert (acm.host_lines.brk, acm.host_lines.breaks) == (True, 1)
    host.ctrl_transfer(0x21, 0x23, 0, 0, None)
    assert (acm.host_lines.brk, acm.host_lines.breaks) == (False, 1)


def test_a_change_of_the_devices_lines_is_a_notice(host: usb.core.Device, acm: CdcAcm) -> None:
    acm.drive(DeviceLines(cts=True, dsr=True, dcd=True, ri=False))
    notice = bytes(host.read(0x81, 16, 100))
    assert notice == bytes.fromhex("a1 20 00 00 00 00 02 00 03 00")  # PSTN 6.5.4: DCD and DSR


@pytest.mark.parametrize("coding", [struct.pack("<IBBB", 9600, 3, 0, 8), struct.pack("<IBBB", 9600, 0, 9, 8), b"\x00"])
def test_a_coding_that_does_not_exist_stalls(host: usb.core.Device, acm: CdcAcm, coding: bytes) -> None:
    with pytest.raises(usb.core.USBError) as stall:
        host.ctrl_transfer(0x21, 0x20, 0, 0, coding)
    assert stall.value.errno == 32
    assert acm.framing == Framing(9600)
