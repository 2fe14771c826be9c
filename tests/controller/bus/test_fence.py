"""No command but the holder reaches a device: on the bus of lockstep, which has the rules of the real one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from idle_bench import Idle
from leases import grant

from controller.bus.envelope import Envelope, Lease, encode
from controller.bus.fence import WAIT_NS, Fence
from controller.bus.holder import HeldPort, LeaseRefusedError, holding, leased
from controller.bus.inbox import LEASE_METHODS
from controller.bus.lease_desk import LeaseDesk
from controller.bus.local import LocalBus, LocalPort
from controller.bus.port import Reply, Request
from controller.bus.roles import STOPS
from controller.bus.topics import (
    LEASE_LOST,
    STATION_EVENT,
    STATION_LEASE,
    HeldLease,
    LeaseLost,
    LeaseState,
    StationEvent,
)
from controller.services.lockstep import Lockstep
from hal.clock import NS

UTC0_NS = 1_790_000_000 * NS
DEVICES = {"pointing": "gimbal", "tracking": "camera", "safety": "laser"}


class Station:
    """A desk and three services that own devices, turned by hand; `obeyed` is what reached a device."""

    def __init__(self) -> None:
        self.clock = Lockstep(Idle(), UTC0_NS)
        self.bus = LocalBus(self.clock, seed=1)
        self.port = self.bus.port("station")
        self.desk = LeaseDesk(self.clock, self.port)
        self.devices = [self.bus.port(name) for name in DEVICES]
        self.obeyed: list[tuple[str, str, str]] = []

    def turn(self, seconds: float = 0.0) -> None:
        self.clock.sleep_until(self.clock.now_ns() + round(seconds * NS))
        for request in self.port.requests():
            leases = request.method in LEASE_METHODS
            self.port.answer(request, self.desk.obey(request) if leases else Reply("", "done"))
        self.desk.turn()
        for device in self.devices:
            for request in device.requests():
                self.obeyed.append((device.service, request.source, request.method))
                device.answer(request, Reply("", "done"))

    def client(self, name: str) -> LocalPort:
        return self.bus.port(name)

    def ask(
        self, name: str, service: str, method: str, lease: Lease | None = None, control: bool = False, **body: Any
    ) -> Reply:
        """A command of a client, and what has become of it once everybody had their turn and time to wait."""
        client = self.client(name)
        sent = client.send(service, method, body, 1.0, control, lease)
        self.turn()
        reply = client.result(sent)
        if reply is None:
            self.turn(WAIT_NS / NS)
            reply = client.result(sent)
        assert reply is not None
        return reply


@pytest.fixture
def station() -> Station:
    made = Station()
    made.turn()
    return made


@pytest.mark.parametrize(("service", "scope"), DEVICES.items())
def test_the_holder_of_the_device_or_of_the_station_commands_and_nobody_else(
    station: Station, service: str, scope: str
) -> None:
    method = f"{service}.anything"
    assert station.ask("anna", service, method).code == "NO_LEASE"
    for held in (scope, "station"):
        lease = grant(station.desk, "anna", held)
        assert station.ask("anna", service, method, lease).code == ""
        assert station.ask("bob", service, method, lease).code == "AUTH", "a token that somebody overheard"
        assert station.ask("bob", service, method).code == "NO_LEASE"
        assert station.ask("anna", "station", "lease.release", lease, True).code == ""
        assert station.ask("anna", service, method, lease).code == "LEASE_STALE"
    other = grant(station.desk, "anna", "laser" if scope != "laser" else "gimbal")
    assert station.ask("anna", service, method, other).code == "NO_LEASE"
    assert station.obeyed == [(service, "anna", method)] * 2


def test_the_station_itself_needs_a_lease_of_the_whole(station: Station) -> None:
    assert station.ask("anna", "station", "station.park", grant(station.desk, "anna", "gimbal")).code == "NO_LEASE"
    assert station.ask("anna", "station", "station.park").code == "NO_LEASE"


@pytest.mark.parametrize("method", ["stop", "safe"])
def test_a_stop_needs_no_lease_and_minds_nobodys_not_even_a_stale_one(station: Station, method: str) -> None:
    stale = grant(station.desk, "anna")
    station.ask("anna", "station", "lease.release", stale, True)
    grant(station.desk, "bob")
    for lease in (None, stale):
        for service in (*DEVICES, "station"):
            assert station.ask("anna", service, method, lease, control=True).code == ""
    assert len(station.obeyed) == 2 * len(DEVICES)


def test_what_is_only_in_the_safe_direction_or_reads_needs_no_lease(station: Station) -> None:
    for service, method in (("safety", "safety.disarm"), ("pointing", "pointing.stop"), ("tracking", "tracking.model")):
        assert station.ask("anna", service, method).code == ""


def test_whoever_ends_the_station_parks_it_whoever_holds_the_lease_and_moves_nothing_else(station: Station) -> None:
    grant(station.desk, "anna")
    assert station.ask("supervisor", "station", "station.park").code == ""
    for service, method in (("station", "station.track"), ("pointing", "pointing.park"), ("safety", "safety.arm")):
        assert station.ask("supervisor", service, method).code == "NO_LEASE"


def test_the_station_moves_its_own_devices_and_never_consents_to_emission(station: Station) -> None:
    assert station.ask("station", "pointing", "pointing.park").code == ""
    lease = grant(station.desk, "anna")
    assert station.ask("station", "pointing", "pointing.track", lease).code == "", "on behalf of who asked it"
    for method in ("safety.arm", "safety.confirm"):
        assert station.ask("station", "safety", method).code == "NO_LEASE"
        assert station.ask("station", "safety", method, lease).code == "AUTH"
    assert [method for _, _, method in station.obeyed] == ["pointing.park", "pointing.track"]


def test_who_slept_through_being_replaced_is_refused_even_where_the_news_has_not_come() -> None:
    """The fence by itself: the telemetry that it sees still has both leases, as no real one does."""
    old, new = Lease("gimbal-1", 1), Lease("gimbal-2", 2)
    state = LeaseState(0, 2, [HeldLease("gimbal", "anna", one.id, one.gen, 0, "x") for one in (old, new)])
    refusals: list[Reply] = []
    fence = Fence("pointing", Lockstep(Idle()), lambda: state, lambda request, reply: refusals.append(reply))

    def sent(lease: Lease) -> Request:
        return Request(b"1", "anna", "pointing.slew", {}, False, lease)

    assert fence.passed([sent(old), sent(new), sent(old)]) == [sent(old), sent(new)]
    assert [reply.code for reply in refusals] == ["LEASE_STALE"]


def test_a_lease_that_was_found_in_order_holds_for_its_holder_until_the_next_look_and_never_for_consent() -> None:
    lease, other = Lease("station-1", 1), Lease("station-2", 2)
    told = [LeaseState(0, 2, [HeldLease("station", "anna", one.id, one.gen, 0, "x") for one in (lease, other)])]
    fence = Fence("pointing", Lockstep(Idle()), lambda: told[-1], lambda request, reply: None)

    def sent(lease: Lease | None = lease, source: str = "anna", method: str = "pointing.slew") -> Request:
        return Request(b"1", source, method, {}, False, lease)

    assert not fence.as_before(sent()), "nobody has looked at it"
    assert fence.passed([sent()])
    assert fence.as_before(sent())
    assert fence.as_before(sent(Lease("station-1", 1)))
    for one in (sent(None), sent(other), sent(source="bob"), sent(method="safety.arm"), sent(method="safety.confirm")):
        assert not fence.as_before(one)
    told.append(LeaseState(0, 2, []))
    fence.look()
    assert not fence.as_before(sent())
    assert not fence.passed([sent()])
    assert not fence.as_before(sent())


def test_what_needs_no_lease_is_never_as_before() -> None:
    """A service that owns no device judges nothing, and remembers nothing."""
    fence = Fence("link", Lockstep(Idle()), lambda: None, lambda request, reply: None)
    request = Request(b"1", "anna", "events.since", {}, False)
    assert fence.passed([request]) == [request]
    assert not fence.as_before(request)


def test_a_lease_younger_than_the_news_of_it_waits_for_the_news_and_a_made_up_one_in_vain() -> None:
    told: list[LeaseState] = [LeaseState(0, 0, [])]
    clock, refusals = Lockstep(Idle()), []
    fence = Fence("pointing", clock, lambda: told[-1], lambda request, reply: refusals.append(reply.code))
    young = Request(b"1", "anna", "pointing.slew", {}, False, Lease("gimbal-7", 7))
    made_up = Request(b"2", "mallory", "pointing.slew", {}, False, Lease("gimbal-9", 9))
    assert fence.passed([young, made_up]) == []
    told.append(LeaseState(0, 7, [HeldLease("gimbal", "anna", "gimbal-7", 7, 0, "x")]))
    assert fence.passed([]) == [young]
    clock.sleep_until(WAIT_NS)
    assert fence.passed([]) == []
    assert refusals == ["NO_LEASE"]
    assert fence.passed([young]) == [young], "and the made-up generation has shut nobody out"


@pytest.mark.parametrize("ending", ["safety.disarm", "stop", "safe"])
def test_an_arm_that_waits_for_news_of_its_lease_is_not_executed_after_what_ends_it(ending: str) -> None:
    clock = Lockstep(Idle(), UTC0_NS)
    leases = LeaseState(1, 1, [])
    refused: list[tuple[str, str]] = []
    fence = Fence("safety", clock, lambda: leases, lambda request, reply: refused.append((request.method, reply.code)))
    lease = Lease("laser-2", 2)

    def request(number: int, method: str) -> Request:
        return Request(bytes([number]) * 16, "anna", method, {}, method in STOPS, lease)

    assert fence.passed([request(1, "safety.arm"), request(2, "safety.confirm")]) == []
    assert [one.method for one in fence.passed([request(3, ending)])] == [ending]
    leases = LeaseState(1, 2, [HeldLease("laser", "anna", "laser-2", 2, 0, "arms")])
    assert fence.passed([]) == []
    assert refused == [("safety.arm", "INTERLOCK"), ("safety.confirm", "INTERLOCK")]
    both = [request(4, "safety.arm"), request(5, "safety.confirm")]
    assert fence.passed(both) == both, "said anew they count"


def test_a_command_that_waits_for_news_of_its_lease_is_not_executed_with_a_stop_that_comes_with_the_news() -> None:
    leases = LeaseState(1, 1, [])
    refused: list[str] = []
    fence = Fence("pointing", Lockstep(Idle()), lambda: leases, lambda request, reply: refused.append(request.method))
    slew = Request(b"1", "anna", "pointing.slew", {}, False, Lease("gimbal-2", 2))
    assert fence.passed([slew]) == []
    leases = LeaseState(1, 2, [HeldLease("gimbal", "anna", "gimbal-2", 2, 0, "slews")])
    stop = Request(b"2", "olga", "stop", {}, True)
    assert fence.passed([stop]) == [stop]
    assert refused == ["pointing.slew"]


def test_nobody_commands_while_the_keeper_of_the_leases_is_silent(station: Station) -> None:
    lease = grant(station.desk, "anna")
    client, pointing = station.client("anna"), station.bus.port("pointing")
    station.clock.sleep_until(station.clock.now_ns() + round(STATION_LEASE.stale_after_s * NS) + 1)
    sent = client.send("pointing", "pointing.slew", {}, 1.0, False, lease)
    assert pointing.requests() == []
    reply = client.result(sent)
    assert reply is not None
    assert (reply.code, "silent" in reply.message) == ("NO_LEASE", True)


def test_a_lease_that_runs_out_is_told_and_frees_the_station(station: Station) -> None:
    lease = grant(station.desk, "anna", ttl_s=1.0)
    anna = station.client("anna")
    station.turn(0.99)
    assert anna.drain(LEASE_LOST) == []
    station.turn(0.01)
    assert [sample.body for sample in anna.drain(LEASE_LOST)] == [
        LeaseLost("station", "anna", lease.id, lease.gen, "", "it was not renewed in time")
    ]
    assert station.ask("anna", "pointing", "pointing.slew", lease).code == "LEASE_STALE"
    assert station.ask("bob", "pointing", "pointing.slew", grant(station.desk, "bob")).code == ""


def test_preemption_is_told_to_the_loser_who_is_refused_from_then_on(station: Station) -> None:
    lease = grant(station.desk, "anna")
    anna = station.client("anna")
    wish = {"scope": "station", "ttl_s": 5.0, "reason": "storm"}
    refused = station.ask("sue", "station", "lease.acquire", None, True, **wish)
    assert (refused.code, refused.message) == ("NO_LEASE", "anna holds the lease of the station (a test)")
    taken = station.ask("sue", "station", "lease.acquire", None, True, preempt=True, **wish)
    assert taken.code == ""
    (lost,) = [sample.body for sample in anna.drain(LEASE_LOST)]
    assert (lost.holder, lost.taken_by, lost.reason, lost.id) == ("anna", "sue", "storm", lease.id)
    events: list[StationEvent] = [sample.body for sample in anna.drain(STATION_EVENT)]
    assert [event.message for event in events] == ["anna lost the lease of the station (a test) to sue: storm"]
    reply = station.ask("anna", "pointing", "pointing.slew", lease)
    assert (reply.code, "sue holds the lease of the station (storm)" in reply.message) == ("LEASE_STALE", True)
    for method, body in (("lease.renew", {"ttl_s": 5.0}), ("lease.release", {})):
        assert station.ask("anna", "station", method, lease, True, **body).code == "LEASE_STALE"


def test_a_wrong_body_of_a_lease_command_is_refused(station: Station) -> None:
    for method, body in (
        ("lease.acquire", {}),
        ("lease.acquire", {"scope": 3, "ttl_s": 1.0, "reason": "x"}),
        ("lease.renew", {"ttl_s": "long"}),
    ):
        assert (
            station.ask("anna", "station", method, grant(station.desk, "anna", "laser"), True, **body).code == "SCHEMA"
        )
        station.desk = LeaseDesk(station.clock, station.port)


def test_only_the_station_knows_leases_and_only_on_ctl(station: Station) -> None:
    assert station.ask("anna", "pointing", "lease.acquire", None, True).code == "PROTOCOL"
    assert station.ask("anna", "station", "lease.acquire").code == "NO_LEASE"


def repeated(station: Station, envelope: Envelope) -> None:
    station.bus.command(encode(envelope), False)
    station.turn()


@pytest.mark.parametrize("method", ["safety.arm", "safety.confirm"])
def test_consent_is_never_taken_twice_from_one_message_and_never_without_a_start_it_is_for(
    station: Station, method: str
) -> None:
    lease, anna, safety = grant(station.desk, "anna", "laser"), station.client("anna"), station.bus.port("safety")
    deadline_ns = station.clock.utc_ns() + NS
    heard: list[Envelope] = []
    anna.answered = heard.append  # type: ignore[method-assign]
    consent = anna.writer.request("safety", method, {}, deadline_ns, safety.writer.boot, lease)
    station.bus.command(encode(consent), False)
    station.bus.command(encode(consent), False)
    station.turn()
    repeated(station, consent)
    assert station.obeyed == [("safety", "anna", method)]
    errors = [msgspec.msgpack.decode(answer.b) for answer in heard if answer.k == "err"]
    assert [error["code"] for error in errors] == ["PROTOCOL"] * 2
    assert all("never repeated" in error["msg"] for error in errors)
    repeated(station, anna.writer.request("safety", method, {}, deadline_ns, b"", lease))
    repeated(station, anna.writer.request("safety", method, {}, 0, safety.writer.boot, lease))
    assert station.obeyed == [("safety", "anna", method)]
    assert safety.inbox.refused == {"PROTOCOL": 2, "SCHEMA": 2}


def live(station: Station, work: Any, seconds: float = 30.0) -> None:
    """The station turns twenty times a second in one thread, `work` is done in another."""

    def serve() -> None:
        while station.clock.now_ns() < seconds * NS:
            station.turn(0.05)

    station.clock.spawn("station", serve)
    station.clock.spawn("work", work)
    station.clock.run()
    if station.clock.failures:
        raise next(iter(station.clock.failures.values()))


def test_a_held_port_keeps_its_lease_as_long_as_it_is_used_and_gives_it_back(station: Station) -> None:
    anna = station.client("anna")

    def work() -> None:
        with holding(station.clock, anna, "station", "a long work") as held:
            for _ in range(250):
                held.fresh(STATION_LEASE)
                station.clock.sleep_until(station.clock.now_ns() + NS // 10)
            assert held.call("pointing", "pointing.slew", {}, 1.0).code == ""
        state = anna.fresh(STATION_LEASE)
        assert state.held == []

    live(station, work)
    assert station.obeyed == [("pointing", "anna", "pointing.slew")]


def test_who_stops_working_stops_holding_and_learns_it(station: Station) -> None:
    anna = station.client("anna")

    def sleep_and_go_on(held: HeldPort) -> None:
        station.clock.sleep_until(station.clock.now_ns() + 12 * NS)
        for _ in range(50):
            held.fresh(STATION_LEASE)
            station.clock.sleep_until(station.clock.now_ns() + NS // 10)

    def work() -> None:
        with holding(station.clock, anna, "station", "a nap") as held:
            with pytest.raises(LeaseRefusedError, match="is over"):
                sleep_and_go_on(held)
            assert held.call("pointing", "pointing.slew", {}, 1.0).code == "LEASE_STALE"

    live(station, work)


def test_a_renewal_that_is_refused_for_the_moment_is_asked_for_again_four_times_a_second() -> None:
    asked: list[int] = []
    clock = Lockstep(Idle(), UTC0_NS)

    class Busy:
        service = "anna"

        def send(self, service: str, method: str, *_: Any) -> bytes:
            asked.append(clock.now_ns())
            return b"1"

        def result(self, request_id: bytes) -> Reply:
            return Reply("BUSY", "too many")

        def fresh(self, *_: Any) -> None:
            """Nothing is told."""

    held = HeldPort(clock, Busy(), Lease("gimbal-1", 1))  # type: ignore[arg-type]
    for _ in range(500):
        clock.sleep_until(clock.now_ns() + NS // 100)
        held.fresh(STATION_LEASE)
    assert asked[0] == pytest.approx(2.5 * NS, abs=NS // 50)
    assert 9 <= len(asked) <= 11, "in the half of a lease that is left"


def test_whoever_comes_second_is_told_who_was_first(station: Station) -> None:
    anna, bob = station.client("anna"), station.client("bob")

    def work() -> None:
        with leased(anna, "station", "flies a pass"):
            with (
                pytest.raises(LeaseRefusedError, match=r"anna holds the lease of the station \(flies a pass\)"),
                leased(bob, "laser", "arms"),
            ):
                raise AssertionError("both hold it")
            with leased(bob, "laser", "arms", preempt=True) as lease:  # without keys whoever is here is a supervisor
                assert bob.call("safety", "safety.arm", {}, 1.0, lease=lease).code == ""

    live(station, work)
