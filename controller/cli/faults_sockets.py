"""Guests of the bus who mean no good, on the sockets of a running station; each returns what it did and was told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import zmq

from controller.bus.client import Client
from controller.bus.envelope import unframe
from controller.bus.topics import BUS_REFUSALS
from controller.cli.faults_guests import (
    ANSWER_S,
    ASKS,
    FLOOD,
    GARBAGE,
    REFUSED,
    SERVICES,
    TAKEN,
    UNLED,
    Answer,
    Visit,
    answer,
    visit,
)
from controller.cli.faults_processes import RunningStation

FLOOD_S = 3.0  # that the station may take to answer all of it; the operator's lease lives for longer
DEAF_S = (10.0, 20.0, 40.0)  # without reading: what the sockets hold has to run over
TOLD_S = 2.2  # what was refused is told once a second
READ_MS = 100  # a service has a heartbeat ten times a second
BUFFER_BYTES = 4096  # of who reads nothing


def operator(station: RunningStation) -> Visit:
    """Commands without the lease that somebody holds."""
    with station.bench.client("second") as client:
        return visit(*(answer(method, client.call(service, method), "NO_LEASE") for service, method in UNLED))


def bad(station: RunningStation) -> Visit:
    """Methods that nobody has, and a body that fits nothing."""
    with station.bench.client("bad") as client:
        unknown = [
            answer(f"{service}: launch.missile", client.call(service, "launch.missile"), "NO_LEASE")
            for service in SERVICES
        ]
        misfit = client.call("station", "lease.acquire", {"scope": 7}, control=True)
    return visit(*unknown, answer("lease.acquire of 7", misfit, "SCHEMA"))


def flood(station: RunningStation) -> Visit:
    """Commands as fast as a client can send them; each has its answer."""
    with station.bench.client("flooder") as client:
        known = []
        for name in SERVICES:
            known.append(answer(f"ping of {name}", client.call(name, "ping", control=True), ""))
            station.listen()
        sent = [client.send(SERVICES[n % len(SERVICES)], "station.park", {}, FLOOD_S) for n in range(FLOOD)]
        replies = [client.result(number) for number in sent]
        station.listen()
    return visit(*known, *(answer("station.park", reply, "NO_LEASE") for reply in replies))


def thief(station: RunningStation) -> Visit:
    """Commands with the key of somebody who may only listen."""
    with station.bench.client("thief", "observer") as client:
        return visit(*(answer(method, client.call(service, method), "AUTH") for service, method in ASKS))


def deaf(station: RunningStation) -> Visit:
    """Subscribes to everything, and reads nothing until messages are lost to it."""
    with _sockets() as context:
        sockets = [context.socket(zmq.SUB) for _ in station.bench.table]
        for socket, endpoints in zip(sockets, station.bench.table.values(), strict=True):
            socket.setsockopt(zmq.RCVHWM, 1)
            socket.setsockopt(zmq.RCVBUF, BUFFER_BYTES)
            station.bench.dial(socket, "deaf")
            socket.connect(endpoints.tlm)
            socket.setsockopt(zmq.SUBSCRIBE, b"")
        last: dict[tuple[str, str, bytes], int] = {}
        missed = 0
        for seconds in DEAF_S:
            station.until(lambda: False, seconds)
            now_ns = station.clock.utc_ns()
            missed += sum(_missed(socket, last, now_ns) for socket in sockets)
            if missed:
                break
    return Visit(missed)


def _missed(socket: zmq.Socket[bytes], last: dict[tuple[str, str, bytes], int], until_utc_ns: int) -> int:
    """Read what was sent until then; how many messages are not among it, by their numbers."""
    missed = 0
    while socket.poll(READ_MS):
        envelope = unframe(socket.recv())
        stream = (envelope.m, envelope.src, envelope.boot)
        missed += max(0, envelope.seq - last.get(stream, envelope.seq - 1) - 1)
        last[stream] = max(envelope.seq, last.get(stream, 0))
        if envelope.t > until_utc_ns:
            break
    return missed


def garbage(station: RunningStation) -> Visit:
    """What is no message: each service counts it as refused."""
    with station.bench.client("ear") as ear, _sockets() as context:
        ear.subscribe(BUS_REFUSALS)
        station.until(lambda: False, ANSWER_S)
        before = _refused(ear)
        doors = [door for name in SERVICES for door in (station.bench.table[name].cmd, station.bench.table[name].ctl)]
        dealers = [context.socket(zmq.DEALER) for _ in doors]  # all of them: the context closes what somebody still has
        for dealer, door in zip(dealers, doors, strict=True):
            station.bench.dial(dealer, "garbage")
            dealer.connect(door)
            for data in GARBAGE:
                dealer.send(data)
                dealer.send_multipart([data, data])
        station.until(lambda: False, TOLD_S)
        counted = _refused(ear) - before
    return Visit(
        counted.total(),
        tuple(Answer(name, REFUSED if counted[name] else TAKEN, f"{counted[name]}", REFUSED) for name in SERVICES),
    )


def _refused(ear: Client) -> Counter[str]:
    """How many messages each service has refused since its start."""
    ear.pause(0.1)
    told = {name: ear.store.latest(BUS_REFUSALS, name) for name in SERVICES}
    return Counter({name: sum(sample.body.refused.values()) for name, sample in told.items() if sample is not None})


@contextmanager
def _sockets() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    context = zmq.Context()
    try:
        yield context
    finally:
        context.destroy(linger=0)


GUESTS: dict[str, Callable[[RunningStation], Visit]] = {
    guest.__name__: guest for guest in (operator, bad, flood, thief, deaf, garbage)
}
