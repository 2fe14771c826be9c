"""Bare pyzmq, blocking and with zmq.asyncio, without and with CURVE: what every other figure is divided by."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import zmq
import zmq.asyncio

from benchmarks.bus.contest import Tell, telemetry

TOPIC = b"pointing/state\0"


class Raw:
    """DEALER and ROUTER, PUB and SUB."""

    def __init__(self, curve: bool = False) -> None:
        self._curve = curve

    def _serve(self, kind: int) -> tuple[Any, Any]:
        socket = zmq.Context.instance().socket(kind)
        socket.set_hwm(0)
        key = b""
        if self._curve:
            key, secret = zmq.curve_keypair()
            socket.curve_secretkey, socket.curve_server = secret, True
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        return socket, {"endpoint": f"tcp://127.0.0.1:{port}", "key": key.decode()}

    def echo(self, tell: Tell) -> None:
        router, address = self._serve(zmq.ROUTER)
        tell(address)
        while True:
            router.send_multipart(router.recv_multipart())

    def publish(self, tell: Tell, bursts: Iterator[int]) -> None:
        publisher, address = self._serve(zmq.PUB)
        tell(address)
        data = telemetry()
        for count in bursts:
            for _ in range(count):
                publisher.send(data)

    def client(self, echo: Any, publish: Any) -> RawClient:
        return RawClient(echo, publish)


def dial(context: Any, kind: int, address: dict[str, str]) -> Any:
    socket = context.socket(kind)
    socket.set_hwm(0)
    if address["key"]:
        socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
        socket.curve_serverkey = address["key"].encode()
    socket.connect(address["endpoint"])
    return socket


class RawClient:
    def __init__(self, echo: Any, publish: Any) -> None:
        self._context = zmq.Context()
        self._dealer, self._sub = dial(self._context, zmq.DEALER, echo), dial(self._context, zmq.SUB, publish)
        self._sub.subscribe(TOPIC)

    def trips(self, payload: bytes, count: int) -> list[int]:
        dealer, spent = self._dealer, []
        for _ in range(count):
            start = time.perf_counter_ns()
            dealer.send(payload)
            dealer.recv()
            spent.append(time.perf_counter_ns() - start)
        return spent

    def take(self, count: int) -> None:
        for _ in range(count):
            self._sub.recv()

    def close(self) -> None:
        self._context.destroy(0)


class Asyncio(Raw):
    """zmq.asyncio on both ends."""

    def __init__(self, uvloop: bool = False) -> None:
        super().__init__()
        self._uvloop = uvloop

    def echo(self, tell: Tell) -> None:
        async def serve() -> None:
            router = zmq.asyncio.Context.instance().socket(zmq.ROUTER)
            port = router.bind_to_random_port("tcp://127.0.0.1")
            tell({"endpoint": f"tcp://127.0.0.1:{port}", "key": ""})
            while True:
                await router.send_multipart(await router.recv_multipart())

        new_loop(self._uvloop).run_until_complete(serve())

    def client(self, echo: Any, publish: Any) -> AsyncioClient:
        return AsyncioClient(new_loop(self._uvloop), echo, publish)


class AsyncioClient:
    def __init__(self, loop: asyncio.AbstractEventLoop, echo: Any, publish: Any) -> None:
        self._loop = loop
        self._context = zmq.asyncio.Context()
        self._loop.run_until_complete(self._connect(echo, publish))

    async def _connect(self, echo: Any, publish: Any) -> None:
        self._dealer, self._sub = dial(self._context, zmq.DEALER, echo), dial(self._context, zmq.SUB, publish)
        self._sub.subscribe(TOPIC)

    def trips(self, payload: bytes, count: int) -> list[int]:
        async def run() -> list[int]:
            dealer, spent = self._dealer, []
            for _ in range(count):
                start = time.perf_counter_ns()
                await dealer.send(payload)
                await dealer.recv()
                spent.append(time.perf_counter_ns() - start)
            return spent

        return self._loop.run_until_complete(run())

    def take(self, count: int) -> None:
        async def run() -> None:
            for _ in range(count):
                await self._sub.recv()

        self._loop.run_until_complete(run())

    def close(self) -> None:
        self._context.destroy(0)
        self._loop.close()


def new_loop(uvloop: bool) -> asyncio.AbstractEventLoop:
    if not uvloop:
        return asyncio.new_event_loop()
    import uvloop as fast

    loop: asyncio.AbstractEventLoop = fast.new_event_loop()
    return loop


CONTESTANTS: dict[str, Any] = {"raw": Raw(), "raw CURVE": Raw(curve=True), "zmq.asyncio": Asyncio()}
try:
    import uvloop  # noqa: F401

    CONTESTANTS["zmq.asyncio, uvloop"] = Asyncio(uvloop=True)
except ImportError:
    pass
