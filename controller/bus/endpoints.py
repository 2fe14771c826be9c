"""Where the services of a station listen: a static table from the rig's [bus] section, on loopback."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from controller.bus.envelope import BusError

STATION_SERVICES: Final = (
    "supervisor",
    "station",
    "pointing",
    "tracking",
    "safety",
    "link",
    "recorder",
    "bench",
)
DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_BASE_PORT: Final = 5560
CHANNELS: Final = 3  # cmd, ctl, tlm


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The three sockets of one service."""

    cmd: str
    ctl: str
    tlm: str


Table = Mapping[str, Endpoints]


def registry_endpoint(host: str = DEFAULT_HOST, base_port: int = DEFAULT_BASE_PORT) -> str:
    """The fixed address at which one may ask who is where."""
    return _tcp(host, base_port)


def static_table(
    host: str = DEFAULT_HOST,
    base_port: int = DEFAULT_BASE_PORT,
    services: Sequence[str] = STATION_SERVICES,
    keys: bool = False,
) -> dict[str, Endpoints]:
    """Endpoints of all services: three ports each, in the order of `services`, after the registry's.

    Raises:
        BusError: without `keys`, the host is not a loopback address; or the ports do not fit.
    """
    if not keys:
        refuse_remote(host)
    last = base_port + CHANNELS * len(services)
    if base_port < 1 or last > 65535:
        raise BusError(
            f"[bus] base_port {base_port} leaves no room for ports up to {last}: choose one from 1024 to 60000"
        )
    ports = (base_port + 1 + CHANNELS * index for index in range(len(services)))
    return {
        name: Endpoints(_tcp(host, port), _tcp(host, port + 1), _tcp(host, port + 2))
        for name, port in zip(services, ports, strict=True)
    }


def refuse_remote(host: str) -> None:
    """Without keys only loopback may be bound.

    Raises:
        BusError: the host is another address, or a name other than localhost.
    """
    if host == "localhost":
        return
    try:
        if ipaddress.ip_address(host.strip("[]")).is_loopback:
            return
    except ValueError:
        pass
    raise BusError(
        f"[bus] host {host!r} is not a loopback address, and the bus has no keys: anybody on that network could "
        "command this station; make keys with `boresight keys make` and name their folder in [bus] keys, or use "
        'host = "127.0.0.1"'
    )


def host_of(endpoint: str) -> str:
    """Host part of a tcp endpoint. Raises BusError when it is no tcp endpoint."""
    scheme, _, rest = endpoint.partition("://")
    host, _, port = rest.rpartition(":")
    if scheme != "tcp" or not host or not port:
        raise BusError(f"{endpoint!r} is no endpoint like tcp://127.0.0.1:5561")
    return host


def reached_through(endpoint: str, door: str) -> str:
    """An endpoint that is bound on every address of a machine, as seen by who has reached that machine at `door`."""
    if host_of(endpoint) not in {"0.0.0.0", "[::]"}:
        return endpoint
    return f"tcp://{host_of(door)}:{endpoint.rpartition(':')[2]}"


def _tcp(host: str, port: int) -> str:
    return f"tcp://{host}:{port}"
