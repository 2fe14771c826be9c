"""Bytes over a serial line, or over anything that pyserial reaches by a URL.

Drivers above see a few calls and the errors of `hal.errors`; nothing of pyserial, termios or sockets leaks. Time-outs
are pyserial's own: real seconds on a real port, simulated seconds where the URL's handler keeps simulated time.
"""

from __future__ import annotations

import errno
import socket
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import serial

from hal.clock import Clock, Deadline
from hal.errors import ResourceError, WireError, WireTimeout
from hal.wires.stream import StreamWire

REAL_PORT = "serial://"
NO_MODEM_LINES = ("socket://", "simhw://")
PARITIES = "NEOMS"
SLICE_S = 0.01
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


@dataclass(frozen=True, slots=True)
class ModemLines:
    """Inputs of a serial port, as the device drives them."""

    cts: bool
    dsr: bool
    dcd: bool
    ri: bool


class SerialWire(StreamWire):
    """One open line.

    `resource` is `serial:///dev/...` for a port of this machine (opened exclusively) or any pyserial URL
    (`socket://host:port`, `rfc2217://host:port`). `framing` is data bits, parity (N, E, O, M, S) and stop bits in one
    word, as 8N1 or 7E1. `name` is the device's name in messages. Raises ResourceError when it cannot be opened.
    """

    def __init__(self, resource: str, baud: int, clock: Clock, name: str, framing: str = "8N1") -> None:
        super().__init__(resource, clock, name, baud)
        self._where = resource.removeprefix(REAL_PORT)
        self._framing = framing
        self._negotiates = resource.startswith("rfc2217://")
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

    def set_dtr(self, on: bool) -> None:
        """Set Data Terminal Ready. Raises WireError, also on a port without modem lines (a pty, a raw socket)."""
        with self._modem_lines():
            self._port.dtr = on

    def set_rts(self, on: bool) -> None:
        """Set Request To Send. Raises as `set_dtr`."""
        with self._modem_lines():
            self._port.rts = on

    def modem_lines(self) -> ModemLines:
        """What the device says on its modem lines. Raises as `set_dtr`."""
        with self._modem_lines():
            port = self._port
            return ModemLines(cts=port.cts, dsr=port.dsr, dcd=port.cd, ri=port.ri)

    def send_break(self, duration_s: float = 0.25) -> None:
        """Hold the line at space; blocks for as long. Raises as `set_dtr`; a pty takes it and nothing arrives."""
        with self._modem_lines():
            self._port.send_break(duration_s)

    @contextmanager
    def _modem_lines(self) -> Iterator[None]:
        if self._where.startswith(NO_MODEM_LINES):
            raise self._no_modem_lines()
        try:
            yield
        except (OSError, NotImplementedError) as error:
            if isinstance(error, NotImplementedError) or _errno(error) in (errno.ENOTTY, errno.EINVAL):
                raise self._no_modem_lines() from error
            raise WireError(
                f"{self.name}: {self._where} hung up ({error}); check its cable and power, then start it again."
            ) from error

    def _no_modem_lines(self) -> WireError:
        return WireError(
            f"{self.name}: {self._where} has no modem lines; name a real port or rfc2217://HOST:PORT in the rig file, "
            f"[{self.name}] resource."
        )

    def close(self) -> None:
        """Close the port; a port that has gone away is closed, too."""
        # pyserial forgets to close a socket whose peer has hung up: it fails at shutting it down first
        tcp = getattr(self._port, "_socket", None)
        with suppress(serial.SerialException, OSError):
            self._port.close()
        if isinstance(tcp, socket.socket):
            tcp.close()

    def _open(self) -> Any:
        real = self.resource.startswith(REAL_PORT)
        if not real and "://" not in self.resource:
            raise ResourceError(
                f'{self.name}: "{self.resource}" is no serial resource; write serial:///dev/..., socket://HOST:PORT or '
                f"rfc2217://HOST:PORT in the rig file, [{self.name}] resource."
            )
        options: dict[str, Any] = {"exclusive": True} if real else {}
        options |= _framing(self._framing, self.name)
        if self._negotiates:  # it has no write time-out, and every change of a setting is asked of the far end
            options["timeout"] = SLICE_S
        else:
            options |= {"timeout": 0, "write_timeout": WRITE_TIMEOUT_S}
        try:
            port = serial.serial_for_url(self._where, baudrate=self.baud, **options)
        except (serial.SerialException, OSError, ValueError, termios.error) as error:
            raise ResourceError(self._why_not_open(error)) from error
        if real and not _kept(port, self._framing):
            port.close()
            raise ResourceError(self._cannot_do_framing())
        tcp = getattr(port, "_socket", None)
        if isinstance(tcp, socket.socket):  # pyserial leaves Nagle's algorithm on: 40 ms on every short request
            tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return port

    def _why_not_open(self, error: Exception) -> str:
        code = _errno(error) or _errno(error.__context__)
        if code == errno.EINVAL and self._framing != "8N1":
            return self._cannot_do_framing()
        if code in _OPENING:
            return f"{self.name}: {self._where} {_OPENING[code].format(name=self.name)}."
        reason = str(error).rstrip(".")
        return f"{self.name}: cannot open {self._where}: {reason}; check the resource in the rig file, [{self.name}]."

    def _cannot_do_framing(self) -> str:
        return (
            f"{self.name}: {self._where} cannot do {self._framing} (a pseudo-terminal cannot); name a real port "
            f"or rfc2217://HOST:PORT in the rig file, [{self.name}] resource."
        )

    def _take(self, n: int, timeout_s: float) -> bytes:
        with self._hal_errors:
            if self._negotiates:
                return self._take_in_slices(n, timeout_s)
            if self._port.timeout != timeout_s:
                self._port.timeout = timeout_s
            return bytes(self._port.read(n))

    def _take_in_slices(self, n: int, timeout_s: float) -> bytes:
        """Reads of a fixed time-out, because changing it costs a tenth of a second."""
        deadline = Deadline(self._clock, timeout_s)
        data = bytes(self._port.read(min(n, max(1, self._port.in_waiting))))
        while len(data) < n and not deadline.expired:
            data += bytes(self._port.read(min(n - len(data), max(1, self._port.in_waiting))))
        return data

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


def _framing(word: str, name: str) -> dict[str, Any]:
    """pyserial's options of a framing like 7E1. Raises ResourceError."""
    bits, parity, stop = word[:1], word[1:2].upper(), word[2:]
    if bits not in ("5", "6", "7", "8") or parity not in PARITIES or not parity or stop not in ("1", "1.5", "2"):
        raise ResourceError(
            f'{name}: "{word}" is no framing; write data bits, parity and stop bits, as 8N1 or 7E1, in the rig file, '
            f"[{name}] framing."
        )
    return {"bytesize": int(bits), "parity": parity, "stopbits": float(stop) if stop == "1.5" else int(stop)}


def _kept(port: Any, framing: str) -> bool:
    """Whether the port kept what it was set to: some kernels drop what they cannot do without a word."""
    flags = termios.tcgetattr(port.fileno())[2]
    size = {"5": termios.CS5, "6": termios.CS6, "7": termios.CS7, "8": termios.CS8}[framing[0]]
    return flags & termios.CSIZE == size and bool(flags & termios.PARENB) == (framing[1].upper() != "N")


def _errno(error: BaseException | None) -> int | None:
    """The system's error number behind an error of pyserial, if there is one."""
    number = error.args[0] if isinstance(error, termios.error) else getattr(error, "errno", None)
    return number if isinstance(number, int) else None
