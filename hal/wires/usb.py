"""USB devices by resource name, over pyusb; nothing of pyusb's own errors leaks.

`usb://VID:PID/SERIAL` is a device of this machine, through libusb; `usbip://HOST:PORT/BUSID` is a device that another
machine (or an emulator) exports. Whoever has another pyusb backend registers it under a scheme of its own.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import usb.core
import usb.util
from usb.backend import IBackend

from hal.clock import Clock
from hal.errors import DeviceError, ResourceError, WireError, WireTimeout
from hal.wires.replay_usb import ReplayBackend
from hal.wires.usbip import UsbipBackend

BackendFactory = Callable[[str, Clock], IBackend]
_factories: dict[str, BackendFactory] = {}


def register_backend(scheme: str, factory: BackendFactory) -> None:
    """Let resources `scheme://LOCATION` open through `factory(LOCATION, clock)`.

    The factory returns a pyusb backend that enumerates exactly the device at LOCATION (or nothing, if none is there).
    A later registration of a scheme replaces the earlier one.
    """
    _factories[scheme] = factory


def _usbip(location: str, clock: Clock) -> IBackend:
    address, slash, busid = location.partition("/")
    host, colon, port = address.rpartition(":")
    if not (slash and colon and busid and port.isdigit()):
        raise ValueError("write it as usbip://HOST:PORT/BUSID")
    return UsbipBackend(host, int(port), busid, clock)


register_backend("usbip", _usbip)
register_backend("replay", lambda location, clock: ReplayBackend(f"replay://{location}", clock))


class UsbWire:
    """One open USB device.

    `name` is the device's name in messages. Every method raises WireTimeout when the device does not take or give
    the data in time, DeviceError (code 32) when it stalls, and WireError when it is gone.
    """

    def __init__(self, device: Any, name: str, resource: str) -> None:
        self.device = device
        self.name = name
        self.resource = resource
        self._hal_errors = _HalErrors(name, resource)
        with self._hal_errors:
            self.configuration = _configured(device)

    @property
    def interfaces(self) -> list[Any]:
        """Interfaces of the active configuration as pyusb describes them."""
        return list(self.configuration)

    @property
    def serial_number(self) -> str:
        """The device's serial number, or an empty string."""
        with self._hal_errors:
            return str(self.device.serial_number or "")

    def claim(self, interface: int) -> None:
        """Claim an interface for this process, taking it from a kernel driver if one has it."""
        with self._hal_errors:
            with suppress(NotImplementedError):
                if self.device.is_kernel_driver_active(interface):
                    self.device.detach_kernel_driver(interface)
            usb.util.claim_interface(self.device, interface)

    def control_in(
        self, request_type: int, request: int, value: int, index: int, length: int, timeout_s: float
    ) -> bytes:
        """A control transfer that reads at most `length` bytes."""
        with self._hal_errors:
            return bytes(
                self.device.ctrl_transfer(request_type | 0x80, request, value, index, length, _milliseconds(timeout_s))
            )

    def control_out(
        self, request_type: int, request: int, value: int, index: int, data: bytes, timeout_s: float
    ) -> None:
        """A control transfer that writes `data`."""
        with self._hal_errors:
            self.device.ctrl_transfer(request_type & 0x7F, request, value, index, data, _milliseconds(timeout_s))

    def bulk_in(self, endpoint: int, n: int, timeout_s: float) -> bytes:
        """One bulk transfer of at most `n` bytes."""
        with self._hal_errors:
            return bytes(self.device.read(endpoint, n, _milliseconds(timeout_s)))

    def bulk_out(self, endpoint: int, data: bytes, timeout_s: float) -> None:
        """One bulk transfer of all of `data`."""
        with self._hal_errors:
            sent = self.device.write(endpoint, data, _milliseconds(timeout_s))
        if sent != len(data):
            raise WireTimeout(f"{self.name}: took {sent} of {len(data)} bytes on {self.resource} in {timeout_s:g} s")

    def clear_halt(self, endpoint: int) -> None:
        """End a stall."""
        with self._hal_errors:
            self.device.clear_halt(endpoint)

    def drain(self, endpoint: int, n: int = 65536, timeout_s: float = 0.005, transfers: int = 64) -> None:
        """Drop what the device still has to say on `endpoint`, at most `transfers` transfers of it."""
        for _ in range(transfers):
            try:
                self.bulk_in(endpoint, n, timeout_s)
            except WireTimeout:
                return

    def close(self) -> None:
        """Release the device; a second call does nothing."""
        release(self.device)


