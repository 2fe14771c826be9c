"""USB devices of another machine as a pyusb backend, over USB/IP: no kernel module, no privilege."""

from __future__ import annotations

import array
import errno
import struct
from collections.abc import Iterator
from types import SimpleNamespace

from usb.backend import IBackend
from usb.core import USBError

from hal.clock import Clock
from hal.wires.usb_descriptors import Configuration, configuration, device_descriptor
from hal.wires.usbip_link import Connection

DESCRIPTOR_TIMEOUT_MS = 1000


class UsbipBackend(IBackend):  # type: ignore[misc]
    """A pyusb backend with the one device that a USB/IP server exports under `busid`.

    The device is imported, and so reserved, when pyusb first asks for its descriptors; `close` or the handle's end
    gives it back. Raises USBError with the errno that libusb would give: EBUSY, ENODEV, EPIPE (stall), ETIMEDOUT.
    """

    def __init__(self, host: str, port: int, busid: str, clock: Clock) -> None:
        self._place = host, port, busid
        self._clock = clock
        self._connection: Connection | None = None
        self._descriptors: dict[int, bytes] = {}
        self._configuration: Configuration | None = None

    def close(self) -> None:
        """Give the device back to its machine."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _finalize_object(self) -> None:
        self.close()

    def _imported(self) -> Connection:
        if self._connection is None:
            self._connection = Connection(*self._place, self._clock)
        return self._connection

    # Finding and describing

    def enumerate_devices(self) -> Iterator[str]:
        """The bus id, once the device is imported; nothing when the server does not export it."""
        try:
            self._imported()
        except USBError as error:
            if error.errno != errno.ENOENT:
                raise
            return
        yield self._place[2]

    def get_device_descriptor(self, dev: str) -> SimpleNamespace:
        """Fields of the device descriptor (USB 2.0 table 9-8) and the address on the remote bus."""
        found = device_descriptor(self._descriptor(1, 18))
        link = self._imported()
        found.bus, found.address, found.speed = link.bus, link.address, link.speed
        found.port_number, found.port_numbers = link.address, (link.address,)
        return found

    def get_configuration_descriptor(self, dev: str, config: int) -> SimpleNamespace:
        """Fields of the configuration descriptor; IndexError past the first configuration."""
        if config:
            raise IndexError("only the first configuration is read")
        return self._tree().fields

    def get_interface_descriptor(self, dev: str, intf: int, alt: int, config: int) -> SimpleNamespace:
        """One alternate setting of an interface, by index; IndexError where there is none."""
        return self._tree().interfaces[intf][alt].fields

    def get_endpoint_descriptor(self, dev: str, ep: int, intf: int, alt: int, config: int) -> SimpleNamespace:
        """One endpoint of an interface, by index; IndexError where there is none."""
        return self._tree().interfaces[intf][alt].endpoints[ep]

    def get_parent(self, dev: str) -> None:
        """The protocol does not tell hubs."""

    def _tree(self) -> Configuration:
        if self._configuration is None:
            self._configuration = configuration(self._descriptor(2, 4096))
        return self._configuration

    def _descriptor(self, kind: int, length: int) -> bytes:
        if kind not in self._descriptors:
            self._descriptors[kind] = self._request(0x80, 6, kind << 8, 0, b"", length, DESCRIPTOR_TIMEOUT_MS)
        return self._descriptors[kind]

    # Opening

    def open_device(self, dev: str) -> Connection:
        """The imported device; imports it again after a close."""
        return self._imported()

    def close_device(self, dev_handle: Connection) -> None:
        """Give the device back."""
        dev_handle.close()
        if self._connection is dev_handle:
            self._connection = None

    def set_configuration(self, dev_handle: Connection, config_value: int) -> None:
        """As the standard request."""
        self._request(0x00, 9, config_value, 0, b"", 0, DESCRIPTOR_TIMEOUT_MS)

    def get_configuration(self, dev_handle: Connection) -> int:
        """The active configuration's value, asked of the device."""
        return self._request(0x80, 8, 0, 0, b"", 1, DESCRIPTOR_TIMEOUT_MS)[0]

    def set_interface_altsetting(self, dev_handle: Connection, intf: int, altsetting: int) -> None:
        """As the standard request."""
        self._request(0x01, 11, altsetting, intf, b"", 0, DESCRIPTOR_TIMEOUT_MS)

    def claim_interface(self, dev_handle: Connection, intf: int) -> None:
        """The import is exclusive already."""

    def release_interface(self, dev_handle: Connection, intf: int) -> None:
        """Given back with the device."""

    def clear_halt(self, dev_handle: Connection, ep: int) -> None:
        """As the standard request."""
        self._request(0x02, 1, 0, ep, b"", 0, DESCRIPTOR_TIMEOUT_MS)

    def reset_device(self, dev_handle: Connection) -> None:
        """The protocol has no port reset; the configuration is set again, which ends every halt."""
        self.set_configuration(dev_handle, self.get_configuration(dev_handle))

    # Transfers; time-outs in milliseconds, 0 for none

    def ctrl_transfer(
        self,
        dev_handle: Connection,
        bmRequestType: int,
        bRequest: int,
        wValue: int,
        wIndex: int,
        data: array.array[int],
        timeout: int,
    ) -> int:
        """One control transfer; the argument names are pyusb's. Returns the bytes moved."""
        out = b"" if bmRequestType & 0x80 else bytes(data)
        got = self._request(bmRequestType, bRequest, wValue, wIndex, out, len(data), timeout)
        return _fill(data, got) if bmRequestType & 0x80 else len(data)

    def bulk_write(self, dev_handle: Connection, ep: int, intf: int, data: array.array[int], timeout: int) -> int:
        """One OUT transfer; returns the bytes taken."""
        return len(dev_handle.submit(ep, bytes(8), bytes(data), len(data), timeout))

    def bulk_read(self, dev_handle: Connection, ep: int, intf: int, buff: array.array[int], timeout: int) -> int:
        """One IN transfer of at most the buffer's length; returns the bytes that came."""
        return _fill(buff, dev_handle.submit(ep, bytes(8), b"", len(buff), timeout))

    intr_write = bulk_write
    intr_read = bulk_read

    def _request(
        self, request_type: int, request: int, value: int, index: int, data: bytes, length: int, timeout_ms: int
    ) -> bytes:
        setup = struct.pack("<BBHHH", request_type, request, value, index, length)
        return self._imported().submit(request_type & 0x80, setup, data, length, timeout_ms)


def _fill(buffer: array.array[int], data: bytes) -> int:
    n = min(len(data), len(buffer))
    buffer[:n] = array.array("B", data[:n])
    return n
