"""websockets: asyncio on both ends, with and without uvloop; and a blocking client of the asyncio server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.sync.client import connect as connect_blocking

from benchmarks.bus.contest import WINDOW, Tell, telemetry
from benchmarks.bus.raw import new_loop

OPTIONS: dict[str, Any] = {"compression": None, "max_size": 1 << 22, "ping_interval": None}


class WebSockets:
    """A message of text asks for that many messages of telemetry, one of bytes is echoed."""

    def __init__(self, uvloop: bool = False, blocking: bool = False) -> None:
        self._uvloop = uvloop
        self._blocking = blocking

    def echo(self, tell: Tell) -> None:
        data = telemetry()

        async def handle(socket: Any) -> None:
            async for message in socket:
                if isinstance(message, bytes):
                    await socket.send(message)
                else:
                    for _ in range(int(message)):
                        await socket.send(data)

        async def run() -> None:
            async with serve(handle, "127.0.0.1", 0, **OPTIONS) as server:
                tell(f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}")
                await asyncio.Event().wait()

        new_loop(self._uvloop).run_until_complete(run())

    def publish(self, tell: Tell, bursts: Iterator[int]) -> None:
        self.echo(tell)

    def client(self, echo: Any, publish: Any) -> Any:
        if self._blocking:
            return BlockingClient(echo, publish)
        return WebClient(new_loop(self._uvloop), echo, publish)


class WebClient:
    def __init__(self, loop: asyncio.AbstractEventLoop, echo: str, publish: str) -> None:
        self._loop = loop
        self._echo = loop.run_until_complete(self._connect(echo))
        self._publish = loop.run_until_complete(self._connect(publish))

    @staticmethod
    async def _connect(address: str) -> Any:
        return await connect(address, **OPTIONS)

    def trips(self, payload: bytes, count: int) -> list[int]:
        async def run() -> list[int]:
            socket, spent = self._echo, []
            for _ in range(count):
                start = time.perf_counter_ns()
                await socket.send(payload)
                await socket.recv()
                spent.append(time.perf_counter_ns() - start)
            return spent

        return self._loop.run_until_complete(run())

    def take(self, count: int) -> None:
        async def run() -> None:
            left = count
            while left > 0:
                await self._publish.send(str(step := min(left, WINDOW)))
                for _ in range(step):
                    await self._publish.recv()
                left -= step

        self._loop.run_until_complete(run())

    def close(self) -> None:
        for socket in (self._echo, self._publish):
            self._loop.run_until_complete(socket.close())
        self._loop.close()


class BlockingClient:
    def __init__(self, echo: str, publish: str) -> None:
        self._echo, self._publish = (connect_blocking(address, **OPTIONS) for address in (echo, publish))

    def trips(self, payload: bytes, count: int) -> list[int]:
        spent = []
        for _ in range(count):
            start = time.perf_counter_ns()
            self._echo.send(payload)
            self._echo.recv()
            spent.append(time.perf_counter_ns() - start)
        return spent

    def take(self, count: int) -> None:
        while count > 0:
            self._publish.send(str(step := min(count, WINDOW)))
            for _ in range(step):
                self._publish.recv()
            count -= step

    def close(self) -> None:
        self._echo.close()
        self._publish.close()


CONTESTANTS: dict[str, Any] = {"websockets": WebSockets(), "websockets, blocking": WebSockets(blocking=True)}
try:
    import uvloop  # noqa: F401

    CONTESTANTS["websockets, uvloop"] = WebSockets(uvloop=True)
except ImportError:
    pass