class _HalErrors:
    """Inside of `with`, pyusb's errors become hal's. (A class: entered for every transfer, it must cost nothing.)"""

    __slots__ = ("_name", "_resource")

    def __init__(self, name: str, resource: str) -> None:
        self._name, self._resource = name, resource

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        name, resource = self._name, self._resource
        if isinstance(error, usb.core.USBTimeoutError):
            raise WireTimeout(f"{name}: nothing came on {resource} in time; check that it is on") from error
        if isinstance(error, OSError):  # as usb.core.USBError is
            raise _translated(error, name, resource) from error
        if isinstance(error, (ValueError, NotImplementedError)):
            raise WireError(f"{name}: {resource} failed ({error}); plug the device in again") from error


def find(resource: str, name: str, clock: Clock) -> Any:
    """The one pyusb device that `resource` names.

    Raises ResourceError: no such device, more than one, busy, no permission, libusb missing, unknown scheme.
    """
    scheme, _, location = resource.partition("://")
    try:
        if scheme == "usb":
            found = list(usb.core.find(find_all=True, **_identity(location)))
        elif scheme in _factories:
            found = list(usb.core.find(find_all=True, backend=_factories[scheme](location, clock)))
        else:
            known = ", ".join(f"{s}://" for s in sorted(["usb", *_factories]))
            raise ResourceError(f"{name}: {resource} is not a USB resource; begin it with one of {known}")
    except usb.core.NoBackendError as error:
        raise ResourceError(
            f"{name}: libusb is missing, so {resource} cannot be opened; install it (Debian: apt install libusb-1.0-0)"
        ) from error
    except (usb.core.USBError, OSError) as error:
        if isinstance(error, ResourceError):
            raise
        raise ResourceError(str(_translated(error, name, resource))) from error
    except ValueError as error:
        raise ResourceError(f"{name}: {resource} is not understood; {error}") from error
    if not found:
        raise ResourceError(f"{name}: no device at {resource}; plug it in or correct the rig file, [{name}] resource")
    if len(found) > 1:
        raise ResourceError(f"{name}: {len(found)} devices match {resource}; add the serial number to the resource")
    return found[0]


def _identity(location: str) -> dict[str, Any]:
    """VID:PID/SERIAL as arguments of usb.core.find; the serial number may be left out."""
    identity, _, serial = location.partition("/")
    vendor, colon, product = identity.partition(":")
    try:
        wanted: dict[str, Any] = {"idVendor": int(vendor, 16), "idProduct": int(product, 16)}
    except ValueError:
        colon = ""
    if not colon:
        raise ValueError("write it as usb://VID:PID/SERIAL with hexadecimal numbers, for example usb://1209:0001/B123")
    if serial:
        wanted["custom_match"] = lambda device: _has_serial(device, serial)
    return wanted


def _has_serial(device: Any, serial: str) -> bool:
    return bool(device.serial_number == serial)


def release(device: Any) -> None:
    """Give a device back that `find` found."""
    with suppress(usb.core.USBError, OSError):
        usb.util.dispose_resources(device)
    close = getattr(device.backend, "close", None)  # of a backend with one device; libusb's own stays open
    if close is not None:
        close()


def _configured(device: Any) -> Any:
    try:
        return device.get_active_configuration()
    except usb.core.USBError:
        device.set_configuration()
        return device.get_active_configuration()


def _milliseconds(timeout_s: float) -> int:
    """At least 1: to pyusb 0 means for ever."""
    return max(1, math.ceil(timeout_s * 1000))


def _translated(error: OSError, name: str, resource: str) -> Exception:
    number = error.errno
    if number == errno.EPIPE:
        return DeviceError(f"{name}: refused a USB transfer (stall) on {resource}; reset or re-plug it", code=number)
    if number in (errno.EACCES, errno.EPERM):
        return ResourceError(
            f"{name}: {resource} may not be opened by this user; install udev/60-boresight.rules and plug it in again"
        )
    if number == errno.EBUSY:
        return ResourceError(f"{name}: {resource} is busy; close the other program that uses it")
    if number in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH):
        return ResourceError(
            f"{name}: nobody answers at {resource}; start what exports the device "
            f"or correct the rig file, [{name}] resource"
        )
    if number == errno.ENOENT:
        return ResourceError(
            f"{name}: no device at {resource}; {error.strerror}, or correct the rig file, [{name}] resource"
        )
    return WireError(f"{name}: {resource} is gone or failed ({error.strerror or error}); plug the device in again")
