"""The bus on ZeroMQ: the same rules on real sockets, and what only sockets can do wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import zmq
from eventually import eventually

from controller.bus.client import Client
from controller.bus.endpoints import Table
from controller.bus.envelope import COMMAND_BYTES_MAX, BusError, Envelope, Ids, body_as, decode, encode
from controller.bus.port import Reply
from controller.bus.socket_port import SocketPort
from controller.bus.topics import (
    BUS_GAPS,
    LINK_STATE,
    SERVICE_HEARTBEAT,
    SIM_TRUTH,
    STATION_EVENT,
    Heartbeat,
    LinkState,
    StationEvent,
)
from controller.bus.transport import HIGH_WATER, ZERO_COPY_RECV, Transport
from controller.bus.writer import Writer
from hal.clock import NS, RealClock

MakePort = Callable[..., SocketPort]


def link(t_utc_ns: int = 1) -> LinkState:
    return LinkState(t_utc_ns, 1e-6, 1e-7, above=True)


def test_a_subscriber_that_comes_late_gets_the_last_value_at_once(port: MakePort, table: Table) -> None:
    server = port("link")
    for t_utc_ns in range(1, 4):
        server.publish(LINK_STATE, link(t_utc_ns))
    with Client(table) as client:
        client.subscribe(LINK_STATE)
        sample = eventually(lambda: server.requests() or client.wait_for(LINK_STATE, timeout_s=0.01))
    assert (sample.source, sample.seq, sample.body) == ("link", 3, link(3))


def test_a_replay_for_one_subscriber_is_no_gap_and_no_repeat_for_another(port: MakePort, table: Table) -> None:
    server = port("link")
    with Client(table) as first, Client(table) as second:
        first.subscribe(LINK_STATE)
        server.publish(LINK_STATE, link())
        eventually(lambda: server.requests() or first.wait_for(LINK_STATE, timeout_s=0.01))
        second.subscribe(LINK_STATE)
        eventually(lambda: server.requests() or second.wait_for(LINK_STATE, timeout_s=0.01))
        first.pause(0.02)
        assert first.store.received == 1
        assert first.store.gaps.total() == 0


def test_ports_hear_each_other_and_themselves(port: MakePort) -> None:
    link_port, station = port("link"), port("station")
    station.latest(LINK_STATE)
    link_port.publish(LINK_STATE, link())
    assert eventually(lambda: link_port.requests() or station.fresh(LINK_STATE)) == link()
    assert link_port.fresh(LINK_STATE) == link()


def test_a_service_that_asks_for_no_telemetry_lets_none_of_it_pile_up(port: MakePort) -> None:
    sender, deaf = port("station"), port("link")  # ports hear heartbeats and events from their start

    def publish() -> int:
        sender.requests()
        sender.publish(SERVICE_HEARTBEAT, Heartbeat(1, 1, 0))
        deaf.requests()
        return deaf.store.received

    eventually(publish)
    for _ in range(100):
        sender.publish(SERVICE_HEARTBEAT, Heartbeat(1, 1, 0))
    last = sender.store.latest(SERVICE_HEARTBEAT, "station")

    def newest() -> bool:
        deaf.requests()
        taken = deaf.store.latest(SERVICE_HEARTBEAT, "station")
        return last is not None and taken is not None and taken.seq == last.seq

    assert eventually(newest)


def test_a_message_that_waits_takes_the_memory_of_a_message() -> None:
    """By itself libzmq keeps the 8 kB in which it came: an hour in real time grew by what had once waited."""
    transport = Transport()
    assert transport.context.get(ZERO_COPY_RECV) == 0
    transport.abandon()


def test_events_arrive_in_order_and_once(port: MakePort) -> None:
    sender, station = port("link"), port("station")
    sender.publish(SERVICE_HEARTBEAT, Heartbeat(1, 0, 0))
    eventually(lambda: sender.requests() or station.latest(SERVICE_HEARTBEAT, "link"))
    for number in range(100):
        sender.publish(STATION_EVENT, StationEvent("info", "code", str(number)))
    got: list[str] = []
    eventually(lambda: got.extend(s.body.message for s in station.drain(STATION_EVENT)) or len(got) >= 100)
    assert got == [str(number) for number in range(100)]


def test_events_from_before_the_subscription_are_told_once_to_each(port: MakePort, table: Table) -> None:
    sender = port("link")
    for number in range(70):
        sender.publish(STATION_EVENT, StationEvent("info", "code", str(number)))
    with Client(table) as first, Client(table) as second:
        for client in (first, second):
            got: list[str] = []

            def enough(client: Client = client, got: list[str] = got) -> bool:
                sender.requests()
                client.pause(0.002)
                got.extend(sample.body.message for sample in client.store.drain(STATION_EVENT))
                return len(got) >= 64

            eventually(enough)
            assert got == [str(number) for number in range(6, 70)]
        first.pause(0.02)
        assert first.store.drain(STATION_EVENT) == []
        assert first.store.gaps.total() == 0


def test_subscribers_come_and_go_and_the_next_one_is_served(port: MakePort, table: Table) -> None:
    server = port("link")
    for _ in range(30):
        with Client(table) as client:
            client.subscribe_all()
            server.publish(LINK_STATE, link())
            server.requests()
    with Client(table) as last:
        last.subscribe(LINK_STATE)
        eventually(lambda: server.requests() or last.wait_for(LINK_STATE, timeout_s=0.01))
        server.publish(LINK_STATE, link(99))
        last.pause(0.05)
        sample = last.store.latest(LINK_STATE)
        assert sample is not None
        assert sample.body == link(99)


def test_a_plain_subscriber_to_everything_gets_every_last_value(port: MakePort, table: Table) -> None:
    server = port("link")
    server.publish(LINK_STATE, link())
    server.publish(SERVICE_HEARTBEAT, Heartbeat(1, 2, 3))
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    stranger = context.socket(zmq.SUB)
    stranger.setsockopt(zmq.RCVTIMEO, 10)
    stranger.subscribe(b"")
    stranger.connect(table["link"].tlm)
    topics: set[bytes] = set()

    def hear() -> bool:
        server.requests()
        try:
            topics.add(stranger.recv().partition(b"\0")[0])
        except zmq.Again:
            return False
        return len(topics) == 3

    try:
        eventually(hear)
    finally:
        stranger.close(0)
        context.term()
    assert topics == {b"link/state", b"service/heartbeat", b"bus/gaps"}


def test_samples_come_decoded_and_unknown_topics_are_refused(port: MakePort, table: Table) -> None:
    server = port("link")
    server.publish(LINK_STATE, link(5))
    with Client(table) as client:
        client.subscribe("link/state")
        got = eventually(lambda: server.requests() or list(client.samples(0.01)))
        assert got[0].body == link(5)
        with pytest.raises(BusError, match="no/topic"):
            client.subscribe("no/topic")


def test_a_command_is_executed_and_its_answer_comes_back(table: Table, toy: Callable[[str], Any]) -> None:
    with toy("link") as served, Client(table) as client:
        reply = client.call("link", "pointing.slew", {"azimuth_rad": 1.0})
        assert reply == Reply("", "done", body={"source": "cli", "azimuth_rad": 1.0})
        assert served.executed == ["pointing.slew"]


def test_a_service_calls_another(port: MakePort, toy: Callable[[str], Any]) -> None:
    with toy("link"):
        station = port("station")
        reply = station.call("link", "pointing.park", {}, 2.0)
        assert reply.body == {"source": "station"}


def test_two_clients_at_once_get_their_own_answers(table: Table, toy: Callable[[str], Any]) -> None:
    answers: dict[str, list[int]] = {"first": [], "second": []}

    def ask(name: str) -> None:
        with Client(table, name) as client:
            for number in range(20):
                body = client.call("link", "toy.count", {"number": number}).body or {}
                assert body["source"] == name
                answers[name].append(body["number"])

    with toy("link"):
        threads = [threading.Thread(target=ask, args=(name,)) for name in answers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == {"first": list(range(20)), "second": list(range(20))}


def test_a_stop_overtakes_a_command_that_is_being_executed(table: Table, toy: Callable[[str], Any]) -> None:
    with toy("link", paced=False) as served, Client(table) as operator:
        replies: list[Reply] = []

        def hold() -> None:
            with Client(table, "holder") as client:
                replies.append(client.call("link", "toy.hold", timeout_s=5.0))

        holder = threading.Thread(target=hold)
        holder.start()
        eventually(lambda: "toy.hold" in served.executed)
        assert operator.call("link", "stop", control=True).code == ""
        holder.join()
        assert replies == [Reply("BUSY", "held until the stop")]


def test_a_stop_is_seen_by_a_service_that_blocks_for_commands_of_a_sender_without_pause(
    table: Table, toy: Callable[..., Any]
) -> None:
    ended, codes = threading.Event(), set()

    def hurry() -> None:
        with Client(table, "hurried") as client:
            while not ended.is_set():
                codes.add(client.call("link", "toy.move").code)

    with toy("link", paced=False) as served, Client(table) as operator:
        sender = threading.Thread(target=hurry)
        sender.start()
        try:
            for _ in range(20):
                assert operator.call("link", "stop", control=True).code == ""
        finally:
            ended.set()
            sender.join()
    assert codes <= {"", "INTERLOCK"}, "done, or overtaken by a stop"
    assert served.executed.count("stop") == 20
    assert served.executed.count("toy.move") > 20, "it has been sending all the time"


def test_a_dead_server_is_a_sentence_and_nothing_was_executed(table: Table, clock: RealClock) -> None:
    with Client(table) as client:
        before_ns = clock.now_ns()
        reply = client.call("link", "pointing.slew", timeout_s=0.2)
        assert reply.code == "TRANSPORT"
        assert "pointing.slew was not executed" in reply.message
        assert clock.now_ns() - before_ns < NS
        assert client.call("link", "stop", timeout_s=0.1, control=True).code == "TRANSPORT"


def test_a_client_that_is_closed_says_so_to_whoever_uses_it(table: Table) -> None:
    with Client(table) as client:
        pass
    client.close()
    for use in (client.send, client.call):
        with pytest.raises(BusError, match="the client was closed"):
            use("link", "toy.count")
    for wait in (
        lambda: client.wait_for(LINK_STATE),
        lambda: client.result(b"nobody"),
        lambda: list(client.envelopes(0)),
        lambda: list(client.samples(0)),
        lambda: client.pause(0.01),
    ):
        with pytest.raises(BusError, match="the client was closed"):
            wait()


def test_a_command_to_a_dead_server_is_not_executed_by_its_successor(
    table: Table, toy: Callable[[str], Any], clock: RealClock
) -> None:
    with Client(table) as client:
        with toy("link", paced=False):
            assert client.call("link", "toy.first").code == ""
        reply = client.call("link", "toy.second", timeout_s=0.2)
        assert reply.code in {"TRANSPORT", "TIMEOUT_UNKNOWN"}
        with toy("link", paced=False) as successor:
            client.pause(0.3)
            assert successor.executed == []
            eventually(lambda: client.call("link", "toy.third", timeout_s=0.5).code == "")
            assert successor.executed == ["toy.third"]


def test_a_service_that_hangs_leaves_the_outcome_unknown(port: MakePort, table: Table) -> None:
    hung = port("link")
    hung.publish(SERVICE_HEARTBEAT, Heartbeat(1, 0, 0))
    with Client(table) as client:
        eventually(lambda: hung.requests() or client.wait_for(SERVICE_HEARTBEAT, timeout_s=0.01))
        reply = client.call("link", "pointing.slew", timeout_s=0.1)
        assert reply.code == "TIMEOUT_UNKNOWN"
        assert hung.requests() == [], "and when it wakes up the command is too late"


@pytest.mark.parametrize("timeout_s", [float("nan"), float("inf"), -float("inf"), 1e11])
def test_what_cannot_be_written_is_refused_at_once_and_disturbs_no_other_command(
    table: Table, toy: Callable[..., Any], timeout_s: float
) -> None:
    with toy("link") as served, Client(table) as client:
        assert client.call("link", "toy.first").code == ""
        held = client.send("link", "toy.hold")
        eventually(lambda: "toy.hold" in served.executed)
        for _ in range(2):  # the second takes the short way
            with pytest.raises(BusError, match=r"the body of toy\.first cannot be sent"):
                client.call("link", "toy.first", {"azimuth_rad": object()})
        with pytest.raises(BusError, match="s is no time-out"):
            client.call("link", "toy.first", timeout_s=timeout_s)
        long = client.call("link", "toy.first", {"x": "y" * COMMAND_BYTES_MAX})
        assert (long.code, "was not sent" in long.message) == ("PROTOCOL", True)
        assert client.call("link", "stop", control=True).code == ""
        assert client.result(held).code == "BUSY"


def test_an_error_without_an_id_is_nobodys_where_two_commands_are_under_way(
    table: Table, toy: Callable[..., Any]
) -> None:
    """A service that could read nothing of a command cannot say which it was."""
    with Raw(table["link"].cmd) as garbler, toy("link") as served, Client(table) as client:
        assert client.call("link", "toy.first").code == ""
        first, second = client.send("link", "toy.hold"), client.send("link", "toy.hold")
        eventually(lambda: served.executed.count("toy.hold") == 2)
        unread = garbler.ask(b"no envelope")
        assert (unread.k, unread.re) == ("err", b"")
        client._requester._take(unread)
        assert client.call("link", "stop", control=True).code == ""
        assert {client.result(first).message, client.result(second).message} == {"held until the stop"}


def test_an_answer_is_there_once_and_whoever_asks_again_is_told(table: Table, toy: Callable[..., Any]) -> None:
    with toy("link"), Client(table) as client:
        request_id = client.send("link", "toy.first")
        assert client.result(request_id).code == ""
        with pytest.raises(BusError, match="its answer was taken"):
            client.result(request_id)


class Raw:
    """A DEALER that may say anything."""

    def __init__(self, endpoint: str) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.RCVTIMEO, 5000)
        self.socket.connect(endpoint)
        self.writer = Writer("raw", RealClock(), Ids(), simulated=False)

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close(0)
        self.context.term()

    def ask(self, data: bytes) -> Envelope:
        self.socket.send(data)
        return decode(self.socket.recv())


@pytest.mark.parametrize(("late", "boot", "code"), [(True, b"", "DEADLINE"), (False, b"previous", "TRANSPORT")])
def test_a_late_or_misdirected_command_is_refused(
    table: Table, toy: Callable[[str], Any], clock: RealClock, late: bool, boot: bytes, code: str
) -> None:
    with toy("link", paced=False) as served, Raw(table["link"].cmd) as raw:
        deadline_ns = clock.utc_ns() + (-1 if late else NS)
        answer = raw.ask(encode(raw.writer.request("link", "pointing.slew", {}, deadline_ns, boot)))
        assert (answer.k, body_as(answer, dict)["code"]) == ("err", code)
        assert served.executed == []


def test_garbage_is_answered_with_an_error_and_the_service_lives(table: Table, toy: Callable[[str], Any]) -> None:
    with toy("link", paced=False), Raw(table["link"].cmd) as raw, Client(table) as client:
        answer = raw.ask(b"\xc1garbage")
        assert (answer.k, body_as(answer, dict)["code"]) == ("err", "PROTOCOL")
        future = msgspec.msgpack.encode({"v": 2, "k": "req", "m": "pointing.slew", "src": "raw"})
        assert "version 2 and this side 1" in body_as(raw.ask(future), dict)["msg"]
        assert client.call("link", "toy.first").code == ""


def test_a_slow_subscriber_loses_telemetry_and_the_loss_is_counted(port: MakePort, table: Table) -> None:
    server = port("link")
    with Client(table) as client:
        client.subscribe(STATION_EVENT)
        server.publish(SERVICE_HEARTBEAT, Heartbeat(1, 0, 0))
        eventually(lambda: server.requests() or client.wait_for(SERVICE_HEARTBEAT, timeout_s=0.01))
        sent = 20 * HIGH_WATER
        event = StationEvent("info", "flood", "x" * 200)
        for _ in range(sent):
            server.publish(STATION_EVENT, event)
        seen = [0]

        def last_arrived() -> bool:
            server.publish(STATION_EVENT, event)
            seen[0] += 1
            client.pause(0.002)
            sample = client.store.latest(STATION_EVENT)
            return sample is not None and sample.seq == sent + seen[0]

        eventually(last_arrived)
        gaps = client.store.gaps[STATION_EVENT.name]
        received = client.store.received - client.store.sources(SERVICE_HEARTBEAT).count("link")
        overflow = max(0, received - 4096)  # what the application did not drain is counted as well
        assert gaps > 0
        assert received + gaps - overflow == sent + seen[0]


def test_a_service_tells_the_gaps_that_it_counted(port: MakePort) -> None:
    station = port("station")
    station.publish(SERVICE_HEARTBEAT, Heartbeat(1, 0, 0))
    assert station.fresh(BUS_GAPS).gaps == {}
    station.store.gaps["link/state"] = 3
    assert station.store.gaps.total() == 3


def test_no_service_may_read_the_truth_from_a_socket(port: MakePort) -> None:
    station = port("station")
    for read in (station.latest, station.fresh, station.drain):
        with pytest.raises(BusError, match="may not subscribe"):
            read(SIM_TRUTH)


def test_a_mark_for_emulated_devices_is_on_every_message(port: MakePort, table: Table) -> None:
    server = port("link", simulated=True)
    server.publish(LINK_STATE, link())
    with Client(table) as client:
        client.subscribe(LINK_STATE)
        sample = eventually(lambda: server.requests() or client.wait_for(LINK_STATE, timeout_s=0.01))
        assert sample.simulated
