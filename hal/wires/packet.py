"""Packets with boundaries: `udp://HOST:PORT`, and `unix://PATH` (SOCK_SEQPACKET) to another process of this machine.

A datagram is whole or lost. UDP says nothing of a peer that is not there, but for a refusal that the network may send
back; a SEQPACKET connection hangs up.
"""

from __future__ import annotations

import errno
import socket
from contextlib import suppress

from hal.clock import NS, Clock
from hal.errors import ProtocolError, ResourceError, WireError, WireTimeout
from hal.wires.address import host_and_port

UDP_PAYLOAD_MAX = 65_507  # IPv4: 65535 less the headers
SEQPACKET_MAX = 200_000  # what fits the kernel's default socket buffer
DRAIN_PACKETS = 4096
OPEN_TIMEOUT_S = WRITE_TIMEOUT_S = 2.0


class PacketWire:
    """One connected socket; what others than the peer send is never seen (the kernel filters).

    `name` is the device's name in messages. Raises ResourceError when it cannot be opened.
    """

    def __init__(self, resource: str, clock: Clock, name: str) -> None:
        self.resource = resource
        self.name = name
        self._clock = clock
        scheme, _, path = resource.partition("://")
        if scheme not in ("udp", "unix"):
            raise ResourceError(
                f'{name}: "{resource}" carries no packets; write udp://HOST:PORT or unix://PATH in the rig file, '
                f"[{name}] resource."
            )
        self.packet_max = UDP_PAYLOAD_MAX if scheme == "udp" else SEQPACKET_MAX
        try:
            self._socket = self._connected(scheme, path)
        except OSError as error:
            if isinstance(error, ResourceError):
                raise
            raise ResourceError(
                f"{name}: {resource} cannot be reached ({error.strerror or error}); start what serves it, or "
                f"correct the rig file, [{name}] resource."
            ) from error

    def send(self, data: bytes) -> None:
        """Send one packet. Raises ProtocolError when it is too long, WireError, WireTimeout when nobody takes it."""
        if len(data) > self.packet_max:
            raise ProtocolError(f"{self.name}: a packet of {len(data)} bytes is longer than {self.packet_max}.")
        self._socket.settimeout(WRITE_TIMEOUT_S)
        try:
            self._socket.send(data)
        except TimeoutError as error:
            raise WireTimeout(f"{self.name}: {self.resource} takes no packets; restart what serves it.") from error
        except OSError as error:
            raise self._lost(error) from error

    def receive(self, timeout_s: float) -> bytes:
        """The next packet, whole. Raises WireTimeout when none comes in time, WireError when the peer is gone."""
        deadline_ns = self._clock.now_ns() + round(timeout_s * NS)
        self._socket.settimeout(max(0.0, (deadline_ns - self._clock.now_ns()) / NS))
        try:
            data, _, flags, _ = self._socket.recvmsg(self.packet_max)
        except (TimeoutError, BlockingIOError) as error:
            raise WireTimeout(
                f"{self.name}: no packet came from {self.resource} within {timeout_s:g} s; check that it is on."
            ) from error
        except OSError as error:
            raise self._lost(error) from error
        if not data and self._socket.type == socket.SOCK_SEQPACKET:
            raise self._lost(None)
        if flags & socket.MSG_TRUNC:
            raise ProtocolError(f"{self.name}: {self.resource} sent a packet of more than {self.packet_max} bytes.")
        return data

    def drain(self) -> int:
        """Drop what has come; returns how many packets. Stops after 4096: a babbling device cannot hold a loop."""
        for count in range(DRAIN_PACKETS):
            try:
                self.receive(0.0)
            except WireTimeout:
                return count
            except ProtocolError:
                continue
        return DRAIN_PACKETS

    def close(self) -> None:
        """Close the socket."""
        with suppress(OSError):
            self._socket.close()

    def _connected(self, scheme: str, path: str) -> socket.socket:
        if scheme == "udp":
            host, port = host_and_port(self.resource, self.name, "udp://HOST:PORT")
            family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        else:
            family, kind, address = socket.AF_UNIX, socket.SOCK_SEQPACKET, path  # type: ignore[assignment]
        made = socket.socket(family, kind)
        try:
            made.settimeout(OPEN_TIMEOUT_S)
            made.connect(address)
        except BaseException:
            made.close()
            raise
        return made

    def _lost(self, error: OSError | None) -> WireError:
        if error is not None and error.errno == errno.ECONNREFUSED:
            return WireError(f"{self.name}: nobody listens at {self.resource}; start what serves it.")
        reason = f" ({error.strerror or error})" if error is not None else ""
        return WireError(f"{self.name}: {self.resource} hung up{reason}; start what serves it, then start it again.")
