"""USB without a wire: a pyusb backend that carries emulated devices inside the process, in simulated time.

pyusb and the real drivers above it run unchanged. A read that has to wait gives the time to the lockstep executor
(`Waiter`) and comes back when the device has data, or after its time-out in simulated milliseconds.
"""

from __future__ import annotations

import array
import errno
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import usb.backend.libusb1
from usb.backend import IBackend
from usb.core import USBError, USBTimeoutError

from sim_hw.wires.contract import UsbDevice, UsbStall, Waiter
from sim_hw.wires.usb_standard import ENDPOINT, INTERFACE, DeviceOnBus, split_descriptors

NS_PER_MS = 1_000_000

_DEVICE_FIELDS = (
    "bLength bDescriptorType bcdUSB bDeviceClass bDeviceSubClass bDeviceProtocol bMaxPacketSize0 "
    "idVendor idProduct bcdDevice iManufacturer iProduct iSerialNumber bNumConfigurations"
)
_CONFIGURATION_FIELDS = (
    "bLength bDescriptorType wTotalLength bNumInterfaces bConfigurationValue iConfiguration bmAttributes bMaxPower"
)
_INTERFACE_FIELDS = (
    "bLength bDescriptorType bInterfaceNumber bAlternateSetting bNumEndpoints bInterfaceClass "
    "bInterfaceSubClass bInterfaceProtocol iInterface"
)
_ENDPOINT_FIELDS = "bLength bDescriptorType bEndpointAddress bmAttributes wMaxPacketSize bInterval"


class _Plugged:
    """One device at one address of the bus."""

    def __init__(self, name: str, device: UsbDevice, address: int) -> None:
        self.name = name
        self.bus = DeviceOnBus(device)
        self.address = address
        self.changes = 0
        self.present = True
        device.changed = self._changed

    def _changed(self) -> None:
        self.changes += 1

    def check(self) -> None:
        if not self.present:
            raise USBError(f"{self.name} is unplugged", error_code=-4, errno=errno.ENODEV)


class MemoryUsbBackend(IBackend):  # type: ignore[misc]
    """All emulated USB devices of a bench as one bus.

    Time-outs are simulated time; errors are those of libusb: USBTimeoutError with errno 110, a stall is errno 32,
    an unplugged device errno 19.
    """

    def __init__(self, waiter: Waiter) -> None:
        self._waiter = waiter
        self._devices: dict[str, _Plugged] = {}

    def plug(self, name: str, device: UsbDevice) -> None:
        """Put a device on the bus; `name` is its name in `at` and in messages."""
        self._devices[name] = _Plugged(name, device, len(self._devices) + 1)

    def unplug(self, name: str) -> None:
        """Take a device away: every later transfer, and the one that waits, fails with ENODEV."""
        gone = self._devices.pop(name)
        gone.present = False
        gone.changes += 1

    def at(self, name: str) -> MemoryUsbBackend:
        """The same bus as seen from one port: only the device `name`, if it is there."""
        view = MemoryUsbBackend(self._waiter)
        view._devices = {key: value for key, value in self._devices.items() if key == name}
        return view

    # Finding and describing

    def enumerate_devices(self) -> Iterator[_Plugged]:
        """All devices on the bus, in the order in which they were plugged in."""
        return iter(list(self._devices.values()))

    def get_device_descriptor(self, dev: _Plugged) -> SimpleNamespace:
        """Fields of the device descriptor, and the address on the bus."""
        fields = struct.unpack("<BBHBBBBHHHBBBB", dev.bus.device.device_descriptor)
        place = {
            "bus": 1,
            "address": dev.address,
            "port_number": dev.address,
            "port_numbers": (dev.address,),
            "speed": 4,
        }
        return _named(_DEVICE_FIELDS, fields, **place)

    def get_configuration_descriptor(self, dev: _Plugged, config: int) -> SimpleNamespace:
        """The only configuration; IndexError for another."""
        if config != 0:
            raise IndexError(f"{dev.name} has one configuration")
        data = dev.bus.device.configuration_descriptor
        extra: list[int] = []
        for found in split_descriptors(data[data[0] :]):
            if found[1] == INTERFACE:
                break
            extra += found
        return _named(_CONFIGURATION_FIELDS, struct.unpack("<BBHBBBBB", data[:9]), extra_descriptors=extra)

    def get_interface_descriptor(self, dev: _Plugged, intf: int, alt: int, config: int) -> SimpleNamespace:
        """One alternate setting of an interface, by index; IndexError where there is none."""
        return _interfaces(dev)[intf][alt][0]

    def get_endpoint_descriptor(self, dev: _Plugged, ep: int, intf: int, alt: int, config: int) -> SimpleNamespace:
        """One endpoint of an interface, by index; IndexError where there is none."""
        return _interfaces(dev)[intf][alt][1][ep]

    def get_parent(self, dev: _Plugged) -> None:
        """No hub is emulated."""

    # Opening

    def open_device(self, dev: _Plugged) -> _Plugged:
        """The device itself is the handle."""
        dev.check()
        return dev

    def close_device(self, dev_handle: _Plugged) -> None:
        """Nothing to release."""

    def set_configuration(self, dev_handle: _Plugged, config_value: int) -> None:
        """As the standard request."""
        self._control(dev_handle, 0x00, 9, config_value, 0, b"", 0)

    def get_configuration(self, dev_handle: _Plugged) -> int:
        """The active configuration's value."""
        return dev_handle.bus.configuration

    def set_interface_altsetting(self, dev_handle: _Plugged, intf: int, altsetting: int) -> None:
        """As the standard request."""
        self._control(dev_handle, 0x01, 11, altsetting, intf, b"", 0)

    def claim_interface(self, dev_handle: _Plugged, intf: int) -> None:
        """Always granted: one process, one bench."""
        dev_handle.check()

    def release_interface(self, dev_handle: _Plugged, intf: int) -> None:
        """Nothing to release."""

    def clear_halt(self, dev_handle: _Plugged, ep: int) -> None:
        """As the standard request."""
        self._control(dev_handle, 0x02, 1, 0, ep, b"", 0)

    def reset_device(self, dev_handle: _Plugged) -> None:
        """A port reset ends every halt."""
        dev_handle.check()
        dev_handle.bus.halted.clear()

    # Transfers; time-outs in simulated milliseconds, 0 for none

    def ctrl_transfer(
        self,
        dev_handle: _Plugged,
        bmRequestType: int,
        bRequest: int,
        wValue: int,
        wIndex: int,
        data: array.array[int],
        timeout: int,
    ) -> int:
        """One control transfer; the argument names are pyusb's. Returns the bytes moved."""
        answer = self._control(dev_handle, bmRequestType, bRequest, wValue, wIndex, bytes(data), len(data))
        if not bmRequestType & 0x80:
            return len(data)
        return _fill(data, answer)

    def bulk_write(self, dev_handle: _Plugged, ep: int, intf: int, data: array.array[int], timeout: int) -> int:
        """One OUT transfer; the device takes it at once."""
        dev_handle.check()
        try:
            dev_handle.bus.bulk_out(ep, bytes(data))
        except UsbStall as stall:
            raise _pipe(dev_handle, stall) from stall
        return len(data)

    def bulk_read(self, dev_handle: _Plugged, ep: int, intf: int, buff: array.array[int], timeout: int) -> int:
        """One IN transfer; blocks in simulated time until the device has data."""
        transfer = _InTransfer(dev_handle, ep, len(buff), self._waiter)
        deadline_ns = self._waiter.now_ns() + timeout * NS_PER_MS if timeout else None
        self._waiter.wait(transfer.ready, deadline_ns)
        if transfer.error is not None:
            raise transfer.error
        if transfer.data is None:
            raise USBTimeoutError("Operation timed out", error_code=-7, errno=errno.ETIMEDOUT)
        return _fill(buff, transfer.data)

    intr_write = bulk_write
    intr_read = bulk_read

    def _control(
        self, dev: _Plugged, request_type: int, request: int, value: int, index: int, data: bytes, length: int
    ) -> bytes:
        dev.check()
        try:
            return dev.bus.control(request_type, request, value, index, data, length)
        except UsbStall as stall:
            raise _pipe(dev, stall) from stall


