"""Our own bus, with all that it checks: envelope, deadline, boot id, idempotency, lease; with CURVE also the key."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.bus.contest import BODY, Tell, body
from benchmarks.bus.raw import new_loop
from controller.bus.async_client import AsyncClient
from controller.bus.client import Client
from controller.bus.endpoints import Endpoints, Table, static_table
from controller.bus.envelope import BusError
from controller.bus.holder import leased, leased_async
from controller.bus.keys import make_key, make_station_key
from controller.bus.lease_desk import LeaseDesk
from controller.bus.port import Reply
from controller.bus.security import client_security, station_security
from controller.bus.socket_port import SocketPort
from controller.bus.topics import POINTING_STATE, SERVICE_HEARTBEAT, Heartbeat
from hal.clock import NS, RealClock

LEASE_S = 30.0


def port_of(service: str, keys: Path | None) -> tuple[SocketPort, Any]:
    """A port on free addresses, and what a client must know of it."""
    security = None if keys is None else station_security(keys)
    while True:
        base_port = random.randrange(10000, 30000)
        table = static_table(base_port=base_port, services=(service,))
        try:
            port = SocketPort(service, RealClock(), table, security=security)
        except BusError:
            continue  # taken
        at = table[service]
        return port, {service: [at.cmd, at.ctl, at.tlm], "keys": "" if keys is None else str(keys)}


class Ours:
    """A station service that keeps leases, and pointing's telemetry."""

    def __init__(self, kind: str = "plain", curve: bool = False) -> None:
        self._kind = kind
        self._curve = curve

    def _keys(self, stack: ExitStack) -> Path | None:
        if not self._curve:
            return None
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "keys"
        make_station_key(folder)
        make_key(folder, "anna", "operator")
        return folder

    def echo(self, tell: Tell) -> None:
        with ExitStack() as stack:
            clock = RealClock()
            port, address = port_of("station", self._keys(stack))
            desk = LeaseDesk(clock, port)
            tell(address)
            beat_ns = 0
            while True:
                for request in port.requests(within_s=0.05):
                    reply = desk.obey(request) if request.control else Reply("", "", None, request.body)
                    port.answer(request, reply)
                if (now_ns := clock.now_ns()) > beat_ns:
                    desk.turn()
                    beat_ns = now_ns + NS // 10
                    port.publish(SERVICE_HEARTBEAT, Heartbeat(clock.utc_ns(), 0, 0))

    def publish(self, tell: Tell, bursts: Iterator[int]) -> None:
        with ExitStack() as stack:
            port, address = port_of("pointing", self._keys(stack))
            tell(address)
            for count in bursts:
                for _ in range(count):
                    port.publish(POINTING_STATE, BODY)

    def client(self, echo: Any, publish: Any) -> Any:
        kind = {"plain": OurClient, "asyncio": OurAsyncClient, "uvloop": OurAsyncClient}[self._kind]
        return kind(echo, publish, self._kind == "uvloop")


def dial(address: Any) -> dict[str, Any]:
    """Arguments of a client."""
    table: Table = {name: Endpoints(*at) for name, at in address.items() if name != "keys"}
    keys = address["keys"]
    return {"table": table, "security": client_security(Path(keys), "anna") if keys else None}


class OurClient:
    def __init__(self, echo: Any, publish: Any, uvloop: bool) -> None:
        self._commander, self._listener = Client(**dial(echo)), Client(**dial(publish))
        self._listener.subscribe(POINTING_STATE)

    def trips(self, payload: bytes, count: int) -> list[int]:
        client, spent = self._commander, []
        with leased(client, "station", "a benchmark", LEASE_S) as lease:
            wish = body(payload)
            for _ in range(count):
                start = time.perf_counter_ns()
                reply = client.call("station", "station.echo", wish, lease=lease)
                spent.append(time.perf_counter_ns() - start)
                assert reply.body == wish, reply
        return spent

    def take(self, count: int) -> None:
        for sample in self._listener.samples(60.0):
            count -= sample.body == BODY
            if not count:
                return

    def close(self) -> None:
        self._commander.close()
        self._listener.close()


class OurAsyncClient:
    def __init__(self, echo: Any, publish: Any, uvloop: bool) -> None:
        self._loop = new_loop(uvloop)
        self._loop.run_until_complete(self._connect(echo, publish))

    async def _connect(self, echo: Any, publish: Any) -> None:
        self._commander, self._listener = AsyncClient(**dial(echo)), AsyncClient(**dial(publish))
        self._listener.subscribe(POINTING_STATE)
        self._samples = self._listener.samples()

    def trips(self, payload: bytes, count: int) -> list[int]:
        async def run() -> list[int]:
            client, spent = self._commander, []
            async with leased_async(client, "station", "a benchmark", LEASE_S) as lease:
                wish = body(payload)
                for _ in range(count):
                    start = time.perf_counter_ns()
                    reply = await client.call("station", "station.echo", wish, lease=lease)
                    spent.append(time.perf_counter_ns() - start)
                    assert reply.body == wish, reply
            return spent

        return self._loop.run_until_complete(run())

    def take(self, count: int) -> None:
        async def run() -> None:
            for _ in range(count):
                assert (await anext(self._samples)).body == BODY

        self._loop.run_until_complete(run())

    def close(self) -> None:
        async def end() -> None:
            self._commander.close()
            self._listener.close()
            await asyncio.sleep(0)

        self._loop.run_until_complete(end())
        self._loop.close()


CONTESTANTS: dict[str, Any] = {
    "ours": Ours(),
    "ours CURVE": Ours(curve=True),
    "ours, asyncio": Ours("asyncio"),
}
try:
    import uvloop  # noqa: F401

    CONTESTANTS["ours, asyncio + uvloop"] = Ours("uvloop")
except ImportError:
    pass
