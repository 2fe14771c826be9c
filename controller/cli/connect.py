"""A client of the running station that a rig file describes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from controller.bus.client import Client
from controller.bus.endpoints import Endpoints, static_table
from controller.bus.envelope import BusError
from controller.bus.port import Sample
from controller.bus.socket_port import SocketPort
from controller.bus.topics import STATION_MODE, ModeState
from controller.cli.rig import emulated_devices
from hal.clock import Clock
from hal.rig import Rig, load_rig

DEFAULT_RIG = Path(__file__).parents[1] / "data" / "rigs" / "ogs.toml"
DEFAULT_RUN_DIR = Path("runs/emulated")
OPERATOR = "operator"
ANSWER_S = 2.0  # a running station answers in milliseconds
RigOption = Annotated[Path, typer.Option("--rig", help="Rig file, TOML; its [bus] says where the station is.")]
RunDirOption = Annotated[
    Path, typer.Option("--run-dir", help="Folder of addresses, recordings, logs and the last calibration.")
]


def read_rig(path: Path) -> Rig:
    """The rig as its file has it, without opening anything. Raises RigError."""
    return load_rig(path, dict.fromkeys(emulated_devices(path), ""))


def connect(rig: Rig, name: str = "cli") -> Client:
    """A client; it connects to whatever runs there, now or later. Raises BusError when [bus] is not on loopback."""
    return Client(static_table(rig.bus.host, rig.bus.base_port), name)


@contextmanager
def operating(rig: Rig, clock: Clock, stopped: Callable[[], bool]) -> Iterator[SocketPort]:
    """An operator's port for a procedure of many steps. `clock` has the station's UTC; `stopped` ends what waits."""
    anywhere = f"tcp://{rig.bus.host}:0"
    table = {**static_table(rig.bus.host, rig.bus.base_port), OPERATOR: Endpoints(anywhere, anywhere, anywhere)}
    port = SocketPort(OPERATOR, clock, table, simulated=bool(rig.emulated), stop_wanted=stopped)
    try:
        yield port
    finally:
        port.close()


def station_answers(client: Client, rig: Rig, timeout_s: float | None = None) -> Sample[ModeState]:
    """The station's mode, as proof that it runs.

    Raises:
        BusError: no station sends within `timeout_s` (2 s); names the address and the command that starts one.
    """
    sample = client.wait_for(STATION_MODE, "station", ANSWER_S if timeout_s is None else timeout_s)
    if sample is None:
        raise BusError(
            f"no station answers at {rig.bus.host}:{rig.bus.base_port}; start one with `boresight run --rig {rig.path}`"
        )
    return sample
