"""A client of the running station that a rig file describes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.rig import emulated_devices
from hal.rig import Rig, load_rig

if TYPE_CHECKING:  # the bus is loaded by those who go there
    from controller.bus.client import Client
    from controller.bus.endpoints import Endpoints
    from controller.bus.port import Sample
    from controller.bus.security import Security
    from controller.bus.socket_port import SocketPort
    from controller.bus.topics import ModeState
    from hal.clock import Clock

DEFAULT_RIG = Path(__file__).parents[1] / "data" / "rigs" / "ogs.toml"
DEFAULT_RUN_DIR = Path("runs/emulated")
OPERATOR = "operator"
ANSWER_S = 2.0  # a running station answers in milliseconds
RigOption = Annotated[Path, typer.Option("--rig", help="Rig file, TOML; its bus section says where the station is.")]
PreemptOption = Annotated[
    bool, typer.Option("--preempt", help="Take the lease from whoever holds it; supervisors only.")
]
RunDirOption = Annotated[
    Path, typer.Option("--run-dir", help="Folder of addresses, recordings, logs and the last calibration.")
]


def read_rig(path: Path) -> Rig:
    """The rig as its file has it, without opening anything. Raises RigError."""
    return load_rig(path, dict.fromkeys(emulated_devices(path), ""))


def key_folder(rig: Rig) -> Path | None:
    """The folder that [bus] keys names, beside the rig file; None without keys."""
    return rig.path.parent / rig.bus.keys if rig.bus.keys else None


def table_of(rig: Rig) -> dict[str, Endpoints]:
    """Where the services of a station with this rig listen. Raises BusError when that is neither loopback nor keyed."""
    from controller.bus.endpoints import static_table

    return static_table(rig.bus.host, rig.bus.base_port, keys=bool(rig.bus.keys))


def operator_security(rig: Rig) -> Security | None:
    """The key of whoever types a command; None without keys. Raises KeyFileError."""
    from controller.bus.security import client_security

    folder = key_folder(rig)
    return client_security(folder, rig.bus.key) if folder is not None else None


def service_security(rig: Rig) -> Security | None:
    """The key of the station's services; None without keys. Raises KeyFileError."""
    from controller.bus.security import station_security

    folder = key_folder(rig)
    return station_security(folder) if folder is not None else None


def connect(rig: Rig, name: str = "cli") -> Client:
    """A client; it connects to whatever runs there, now or later.

    Raises:
        BusError: [bus] is neither on loopback nor has keys, or a key file is missing, wrong or open to others.
    """
    from controller.bus.client import Client

    return Client(table_of(rig), name, security=operator_security(rig))


@contextmanager
def operating(rig: Rig, clock: Clock, stopped: Callable[[], bool]) -> Iterator[SocketPort]:
    """An operator's port for a procedure of many steps. `clock` has the station's UTC; `stopped` ends what waits."""
    from controller.bus.endpoints import DEFAULT_HOST, Endpoints
    from controller.bus.socket_port import SocketPort

    anywhere = f"tcp://{DEFAULT_HOST}:0"
    table = {**table_of(rig), OPERATOR: Endpoints(anywhere, anywhere, anywhere)}
    port = SocketPort(OPERATOR, clock, table, bool(rig.emulated), stopped, security=operator_security(rig))
    try:
        yield port
    finally:
        port.close()


def station_answers(client: Client, rig: Rig, timeout_s: float | None = None) -> Sample[ModeState]:
    """The station's mode, as proof that it runs.

    Raises:
        BusError: no station sends within `timeout_s` (2 s); names the address and the command that starts one.
    """
    from controller.bus.envelope import BusError
    from controller.bus.topics import STATION_MODE

    sample = client.wait_for(STATION_MODE, "station", ANSWER_S if timeout_s is None else timeout_s)
    if sample is None:
        refused = ", or it does not list this key: see `boresight keys list` there" if rig.bus.keys else ""
        raise BusError(
            f"no station answers at {rig.bus.host}:{rig.bus.base_port}; start one with `boresight run --rig "
            f"{rig.path}`{refused}"
        )
    return sample
