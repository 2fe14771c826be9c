"""Nothing on the bus reaches emission but arm and confirm of who holds the laser's lease: every method, every role."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from leases import grant
from safety_station import Station

from controller.bus.envelope import Envelope, Ids, Lease, body_as, decode
from controller.bus.fence import Fence
from controller.bus.inbox import Inbox
from controller.bus.lease_desk import LeaseDesk
from controller.bus.local import LocalBus
from controller.bus.methods import METHODS
from controller.bus.roles import ROLES, Principal
from controller.bus.topics import STATION_LEASE
from controller.bus.writer import Writer
from controller.services.lockstep import Lockstep
from hal.clock import NS
from sim_hw.timeline import Timeline

NAMES = tuple(sorted({method.name for method in METHODS} | {"safety.enable", "laser.output", "safety.emit"}))
ROLES_THAT_HOLD = ("operator", "supervisor")
LEASES = ("none", "somebody else's", "expired", "of the camera", "made up", "held")


class Reach:
    """A safety service whose every vote is yes, behind the real inbox, fence and lease desk, with keys."""

    def __init__(self, good: Any) -> None:
        self.station = Station(good)
        clock = self.station.clock
        self.clock = clock
        desk_clock = Lockstep(Timeline(), clock.utc_ns())
        self.keeper = LocalBus(desk_clock, seed=1).port("station")
        self.desk = LeaseDesk(desk_clock, self.keeper)
        self.writer = Writer("safety", clock, Ids(1), False)
        self.inbox = Inbox(self.writer)
        self.fence = Fence("safety", clock, lambda: self.keeper.latest(STATION_LEASE).body, self.inbox.finish)
        self.answers: list[Envelope] = []
        self.station.port.answer = self.inbox.finish  # type: ignore[method-assign]
        self.station.turn(5)
        self.desk.turn()

    def lease(self, kind: str, holder: str) -> Lease | None:
        if kind == "none":
            return None
        if kind == "made up":
            return Lease("laser-1", 1)
        lease = grant(
            self.desk, "rival" if kind == "somebody else's" else holder, "camera" if "cam" in kind else "laser"
        )
        if kind == "expired":
            self.desk._clock.sleep_until(self.desk._clock.now_ns() + 60 * NS)
            self.desk.turn()
        return lease

    def message(self, who: Principal, method: str, lease: Lease | None) -> Envelope:
        """What somebody with this key sends to the safety service."""
        mine = Writer(who.name, self.clock, Ids(2), False)
        return mine.request("safety", method, {}, self.clock.utc_ns() + NS, self.writer.boot, lease)

    def deliver(self, message: Envelope, who: Principal, control: bool = False) -> str:
        """Bring it in, let half a second pass; the error code of the answer, empty when it was done."""
        self.answers.clear()
        self.inbox.admit(message, control, lambda data: self.answers.append(decode(data)), who)
        self.station.good.leases = self.keeper.latest(STATION_LEASE).body
        for _ in range(25):
            self.station.port.queue += self.fence.passed(self.inbox.take())
            self.station.turn()
        done = [answer for answer in self.answers if answer.k in ("rep", "err")]
        return "" if done and done[-1].k == "rep" else body_as(done[-1], dict)["code"] if done else "no answer"

    def ask(self, who: Principal, method: str, lease: Lease | None, control: bool = False) -> str:
        message = self.message(who, method, lease)
        return self.deliver(msgspec.structs.replace(message, id=self.new_id()), who, control)

    def new_id(self) -> bytes:
        return self.writer.ids.message(self.clock.utc_ns())

    @property
    def emits(self) -> bool:
        return self.station.laser.on or self.station.enable


@pytest.fixture
def reach(good: Any) -> Reach:
    return Reach(good)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", LEASES)
def test_no_method_of_any_role_under_any_lease_emits_by_itself(reach: Reach, role: Any, kind: str) -> None:
    who = Principal("anna", role)
    lease = reach.lease(kind, who.name)
    for method in NAMES:
        for control in (False, True):
            if method not in ("safety.arm", "safety.confirm"):
                reach.ask(who, method, lease, control)
                assert not reach.emits, method
                assert not reach.station.state.armed, method


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", LEASES)
def test_arm_and_confirm_emit_for_the_holder_of_the_lease_alone(reach: Reach, role: Any, kind: str) -> None:
    who = Principal("anna", role)
    lease = reach.lease(kind, who.name)
    codes = reach.ask(who, "safety.arm", lease), reach.ask(who, "safety.confirm", lease)
    may = role in ROLES_THAT_HOLD and kind == "held"
    assert reach.emits is may
    assert (codes == ("", "")) is may
    assert may or "" not in codes


@pytest.mark.parametrize("role", ROLES_THAT_HOLD)
@pytest.mark.parametrize("first", [name for name in NAMES if name != "safety.arm"])
def test_nothing_in_place_of_arm_lets_a_confirmation_through(reach: Reach, role: Any, first: str) -> None:
    who = Principal("anna", role)
    lease = reach.lease("held", who.name)
    reach.ask(who, first, lease)
    assert reach.ask(who, "safety.confirm", lease) == "INTERLOCK"
    assert not reach.emits


@pytest.mark.parametrize("kind", [kind for kind in LEASES if kind != "held"])
def test_the_station_s_own_services_never_consent(reach: Reach, kind: str) -> None:
    station = Principal("station", "station")
    lease = reach.lease(kind, "station")
    assert reach.ask(station, "safety.arm", lease) != ""
    assert reach.ask(station, "safety.confirm", lease) != ""
    assert not reach.emits


def test_the_station_s_key_does_not_consent_in_the_name_and_under_the_lease_of_an_operator(reach: Reach) -> None:
    anna, station = Principal("anna", "operator"), Principal("station", "station")
    lease = reach.lease("held", "anna")
    for method in ("safety.arm", "safety.confirm"):
        message = msgspec.structs.replace(reach.message(anna, method, lease), id=reach.new_id())
        assert reach.deliver(message, station) == "AUTH"
    assert not reach.emits


def test_a_recorded_arm_and_confirm_played_again_are_refused(reach: Reach) -> None:
    who = Principal("anna", "operator")
    lease = reach.lease("held", "anna")
    recorded = []
    for method in ("safety.arm", "safety.confirm"):
        message = msgspec.structs.replace(reach.message(who, method, lease), id=reach.new_id())
        recorded.append(message)
        assert reach.deliver(message, who) == ""
    assert reach.emits
    assert reach.ask(who, "safety.disarm", lease) == ""
    assert not reach.emits
    assert [reach.deliver(message, who) for message in recorded] == ["PROTOCOL", "PROTOCOL"]
    for _ in range(2):  # long enough for the ids of other commands to be forgotten
        reach.clock.t_ns += 61 * NS
        assert reach.inbox.take() == []
    assert reach.inbox.remembered == 0
    assert [reach.deliver(message, who) for message in recorded] == ["PROTOCOL", "PROTOCOL"]
    assert not reach.emits
    another = Reach(reach.station.good)  # a start of its own: after a crash nothing is remembered but the boot id
    another.writer.boot = b"another."
    assert [another.deliver(message, who) for message in recorded] == ["TRANSPORT", "TRANSPORT"]
    assert not another.emits
