"""What a parser under fuzzing is, and what the parsers need of the world around them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mutations import Repair

from sim_hw.devices import pm100d
from sim_hw.timeline import Timeline

Feed = Callable[[bytes], object]

FEED_NS = 20_000_000  # that passes between two inputs of an emulated device

RENEW_EVERY = 500


class Light:
    def received_power_w(self) -> float:
        return 1e-6


@dataclass
class Target:
    name: str
    make: Callable[[], Feed]
    seeds: Sequence[bytes]
    allowed: tuple[type[Exception], ...] = ()
    repair: Repair | None = None
    slow: int = 1  # CI feeds it so many times fewer inputs


def renewed(make: Callable[[], Feed]) -> Callable[[], Feed]:
    """A device that is taken anew now and then: what it still had to do would pile up, since time hardly passes."""

    def made() -> Feed:
        feeds = [make()]
        count = itertools.count(1)

        def feed(data: bytes) -> None:
            if not next(count) % RENEW_EVERY:
                feeds[:] = [make()]
            feeds[0](data)

        return feed

    return made


def instrument() -> pm100d.Pm100d:
    return pm100d.Pm100d(Timeline(), Light(), np.random.default_rng(1))


class Socket:
    """What a server's connection needs of a socket, without one."""

    family = 0

    def setblocking(self, on: bool) -> None:
        pass

    def setsockopt(self, *_: object) -> None:
        pass

    def fileno(self) -> int:
        return 1000

    def send(self, data: Any) -> int:
        return len(data)

    def close(self) -> None:
        pass


class SaidSocket(Socket):
    """A peer that has said all that it will ever say; then it has hung up."""

    def __init__(self, says: bytes) -> None:
        self.says = says

    def settimeout(self, timeout_s: float | None) -> None:
        pass

    def sendall(self, data: bytes) -> None:
        pass

    def recv(self, n: int, flags: int = 0) -> bytes:
        data = self.says[:n]
        if not flags:
            self.says = self.says[n:]
        return data

    def recv_into(self, view: memoryview) -> int:
        data = self.recv(len(view))
        view[: len(data)] = data
        return len(data)
