"""Where the sockets of a station are: three ports a service, on loopback unless there are keys, each taken once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from controller.bus.client import Client
from controller.bus.endpoints import Endpoints, Table, registry_endpoint, static_table
from controller.bus.envelope import BusError
from controller.bus.socket_port import SocketPort
from hal.clock import RealClock

MakePort = Callable[..., SocketPort]


def test_a_second_station_on_the_same_ports_is_told_so(port: MakePort) -> None:
    port("link")
    with pytest.raises(BusError, match="in use: a station is running"):
        port("link")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.20", "observatory.example", "*", "::"])
def test_anything_but_loopback_is_refused(host: str, clock: RealClock) -> None:
    with pytest.raises(BusError, match="not a loopback address"):
        static_table(host, 5560)
    endpoint = f"tcp://{host}:5561"
    with pytest.raises(BusError, match="not a loopback address"):
        SocketPort("link", clock, {"link": Endpoints(endpoint, endpoint, endpoint)})


def test_loopback_is_allowed_in_each_of_its_names() -> None:
    for host in ("127.0.0.1", "localhost", "[::1]", "127.8.8.8"):
        assert static_table(host, 5560, ["a"])["a"].cmd == f"tcp://{host}:5561"


def test_the_table_gives_each_service_three_ports_after_the_registry() -> None:
    table = static_table("127.0.0.1", 6000, ["a", "b"])
    assert registry_endpoint("127.0.0.1", 6000) == "tcp://127.0.0.1:6000"
    assert table["b"] == Endpoints("tcp://127.0.0.1:6004", "tcp://127.0.0.1:6005", "tcp://127.0.0.1:6006")
    with pytest.raises(BusError, match="base_port 65530"):
        static_table("127.0.0.1", 65530, ["a", "b"])


def test_a_service_that_is_not_in_the_table_is_named(table: Table, clock: RealClock) -> None:
    with pytest.raises(BusError, match="'camera'"):
        SocketPort("camera", clock, table)
    with Client(table) as client:
        assert "'camera'" in client.call("camera", "camera.start").message
