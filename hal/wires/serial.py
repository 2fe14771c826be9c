"""Bytes over a serial line, or over anything that pyserial reaches by a URL.

Drivers above see a few calls and the errors of `hal.errors`; nothing of pyserial, termios or sockets leaks. Time-outs
are pyserial's own: real seconds on a real port, simulated seconds where the URL's handler keeps simulated time.
"""

from __future__ import annotations

import errno
import socket
import termios
from contextlib import suppress
from typing import Any

import serial

from hal.clock import Clock
from hal.errors import ResourceError, WireError, WireTimeout
from hal.wires.stream import StreamWire

REAL_PORT = "serial://"
WRITE_TIMEOUT_S = 2.0  # a peer that stops reading must not block a loop for ever

_OPENING = {
    errno.ENOENT: 'does not exist; plug the device in or name its port in the rig file, [{name}] resource = "serial:///dev/..."',
    errno.ENODEV: "is not there any more; plug the device in again",
    errno.EIO: "has no device behind it; plug the device in again",
    errno.ENXIO: "has no device behind it; plug the device in again",
    errno.EBUSY: "is busy; close the other program that uses it",
    errno.EAGAIN: "is busy; close the other program that uses it",
    errno.EACCES: "may not be opened by this user; install udev/60-boresight.rules and plug the device in again",
    errno.EPERM: "may not be opened by this user; install udev/60-boresight.rules and plug the device in again",
    errno.ENOTTY: "is not a serial port; name another in the rig file, [{name}] resource",
    errno.ECONNREFUSED: "refuses the connection; start what serves it, or correct the rig file, [{name}] resource",
    errno.EISDIR: "is not a serial port; name another in the rig file, [{name}] resource",
}


class SerialWire(StreamWire):
    """One open line, 8N1.

    `resource` is `serial:///dev/...` for a port of this machine (opened exclusively) or any pyserial URL
    (`socket://host:port`, `rfc2217://host:port`). `name` is the device's name in messages.
    Raises ResourceError when it cannot be opened.
    """

    def __init__(self, resource: str, baud: int, clock: Clock, name: str) -> None:
        super().__init__(resource, clock, name, baud)
        self._where = resource.removeprefix(REAL_PORT)
        self._hal_errors = _HalErrors(name, self._where)
        self._port = self._open()

    @property
    def where(self) -> str:
        """The port or URL."""
        return self._where

    def write(self, data: bytes) -> None:
        """Send all of `data`. Raises WireError on hang-up, WireTimeout when the peer does not take it."""
        with self._hal_errors:
            self._port.write(data)

    def close(self) -> None:
        """Close the port; a port that has gone away is closed, too."""
        with suppress(serial.SerialException, OSError):
            self._port.close()

    def _open(self) -> Any:
        real = self.resource.startswith(REAL_PORT)
        if not real and "://" not in self.resource:
            raise ResourceError(
                f'{self.name}: "{self.resource}" is no serial resource; write serial:///dev/..., socket://HOST:PORT or '
                f"rfc2217://HOST:PORT in the rig file, [{self.name}] resource."
            )
        options: dict[str, Any] = {"exclusive": True} if real else {}
        try:
            port = serial.serial_for_url(
                self._where, baudrate=self.baud, timeout=0, write_timeout=WRITE_TIMEOUT_S, **options
            )
        except (serial.SerialException, OSError, ValueError, termios.error) as error:
            raise ResourceError(self._why_not_open(error)) from error
        tcp = getattr(port, "_socket", None)
        if isinstance(tcp, socket.socket):  # pyserial leaves Nagle's algorithm on: 40 ms on every short request
            tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return port

    def _why_not_open(self, error: Exception) -> str:
        code = _errno(error) or _errno(error.__context__)
        if code in _OPENING:
            return f"{self.name}: {self._where} {_OPENING[code].format(name=self.name)}."
        reason = str(error).rstrip(".")
        return f"{self.name}: cannot open {self._where}: {reason}; check the resource in the rig file, [{self.name}]."

    def _take(self, n: int, timeout_s: float) -> bytes:
        with self._hal_errors:
            if self._port.timeout != timeout_s:
                self._port.timeout = timeout_s
            return bytes(self._port.read(n))

    def _take_waiting(self, n: int) -> bytes:
        """`n` bytes that are there already; leaves the time-out alone, which costs a negotiation on rfc2217."""
        with self._hal_errors:
            return bytes(self._port.read(n))

    def _waiting(self) -> int:
        with self._hal_errors:
            return int(self._port.in_waiting)

    def _check(self) -> str:
        return f"its power, cable and baud rate ({self.baud})"


class _HalErrors:
    """Inside of `with`, pyserial's errors become hal's. (A class: entered for every read, it must cost nothing.)"""

    __slots__ = ("_name", "_where")

    def __init__(self, name: str, where: str) -> None:
        self._name, self._where = name, where

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, serial.SerialTimeoutException):
            raise WireTimeout(
                f"{self._name}: {self._where} took no bytes for {WRITE_TIMEOUT_S:g} s; check flow control and cable."
            ) from error
        # TypeError: pyserial's own answer to a port that another thread has just closed
        if isinstance(error, (serial.SerialException, OSError, TypeError, termios.error)):
            raise WireError(
                f"{self._name}: {self._where} hung up ({error}); check its cable and power, then start it again."
            ) from error


def _errno(error: BaseException | None) -> int | None:
    """The system's error number behind an error of pyserial, if there is one."""
    number = error.args[0] if isinstance(error, termios.error) else getattr(error, "errno", None)
    return number if isinstance(number, int) else None
