"""Free ports, ports that close, and a toy service in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from controller.bus.endpoints import Table, static_table
from controller.bus.inbox import LEASE_METHODS
from controller.bus.lease_desk import LeaseDesk
from controller.bus.port import Reply
from controller.bus.security import Security
from controller.bus.socket_port import SocketPort
from controller.bus.topics import SERVICE_HEARTBEAT, Heartbeat
from hal.clock import NS, Clock, RealClock

NAMES = ("station", "pointing", "link", "bench")


@pytest.fixture
def table(free_base_port: Callable[[int], int]) -> Table:
    return static_table(base_port=free_base_port(1 + 3 * len(NAMES)), services=NAMES)


@pytest.fixture
def clock() -> RealClock:
    return RealClock()


@pytest.fixture
def port(table: Table, clock: RealClock) -> Iterator[Callable[..., SocketPort]]:
    with ExitStack() as stack:

        def make(service: str, **arguments: object) -> SocketPort:
            made = SocketPort(service, clock, table, **arguments)  # type: ignore[arg-type]
            stack.callback(made.close)
            return made

        yield make


class Toy:
    """Echoes commands, and says `held` to the method `toy.hold` only after a stop; as "station" it keeps the leases.

    One that is not `paced` takes each command up as it comes.
    """

    def __init__(
        self,
        table: Table,
        service: str,
        clock: Clock | None = None,
        security: Security | None = None,
        paced: bool = True,
    ) -> None:
        self._paced = paced
        self._security = security
        self._clock = clock or RealClock()
        self._table = table
        self._service = service
        self._stop = threading.Event()
        self.executed: list[str] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Toy:
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        clock = self._clock
        port = SocketPort(self._service, clock, self._table, stop_wanted=self._stop.is_set, security=self._security)
        held = []
        desk = LeaseDesk(clock, port) if self._service == "station" else None
        try:
            self._ready.set()
            cycles = 0
            while not port.stopped:
                if desk is not None:
                    desk.turn()
                for request in port.requests(0.0 if self._paced else 1 / 200):
                    if desk is not None and request.method in LEASE_METHODS:
                        port.answer(request, desk.obey(request))
                        continue
                    self.executed.append(request.method)
                    if request.method == "toy.hold":
                        held.append(request)
                        continue
                    port.answer(request, Reply("", "done", body={"source": request.source, **request.body}))
                    if request.method == "stop":
                        while held:
                            port.answer(held.pop(), Reply("BUSY", "held until the stop"))
                if cycles % 4 == 0:
                    port.publish(SERVICE_HEARTBEAT, Heartbeat(clock.utc_ns(), cycles, 0))
                cycles += 1
                if self._paced:
                    clock.sleep_until(clock.now_ns() + NS // 200)
        finally:
            port.close()


@pytest.fixture
def toy(table: Table) -> Callable[..., Toy]:
    return lambda service, **arguments: Toy(table, service, **arguments)
