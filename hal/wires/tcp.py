"""A byte stream over TCP, for devices that speak it themselves: `tcp://HOST:PORT`, `http://HOST:PORT/PATH`."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress

from hal.clock import NS, Clock
from hal.errors import ResourceError, WireError, WireTimeout
from hal.wires.address import host_and_port
from hal.wires.stream import StreamWire

CONNECT_TIMEOUT_S = 2.0
WRITE_TIMEOUT_S = 2.0
KEEPALIVE_S = 5  # after which a silent peer is asked whether it is there, and three times as long until it is lost
READ_BYTES = 65_536
WAITING_BYTES = 1 << 20  # more is left where it is: a peer that never ends would keep us for ever


class TcpWire(StreamWire):
    """One connection. Raises ResourceError when nobody answers.

    A peer that vanished without a word (power, cable) is noticed after about 20 s by keep-alive, or by the time-out of
    whoever waits for a reply.
    """

    def __init__(self, resource: str, clock: Clock, name: str) -> None:
        super().__init__(resource, clock, name)
        host, port = host_and_port(resource, name, f"{resource.partition('://')[0]}://HOST:PORT")
        try:
            self._socket = socket.create_connection((host, port), CONNECT_TIMEOUT_S)
        except OSError as error:
            raise ResourceError(_why_not_open(error, name, resource)) from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):
            if hasattr(socket, option):
                self._socket.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), KEEPALIVE_S)
        self._come = bytearray()  # read from the socket, taken by nobody yet
        self._ended: WireError | None = None

    def write(self, data: bytes) -> None:
        """Send all of `data`. Raises WireError on hang-up, WireTimeout when the peer does not take it in 2 s."""
        try:
            self._socket.settimeout(WRITE_TIMEOUT_S)
            self._socket.sendall(data)
        except TimeoutError as error:
            raise WireTimeout(
                f"{self.name}: {self.resource} took no bytes for {WRITE_TIMEOUT_S:g} s; restart what serves it."
            ) from error
        except OSError as error:
            raise self._lost(error) from error

    def close(self) -> None:
        """Close the connection."""
        with suppress(OSError):
            self._socket.close()

    def _take(self, n: int, timeout_s: float) -> bytes:
        deadline_ns = self._clock.now_ns() + round(timeout_s * NS)
        while len(self._come) < n:
            left_s = (deadline_ns - self._clock.now_ns()) / NS
            if not self._receive(max(0.0, left_s)) and left_s <= 0:
                break
        return self._take_waiting(n)

    def _take_waiting(self, n: int) -> bytes:
        data = bytes(self._come[:n])
        del self._come[:n]
        return data

    def _waiting(self) -> int:
        while len(self._come) < WAITING_BYTES and self._receive(0.0):
            pass
        return len(self._come)

    def _receive(self, timeout_s: float) -> bool:
        """Read once; False when nothing came. What came before a hang-up is handed over before that is told."""
        if self._ended is not None:
            if self._come:
                return False
            raise self._ended
        try:
            self._socket.settimeout(timeout_s)
            data = self._socket.recv(READ_BYTES)
        except (BlockingIOError, TimeoutError):
            return False
        except OSError as error:
            self._ended = self._lost(error)
            return self._receive(0.0)
        if not data:
            self._ended = self._lost(None)
            return self._receive(0.0)
        self._come += data
        return True

    def _lost(self, error: OSError | None) -> WireError:
        reason = f" ({error.strerror or error})" if error is not None else ""
        return WireError(f"{self.name}: {self.resource} hung up{reason}; start what serves it, then start it again.")

    def _check(self) -> str:
        return "that the device behind it is on"


def _why_not_open(error: OSError, name: str, resource: str) -> str:
    rig = f"correct the rig file, [{name}] resource"
    if error.errno == errno.ECONNREFUSED:
        return f"{name}: {resource} refuses the connection; start what serves it, or {rig}."
    if isinstance(error, socket.gaierror):
        return f"{name}: the host of {resource} is not known; {rig}."
    if isinstance(error, TimeoutError):
        return f"{name}: {resource} does not answer within {CONNECT_TIMEOUT_S:g} s; check network and power, or {rig}."
    return f"{name}: {resource} cannot be reached ({error.strerror or error}); check the network, or {rig}."
