"""Guests of the bus who mean no good, on the sockets of a running station; each returns what it was told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import zmq

from controller.bus.port import Reply
from controller.cli.faults_guests import ASKS, FLOOD, GARBAGE
from controller.cli.faults_processes import ProcessError, RunningStation

SERVICES = ("station", "safety", "tracking", "pointing")


def _told(replies: list[Reply]) -> list[str]:
    return [f"{reply.code}: {reply.message}" if reply.code else f"obeyed: {reply.message}" for reply in replies]


def operator(station: RunningStation) -> list[str]:
    """Commands without the lease that somebody holds."""
    with station.bench.client("second") as client:
        return _told([client.call(service, method) for service, method in ASKS if method != "pointing.stop"])


def bad(station: RunningStation) -> list[str]:
    """Methods that nobody has, and a body that fits nothing."""
    with station.bench.client("bad") as client:
        replies = [client.call(service, "launch.missile") for service in SERVICES]
        replies.append(client.call("station", "lease.acquire", {"scope": 7}, control=True))
    return _told(replies)


def flood(station: RunningStation) -> list[str]:
    """Commands as fast as a client can send them."""
    with station.bench.client("flooder") as client:
        for number in range(FLOOD):
            client.send(SERVICES[number % len(SERVICES)], "station.park")
    return []


def thief(station: RunningStation) -> list[str]:
    """Commands with the key of somebody who may only listen."""
    with station.bench.client("thief", "observer") as client:
        return _told([client.call(service, method) for service, method in ASKS])


def deaf(station: RunningStation) -> list[str]:
    """Subscribes to everything, and reads nothing."""
    with _sockets() as context:
        sockets = [context.socket(zmq.SUB) for _ in station.bench.table]
        for socket, endpoints in zip(sockets, station.bench.table.values(), strict=True):
            station.bench.dial(socket, "deaf")
            socket.connect(endpoints.tlm)
            socket.setsockopt(zmq.SUBSCRIBE, b"")
        station.listen(1.0)
        if not any(socket.poll(0) for socket in sockets):
            raise ProcessError("the slow subscriber was not let in: nothing has come for it")
    return []


def garbage(station: RunningStation) -> list[str]:
    """What is no message."""
    with _sockets() as context:
        doors = [door for name in SERVICES for door in (station.bench.table[name].cmd, station.bench.table[name].ctl)]
        dealers = [context.socket(zmq.DEALER) for _ in doors]  # all of them: the context closes what somebody still has
        for dealer, door in zip(dealers, doors, strict=True):
            station.bench.dial(dealer, "garbage")
            dealer.connect(door)
            for data in GARBAGE:
                dealer.send(data)
                dealer.send_multipart([data, data])
        station.listen(1.2)  # what was refused is told once a second
    return []


@contextmanager
def _sockets() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    context = zmq.Context()
    try:
        yield context
    finally:
        context.destroy(linger=0)


GUESTS: dict[str, Callable[[RunningStation], list[str]]] = {
    guest.__name__: guest for guest in (operator, bad, flood, thief, deaf, garbage)
}
