"""Our envelope over bare sockets, written and read whole at both ends, with nothing checked.

The service polls three sockets, as a service without our waiting would have to (`controller.bus.watch`).
"""

from __future__ import annotations

import time
from typing import Any

import zmq

from benchmarks.bus.contest import Tell, body
from benchmarks.bus.raw import Raw, RawClient
from controller.bus.envelope import Command, Done, DoneBody, Ids, Lease, answer_of, decode_command, encode
from controller.bus.watch import NOBLOCK, NOBLOCK_MORE, POLLIN
from hal.clock import NS, RealClock

BOOT = bytes(8)
LEASE = Lease("station-1790000000000", 1790000000000)


class Floor(Raw):
    """Telemetry is raw pyzmq's."""

    def echo(self, tell: Tell) -> None:
        router, address = self._serve(zmq.ROUTER)
        others = [self._serve(kind)[0] for kind in (zmq.ROUTER, zmq.XPUB)]
        polled = [(router, POLLIN), *((int(other.getsockopt(zmq.FD)), POLLIN) for other in others)]
        send, recv, utc_ns = super(zmq.Socket, router).send, router.recv, RealClock().utc_ns
        tell(address)
        while True:
            if not any(ready is router for ready, _ in zmq.zmq_poll(polled, 50)):
                for other in others:
                    other.getsockopt(zmq.EVENTS)
                continue
            peer, frame = recv(NOBLOCK), recv(NOBLOCK, False)
            if frame.more:
                raise RuntimeError("a command is one frame")
            asked: Any = decode_command(frame.bytes)
            done = Done(
                v=1,
                k="rep",
                m=asked.m,
                src="station",
                boot=BOOT,
                t=utc_ns(),
                re=asked.id,
                dst=asked.src,
                dst_boot=asked.boot,
                b=DoneBody(data=asked.b),
            )
            send(peer, NOBLOCK_MORE)
            send(encode(done), NOBLOCK)

    def client(self, echo: Any, publish: Any) -> RawClient:
        return FloorClient(echo, publish)


class FloorClient(RawClient):
    def trips(self, payload: bytes, count: int) -> list[int]:
        dealer, spent, clock, wish = self._dealer, [], RealClock(), body(payload)
        ids, send = Ids(), super(zmq.Socket, dealer).send
        for _ in range(count):
            start = time.perf_counter_ns()
            utc_ns = clock.utc_ns()
            request_id = ids.message(utc_ns)
            command = Command(
                v=1,
                k="req",
                m="station.echo",
                src="cli",
                boot=BOOT,
                t=utc_ns,
                id=request_id,
                dst="station",
                dst_boot=BOOT,
                dl=utc_ns + NS,
                ls=LEASE,
                b=wish,
            )
            send(encode(command))
            answer = answer_of(dealer.recv())
            spent.append(time.perf_counter_ns() - start)
            assert answer is not None
            assert answer.re == request_id
        return spent


CONTESTANTS: dict[str, Any] = {"envelope alone": Floor()}
