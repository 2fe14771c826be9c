"""An emulated Alpaca telescope in lockstep, whose server notes what it is asked and answers what a test wants."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ideal_axes import IdealAxes
from rotators import LIMITS

from controller.services.lockstep import Lockstep
from hal.devices.alpaca import Alpaca
from sim_hw.devices import alpaca as emulated
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.memory_serial import serving


class Bench:
    def __init__(self, **telescope: Any) -> None:
        self.timeline = Timeline()
        self.axes = IdealAxes(self.timeline, azimuth_deg=180.0, elevation_deg=45.0)
        self.server = emulated.Alpaca(self.timeline, self.axes, **LIMITS, **telescope)
        self.telescope = self.server.telescope
        self.line = SerialLine(self.timeline, self.server, 1_000_000, connects=True)
        self.clock = Lockstep(self.timeline)
        self.asked: list[str] = []  # method, member and form of what reached the server
        respond = self.server.respond

        def noted(request: Any) -> Any:
            form = "&".join(f"{k}={v}" for k, v in request.form.items() if not k.startswith("Client"))
            self.asked.append(f"{request.method} {request.path.rpartition('/')[2]} {form}".strip())
            return respond(request)

        self.server.respond = noted  # type: ignore[method-assign]

    def open(self, **more: Any) -> Alpaca:
        return Alpaca("simhw://telescope", 0, self.clock, command_latency_s=0.05, **(LIMITS | more))

    def wait(self, seconds: float) -> None:
        self.clock.sleep_until(self.timeline.now_ns + round(seconds * NS))

    @property
    def deg(self) -> list[float]:
        return [math.degrees(angle) for angle in self.axes.encoder_rad()]

    @property
    def rates_deg_s(self) -> list[float]:
        return [math.degrees(rate) for rate in self.axes.rate]

    def orders(self) -> list[str]:
        """What was told since the last time."""
        told, self.asked = [one for one in self.asked if one.startswith("PUT")], []
        return told

    def answering(self, body: bytes, status: bytes = b"200 OK") -> None:
        """Whatever is asked, this is the answer."""
        head = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
        self.line.spoil = lambda data: head + body

    def refusing(self, error: object, member: str = "", words: str = "no") -> None:
        """`member` is refused, or everything."""
        answer = {"ErrorNumber": error, "ErrorMessage": words, "ClientTransactionID": 0}
        body = json.dumps(answer).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
        self.line.spoil = lambda data: head + body if member in self.asked[-1] else data


@pytest.fixture
def make() -> Iterator[Callable[..., Bench]]:
    stack = []

    def made(**telescope: Any) -> Bench:
        bench = Bench(**telescope)
        serves = serving({"telescope": bench.line}, bench.clock)
        serves.__enter__()
        stack.append(serves)
        return bench

    yield made
    for serves in stack:
        serves.__exit__(None, None, None)


@pytest.fixture
def bench(make: Callable[..., Bench]) -> Bench:
    return make()
