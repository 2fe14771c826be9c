"""A device's descriptors as the attribute objects that pyusb wants (USB 2.0, chapter 9.6)."""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass, field
from types import SimpleNamespace

from usb.core import USBError

INTERFACE, ENDPOINT = 4, 5


@dataclass
class Setting:
    """One alternate setting of an interface."""

    fields: SimpleNamespace
    endpoints: list[SimpleNamespace] = field(default_factory=list)


@dataclass
class Configuration:
    """One configuration: interfaces in order of appearance, each a list of its alternate settings."""

    fields: SimpleNamespace
    interfaces: list[list[Setting]]


def device_descriptor(data: bytes) -> SimpleNamespace:
    """Fields of the device descriptor (table 9-8). Raises USBError when it is too short."""
    return _named(
        "bLength bDescriptorType bcdUSB bDeviceClass bDeviceSubClass bDeviceProtocol bMaxPacketSize0 idVendor "
        "idProduct bcdDevice iManufacturer iProduct iSerialNumber bNumConfigurations",
        "<BBHBBBBHHHBBBB",
        data,
    )


def configuration(data: bytes) -> Configuration:
    """The tree of a configuration; a class descriptor stays with what it follows, as `extra_descriptors`.

    Raises USBError when a descriptor is too short for its type.
    """
    fields = _named(
        "bLength bDescriptorType wTotalLength bNumInterfaces bConfigurationValue iConfiguration bmAttributes bMaxPower",
        "<BBHBBBBB",
        data,
    )
    interfaces: dict[int, list[Setting]] = {}
    current = Setting(fields)
    latest, at = fields, data[0]
    while at + 2 <= len(data) and data[at] >= 2:
        part = data[at : at + data[at]]
        at += data[at]
        if part[1] == INTERFACE:
            latest = _named(
                "bLength bDescriptorType bInterfaceNumber bAlternateSetting bNumEndpoints bInterfaceClass "
                "bInterfaceSubClass bInterfaceProtocol iInterface",
                "<9B",
                part,
            )
            current = Setting(latest)
            interfaces.setdefault(latest.bInterfaceNumber, []).append(current)
        elif part[1] == ENDPOINT:
            latest = _named(
                "bLength bDescriptorType bEndpointAddress bmAttributes wMaxPacketSize bInterval", "<BBBBHB", part
            )
            latest.bRefresh = latest.bSynchAddress = 0
            current.endpoints.append(latest)
        else:
            latest.extra_descriptors += list(part)
    return Configuration(fields, list(interfaces.values()))


def _named(names: str, layout: str, data: bytes) -> SimpleNamespace:
    try:
        values = struct.unpack_from(layout, data)
    except struct.error as error:
        raise USBError(f"a descriptor of {len(data)} bytes is too short", errno=errno.EPROTO) from error
    return SimpleNamespace(**dict(zip(names.split(), values, strict=True)), extra_descriptors=[])
