"""Finding a USB3 Vision camera's endpoints and register maps.

USB3 Vision 1.0: interfaces of class EF/05, protocol 00 for control and 02 for streaming; ABRM at address 0 points to
SBRM, SBRM to SIRM, and the manifest table to the GenICam file.
"""

from __future__ import annotations

import io
import struct
import zipfile
from dataclasses import dataclass

from hal.devices.u3v.gencp import ControlChannel
from hal.errors import ProtocolError
from hal.traits import Identity
from hal.wires.usb import UsbWire

U3V_CLASS, U3V_SUBCLASS, CONTROL, STREAM = 0xEF, 0x05, 0x00, 0x02
NAMES = {"manufacturer": 0x0004, "model": 0x0044, "firmware": 0x00C4, "serial": 0x0144}
NAME_LENGTH = 64
MAX_RESPONSE_TIME, MANIFEST_TABLE, SBRM_ADDRESS = 0x01CC, 0x01D0, 0x01D8
TIMESTAMP, TIMESTAMP_LATCH, TIMESTAMP_INCREMENT = 0x01F0, 0x01F8, 0x01FC
MAX_COMMAND, MAX_ACK, SIRM_ADDRESS = 0x14, 0x18, 0x20
LONGEST_GENICAM_FILE = 8 << 20
LONGEST_PACKET = 64 << 10


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Bulk endpoint addresses and interface numbers."""

    control_interface: int
    control_out: int
    control_in: int
    stream_interface: int
    stream_in: int


@dataclass(frozen=True, slots=True)
class Maps:
    """Where the camera keeps its registers, and its GenICam file."""

    sirm: int
    timestamp_ns_tick: int
    genicam: bytes


def find_endpoints(wire: UsbWire) -> Endpoints:
    """Endpoints by interface class. Raises ProtocolError when the device is no USB3 Vision camera."""
    found: dict[int, tuple[int, list[int]]] = {}
    for interface in wire.interfaces:
        if (interface.bInterfaceClass, interface.bInterfaceSubClass) == (U3V_CLASS, U3V_SUBCLASS):
            endpoints = [endpoint.bEndpointAddress for endpoint in interface]
            found[interface.bInterfaceProtocol] = interface.bInterfaceNumber, endpoints
    try:
        number, both = found[CONTROL]
        stream_number, stream = found[STREAM]
        return Endpoints(
            number,
            next(e for e in both if not e & 0x80),
            next(e for e in both if e & 0x80),
            stream_number,
            next(e for e in stream if e & 0x80),
        )
    except (KeyError, StopIteration):
        raise ProtocolError(
            f"{wire.name}: {wire.resource} is not a USB3 Vision camera; name the camera's resource in the rig file"
        ) from None


def read_maps(control: ControlChannel, name: str) -> Maps:
    """Learn limits and addresses from the camera; sets the channel's limits.

    Raises ProtocolError when a table makes no sense.
    """
    sbrm = control.read_u64(SBRM_ADDRESS)
    control.response_s = max(0.1, control.read_u32(MAX_RESPONSE_TIME) / 1000)
    limits = control.read_u32(sbrm + MAX_COMMAND), control.read_u32(sbrm + MAX_ACK)
    if not all(limit >= 64 for limit in limits):
        raise ProtocolError(f"{name}: states packet limits of {limits[0]} and {limits[1]} bytes; update its firmware")
    control.command_max, control.ack_max = (min(limit, LONGEST_PACKET) for limit in limits)
    return Maps(
        control.read_u64(sbrm + SIRM_ADDRESS),
        control.read_u64(TIMESTAMP_INCREMENT) or 1,
        _genicam_file(control, name),
    )


def read_names(control: ControlChannel) -> Identity:
    """What the camera calls itself (GenCP 1.3, table of the ABRM); names that it leaves empty are left out."""
    names = {what: control.read(address, NAME_LENGTH).split(b"\0")[0] for what, address in NAMES.items()}
    return {what: name.decode("ascii", "replace") for what, name in names.items() if name}


def _genicam_file(control: ControlChannel, name: str) -> bytes:
    """The first entry of the manifest table: plain XML, or zipped (schema bits 10 to 15 = 1)."""
    table = control.read_u64(MANIFEST_TABLE)
    entries = control.read_u64(table)
    _, schema, address, size = struct.unpack("<IIQQ", control.read(table + 8, 24))
    if entries < 1 or not 0 < size <= LONGEST_GENICAM_FILE:
        raise ProtocolError(f"{name}: its manifest names a GenICam file of {size} bytes; update its firmware")
    data = control.read(address, size)
    if schema >> 10 & 0x3F != 1:
        return data
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.read(archive.namelist()[0])
    except (zipfile.BadZipFile, IndexError) as error:
        raise ProtocolError(f"{name}: its zipped GenICam file cannot be read; update its firmware") from error
