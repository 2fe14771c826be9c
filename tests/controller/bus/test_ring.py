"""Events by sequence number: what a gap has hidden is had again, in lockstep and on sockets, by both clients."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from controller.bus.async_client import AsyncClient
from controller.bus.client import Client
from controller.bus.endpoints import Table
from controller.bus.envelope import BusError
from controller.bus.keys import make_key, make_station_key
from controller.bus.local import LocalBus
from controller.bus.ring import RING_LENGTH, Past
from controller.bus.security import client_security, station_security
from controller.bus.socket_port import SocketPort
from controller.bus.topics import LINK_STATE, SERVICE_HEARTBEAT, STATION_EVENT, Heartbeat, StationEvent
from hal.clock import ShiftedClock

MakePort = Callable[..., SocketPort]


def event(number: int, text: str = "") -> StationEvent:
    return StationEvent("info", "code", f"{number}{text}")


@contextmanager
def turned(port: SocketPort) -> Iterator[None]:
    """The port serves, in a thread that owns it meanwhile."""
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            assert port.requests(0.005) == [], "the service itself never sees it"
            port.publish(SERVICE_HEARTBEAT, Heartbeat(1, 0, 0))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_subscriber_that_comes_back_gets_what_was_sent_meanwhile(port: MakePort, table: Table) -> None:
    sender = port("link")
    for number in range(1, 4):
        sender.publish(STATION_EVENT, event(number))
    with turned(sender), Client(table) as client:
        last = client.wait_for(STATION_EVENT, "link", timeout_s=5.0)
        assert last is not None
        client.pause(0.05)
        seen = [sample.seq for sample in client.store.drain(STATION_EVENT)]
    for number in range(4, 204):
        sender.publish(STATION_EVENT, event(number))
    with turned(sender), Client(table) as client:
        assert client.wait_for(STATION_EVENT, "link", timeout_s=5.0) is not None
        client.pause(0.05)
        replayed = [sample.seq for sample in client.store.drain(STATION_EVENT)]
        assert replayed[0] > seen[-1] + 1, "the replay alone leaves a gap"
        missed = client.events_since(STATION_EVENT, "link", seen[-1])
    assert [sample.seq for sample in missed] == list(range(4, 204))
    assert [sample.body.message for sample in missed] == [str(number) for number in range(4, 204)]
    assert {sample.source for sample in missed} == {"link"}


def test_both_clients_get_all_that_is_kept_page_by_page_and_see_what_is_not(port: MakePort, table: Table) -> None:
    sender = port("link")
    for number in range(1, RING_LENGTH + 11):
        sender.publish(STATION_EVENT, event(number, "x" * 300))

    async def ask() -> list[int]:
        async with AsyncClient(table) as client:
            return [sample.seq for sample in await client.events_since(STATION_EVENT, "link")]

    with turned(sender), Client(table) as client:
        kept = [sample.seq for sample in client.events_since(STATION_EVENT, "link")]
        assert asyncio.run(ask()) == kept
        assert client.events_since(STATION_EVENT, "link", RING_LENGTH + 10) == []
    assert kept == list(range(11, RING_LENGTH + 11))


def test_on_the_bus_of_lockstep_it_is_the_same() -> None:
    clock = ShiftedClock(0)
    bus = LocalBus(clock, 1)
    sender, asker = bus.port("link"), bus.port("station")
    for number in range(1, 6):
        sender.publish(STATION_EVENT, event(number))
    past = Past(STATION_EVENT, 2, clock.now_ns())
    assert past.wish is not None
    request_id = asker.send("link", "events.since", past.wish, 1.0)
    assert sender.requests() == []
    reply = asker.result(request_id)
    assert reply is not None
    past.take(reply)
    assert [sample.body for sample in past.samples] == [event(3), event(4), event(5)]
    assert past.wish is None


@pytest.mark.parametrize(
    ("topic", "why"),
    [(LINK_STATE.name, "of events alone"), ("no/topic", "not in the topic table"), (7, "Expected `str`")],
)
def test_what_is_no_event_is_refused_in_a_sentence(port: MakePort, table: Table, topic: Any, why: str) -> None:
    with turned(port("link")), Client(table) as client:
        reply = client.call("link", "events.since", {"topic": topic})
        assert (reply.code, why in reply.message) == ("SCHEMA", True)


def test_a_service_that_is_not_there_is_told(table: Table) -> None:
    with Client(table) as client, pytest.raises(BusError, match="TRANSPORT: no link answers"):
        client.events_since(STATION_EVENT, "link", timeout_s=0.05)


def test_an_observer_may_read_the_past_without_a_lease_of_a_service_that_moves(
    table: Table, tmp_path: Path, clock: Any
) -> None:
    folder = tmp_path / "keys"
    make_station_key(folder)
    make_key(folder, "olga", "observer")
    sender = SocketPort("pointing", clock, table, security=station_security(folder))
    try:
        sender.publish(STATION_EVENT, event(1))
        with turned(sender), Client(table, security=client_security(folder, "olga")) as client:
            assert [sample.body for sample in client.events_since(STATION_EVENT, "pointing")] == [event(1)]
    finally:
        sender.close()


def test_answers_about_the_past_are_not_remembered(port: MakePort, table: Table) -> None:
    sender = port("link")
    sender.publish(STATION_EVENT, event(1))
    with turned(sender), Client(table) as client:
        for _ in range(20):
            client.events_since(STATION_EVENT, "link")
    assert sender._inbox.remembered == 0
