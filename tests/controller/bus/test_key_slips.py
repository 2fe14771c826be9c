"""A key folder that is wrong for a moment, a listed key that fills every place: the station speaks again after both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq

from controller.bus.client import Client
from controller.bus.endpoints import Table
from controller.bus.gatekeeper import GUESTS_MAX
from controller.bus.keys import make_key, make_station_key, read_key, station_public
from controller.bus.security import client_security, dial_as, station_security
from controller.bus.topics import SERVICE_HEARTBEAT
from hal.clock import Deadline, RealClock

CLOCK = RealClock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "keys"
    make_station_key(made)
    for name, role in (("anna", "operator"), ("eve", "observer")):
        make_key(made, name, role)  # type: ignore[arg-type]
    return made


@contextmanager
def wrong(folder: Path, how: str) -> Iterator[None]:
    if how == "away":
        folder.rename(folder.with_name("elsewhere"))
        yield
        folder.with_name("elsewhere").rename(folder)
    else:
        (folder / how).chmod(0o644)
        yield
        (folder / how).chmod(0o600)


def heard(anna: Client, seconds: float) -> bool:
    """Whether a heartbeat comes that is sent from now on."""
    deadline, now_ns = Deadline(CLOCK, seconds), CLOCK.utc_ns()
    while not deadline.expired:
        if any(one.topic == SERVICE_HEARTBEAT.name and one.sent_utc_ns > now_ns for one in anna.samples(0.05)):
            return True
    return False


@pytest.mark.parametrize("how", ["away", "anna.public"])
def test_telemetry_comes_back_when_a_key_folder_that_was_wrong_is_right_again(
    table: Table, toy: Callable[..., Any], folder: Path, tmp_path: Path, how: str
) -> None:
    security = client_security(folder, "anna")
    with toy("link", security=station_security(folder)), Client(table, security=security) as anna:
        anna.subscribe(SERVICE_HEARTBEAT)
        assert heard(anna, 5.0)
        with wrong(folder, how):
            deadline = Deadline(CLOCK, 10.0)
            while heard(anna, 0.5):
                assert not deadline.expired, "whoever is listed no more hears no more"
        assert heard(anna, 10.0)


def test_a_listed_key_that_fills_every_place_is_out_with_its_key(
    table: Table, toy: Callable[..., Any], folder: Path
) -> None:
    eve, station = read_key(folder / "eve.secret"), station_public(folder)
    with ExitStack() as stack:
        stack.enter_context(toy("link", security=station_security(folder)))
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        context.set(zmq.MAX_SOCKETS, 4 * GUESTS_MAX)
        stack.callback(context.destroy, 0)
        held = [context.socket(zmq.DEALER) for _ in range(GUESTS_MAX)]
        for socket in held:
            dial_as(socket, eve.public, eve.secret, station)
            socket.connect(table["link"].ctl)

        def stop() -> str:
            with Client(table, security=client_security(folder, "anna")) as anna:
                return anna.call("link", "stop", control=True, timeout_s=1.0).code

        deadline = Deadline(CLOCK, 20.0)
        while not stop():
            assert not deadline.expired, "a listed key can hold every place (docs/threat-model.md)"
        for suffix in ("public", "secret"):
            (folder / f"eve.{suffix}").unlink()
        deadline = Deadline(CLOCK, 20.0)
        while stop():
            assert not deadline.expired, "its connections hold their places without a key"
