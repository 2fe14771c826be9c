"""One transport with its client and its two services, three processes that load nothing else, and its turns.

`python -m benchmarks.bus.turns MODULE NAME` is the client's process: it reads turns from its standard input, one JSON
value a line (the bytes of a command, or null for telemetry), and answers each with what it measured.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from contextlib import suppress
from select import select
from typing import Any

from benchmarks.bus.contest import WINDOW, Client, Service, load

SIZES = {64: 300, 1024: 100, 32768: 60}  # bytes of a command: round trips in a round
WARM = 20
MESSAGES = 4000  # of telemetry in a round
ANSWER_S, END_S = 60.0, 5.0  # a turn takes a second, an end none


class Alive:
    """A transport that is running, as who gives the turns sees it; `placement` are the words before its command."""

    def __init__(self, placement: list[str], module: str, name: str) -> None:
        self.name = name
        self.trips: dict[int, list[list[int]]] = {size: [] for size in SIZES}
        self.rates: list[float] = []
        command = [*placement, sys.executable, "-m", "benchmarks.bus.turns", module, name]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer()

    def command(self, size: int) -> None:
        self.trips[size].append(self._turn(size))

    def listen(self) -> None:
        self.rates.append(self._turn(None))

    def close(self) -> None:
        """End it: its input ends, and its services end with it; where it hangs it is killed, which does the same."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _turn(self, size: int | None) -> Any:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # then there is no answer, either
            self._process.stdin.write(f"{json.dumps(size)}\n")
            self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        if not select([self._process.stdout], [], [], ANSWER_S)[0]:
            raise RuntimeError(f"{self.name}: no answer within {ANSWER_S:g} s; did it lose a message?")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name}: its process has ended, see above")
        return json.loads(line)


class Transport:
    """The same in the client's process."""

    def __init__(self, module: str, name: str) -> None:
        self._echo, self._publisher = Service(module, name, "echo"), Service(module, name, "publish")
        self._client: Client = load(module)[name].client(self._echo.address, self._publisher.address)
        self._subscribed = False

    def command(self, size: int) -> list[int]:
        """Nanoseconds of each round trip."""
        payload = random.randbytes(size)
        self._client.trips(payload, WARM)
        return self._client.trips(payload, SIZES[size])

    def listen(self) -> float:
        """Messages a second."""
        if not self._subscribed:
            time.sleep(0.5)  # a subscription is on its way, and no transport of the seven tells when it is there
            self._subscribed = True
        start = time.perf_counter()
        for _ in range(MESSAGES // WINDOW):
            self._publisher.burst(WINDOW)
            self._client.take(WINDOW)
        return MESSAGES / (time.perf_counter() - start)

    def close(self) -> None:
        self._client.close()
        self._echo.close()
        self._publisher.close()


def main(module: str, name: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # some of the libraries write to the standard output
    transport = Transport(module, name)
    try:
        print("null", file=answers, flush=True)
        for line in sys.stdin:
            size = json.loads(line)
            measured = transport.listen() if size is None else transport.command(size)
            print(json.dumps(measured), file=answers, flush=True)
    finally:
        transport.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
