"""What a service's process needs to know to start, as one JSON argument, and how a factory is found by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import msgspec

from controller.bus.endpoints import DEFAULT_BASE_PORT, DEFAULT_HOST, STATION_SERVICES, Endpoints, static_table
from controller.bus.port import Port
from controller.bus.security import Security, station_security
from controller.errors import BoresightError
from controller.services.service import Service
from hal.clock import Clock, ShiftedClock

ServiceFactory = Callable[[Clock, Port, Any, Path], Service]
"""`(clock, port, rig, run_dir) -> Service`; the rig is what the launch's loader returned."""

RIG_LOADER: Final = "hal.rig:load_rig"
REAL_CLOCK: Final = "hal.clock:RealClock"


class LaunchError(BoresightError):
    """A station cannot be put together."""


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """One service of a station. `factory`, `loader` and `clock` are "module:function"."""

    service: str
    factory: str
    rig: str
    run_dir: str
    addresses: dict[str, str] = {}  # resources of emulated devices by rig section; not empty: all is marked `sim`
    loader: str = RIG_LOADER  # called with the rig file and the addresses
    host: str = DEFAULT_HOST
    base_port: int = DEFAULT_BASE_PORT
    services: tuple[str, ...] = STATION_SERVICES
    clock: str = REAL_CLOCK  # called without arguments
    parent: int = 0  # process id of the supervisor; the service ends when it is gone. 0: whoever started it
    utc_offset_ns: int = 0  # not 0: real speed at the epoch of an emulated world, instead of `clock`
    wire_log: str = ""  # folder for the logs of its devices' wires; empty: none is written
    keys: str = ""  # folder of the bus keys; empty: a bus on loopback without keys
    priority: int = 0  # SCHED_FIFO 1 to 99, 0: ordinary scheduling
    cpus: tuple[int, ...] = ()  # that it may run on; empty: all

    def table(self) -> dict[str, Endpoints]:
        """Where everybody listens."""
        return static_table(self.host, self.base_port, self.services, keys=bool(self.keys))

    def security(self) -> Security | None:
        """The station's key and who is listed; None without keys. Raises KeyFileError."""
        return station_security(Path(self.keys)) if self.keys else None

    def make_clock(self) -> Clock:
        """The Clock of every process of this station."""
        made: Clock = ShiftedClock(self.utc_offset_ns) if self.utc_offset_ns else named(self.clock)()
        return made

    def encode(self) -> str:
        """As one command line argument."""
        return msgspec.json.encode(self).decode()


def decode_launch(text: str) -> Launch:
    """The launch in a command line argument. Raises LaunchError."""
    try:
        return msgspec.json.decode(text, type=Launch)
    except msgspec.DecodeError as error:
        raise LaunchError(f"this is no description of a service: {error}") from None


def named(path: str) -> Callable[..., Any]:
    """The function at "module:function". Raises LaunchError naming what is missing."""
    module, _, name = path.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise LaunchError(f"{path!r} is no factory of a service: {error}") from None
    if not callable(found):
        raise LaunchError(f"{path!r} is no factory of a service: it cannot be called")
    return found  # type: ignore[no-any-return]
