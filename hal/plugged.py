"""What is plugged in, and how a rig file should name it: nothing is opened that could move or emit."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hal.drivers import DRIVERS
from hal.usb_ids import USB_IDENTITIES, UsbIdentity

BY_ID = Path("/dev/serial/by-id")
BAUD = {"nexstar": 9600, "easycomm": 19_200, "beamboard": 921_600}


@dataclass(frozen=True, slots=True)
class Plugged:
    """One device as the system lists it: `tty` is the port of an adapter, `exporter` the HOST:PORT/BUSID of USB/IP."""

    vendor: int
    product: int
    serial: str = ""
    what: str = ""
    tty: str = ""
    interfaces: tuple[str, ...] = ()
    exporter: str = ""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A section for a rig file; `driver` is empty where no driver of ours is known for it."""

    section: str
    driver: str
    resource: str
    what: str
    note: str = ""

    def toml(self) -> str:
        """Ready to be pasted."""
        if not self.driver:
            return f'# {self.what}: {self.note}\n#   resource = "{self.resource}"\n'
        baud = f"baud = {BAUD[self.driver]}\n" if self.driver in BAUD else ""
        note = f"  # {self.note}" if self.note else ""
        return f'[{self.section}]  # {self.what}\ndriver = "{self.driver}"\nresource = "{self.resource}"{note}\n{baud}'


def suggest(found: Iterable[Plugged], by_id: Path = BY_ID) -> list[Suggestion]:
    """A section for each device that a driver of ours knows, and a hint for each serial adapter that none does."""
    suggestions = []
    for plugged in found:
        known = identify(plugged)
        if known is not None:
            section = DRIVERS[known.driver].device
            resource, note = _resource(known, plugged, by_id)
            suggestions.append(Suggestion(section, known.driver, resource, known.what, note))
        elif plugged.tty:
            what = plugged.what or f"serial port {plugged.vendor:04x}:{plugged.product:04x}"
            hint = "no driver names this adapter; if a device of yours is behind it, give the section this resource"
            suggestions.append(Suggestion("", "", f"serial://{stable_port(plugged.tty, by_id)}", what, hint))
    return sorted(suggestions, key=lambda s: (not s.driver, s.section, s.resource))


def identify(plugged: Plugged) -> UsbIdentity | None:
    """The row of the table of identities that a device matches."""
    for identity in USB_IDENTITIES:
        if identity.interface:
            if identity.interface in plugged.interfaces:
                return identity
            continue
        same = (identity.vendor, identity.product) == (plugged.vendor, plugged.product)
        if same and (identity.node == "tty") == bool(plugged.tty):
            return identity
    return None


def stable_port(tty: str, by_id: Path = BY_ID) -> str:
    """The name of a port that stays when it is plugged in elsewhere: its link by serial number, else itself."""
    if by_id.is_dir():
        for link in sorted(by_id.iterdir()):
            if os.path.realpath(link) == os.path.realpath(tty):
                return str(link)
    return tty


def _resource(identity: UsbIdentity, plugged: Plugged, by_id: Path) -> tuple[str, str]:
    """The resource that names a device for good, and what speaks against it."""
    unnamed = "" if plugged.serial else "no serial number could be read: any device of this kind will do"
    if identity.node == "tty":
        port = stable_port(plugged.tty, by_id)
        return f"serial://{port}", "" if port != plugged.tty else "this name changes when it is plugged in elsewhere"
    if identity.driver in ("pm100d", "itc4000"):
        serial = plugged.serial or "SERIAL"
        address = f"visa://USB0::0x{plugged.vendor:04x}::0x{plugged.product:04x}::{serial}::INSTR"
        exporter = f"?usbip={plugged.exporter}" if plugged.exporter else ""
        return address + exporter, "" if plugged.serial else "put its serial number in"
    if plugged.exporter:
        return f"usbip://{plugged.exporter}", ""
    serial = f"/{plugged.serial}" if plugged.serial else ""
    return f"usb://{plugged.vendor:04x}:{plugged.product:04x}{serial}", unnamed


def plugged_here() -> list[Plugged]:
    """Serial ports and USB devices of this machine, as pyserial and libusb list them."""
    from serial.tools.list_ports import comports

    found = [
        Plugged(port.vid, port.pid, port.serial_number or "", port.description or "", tty=port.device)
        for port in comports()
        if port.vid is not None
    ]
    return found + list(_usb_devices())


def _usb_devices() -> Iterable[Plugged]:
    import usb.core

    try:
        devices = list(usb.core.find(find_all=True))
    except usb.core.NoBackendError:
        return
    for device in devices:
        try:
            interfaces = tuple(
                f"{i.bInterfaceClass:02x}{i.bInterfaceSubClass:02x}{i.bInterfaceProtocol:02x}"
                for configuration in device
                for i in configuration
            )
        except (usb.core.USBError, NotImplementedError):
            interfaces = ()
        try:
            serial = str(device.serial_number or "")
        except (usb.core.USBError, ValueError, NotImplementedError):  # not without permission
            serial = ""
        yield Plugged(device.idVendor, device.idProduct, serial, interfaces=interfaces)


def plugged_at(host: str, port: int) -> list[Plugged]:
    """What a USB/IP exporter offers. Raises ResourceError."""
    from hal.wires.usbip_list import exported

    return [
        Plugged(device.vendor, device.product, interfaces=device.interfaces, exporter=f"{host}:{port}/{device.busid}")
        for device in exported(host, port)
    ]
