"""Opens what a rig file names, by its scheme; with a log where one is wanted, out of a log where it says replay://."""

from __future__ import annotations

from difflib import get_close_matches
from importlib.util import find_spec

import serial

from hal.clock import Clock
from hal.errors import DeviceError, HalError, ResourceError, WireError
from hal.wires.logged import LoggedStream, LoggedText, LoggedUsb
from hal.wires.replay import ReplayStream, ReplayText
from hal.wires.serial import SerialWire
from hal.wires.stream import StreamWire
from hal.wires.tcp import TcpWire
from hal.wires.text import TextWire
from hal.wires.udp import UdpWire
from hal.wires.usb import UsbWire, find, release
from hal.wires.wirelog import is_replay, log_of

STREAMS = ("serial://", "socket://", "rfc2217://", "tcp://", "http://", "udp://", "replay://")


def open_stream(resource: str, clock: Clock, name: str, *, baud: int = 0, framing: str = "8N1") -> StreamWire:
    """Open a byte stream by its scheme; what is none of STREAMS is left to pyserial, which finds handlers by name.

    `baud` and `framing` are of serial lines. Raises ResourceError, for a scheme that nobody knows with the nearest.
    """
    if is_replay(resource):
        return ReplayStream(resource, clock, name)
    if "://" in resource and not resource.startswith(STREAMS) and not _has_handler(resource):
        scheme = resource.partition("://")[0] + "://"
        near = get_close_matches(scheme, STREAMS, 1)
        raise ResourceError(
            f'{name}: "{resource}" begins with no scheme that is known{f"; did you mean {near[0]}?" if near else ""} '
            f"There are {', '.join(STREAMS)}; correct the rig file, [{name}] resource."
        )
    log = log_of(name, clock, resource=resource, kind="stream", baud=baud, framing=framing)
    try:
        wire: StreamWire
        if resource.startswith(("tcp://", "http://")):
            wire = TcpWire(resource, clock, name)
        elif resource.startswith("udp://"):
            wire = UdpWire(resource, clock, name)
        else:
            wire = SerialWire(resource, baud, clock, name, framing)
    except HalError as error:
        if log is not None:
            log.failed(error)
            log.close()
        raise
    return wire if log is None else LoggedStream(wire, clock, log)


def _has_handler(resource: str) -> bool:
    """Whether pyserial finds a handler for a URL, as it does for emulated lines."""
    module = ".protocol_" + resource.partition("://")[0].lower()
    return any(find_spec(module, package) is not None for package in serial.protocol_handler_packages)


def open_usb(resource: str, name: str, clock: Clock) -> UsbWire:
    """Open the one USB device that `resource` names.

    Raises ResourceError: no such device, more than one, busy, no permission, libusb missing, unknown scheme.
    """
    device = find(resource, name, clock)
    try:
        log = None if is_replay(resource) else log_of(name, clock)
        return UsbWire(device, name, resource) if log is None else LoggedUsb(device, name, resource, clock, log)
    except (WireError, DeviceError) as error:
        release(device)
        raise ResourceError(str(error)) from error
    except BaseException:
        release(device)
        raise


def open_text(resource: str, clock: Clock, name: str, timeout_s: float = 1.0) -> TextWire:
    """Open a wire of messages: VISA. Raises ResourceError."""
    from hal.wires.visa import VisaWire  # a third of a second: only where an instrument is opened

    if is_replay(resource):
        return ReplayText(resource, clock, name)
    log = log_of(name, clock, resource=resource, kind="text")
    try:
        wire = VisaWire(resource, clock, name, timeout_s)
    except HalError as error:
        if log is not None:
            log.failed(error)
            log.close()
        raise
    return wire if log is None else LoggedText(wire, clock, log)
