"""Whoever waits in a socket, or has another UTC, is as old as it is, and is commanded at the first try."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from eventually import eventually
from hand_clock import HandClock

from controller.bus.client import Client
from controller.bus.endpoints import Table
from controller.bus.port import Reply
from controller.bus.socket_port import SocketPort
from controller.bus.topics import LINK_STATE, SERVICE_HEARTBEAT, Heartbeat, LinkState
from hal.clock import NS, RealClock, ShiftedClock

MakePort = Callable[..., SocketPort]
LINK, SECOND = (LinkState(t_utc_ns, 1e-6, 1e-7, above=True) for t_utc_ns in (1, 2))


def test_what_waited_in_a_socket_is_as_old_as_it_is(port: MakePort, clock: RealClock) -> None:
    link_port, station = port("link"), port("station")
    station.latest(LINK_STATE)
    link_port.publish(LINK_STATE, LINK)
    eventually(lambda: link_port.requests() or station.latest(LINK_STATE))
    link_port.publish(LINK_STATE, SECOND)
    sent_ns = clock.now_ns()
    clock.sleep_until(sent_ns + NS // 5)
    sample = station.latest(LINK_STATE)
    assert sample is not None
    assert sample.body == SECOND
    assert sample.age_s(clock.now_ns()) >= 0.19


def test_a_sender_with_another_utc_is_as_fresh_as_it_is(port: MakePort, table: Table, clock: RealClock) -> None:
    class Shifted(RealClock):
        def utc_ns(self) -> int:
            return super().utc_ns() - 365 * 86_400 * NS

    sender = SocketPort("link", Shifted(), table)
    try:
        station = port("station")
        station.latest(LINK_STATE)
        sender.publish(LINK_STATE, LINK)
        assert eventually(lambda: sender.requests() or station.fresh(LINK_STATE)) == LINK
        clock.sleep_until(clock.now_ns() + round(1.1 * LINK_STATE.stale_after_s * NS))
        assert station.fresh(LINK_STATE) is None
    finally:
        sender.close()


@pytest.mark.parametrize("apart_s", [0, -12, 365 * 86_400])
@pytest.mark.parametrize("waiting", [1500, 6000])  # more than one look takes; and more than libzmq keeps
def test_a_client_that_has_not_looked_for_a_minute_is_executed_at_its_first_try(
    table: Table, apart_s: int, waiting: int
) -> None:
    here = HandClock(utc_offset_ns=1_790_000_000 * NS)
    there = HandClock(utc_offset_ns=here.utc_offset_ns + apart_s * NS)
    server, replies = SocketPort("link", there, table), []
    with Client(table, clock=here) as client:

        def live() -> None:
            server.publish(SERVICE_HEARTBEAT, Heartbeat(there.utc_ns(), 1, 0))
            for request in server.requests():
                server.answer(request, Reply("", "done"))

        try:
            eventually(lambda: live() or client._listener.channel.socket.poll(1))  # connected, and never looked
            for _ in range(waiting):
                here.t_ns = there.t_ns = here.t_ns + 60 * NS // waiting
                server.publish(SERVICE_HEARTBEAT, Heartbeat(there.utc_ns(), 1, 0))
            caller = threading.Thread(target=lambda: replies.append(client.call("link", "toy.echo")))
            caller.start()
            eventually(lambda: live() or replies)
            caller.join()
        finally:
            server.close()
    assert [reply.code for reply in replies] == [""]


@pytest.mark.parametrize("years", [-1, 1])
def test_a_client_of_today_commands_a_station_of_another_epoch(
    toy: Callable[..., Any], table: Table, clock: RealClock, years: int
) -> None:
    offset_ns = clock.utc_ns() - clock.now_ns() + years * 365 * 86400 * NS
    with toy("link", clock=ShiftedClock(offset_ns), paced=False) as elsewhere, Client(table) as client:
        assert client.call("link", "toy.echo", {"n": 1}).code == ""
        assert client.call("link", "stop", control=True).code == ""
    assert elsewhere.executed == ["toy.echo", "stop"]
