"""A serial device behind USB: communications device class, abstract control model, as the kernel's cdc_acm drives it.

Sources: USB CDC 1.2 and its PSTN subclass 1.2 (tables named below). Bytes are not paced: the "line" is USB itself. What
the host set (line coding, DTR, RTS, break) is there to be looked at; what the device drives goes out as SERIAL_STATE.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from sim_hw.wires.contract import SerialDevice, UsbStall
from sim_hw.wires.modem import DeviceLines, Framing, HostLines

NOTIFY_IN, BULK_OUT, BULK_IN = 0x81, 0x02, 0x82
PACKET, NOTIFY_PACKET = 512, 16
UNREAD_BYTES = 1 << 20
# PSTN table 13
SET_LINE_CODING, GET_LINE_CODING, SET_CONTROL_LINE_STATE, SEND_BREAK = 0x20, 0x21, 0x22, 0x23
SERIAL_STATE = 0x20  # PSTN table 30
PARITIES = "NOEMS"  # PSTN table 17
STOPS = (1.0, 1.5, 2.0)
_LINE_CODING = struct.Struct("<IBBB")
_TO_INTERFACE, _FROM_INTERFACE = 0x21, 0xA1


class CdcAcm:
    """A UsbDevice around a SerialDevice; `strings` are manufacturer, product and serial number."""

    def __init__(self, device: SerialDevice, vendor: int, product: int, strings: tuple[str, str, str]) -> None:
        self.strings = dict(enumerate(strings, start=1))
        self.device_descriptor = struct.pack(
            "<BBHBBBBHHHBBBB", 18, 1, 0x0200, 0x02, 0, 0, 64, vendor, product, 0x0100, 1, 2, 3, 1
        )
        functional = (
            struct.pack("<BBBH", 5, 0x24, 0x00, 0x0120)  # header, CDC table 15
            + bytes([5, 0x24, 0x01, 0x00, 1])  # call management: none, data interface 1
            + bytes([4, 0x24, 0x02, 0x06])  # abstract control: line coding and state, break
            + bytes([5, 0x24, 0x06, 0, 1])  # union of interfaces 0 and 1
        )
        body = (
            bytes([9, 4, 0, 0, 1, 0x02, 0x02, 0x00, 0])
            + functional
            + struct.pack("<BBBBHB", 7, 5, NOTIFY_IN, 3, NOTIFY_PACKET, 8)
            + bytes([9, 4, 1, 0, 2, 0x0A, 0x00, 0x00, 0])
            + struct.pack("<BBBBHB", 7, 5, BULK_OUT, 2, PACKET, 0)
            + struct.pack("<BBBBHB", 7, 5, BULK_IN, 2, PACKET, 0)
        )
        self.configuration_descriptor = struct.pack("<BBHBBBBB", 9, 2, 9 + len(body), 2, 1, 0, 0xC0, 50) + body
        self.changed: Callable[[], None] = lambda: None
        self.framing = Framing(9600)
        self.host_lines = HostLines(dtr=False, rts=False)
        self._unread = bytearray()
        self._notices: list[bytes] = []
        self._device = device
        device.attach(self._send)

    def drive(self, lines: DeviceLines) -> None:
        """The device changes its modem lines; USB knows DCD, DSR and RI (PSTN table 31)."""
        state = lines.dcd | lines.dsr << 1 | lines.ri << 3
        self._notices.append(struct.pack("<BBHHHH", _FROM_INTERFACE, SERIAL_STATE, 0, 0, 2, state))
        self.changed()

    def control(self, request_type: int, request: int, value: int, index: int, data: bytes, length: int) -> bytes:
        """Class requests; anything else stalls."""
        if request_type == _FROM_INTERFACE and request == GET_LINE_CODING:
            f = self.framing
            return _LINE_CODING.pack(f.baud, STOPS.index(f.stop_bits), PARITIES.index(f.parity), f.data_bits)[:length]
        if request_type != _TO_INTERFACE:
            raise UsbStall
        if request == SET_LINE_CODING and len(data) >= _LINE_CODING.size:
            baud, stop, parity, bits = _LINE_CODING.unpack_from(data)
            if stop >= len(STOPS) or parity >= len(PARITIES) or not 5 <= bits <= 16:
                raise UsbStall
            self.framing = Framing(baud, bits, PARITIES[parity], STOPS[stop])
        elif request == SET_CONTROL_LINE_STATE:
            self.host_lines.dtr, self.host_lines.rts = bool(value & 1), bool(value & 2)
        elif request == SEND_BREAK:
            self.host_lines.breaks += value != 0 and not self.host_lines.brk
            self.host_lines.brk = value == 0xFFFF
        else:
            raise UsbStall
        return b""

    def bulk_out(self, endpoint: int, data: bytes) -> None:
        """Bytes for the device."""
        if endpoint != BULK_OUT:
            raise UsbStall
        self._device.receive(data)

    def bulk_in(self, endpoint: int, length: int) -> bytes | None:
        """Bytes from the device, or a notice of its modem lines; None while there is none."""
        if endpoint == NOTIFY_IN:
            return self._notices.pop(0)[:length] if self._notices else None
        if endpoint != BULK_IN:
            raise UsbStall
        if not self._unread:
            return None
        part = bytes(self._unread[:length])
        del self._unread[:length]
        return part

    def _send(self, data: bytes) -> None:
        self._unread += data[: UNREAD_BYTES - len(self._unread)]
        self.changed()