class _InTransfer:
    """One IN transfer that may have to wait; asked after every event of the bench, so it asks the device rarely."""

    def __init__(self, dev: _Plugged, endpoint: int, length: int, waiter: Waiter) -> None:
        self._dev, self._endpoint, self._length, self._waiter = dev, endpoint, length, waiter
        self._seen = -1
        self._ready_ns: int | None = None
        self.data: bytes | None = None
        self.error: USBError | None = None

    def ready(self) -> int | None:
        if self._ready_ns is None and self._seen != self._dev.changes:
            self._seen = self._dev.changes
            try:
                self._dev.check()
                self.data = self._dev.bus.bulk_in(self._endpoint, self._length)
            except UsbStall as stall:
                self.error = _pipe(self._dev, stall)
            except USBError as error:
                self.error = error
            if self.data is not None or self.error is not None:
                self._ready_ns = self._waiter.now_ns()
        return self._ready_ns


def _pipe(dev: _Plugged, stall: UsbStall) -> USBError:
    return USBError(f"Pipe error: {dev.name}: {stall}", error_code=-9, errno=errno.EPIPE)


def _named(names: str, values: Iterable[int], **more: object) -> SimpleNamespace:
    return SimpleNamespace(**dict(zip(names.split(), values, strict=True)), **more)


def _fill(buffer: array.array[int], data: bytes) -> int:
    n = min(len(data), len(buffer))
    buffer[:n] = array.array("B", data[:n])
    return n


def _interfaces(dev: _Plugged) -> list[list[tuple[SimpleNamespace, list[SimpleNamespace]]]]:
    """Interfaces, each a list of alternate settings, each (descriptor, endpoints), in pyusb's order."""
    numbers: list[int] = []
    found: list[list[tuple[SimpleNamespace, list[SimpleNamespace]]]] = []
    latest: SimpleNamespace | None = None
    for data in split_descriptors(dev.bus.device.configuration_descriptor):
        if data[1] == INTERFACE:
            latest = _named(_INTERFACE_FIELDS, data[:9], extra_descriptors=[])
            if data[2] not in numbers:
                numbers.append(data[2])
                found.append([])
            found[numbers.index(data[2])].append((latest, []))
        elif data[1] == ENDPOINT and found:
            values = struct.unpack("<BBBBHB", data[:7])
            latest = _named(_ENDPOINT_FIELDS, values, bRefresh=0, bSynchAddress=0, extra_descriptors=[])
            found[-1][-1][1].append(latest)
        elif latest is not None:
            latest.extra_descriptors += list(data)
    return found


@contextmanager
def as_default_backend(backend: Any) -> Iterator[None]:
    """Let `usb.core.find()` without a backend, as pyvisa-py calls it, see `backend`'s devices while inside.

    It sets pyusb's own cache of its default backend; no function is patched.
    """
    before = usb.backend.libusb1._lib_object
    usb.backend.libusb1._lib_object = backend
    try:
        yield
    finally:
        usb.backend.libusb1._lib_object = before
