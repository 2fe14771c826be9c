"""What a USB/IP exporter offers (the protocol's device list). Nothing is imported, so nothing is taken from anybody."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from hal.errors import ResourceError
from hal.wires.usbip_link import EXPORTED, OP_HEADER, VERSION

OP_REQ_DEVLIST, OP_REP_DEVLIST = 0x8005, 0x0005
TIMEOUT_S = 2.0
DEVICES_MAX, INTERFACES_MAX = 256, 32


@dataclass(frozen=True, slots=True)
class Exported:
    """One device of an exporter."""

    busid: str
    vendor: int
    product: int
    interfaces: tuple[str, ...]  # class, subclass and protocol, hexadecimal


def exported(host: str, port: int) -> list[Exported]:
    """The devices at HOST:PORT. Raises ResourceError when nobody answers, or nobody that speaks USB/IP."""
    try:
        with socket.create_connection((host, port), TIMEOUT_S) as connection, connection.makefile("rb") as answer:
            connection.sendall(OP_HEADER.pack(VERSION, OP_REQ_DEVLIST, 0))
            return read_list(answer.read)
    except (OSError, ValueError, struct.error) as error:
        raise ResourceError(f"{host}:{port} lists no USB devices ({error}); start what exports them there.") from None


def read_list(read: Callable[[int], bytes]) -> list[Exported]:
    """The answer to a request for the list. Raises ValueError or struct.error when it is none."""
    version, code, status = OP_HEADER.unpack(read(OP_HEADER.size))
    if (version, code, status) != (VERSION, OP_REP_DEVLIST, 0):
        raise ValueError("it does not speak USB/IP")
    (count,) = struct.unpack(">I", read(4))
    if count > DEVICES_MAX:
        raise ValueError(f"it says that it has {count} devices")
    return [_device(read) for _ in range(count)]


def _device(read: Callable[[int], bytes]) -> Exported:
    fields = EXPORTED.unpack(read(EXPORTED.size))
    busid = fields[1].rstrip(b"\0").decode("ascii", "replace")
    vendor, product, interfaces = fields[5], fields[6], fields[-1]
    if interfaces > INTERFACES_MAX:
        raise ValueError(f"a device says that it has {interfaces} interfaces")
    return Exported(busid, vendor, product, tuple(read(4)[:3].hex() for _ in range(interfaces)))
