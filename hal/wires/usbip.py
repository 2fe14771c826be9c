"""USB devices of another machine as a pyusb backend, over USB/IP: no kernel module, no privilege."""

from __future__ import annotations

import array
import errno
import struct
from collections.abc import Iterator

from usb.core import USBError

from hal.clock import Clock
from hal.wires.usb_described import DescribedBackend, fill
from hal.wires.usbip_link import Connection

DESCRIPTOR_TIMEOUT_MS = 1000


class UsbipBackend(DescribedBackend):
    """A pyusb backend with the one device that a USB/IP server exports under `busid`.

    The device is imported, and so reserved, when pyusb first asks for its descriptors; `close` or the handle's end
    gives it back. Raises USBError with the errno that libusb would give: EBUSY, ENODEV, EPIPE (stall), ETIMEDOUT.
    """

    def __init__(self, host: str, port: int, busid: str, clock: Clock) -> None:
        super().__init__()
        self._exporter = host, port, busid
        self._clock = clock
        self._connection: Connection | None = None
        self._descriptors: dict[int, bytes] = {}

    def close(self) -> None:
        """Give the device back to its machine."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _finalize_object(self) -> None:
        self.close()

    def _imported(self) -> Connection:
        if self._connection is None:
            self._connection = Connection(*self._exporter, self._clock)
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
        yield self._exporter[2]

    def _place(self) -> tuple[int, int, int]:
        link = self._imported()
        return link.bus, link.address, link.speed

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
        return fill(data, got) if bmRequestType & 0x80 else len(data)

    def bulk_write(self, dev_handle: Connection, ep: int, intf: int, data: array.array[int], timeout: int) -> int:
        """One OUT transfer; returns the bytes taken."""
        return len(dev_handle.submit(ep, bytes(8), bytes(data), len(data), timeout))

    def bulk_read(self, dev_handle: Connection, ep: int, intf: int, buff: array.array[int], timeout: int) -> int:
        """One IN transfer of at most the buffer's length; returns the bytes that came."""
        return fill(buff, dev_handle.submit(ep, bytes(8), b"", len(buff), timeout))

    intr_write = bulk_write
    intr_read = bulk_read

    def _request(
        self, request_type: int, request: int, value: int, index: int, data: bytes, length: int, timeout_ms: int
    ) -> bytes:
        setup = struct.pack("<BBHHH", request_type, request, value, index, length)
        return self._imported().submit(request_type & 0x80, setup, data, length, timeout_ms)
