"""What every transport of the benchmark offers: a service that echoes, one that publishes in bursts, and a client.

A service is a process of its own (`python -m benchmarks.bus.contest MODULE NAME ROLE`) that loads its own transport
alone: it prints its address, a publisher then reads from its standard input how many messages to send, and both end
with it.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import msgspec

from controller.bus.envelope import Ids, frame
from controller.bus.topics import POINTING_STATE, PointingState
from controller.bus.writer import Writer
from hal.clock import RealClock

ZERO = (0.0, 0.0)
BODY = PointingState(1, "track", *([0.123456789] * 9), ZERO, ZERO, ZERO, ZERO, 0.075, True)
WINDOW = 500  # messages of telemetry at once: below every high-water mark, so that nobody loses any

Tell = Callable[[Any], None]
MODULES = ("raw", "floor", "ours", "rpc", "routed", "web")


class Client(Protocol):
    """The asking side of one transport."""

    def trips(self, payload: bytes, count: int) -> list[int]:
        """Nanoseconds of `count` commands of that payload, answered with the same payload."""
        ...

    def take(self, count: int) -> None:
        """Receive `count` telemetry messages."""
        ...

    def close(self) -> None: ...


class Contestant(Protocol):
    """One transport, importable only where its library is installed."""

    def echo(self, tell: Tell) -> None:
        """Tell the address, then answer every command with its own payload, for ever."""
        ...

    def publish(self, tell: Tell, bursts: Iterator[int]) -> None:
        """Tell the address, then publish as many messages as each of `bursts` says."""
        ...

    def client(self, echo: Any, publish: Any) -> Client:
        """The client of both, by their addresses."""
        ...


def load(module: str) -> dict[str, Contestant]:
    """The contestants of one module by name; ImportError where its library is not installed."""
    found: dict[str, Contestant] = importlib.import_module(f"benchmarks.bus.{module}").CONTESTANTS
    return found


def contestants() -> tuple[dict[str, str], dict[str, str]]:
    """The modules of those that are installed, by name, and why the others are not there."""
    found: dict[str, str] = {}
    missing: dict[str, str] = {}
    for module in MODULES:
        try:
            found |= dict.fromkeys(load(module), module)
        except ImportError as error:
            missing[module] = f"{error} (pip install 'boresight[peers]')"
    return found, missing


def telemetry() -> bytes:
    """The frame of one message, for those who have no envelope of their own."""
    return frame(Writer("pointing", RealClock(), Ids(1), False).telemetry(POINTING_STATE, BODY, 1))


def body(payload: bytes) -> dict[str, Any]:
    """A command's body of that payload."""
    return {"data": payload}


class Service:
    """A contestant's process."""

    def __init__(self, module: str, name: str, role: str) -> None:
        command = [sys.executable, "-m", "benchmarks.bus.contest", module, name, role]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{name} {role} did not start")
        self.address = msgspec.json.decode(line)

    def burst(self, count: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def end_with_input() -> None:
    """Whoever started us has gone."""
    sys.stdin.read()
    os._exit(0)


def main(module: str, name: str, role: str) -> None:
    def tell(address: Any) -> None:
        print(json.dumps(address), flush=True)

    contestant = load(module)[name]
    if role == "echo":
        threading.Thread(target=end_with_input, daemon=True).start()
        contestant.echo(tell)
    else:
        contestant.publish(tell, (int(line) for line in sys.stdin))


if __name__ == "__main__":
    main(*sys.argv[1:])
