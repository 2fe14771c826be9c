"""The bus of lockstep: the real envelope and the real rules, in one process and one order."""

from __future__ import annotations

import msgspec
import pytest
from hand_clock import HandClock
from idle_bench import Idle

from controller.bus.envelope import BusError, Envelope, Ids, body_as, decode
from controller.bus.inbox import ANSWERS_MAX, CACHE_NS, Inbox
from controller.bus.local import LocalBus, LocalPort
from controller.bus.port import Reply
from controller.bus.store import QUEUE_LENGTH
from controller.bus.topics import (
    LINK_STATE,
    SERVICE_HEARTBEAT,
    SIM_TRUTH,
    STATION_EVENT,
    TOPICS,
    Heartbeat,
    LinkState,
    StationEvent,
    Truth,
)
from controller.bus.writer import Writer
from controller.services.lockstep import Lockstep
from hal.clock import NS, Clock

UTC0_NS = 1_790_000_000 * NS


@pytest.fixture
def clock() -> Lockstep:
    return Lockstep(Idle(), UTC0_NS)


@pytest.fixture
def bus(clock: Lockstep) -> LocalBus:
    return LocalBus(clock, seed=1)


def serve(bus: LocalBus, name: str, turns: int = 20) -> None:
    """A service that echoes every command, every 10 ms."""
    port = bus.port(name)

    def run() -> None:
        for _ in range(turns):
            for request in port.requests():
                port.answer(request, Reply("", "done", body={"method": request.method, **request.body}))
            bus.clock.sleep_until(bus.clock.now_ns() + NS // 100)

    bus.clock.spawn(name, run)  # type: ignore[attr-defined]


def link(power_w: float = 1e-6) -> LinkState:
    return LinkState(UTC0_NS, power_w, 1e-7, above=True)


def truth() -> Truth:
    pair = (0.0, 0.0)
    return Truth(UTC0_NS, 1.0, 1.0, 6e5, pair, pair, pair, pair, pair, 0.0, False, False, False)


def test_telemetry_reaches_every_port_at_once_with_its_origin(bus: LocalBus) -> None:
    link_port, others = bus.port("link"), [bus.port("station"), bus.port("safety")]
    link_port.publish(LINK_STATE, link())
    for port in others:
        sample = port.latest(LINK_STATE)
        assert sample is not None
        assert (sample.source, sample.seq, sample.simulated) == ("link", 1, True)
        assert sample.body == link()
        assert sample.sent_utc_ns == UTC0_NS


def test_a_state_goes_stale_by_its_row_of_the_table(bus: LocalBus, clock: Lockstep) -> None:
    port = bus.port("station")
    assert port.fresh(LINK_STATE) is None
    bus.port("link").publish(LINK_STATE, link())
    assert port.fresh(LINK_STATE) == link()
    clock.sleep_until(round(LINK_STATE.stale_after_s * NS))
    assert port.fresh(LINK_STATE) == link()
    clock.sleep_until(clock.now_ns() + 1)
    assert port.fresh(LINK_STATE) is None
    assert port.latest(LINK_STATE) is not None


def test_a_port_made_later_gets_the_last_value_as_on_sockets(bus: LocalBus) -> None:
    bus.port("link").publish(LINK_STATE, link())
    assert bus.port("station").fresh(LINK_STATE) == link()


def test_who_stops_draining_loses_the_oldest_and_it_is_counted(bus: LocalBus) -> None:
    port = bus.port("station")
    assert port.drain(LINK_STATE) == []
    for number in range(QUEUE_LENGTH + 3):
        bus.port("link").publish(LINK_STATE, link(number * 1e-9))
    samples = port.drain(LINK_STATE)
    assert (len(samples), samples[0].seq, bus.gaps()) == (QUEUE_LENGTH, 4, 3)


def test_who_has_left_is_kept_nothing_for_and_comes_back_as_another_start(bus: LocalBus) -> None:
    first, link_port = bus.port("station"), bus.port("link")
    boot = first.writer.boot
    first.drain(LINK_STATE)
    bus.leave("station")
    again = bus.port("station")
    assert again.writer.boot != boot
    for _ in range(QUEUE_LENGTH + 10):
        link_port.publish(LINK_STATE, link())
    assert bus.gaps() == 0, "nobody keeps this topic any more"
    assert again.drain(LINK_STATE) == []


def test_a_topic_of_several_services_is_kept_by_source(bus: LocalBus) -> None:
    port = bus.port("station")
    for cycles, name in enumerate(("pointing", "tracking")):
        bus.port(name).publish(SERVICE_HEARTBEAT, Heartbeat(UTC0_NS, cycles, 0))
    first, last = port.latest(SERVICE_HEARTBEAT, "pointing"), port.latest(SERVICE_HEARTBEAT)
    assert first is not None
    assert last is not None
    assert (first.body.cycles, last.source) == (0, "tracking")


def test_no_event_is_lost_between_two_drains(bus: LocalBus) -> None:
    port = bus.port("station")
    events = [StationEvent("info", "code", f"number {number}") for number in range(50)]
    for event in events:
        bus.port("pointing").publish(STATION_EVENT, event)
    assert [sample.body for sample in port.drain(STATION_EVENT)] == events
    assert port.drain(STATION_EVENT) == []


def test_a_body_of_another_topic_is_refused(bus: LocalBus) -> None:
    with pytest.raises(BusError, match="LinkState, not Heartbeat"):
        bus.port("link").publish(LINK_STATE, Heartbeat(0, 0, 0))


def test_no_service_may_read_the_truth(bus: LocalBus) -> None:
    bench, seen = bus.port("bench"), []
    bus.tap(lambda topic, envelope: seen.append(topic))
    bench.publish(SIM_TRUTH, truth())
    assert seen == [SIM_TRUTH.name]
    port = bus.port("tracking")
    for read in (port.latest, port.fresh, port.drain):
        with pytest.raises(BusError, match="may not subscribe"):
            read(SIM_TRUTH)


def test_only_the_bench_may_publish_truth(bus: LocalBus) -> None:
    with pytest.raises(BusError, match="only the bench"):
        bus.port("pointing").publish(SIM_TRUTH, truth())


def test_a_call_waits_in_simulated_time_for_its_answer(bus: LocalBus, clock: Lockstep) -> None:
    serve(bus, "pointing")
    done: list[tuple[int, Reply]] = []

    def client() -> None:
        clock.sleep_until(NS // 1000)
        reply = bus.port("station").call("pointing", "pointing.slew", {"azimuth_rad": 1.0}, 1.0)
        done.append((clock.now_ns(), reply))

    bus.port("station")
    clock.spawn("station", client)
    clock.run()
    assert clock.failures == {}
    t_ns, reply = done[0]
    assert t_ns == NS // 100, "the server's next cycle is at 10 ms"
    assert reply == Reply("", "done", body={"method": "pointing.slew", "azimuth_rad": 1.0})


def test_a_call_polls_the_clock_where_nothing_can_wait(clock: Lockstep) -> None:
    class Bare:
        realtime, now_ns, utc_ns, sleep_until = False, clock.now_ns, clock.utc_ns, clock.sleep_until

    bus = LocalBus(Bare())
    port = bus.port("station")
    bus.port("pointing")
    assert port.call("pointing", "pointing.slew", {}, 0.1).code == "TIMEOUT_UNKNOWN"
    assert clock.now_ns() == NS // 10


def test_a_service_that_never_answers_leaves_the_outcome_unknown(bus: LocalBus, clock: Lockstep) -> None:
    bus.port("pointing")
    reply = bus.port("station").call("pointing", "pointing.slew", {}, 0.5)
    assert reply.code == "TIMEOUT_UNKNOWN"
    assert clock.now_ns() == NS // 2


def test_a_command_that_waited_too_long_is_refused_not_executed(bus: LocalBus, clock: Lockstep) -> None:
    client, server = bus.port("station"), bus.port("pointing")
    request_id = client.send("pointing", "pointing.slew", {}, 0.1)
    clock.sleep_until(NS // 5)
    assert server.requests() == []
    reply = client.result(request_id)
    assert reply is not None
    assert (reply.code, client.result(request_id)) == ("DEADLINE", None)


def test_a_stop_is_executed_however_late(bus: LocalBus, clock: Lockstep) -> None:
    bus.port("station").send("pointing", "stop", {}, 0.1, control=True)  # before pointing is there
    server = bus.port("pointing")
    assert server.requests() == []
    bus.port("station").send("pointing", "stop", {}, 0.1, control=True)
    clock.sleep_until(NS)
    assert [request.method for request in server.requests()] == ["stop"]


@pytest.mark.parametrize("stop", ["stop", "safe", "abort"])
def test_a_stop_comes_first_and_what_was_sent_before_it_is_not_executed_after_it(bus: LocalBus, stop: str) -> None:
    client, server = bus.port("station"), bus.port("pointing")
    before = client.send("pointing", "pointing.slew", {}, 1.0)
    client.send("pointing", "pointing.stop", {}, 1.0)
    client.send("pointing", stop, {}, 1.0, control=True)
    client.send("pointing", "pointing.park", {}, 1.0)
    named = "stop" if stop == "abort" else stop
    assert [request.method for request in server.requests()] == [named, "pointing.stop", "pointing.park"]
    refused = client.result(before)
    assert refused is not None
    assert (refused.code, refused.message) == (
        "INTERLOCK",
        f"pointing.slew was overtaken by {named}, and is not executed",
    )


def test_a_stop_overtakes_no_command_of_later_turns(bus: LocalBus) -> None:
    client, server = bus.port("station"), bus.port("pointing")
    client.send("pointing", "stop", {}, 1.0, control=True)
    assert [request.method for request in server.requests()] == ["stop"]
    client.send("pointing", "pointing.slew", {}, 1.0)
    assert [request.method for request in server.requests()] == ["pointing.slew"]


def test_only_control_methods_pass_the_control_channel(bus: LocalBus) -> None:
    client, server = bus.port("station"), bus.port("pointing")
    request_id = client.send("pointing", "pointing.slew", {}, 1.0, control=True)
    reply = client.result(request_id)
    assert reply is not None
    assert (reply.code, server.requests()) == ("PROTOCOL", [])


def test_a_ping_is_answered_without_the_service(bus: LocalBus) -> None:
    bus.port("pointing")
    reply = bus.port("station").call("pointing", "ping", {}, 1.0, control=True)
    assert reply.body == {"utc_ns": UTC0_NS}


def test_a_service_that_is_not_there_is_named(bus: LocalBus) -> None:
    reply = bus.port("station").call("pointing", "pointing.slew", {}, 1.0)
    assert reply.code == "TRANSPORT"
    assert "'pointing'" in reply.message


def test_an_error_code_outside_of_the_list_becomes_internal_and_keeps_the_sentence(bus: LocalBus) -> None:
    client, server = bus.port("station"), bus.port("pointing")
    request_id = client.send("pointing", "pointing.slew", {}, 1.0)
    server.answer(server.requests()[0], Reply("OOPS", "the axis is folded"))
    assert client.result(request_id) == Reply("INTERNAL", "the axis is folded")


class Rules:
    """An inbox with the clock, the sender and the answers in reach."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.writer = Writer("pointing", clock, Ids(1), simulated=True)
        self.client = Writer("cli", clock, Ids(2), simulated=True)
        self.inbox = Inbox(self.writer)
        self.sent: list[Envelope] = []

    def request(self, boot: bytes = b"", service: str = "pointing") -> Envelope:
        return self.client.request(service, "pointing.slew", {}, self.clock.utc_ns() + NS, boot)

    def admit(self, envelope: Envelope, control: bool = False) -> list[str]:
        self.sent.clear()
        self.inbox.admit(envelope, control, lambda data: self.sent.append(decode(data)))
        return [answer.k for answer in self.sent]

    def ask(self, method: str, message_id: bytes, control: bool = False) -> str:
        """Send a command, execute whatever is taken; what was executed, or the code of the refusal."""
        deadline_ns = self.clock.utc_ns() + NS
        request = self.client.request("pointing", method, {}, deadline_ns, self.writer.boot)
        self.admit(msgspec.structs.replace(request, id=message_id), control)
        if not (taken := self.inbox.take()):
            return self.error() if self.sent[0].k == "err" else f"answered as {self.sent[0].m}"
        for one in taken:
            self.inbox.finish(one, Reply("", "executed"))
        return taken[0].method

    def error(self) -> str:
        return str(body_as(self.sent[0], dict)["code"])


def test_a_command_for_an_earlier_start_of_the_service_is_refused(clock: Lockstep) -> None:
    rules = Rules(clock)
    assert rules.admit(rules.request(boot=b"previous")) == ["err"]
    assert rules.error() == "TRANSPORT"
    assert rules.inbox.take() == []
    assert rules.admit(rules.request(boot=rules.writer.boot)) == []
    assert len(rules.inbox.take()) == 1


def test_a_command_for_another_service_is_refused(clock: Lockstep) -> None:
    rules = Rules(clock)
    assert rules.admit(rules.request(service="safety")) == ["err"]
    assert rules.inbox.take() == []


def test_the_same_id_is_answered_again_and_executed_once(clock: Lockstep) -> None:
    rules = Rules(clock)
    request = rules.request()
    assert rules.admit(request) == []
    assert rules.admit(request) == ["ack"], "still being worked on"
    (taken,) = rules.inbox.take()
    rules.inbox.finish(taken, Reply("", "", body={"done": 1}))
    assert rules.admit(request) == ["rep"]
    assert rules.inbox.take() == []


@pytest.mark.parametrize("stop", ["stop", "safe"])
def test_a_stop_is_executed_whatever_its_id_was_used_for(clock: Lockstep, stop: str) -> None:
    rules, first = Rules(clock), bytes(15) + b"1"
    for method, control in (("pointing.slew", False), ("stop", True), ("safe", True)):
        assert rules.ask(method, first, control) == method
    assert rules.ask(stop, first, control=True) == stop
    assert rules.inbox.remembered == 1, "a stop is answered anew each time"


def test_abort_is_a_stop(clock: Lockstep) -> None:
    rules, first = Rules(clock), bytes(16)
    assert rules.ask("abort", first, control=True) == "stop"
    assert rules.sent[-1].m == "abort"
    assert rules.ask("stop", first, control=True) == "stop"


def test_an_id_that_comes_again_with_another_method_is_refused(clock: Lockstep) -> None:
    rules, first = Rules(clock), bytes(16)
    assert rules.ask("pointing.slew", first) == "pointing.slew"
    assert rules.ask("pointing.park", first) == "PROTOCOL"
    assert rules.ask("pointing.slew", first) == "answered as pointing.slew"


def test_an_id_that_has_not_sixteen_bytes_is_refused(clock: Lockstep) -> None:
    rules = Rules(clock)
    assert [rules.ask("stop", bytes(size), control=True) for size in (1, 15, 17, 60_000)] == ["SCHEMA"] * 4


def test_a_refusal_is_one_line_of_a_log_whatever_its_sender_wrote(clock: Lockstep) -> None:
    rules = Rules(clock)
    forged = "x\n<3>error: safety: EMERGENCY\x1b[2J" + 60_000 * "y"
    late = rules.client.request("pointing", forged, {}, clock.utc_ns() - NS, rules.writer.boot)
    assert rules.admit(late) == ["err"]
    assert rules.inbox.latest_refusal.startswith(r"x\x0a<3>error: safety: EMERGENCY\x1b[2Jyyy")
    assert len(rules.inbox.latest_refusal) < 600


def test_a_ping_is_answered_however_late(clock: Lockstep) -> None:
    rules = Rules(clock)
    late = rules.client.request("pointing", "ping", {}, clock.utc_ns() - NS, b"")
    assert rules.admit(late, control=True) == ["rep"]


def test_consent_is_not_taken_again_when_utc_was_set_back() -> None:
    clock = HandClock(utc_offset_ns=UTC0_NS)
    rules, first = Rules(clock), bytes(16)
    assert rules.ask("safety.arm", first) == "safety.arm"
    for _ in range(3):
        clock.t_ns += CACHE_NS
        rules.inbox.take()
    clock.utc_offset_ns -= 3 * CACHE_NS
    assert rules.inbox.remembered == 0
    assert rules.ask("safety.arm", first) == "PROTOCOL"


def test_a_command_is_acknowledged_when_a_cycle_has_ended_without_its_answer(clock: Lockstep) -> None:
    rules = Rules(clock)
    long, short = rules.request(), rules.request()
    assert rules.admit(long) + rules.admit(short) == []
    taken = rules.inbox.take()
    rules.inbox.finish(taken[1], Reply("", ""))
    rules.sent.clear()
    rules.inbox.take()
    rules.inbox.take()
    assert [(answer.k, answer.re) for answer in rules.sent] == [("ack", long.id)]


def test_an_answer_is_remembered_for_a_minute_at_least_and_two_at_most(clock: Lockstep) -> None:
    rules = Rules(clock)
    request = rules.request()
    rules.admit(request)
    rules.inbox.finish(rules.inbox.take()[0], Reply("", ""))
    clock.sleep_until(CACHE_NS)
    rules.inbox.take()
    assert rules.admit(request) == ["rep"]
    clock.sleep_until(2 * CACHE_NS)
    rules.inbox.take()
    assert rules.inbox.remembered == 0
    assert rules.admit(request) == ["err"], "forgotten, and by now too late"


def test_a_sender_without_pause_fills_no_memory_and_a_stop_comes_through(clock: Lockstep) -> None:
    rules = Rules(clock)
    for _ in range(ANSWERS_MAX):
        rules.admit(rules.request())
        rules.inbox.finish(rules.inbox.take()[0], Reply("", ""))
    assert rules.admit(rules.request()) == ["err"]
    assert rules.error() == "BUSY"
    assert rules.inbox.remembered == ANSWERS_MAX
    stop = rules.client.request("pointing", "stop", {}, clock.utc_ns() + NS, b"")
    rules.inbox.admit(stop, True, lambda data: None)
    assert [request.method for request in rules.inbox.take()] == ["stop"]
    clock.sleep_until(CACHE_NS + 1)
    rules.inbox.take()
    assert rules.admit(rules.request()) == []


def test_what_is_no_request_is_ignored(clock: Lockstep) -> None:
    rules = Rules(clock)
    assert rules.admit(rules.client.write("rep", "pointing.slew", {}, re=b"x")) == []


def test_a_body_that_is_no_map_is_refused(clock: Lockstep) -> None:
    rules = Rules(clock)
    rules.admit(rules.client.write("req", "pointing.slew", [1, 2], id=b"1", dst="pointing"))
    assert rules.inbox.take() == []
    assert body_as(rules.sent[-1], dict)["code"] == "SCHEMA"


def conversation(seed: int) -> list[tuple[str, Envelope]]:
    clock = Lockstep(Idle(), UTC0_NS)
    bus = LocalBus(clock, seed=seed)
    heard: list[tuple[str, Envelope]] = []
    bus.tap(lambda topic, envelope: heard.append((topic, envelope)))
    ports: list[LocalPort] = [bus.port("link"), bus.port("station")]
    for _ in range(3):
        for port in ports:
            port.publish(SERVICE_HEARTBEAT, Heartbeat(clock.utc_ns(), 1, 0))
        clock.sleep_until(clock.now_ns() + NS)
    return heard


def test_one_seed_gives_the_same_messages_bit_for_bit() -> None:
    assert conversation(1) == conversation(1)
    assert conversation(1) != conversation(2), "boot ids come from the seed"


def test_every_topic_is_declared_under_its_own_name() -> None:
    assert all(name == topic.name and topic.kind in {"state", "event", "bulk"} for name, topic in TOPICS.items())
    assert all(topic.stale_after_s > 0 for topic in TOPICS.values() if topic.kind == "state")
