"""The station service as keeper of the leases."""

from __future__ import annotations

import pytest
from idle_bench import Idle

from controller.bus.envelope import Lease
from controller.bus.local import LocalBus, LocalPort
from controller.bus.port import Reply
from controller.bus.topics import STATION_LEASE, STATION_MODE
from controller.services.lockstep import Lockstep
from controller.station_service import StationService

UTC0_NS = 1_790_000_000_000_000_000


class Run:
    """A station, and clients that speak when told to."""

    def __init__(self) -> None:
        self.clock = Lockstep(Idle(), UTC0_NS)
        self.bus = LocalBus(self.clock)
        self.station = StationService(self.clock, self.bus.port("station"), 20.0, 1e-4)
        self.station.open()
        self.station.cycle()

    def turn(self, *sent: tuple[LocalPort, bytes]) -> list[Reply | None]:
        self.station.cycle()
        return [port.result(request_id) for port, request_id in sent]

    def wish(self, name: str, preempt: bool = False) -> tuple[LocalPort, bytes]:
        port = self.bus.port(name)
        body = {"scope": "station", "ttl_s": 2.0, "reason": "a test", "preempt": preempt}
        return port, port.send("station", "lease.acquire", body, 1.0, True)

    def acquire(self, name: str) -> Lease:
        (reply,) = self.turn(self.wish(name))
        assert reply is not None
        assert reply.body is not None, reply.message
        return Lease(reply.body["id"], reply.body["gen"])

    @property
    def mode(self) -> str:
        state = self.bus.port("anna").fresh(STATION_MODE)
        return str(state.mode)


@pytest.fixture
def run() -> Run:
    return Run()


def test_a_command_that_came_with_the_end_of_its_lease_is_not_executed(run: Run) -> None:
    lease, anna = run.acquire("anna"), run.bus.port("anna")
    park = anna, anna.send("station", "station.park", {}, 1.0, False, lease)
    taken, refused = run.turn(run.wish("sue", preempt=True), park)
    assert taken is not None
    assert refused is not None
    assert (taken.code, refused.code) == ("", "LEASE_STALE")


def test_a_stop_under_a_lease_that_has_ended_stops_all_the_same(run: Run) -> None:
    lease, anna = run.acquire("anna"), run.bus.port("anna")
    run.turn(run.wish("sue", preempt=True))
    (reply,) = run.turn((anna, anna.send("station", "stop", {}, 1.0, True, lease)))
    assert reply is not None
    assert (reply.code, run.mode) == ("", "HOLD")


def test_the_station_tells_the_leases_though_nobody_asks_and_forgets_what_is_not_renewed(run: Run) -> None:
    lease = run.acquire("anna")
    told: list[list[str]] = []
    for _ in range(60):
        run.clock.sleep_until(run.clock.now_ns() + 50_000_000)
        run.turn()
        state = run.bus.port("bob").fresh(STATION_LEASE)
        told.append([one.id for one in state.held])
    assert told[0] == [lease.id]
    assert told[38] == [lease.id], "at 1.95 s"
    assert told[39] == [], "at 2 s"
    assert told[-1] == []
