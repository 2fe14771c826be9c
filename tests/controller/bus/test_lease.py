"""Who may command: the table of leases by itself."""

from __future__ import annotations

import math

import pytest

from controller.bus.envelope import Lease
from controller.bus.lease import PARENTS, SCOPE_OF, Acquire, Held, LeaseError, LeaseTable, covers
from hal.clock import NS

UTC_NS = 1_790_000_000 * NS


def acquire(
    table: LeaseTable, holder: str, scope: str, now_s: float = 0.0, preempt: bool = False, supervisor: bool = False
) -> Held:
    wish = Acquire(scope=scope, ttl_s=10.0, reason="a test", preempt=preempt)
    return table.acquire(round(now_s * NS), UTC_NS, holder, wish, supervisor)[0]


def refused(code: str, *arguments: object, **more: object) -> str:
    with pytest.raises(LeaseError) as caught:
        acquire(*arguments, **more)  # type: ignore[arg-type]
    assert caught.value.code == code
    return str(caught.value)


def test_every_scope_is_one_of_the_station_and_of_itself_and_no_part_of_another() -> None:
    parts = set(PARENTS) - {"station"}
    assert all(covers("station", part) and covers(part, part) for part in PARENTS)
    assert not any(covers(one, "station") for one in parts)
    assert not any(covers(one, other) for one in parts for other in parts if one != other)
    assert not covers("gimbal", "elsewhere")
    assert set(SCOPE_OF.values()) == set(PARENTS), "every scope has a service that enforces it"


def test_a_part_is_refused_while_the_whole_is_held_and_the_whole_while_a_part_is() -> None:
    table = LeaseTable()
    whole = acquire(table, "anna", "station")
    assert refused("NO_LEASE", table, "bob", "gimbal") == "anna holds the lease of the station (a test)"
    assert "anna holds" in refused("NO_LEASE", table, "anna", "gimbal"), "by another process of hers"
    table.release("anna", whole.token)
    acquire(table, "bob", "gimbal")
    acquire(table, "carl", "camera")
    assert "bob holds the lease of the gimbal" in refused("NO_LEASE", table, "anna", "station")
    assert [one.holder for one in table.held] == ["bob", "carl"]


def test_generations_grow_with_every_grant_and_begin_above_those_of_an_earlier_start() -> None:
    table, generations = LeaseTable(), []
    for _ in range(3):
        held = acquire(table, "anna", "station")
        generations.append(held.token.gen)
        table.release("anna", held.token)
    assert generations == sorted(set(generations))
    assert generations[0] == UTC_NS // 1_000_000
    wish = Acquire(scope="station", ttl_s=10.0, reason="after a restart, a second later")
    again, _ = LeaseTable().acquire(0, UTC_NS + NS, "anna", wish, False)
    assert again.token.gen > generations[-1]


def test_a_lease_ends_when_it_is_not_renewed_and_not_before() -> None:
    table = LeaseTable()
    held = acquire(table, "anna", "station")
    assert table.expire(10 * NS - 1) == []
    renewed = table.renew(9 * NS, "anna", held.token, 10.0)
    assert (renewed.token, renewed.expires_ns) == (held.token, 19 * NS)
    assert table.expire(19 * NS - 1) == []
    assert table.expire(19 * NS) == [renewed]
    for use in (lambda: table.renew(19 * NS, "anna", held.token, 10.0), lambda: table.release("anna", held.token)):
        with pytest.raises(LeaseError) as caught:
            use()
        assert caught.value.code == "LEASE_STALE"
    acquire(table, "bob", "station", 19.0)


