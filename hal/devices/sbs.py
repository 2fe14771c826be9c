"""The text stream of ADS-B receivers on port 30003 (SBS-1 BaseStation, dump1090, readsb): trait AircraftFeed.

Source: the public description of the BaseStation socket format: lines of 22 comma-separated fields, of which MSG has
the ICAO address (5th), altitude in feet (12th), ground speed in knots (13th), latitude and longitude in degrees (15th,
16th) and the ground flag (22nd). Its dates and times are the receiver's local time, in no stated zone: a report
counts from when it was read.
"""

from __future__ import annotations

import errno
import ipaddress
import math
import os
import select
import socket

from hal.clock import NS, Clock
from hal.errors import ProtocolError, ResourceError, WireError
from hal.traits import AircraftReport
from hal.wires.address import host_and_port

FORM = "tcp://HOST:PORT"
FOOT_M = 0.3048
KNOT_M_S = 1852 / 3600
ALTITUDE_MAX_FT, SPEED_MAX_KT = 200_000.0, 5_000.0  # more is no aircraft
FIELDS = 22
LINE_BYTES = 512  # longest that is taken
READ_BYTES = 65_536  # at one poll: fifty times what a busy sky sends
CONNECT_NS = 2 * NS
OTHER_KINDS = frozenset({"SEL", "ID", "AIR", "STA", "CLK"})  # of the receiver's screen, not of the sky


class SbsFeed:
    """One connection, made and read without ever waiting."""

    def __init__(self, resource: str, clock: Clock, name: str = "aircraft") -> None:
        """Begin to connect. Raises ResourceError."""
        host, port = host_and_port(resource, name, FORM)
        try:
            family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
        except ValueError:
            # Asking for a name may wait for seconds.
            raise ResourceError(f"{name}: {resource} names its host; write its address in numbers.") from None
        self._name, self._resource, self._clock = name, resource, clock
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._begun_ns = clock.now_ns()
        self._connected = False
        self._rest = b""
        self._heard_ns: int | None = None
        error = self._socket.connect_ex((host, port))
        if error not in (0, errno.EINPROGRESS):
            self._socket.close()
            raise ResourceError(f"{name}: {resource} cannot be reached ({os.strerror(error)}); start the receiver.")

    @property
    def heard_ns(self) -> int | None:
        """When the last whole message of an aircraft was read: in this format an empty sky is as silent as no sky."""
        return self._heard_ns

    def poll(self) -> list[AircraftReport]:
        """Messages that have come. Raises WireError, ProtocolError."""
        if not self._connected and not self._connects():
            return []
        data = self._read()
        if len(data) == READ_BYTES:
            raise ProtocolError(f"{self._name}: {self._resource} sends more than any sky does; check what serves it.")
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_BYTES:
            raise ProtocolError(f"{self._name}: {self._resource} sends no lines; check what serves that port.")
        now_ns = self._clock.now_ns()
        reports = [report for line in lines if (report := self._report(line, now_ns)) is not None]
        if reports:
            self._heard_ns = now_ns
        return reports

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _connects(self) -> bool:
        _, writable, _ = select.select([], [self._socket], [], 0)
        if writable:
            error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise self._lost(os.strerror(error))
            self._connected = True
        elif self._clock.now_ns() - self._begun_ns > CONNECT_NS:
            raise self._lost("no answer")
        return self._connected

    def _read(self) -> bytes:
        data = bytearray()
        while len(data) < READ_BYTES:
            try:
                part = self._socket.recv(READ_BYTES - len(data))
            except BlockingIOError:
                break
            except OSError as error:
                raise self._lost(error.strerror or str(error)) from error
            if not part:
                raise self._lost("hung up")
            data += part
        return bytes(data)

    def _report(self, line: bytes, now_ns: int) -> AircraftReport | None:
        try:
            return parse_sbs(line.decode("ascii").strip(), now_ns)
        except ValueError as error:
            raise ProtocolError(
                f"{self._name}: {self._resource} sent {line[:80]!r} ({error}); check what serves that port."
            ) from error

    def _lost(self, reason: str) -> WireError:
        return WireError(f"{self._name}: {self._resource} is lost ({reason}); start the receiver.")


def parse_sbs(line: str, t_ns: int) -> AircraftReport | None:
    """One line as a report; None for an empty line and for those that are of no aircraft in the sky.

    Raises ValueError.
    """
    if not line:
        return None
    cells = line.split(",")
    if cells[0] in OTHER_KINDS:
        return None
    if cells[0] != "MSG" or len(cells) != FIELDS:
        raise ValueError(f"no MSG of {FIELDS} fields")
    address = cells[4].upper()
    if len(address) != 6 or not all(digit in "0123456789ABCDEF" for digit in address):
        raise ValueError("no ICAO address")
    altitude_ft, speed_kt = _number(cells[11], ALTITUDE_MAX_FT), _number(cells[12], SPEED_MAX_KT)
    return AircraftReport(
        t_ns,
        address,
        latitude_deg=_number(cells[14], 90.0),
        longitude_deg=_number(cells[15], 180.0),
        altitude_m=None if altitude_ft is None else altitude_ft * FOOT_M,
        speed_m_s=None if speed_kt is None else speed_kt * KNOT_M_S,
        on_ground=None if not cells[21] else cells[21] not in ("0", "false"),
    )


def _number(cell: str, largest: float) -> float | None:
    if not cell:
        return None
    value = float(cell)
    if not math.isfinite(value) or abs(value) > largest:
        raise ValueError(f"{cell} is out of range")
    return value
