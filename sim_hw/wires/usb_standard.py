"""What every USB device answers on endpoint zero by itself, from its descriptors (USB 2.0, chapter 9.4).

Both wires that carry a `UsbDevice` use it: the USB/IP server and the in-process backend. It also keeps what the
host controller and the device share below any class: the configuration, alternate settings and halted endpoints.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from sim_hw.wires.contract import UsbDevice, UsbStall

DEVICE, CONFIGURATION, STRING, INTERFACE, ENDPOINT = 1, 2, 3, 4, 5  # descriptor types, USB 2.0 table 9-5
GET_STATUS, CLEAR_FEATURE, SET_FEATURE, SET_ADDRESS = 0, 1, 3, 5  # requests, USB 2.0 table 9-4
GET_DESCRIPTOR, GET_CONFIGURATION, SET_CONFIGURATION, GET_INTERFACE, SET_INTERFACE = 6, 8, 9, 10, 11
ENGLISH = 0x0409
HALT = 0  # feature selector ENDPOINT_HALT


def split_descriptors(data: bytes) -> Iterator[bytes]:
    """One descriptor after the other; each starts with its own length and type."""
    at = 0
    while at + 2 <= len(data) and data[at] >= 2:
        yield data[at : at + data[at]]
        at += data[at]


class DeviceOnBus:
    """A UsbDevice with its standard requests answered and its halted endpoints remembered.

    Every method may raise UsbStall.
    """

    def __init__(self, device: UsbDevice) -> None:
        self.device = device
        self.configuration = device.configuration_descriptor[5]  # the host's kernel has configured it on plug-in
        self.alternate: dict[int, int] = {}
        self.halted: set[int] = set()

    def control(self, request_type: int, request: int, value: int, index: int, data: bytes, length: int) -> bytes:
        """One control transfer; returns the data stage of an IN request."""
        if request_type & 0x60:  # class or vendor
            return self.device.control(request_type, request, value, index, data, length)[:length]
        if request_type & 0x80:
            return self._get(request_type, request, value, index)[:length]
        self._set(request_type, request, value, index)
        return b""

    def bulk_out(self, endpoint: int, data: bytes) -> None:
        """One OUT transfer on a bulk or interrupt endpoint."""
        self._refuse_if_halted(endpoint)
        try:
            self.device.bulk_out(endpoint, data)
        except UsbStall:
            self.halted.add(endpoint)
            raise

    def bulk_in(self, endpoint: int, length: int) -> bytes | None:
        """One IN transfer of at most `length` bytes, or None: nothing yet."""
        self._refuse_if_halted(endpoint)
        try:
            return self.device.bulk_in(endpoint, length)
        except UsbStall:
            self.halted.add(endpoint)
            raise

    def interfaces(self) -> list[tuple[int, int, int]]:
        """(class, subclass, protocol) of each interface in its default setting."""
        found = split_descriptors(self.device.configuration_descriptor)
        return [(d[5], d[6], d[7]) for d in found if d[1] == INTERFACE and d[3] == 0]

    def _refuse_if_halted(self, endpoint: int) -> None:
        if endpoint in self.halted:
            raise UsbStall(f"endpoint {endpoint:#04x} is halted until CLEAR_FEATURE")

    def _get(self, request_type: int, request: int, value: int, index: int) -> bytes:
        if request == GET_DESCRIPTOR:
            return self._descriptor(value >> 8, value & 0xFF)
        if request == GET_CONFIGURATION:
            return bytes([self.configuration])
        if request == GET_INTERFACE:
            return bytes([self.alternate.get(index, 0)])
        if request == GET_STATUS:
            return struct.pack("<H", int(request_type & 0x1F == 2 and index in self.halted))
        raise UsbStall(f"standard request {request}")

    def _set(self, request_type: int, request: int, value: int, index: int) -> None:
        if request == SET_CONFIGURATION:
            if value not in (0, self.device.configuration_descriptor[5]):  # a request error, USB 2.0, 9.4.7
                raise UsbStall(f"there is no configuration {value}")
            self.configuration = value
            self.halted.clear()
        elif request == SET_INTERFACE:
            found = split_descriptors(self.device.configuration_descriptor)
            if (index, value) not in {(d[2], d[3]) for d in found if d[1] == INTERFACE}:  # the same, 9.4.10
                raise UsbStall(f"there is no alternate setting {value} of interface {index}")
            self.alternate[index] = value
        elif request in (CLEAR_FEATURE, SET_FEATURE) and request_type & 0x1F == 2 and value == HALT:
            (self.halted.discard if request == CLEAR_FEATURE else self.halted.add)(index)
        elif request not in (CLEAR_FEATURE, SET_FEATURE, SET_ADDRESS):
            raise UsbStall(f"standard request {request}")

    def _descriptor(self, kind: int, number: int) -> bytes:
        if kind == DEVICE:
            return self.device.device_descriptor
        if kind == CONFIGURATION and number == 0:
            return self.device.configuration_descriptor
        if kind == STRING:
            if number == 0:
                return struct.pack("<BBH", 4, STRING, ENGLISH)
            if number in self.device.strings:
                text = self.device.strings[number].encode("utf-16-le")
                return bytes([len(text) + 2, STRING]) + text
        raise UsbStall(f"no descriptor of type {kind} number {number}")
