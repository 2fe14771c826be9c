"""USBTMC with the USB488 subclass: carries a SCPI instrument as a `UsbDevice`.

Sources: USB Test and Measurement Class Specification 1.00 (tables named below) and its USB488 Subclass 1.00, 2003.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from sim_hw.devices.scpi import Exchange
from sim_hw.wires.contract import UsbStall

BULK_OUT, BULK_IN = 0x02, 0x82
PACKET = 512

# MsgID, table 2
DEV_DEP_MSG_OUT, DEV_DEP_MSG_IN = 1, 2
# bRequest, table 15, and USB488 table 9
INITIATE_ABORT_BULK_OUT, CHECK_ABORT_BULK_OUT_STATUS = 1, 2
INITIATE_ABORT_BULK_IN, CHECK_ABORT_BULK_IN_STATUS = 3, 4
INITIATE_CLEAR, CHECK_CLEAR_STATUS, GET_CAPABILITIES = 5, 6, 7
INDICATOR_PULSE = 64
READ_STATUS_BYTE, REN_CONTROL, GO_TO_LOCAL, LOCAL_LOCKOUT = 128, 160, 161, 162
# USBTMC_status, table 16
SUCCESS, FAILED, NOT_IN_PROGRESS = 0x01, 0x80, 0x81

_CLASS_TO_INTERFACE, _CLASS_TO_ENDPOINT = 0xA1, 0xA2
_HEADER = struct.Struct("<BBBxIBxxx")

#: Table 37: USBTMC 1.00, indicator pulse; USB488 1.00: 488.2 interface with REN control, SCPI, no trigger.
_CAPABILITIES = bytes([SUCCESS, 0, 0, 1, 0x04, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x06, 0x08]) + bytes(8)


class UsbTmc:
    """One instrument on USB.

    `discards_interrupted` says what happens to a reply that is not yet read when the next message comes: True as
    IEEE 488.2 6.3.2.3 demands (it is dropped, error -410), False as many instruments do in fact (it waits, and the
    next read gets it).
    """

    def __init__(
        self,
        exchange: Exchange,
        vendor: int,
        product: int,
        strings: tuple[str, str, str],
        discards_interrupted: bool = True,
    ) -> None:
        self.strings = dict(enumerate(strings, start=1))  # manufacturer, product, serial number
        self.device_descriptor = struct.pack(
            "<BBHBBBBHHHBBBB", 18, 1, 0x0200, 0, 0, 0, 64, vendor, product, 0x0100, 1, 2, 3, 1
        )
        self.configuration_descriptor = (
            struct.pack("<BBHBBBBB", 9, 2, 9 + 9 + 7 + 7, 1, 1, 0, 0xC0, 1)
            + bytes([9, 4, 0, 0, 2, 0xFE, 0x03, 0x01, 0])  # application class, test and measurement, USB488
            + struct.pack("<BBBBHB", 7, 5, BULK_OUT, 2, PACKET, 0)
            + struct.pack("<BBBBHB", 7, 5, BULK_IN, 2, PACKET, 0)
        )
        self.changed: Callable[[], None] = lambda: None
        self.discards_interrupted = discards_interrupted
        self._exchange = exchange
        self._message = bytearray()  # program message until its end
        self._reply = b""  # output queue
        self._asked: tuple[int, int] | None = None  # tag and most bytes of the pending request
        self._outgoing = b""  # transfer under way to the host

    def control(self, request_type: int, request: int, value: int, index: int, data: bytes, length: int) -> bytes:
        """Class requests; anything else stalls."""
        if request_type == _CLASS_TO_ENDPOINT:
            answer = self._endpoint_request(request, value)
        elif request_type == _CLASS_TO_INTERFACE:
            answer = self._interface_request(request, value)
        else:
            raise UsbStall
        return answer[:length]

    def bulk_out(self, endpoint: int, data: bytes) -> None:
        """A DEV_DEP_MSG_OUT or REQUEST_DEV_DEP_MSG_IN transfer. Raises UsbStall on a malformed header."""
        if endpoint != BULK_OUT or len(data) < _HEADER.size:
            raise UsbStall
        kind, tag, inverse, size, attributes = _HEADER.unpack_from(data)
        if tag == 0 or tag != inverse ^ 0xFF:
            raise UsbStall
        if kind == DEV_DEP_MSG_OUT:
            self._take(data[_HEADER.size : _HEADER.size + size], end=bool(attributes & 1))
        elif kind == DEV_DEP_MSG_IN:
            self._asked = (tag, size)
            if not self._reply and self._exchange.idle:
                self._exchange.core.unterminated()
            self._send()
        else:
            raise UsbStall

    def bulk_in(self, endpoint: int, length: int) -> bytes | None:
        """The next part of the reply, or None while there is none."""
        if endpoint != BULK_IN:
            raise UsbStall
        if not self._outgoing:
            return None
        part, self._outgoing = self._outgoing[:length], self._outgoing[length:]
        return part

    def _take(self, data: bytes, end: bool) -> None:
        self._message += data
        if not end:
            return
        text = self._message.decode("latin-1").rstrip("\r\n")
        self._message.clear()
        if (self._reply or not self._exchange.idle) and self.discards_interrupted:
            self._forget_reply()
            self._exchange.clear()
            self._exchange.core.interrupted()
        self._exchange.submit(text, self._deliver)

    def _deliver(self, reply: str) -> None:
        self._reply += reply.encode("latin-1") + b"\n"
        self._exchange.core.message_available = True
        self._send()

    def _send(self) -> None:
        if self._asked is None or not self._reply:
            return
        tag, most = self._asked
        part, self._reply = self._reply[:most], self._reply[most:]
        header = _HEADER.pack(DEV_DEP_MSG_IN, tag, tag ^ 0xFF, len(part), 0 if self._reply else 1)
        self._outgoing = header + part + bytes(-len(part) % 4)
        self._asked = None
        self._exchange.core.message_available = bool(self._reply)
        self.changed()

    def _forget_reply(self) -> None:
        self._reply = self._outgoing = b""
        self._asked = None
        self._exchange.core.message_available = False

    def _endpoint_request(self, request: int, value: int) -> bytes:
        if request == INITIATE_ABORT_BULK_IN:
            # Nothing has been sent for this tag: the request is forgotten, the reply stays in the output queue.
            self._asked = None
            return bytes([NOT_IN_PROGRESS, value & 0xFF])
        if request == INITIATE_ABORT_BULK_OUT:
            self._message.clear()
            return bytes([NOT_IN_PROGRESS, value & 0xFF])
        if request in (CHECK_ABORT_BULK_IN_STATUS, CHECK_ABORT_BULK_OUT_STATUS):
            return bytes([SUCCESS, 0, 0, 0, 0, 0, 0, 0])
        raise UsbStall

    def _interface_request(self, request: int, value: int) -> bytes:
        if request == INITIATE_CLEAR:
            self._message.clear()
            self._exchange.clear()
            self._forget_reply()
            return bytes([SUCCESS])
        if request == CHECK_CLEAR_STATUS:
            return bytes([SUCCESS, 0])
        if request == GET_CAPABILITIES:
            return _CAPABILITIES
        if request == READ_STATUS_BYTE:
            return bytes([SUCCESS, value & 0x7F, self._exchange.core.status_byte()])
        if request in (INDICATOR_PULSE, REN_CONTROL, GO_TO_LOCAL, LOCAL_LOCKOUT):
            return bytes([SUCCESS])
        raise UsbStall