def test_a_supervisor_who_says_so_takes_every_lease_in_the_way_and_nobody_else_does() -> None:
    table = LeaseTable()
    gimbal, camera = acquire(table, "bob", "gimbal"), acquire(table, "carl", "camera")
    refused("NO_LEASE", table, "sue", "station", supervisor=True)
    assert "anna is no supervisor" in refused("AUTH", table, "anna", "station", preempt=True)
    wish = Acquire(scope="station", ttl_s=10.0, reason="storm", preempt=True)
    held, taken = table.acquire(0, UTC_NS, "sue", wish, True)
    assert taken == [gimbal, camera]
    assert table.held == [held]
    assert held.token.gen > camera.token.gen > gimbal.token.gen


def test_a_supervisor_takes_no_more_than_is_in_the_way() -> None:
    table = LeaseTable()
    acquire(table, "bob", "gimbal")
    acquire(table, "carl", "camera")
    acquire(table, "sue", "gimbal", preempt=True, supervisor=True)
    assert [(one.holder, one.scope) for one in table.held] == [("carl", "camera"), ("sue", "gimbal")]


@pytest.mark.parametrize("aims", ["gimbal", "camera"])
def test_nobody_aims_a_laser_that_another_has_in_hand_and_nobody_arms_what_another_aims(aims: str) -> None:
    table = LeaseTable()
    laser = acquire(table, "anna", "laser")
    assert refused("NO_LEASE", table, "bob", aims) == "anna holds the lease of the laser (a test)"
    table.release("anna", laser.token)
    acquire(table, "bob", aims)
    assert refused("NO_LEASE", table, "anna", "laser") == f"bob holds the lease of the {aims} (a test)"


def test_one_holder_may_have_laser_gimbal_and_camera_each_by_itself() -> None:
    table = LeaseTable()
    for scope in ("gimbal", "laser", "camera"):
        acquire(table, "anna", scope)
    assert "anna holds the lease of the gimbal" in refused("NO_LEASE", table, "anna", "gimbal")
    assert [one.scope for one in table.held] == ["gimbal", "laser", "camera"]


def test_a_supervisor_who_takes_the_gimbal_takes_the_laser_that_it_aims() -> None:
    table = LeaseTable()
    laser = acquire(table, "anna", "laser")
    assert "bob is no supervisor" in refused("AUTH", table, "bob", "gimbal", preempt=True)
    wish = Acquire(scope="gimbal", ttl_s=10.0, reason="storm", preempt=True)
    held, taken = table.acquire(0, UTC_NS, "sue", wish, True)
    assert (taken, table.held) == ([laser], [held])


def test_a_token_serves_its_holder_alone() -> None:
    table = LeaseTable()
    held = acquire(table, "anna", "station")
    for holder, token, code in (
        ("mallory", held.token, "AUTH"),
        ("anna", Lease(held.token.id, held.token.gen + 1), "LEASE_STALE"),
        ("anna", Lease("station-1", held.token.gen), "LEASE_STALE"),
        ("anna", None, "NO_LEASE"),
    ):
        with pytest.raises(LeaseError) as caught:
            table.release(holder, token)
        assert caught.value.code == code
    assert table.held == [held]


@pytest.mark.parametrize("ttl_s", [0.0, -1.0, 0.49, 30.1, math.inf, math.nan])
def test_a_lease_for_ever_or_for_no_time_is_refused(ttl_s: float) -> None:
    table = LeaseTable()
    with pytest.raises(LeaseError, match="ttl_s"):
        table.acquire(0, UTC_NS, "anna", Acquire(scope="station", ttl_s=ttl_s, reason="x"), True)
    held = acquire(table, "anna", "station")
    with pytest.raises(LeaseError, match="ttl_s"):
        table.renew(0, "anna", held.token, ttl_s)


@pytest.mark.parametrize(("scope", "reason"), [("dome", "x"), ("", "x"), ("station", ""), ("station", "x" * 201)])
def test_a_wish_without_sense_is_refused(scope: str, reason: str) -> None:
    with pytest.raises(LeaseError) as caught:
        LeaseTable().acquire(0, UTC_NS, "anna", Acquire(scope=scope, ttl_s=1.0, reason=reason), True)
    assert caught.value.code == "SCHEMA"
