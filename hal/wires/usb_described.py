"""A pyusb backend with one device whose descriptors are bytes: what pyusb wants to know is read from them."""

from __future__ import annotations

import array
from abc import abstractmethod
from types import SimpleNamespace
from typing import Any

from usb.backend import IBackend

from hal.wires.usb_descriptors import Configuration, configuration, device_descriptor


class DescribedBackend(IBackend):  # type: ignore[misc]
    """A subclass brings the descriptors, the place on the bus, opening and transfers."""

    def __init__(self) -> None:
        self._configuration: Configuration | None = None

    @abstractmethod
    def _descriptor(self, kind: int, length: int) -> bytes:
        """The descriptor of a kind (1 device, 2 configuration), at most `length` bytes. Raises USBError."""

    @abstractmethod
    def _place(self) -> tuple[int, int, int]:
        """Bus number, address and speed, as libusb counts them."""

    def get_device_descriptor(self, dev: Any) -> SimpleNamespace:
        """Fields of the device descriptor (USB 2.0 table 9-8) and the address on the bus."""
        found = device_descriptor(self._descriptor(1, 18))
        found.bus, found.address, found.speed = self._place()
        found.port_number, found.port_numbers = found.address, (found.address,)
        return found

    def get_configuration_descriptor(self, dev: Any, config: int) -> SimpleNamespace:
        """Fields of the configuration descriptor; IndexError past the first configuration."""
        if config:
            raise IndexError("only the first configuration is read")
        return self._tree().fields

    def get_interface_descriptor(self, dev: Any, intf: int, alt: int, config: int) -> SimpleNamespace:
        """One alternate setting of an interface, by index; IndexError where there is none."""
        return self._tree().interfaces[intf][alt].fields

    def get_endpoint_descriptor(self, dev: Any, ep: int, intf: int, alt: int, config: int) -> SimpleNamespace:
        """One endpoint of an interface, by index; IndexError where there is none."""
        return self._tree().interfaces[intf][alt].endpoints[ep]

    def get_parent(self, dev: Any) -> None:
        """No hub is known."""

    def _tree(self) -> Configuration:
        if self._configuration is None:
            self._configuration = configuration(self._descriptor(2, 4096))
        return self._configuration


def fill(buffer: array.array[int], data: bytes) -> int:
    """Put what came into pyusb's buffer; returns how much fitted."""
    n = min(len(data), len(buffer))
    buffer[:n] = array.array("B", data[:n])
    return n
