"""Leases on real sockets with keys: roles decide who may take one, and telemetry carries the news."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from controller.bus.client import Client
from controller.bus.endpoints import Table
from controller.bus.envelope import Lease
from controller.bus.holder import LeaseRefusedError, leased
from controller.bus.keys import make_key, make_station_key
from controller.bus.security import client_security, station_security
from controller.bus.topics import LEASE_LOST, STATION_LEASE

PEOPLE = {"anna": "operator", "bob": "operator", "sue": "supervisor", "olga": "observer"}


@pytest.fixture
def people(table: Table, toy: Callable[..., Any], tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A client for each, and what reached the gimbal as "gimbal"."""
    folder = tmp_path / "keys"
    make_station_key(folder)
    with ExitStack() as stack:
        for name, role in PEOPLE.items():
            make_key(folder, name, role)  # type: ignore[arg-type]
        stack.enter_context(toy("station", security=station_security(folder), paced=False))
        served = stack.enter_context(toy("pointing", security=station_security(folder), paced=False))
        clients = {name: stack.enter_context(Client(table, security=client_security(folder, name))) for name in PEOPLE}
        yield {**clients, "gimbal": served.executed}


def slew(client: Client, lease: Lease | None) -> str:
    return client.call("pointing", "pointing.slew", lease=lease).code


def test_commands_at_once_after_the_grant_are_obeyed_though_the_news_may_be_slower(people: dict[str, Any]) -> None:
    for number in range(30):
        with leased(people["anna"], "gimbal", "hurries") as lease:
            assert slew(people["anna"], lease) == ""
        assert len(people["gimbal"]) == number + 1


def test_an_operator_is_told_who_holds_it_and_may_not_take_it(people: dict[str, Any]) -> None:
    with leased(people["anna"], "station", "flies") as lease:
        for preempt in (False, True):
            with (
                pytest.raises(LeaseRefusedError, match=r"anna holds the lease of the station \(flies\)"),
                leased(people["bob"], "station", "wants it", preempt=preempt),
            ):
                raise AssertionError("both hold it")
        assert slew(people["bob"], lease) == "AUTH", "with the token that everybody can read in telemetry"
        assert slew(people["bob"], None) == "NO_LEASE"
        with pytest.raises(LeaseRefusedError, match="observer"), leased(people["olga"], "laser", "looks"):
            raise AssertionError("an observer holds it")
        assert slew(people["anna"], lease) == ""
    assert people["gimbal"] == ["pointing.slew"]


def test_a_supervisor_takes_it_and_the_former_holder_is_told_and_refused(people: dict[str, Any]) -> None:
    with leased(people["anna"], "gimbal", "flies") as lease:
        people["anna"].subscribe(LEASE_LOST)
        with leased(people["sue"], "station", "storm", preempt=True) as taken:
            assert taken.gen > lease.gen
            assert slew(people["sue"], taken) == ""
            assert slew(people["anna"], lease) == "LEASE_STALE"
            lost = people["anna"].wait_for(LEASE_LOST).body
            assert (lost.holder, lost.id, lost.taken_by, lost.reason) == ("anna", lease.id, "sue", "storm")
            held = people["bob"].wait_for(STATION_LEASE).body.held
            assert [(one.scope, one.holder, one.gen) for one in held] == [("station", "sue", taken.gen)]
    assert people["gimbal"] == ["pointing.slew"]
