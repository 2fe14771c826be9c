"""Who is where, asked over a socket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest
import zmq

from controller.bus.endpoints import Endpoints
from controller.bus.envelope import BusError, Ids, decode, encode
from controller.bus.registry import Announcement, RegistryClient, RegistryServer, schema_hash
from controller.bus.writer import Writer
from hal.clock import NS, RealClock

LINK = Announcement("link", "tcp://127.0.0.1:1", "tcp://127.0.0.1:2", "tcp://127.0.0.1:3", b"12345678", schema_hash())


@contextmanager
def serving() -> Iterator[str]:
    """A registry on a port that the kernel draws, turned by a thread."""
    clock, stop = RealClock(), threading.Event()
    server = RegistryServer("tcp://127.0.0.1:*", clock)

    def turn() -> None:
        while not stop.is_set():
            server.turn()
            clock.sleep_until(clock.now_ns() + NS // 500)

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        yield server.endpoint
    finally:
        stop.set()
        thread.join()
        server.close()


def test_what_was_announced_is_found() -> None:
    with serving() as endpoint:
        client = RegistryClient(endpoint, RealClock())
        assert client.lookup() == {}
        client.announce(LINK)
        assert client.lookup() == {"link": Endpoints(LINK.cmd, LINK.ctl, LINK.tlm)}


def test_what_is_bound_everywhere_is_where_the_registry_was_reached() -> None:
    everywhere = msgspec.structs.replace(LINK, cmd="tcp://0.0.0.0:1", tlm="tcp://[::]:3")
    with serving() as endpoint:
        client = RegistryClient(endpoint, RealClock())
        client.announce(everywhere)
        assert client.lookup() == {"link": Endpoints(LINK.cmd, LINK.ctl, LINK.tlm)}


def test_a_wrong_announcement_an_unknown_method_and_garbage_are_refused() -> None:
    with serving() as endpoint:
        client = RegistryClient(endpoint, RealClock())
        with pytest.raises(BusError, match=r"body of .reg\.announce. .* is wrong"):
            client._ask("reg.announce", {"service": 3}, 1.0)
        with pytest.raises(BusError, match=r"body of .reg\.announce. .* is wrong"):  # found by fuzzing: not text
            client._ask("reg.announce", msgspec.Raw(b"\x81\xa7service\xa1\xff"), 1.0)
        with pytest.raises(BusError, match=r"no method 'reg\.forget'"):
            client._ask("reg.forget", {}, 1.0)
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        socket = context.socket(zmq.DEALER)
        socket.setsockopt(zmq.RCVTIMEO, 5000)
        socket.connect(endpoint)
        try:
            socket.send(b"garbage")
            assert decode(socket.recv()).k == "err"
            writer = Writer("raw", RealClock(), Ids(), simulated=False)
            socket.send(encode(writer.request("registry", "reg.lookup", {}, 0, b"")))
            assert decode(socket.recv()).k == "rep", "and it goes on"
        finally:
            socket.close(0)
            context.term()


def test_the_schema_hash_is_stable_within_a_version() -> None:
    assert schema_hash() == schema_hash()
    assert len(schema_hash()) == 12
