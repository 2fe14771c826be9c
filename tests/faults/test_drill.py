"""The rows of the table can fail: played where the fault is nothing, unnoticed, or where emission returns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from controller.bus.fence import Fence
from controller.bus.inbox import Inbox
from controller.bus.port import Reply
from controller.cli import faults_lockstep
from controller.cli.faults_lockstep import Drill, play
from controller.cli.faults_table import rows
from controller.cli.faults_verdict import Found
from controller.services.lockstep import Lockstep
from sim_hw.faults.panel import Faults

MS_NS = 1_000_000


def played(*names: str) -> dict[str, Found]:
    return {row.name: found for row, found in play(rows(names, "lockstep"), lambda row, found: None)}


def test_a_row_fails_when_its_fault_is_not_injected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Faults, "_begin", lambda *arguments: None)
    for what in ("suspend", "starve", "step_utc"):
        monkeypatch.setattr(Lockstep, what, lambda *arguments: None)
    names = ("link suspended", "link slowed", "camera delayed", "camera saturated", "power_meter stuck", "leap second")
    for name, found in played(*names).items():
        assert "the fault touched nothing" in found.problems, name


def test_a_disk_that_is_not_full_fails_the_row_of_a_full_one(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def room() -> Iterator[None]:
        yield

    monkeypatch.setattr(faults_lockstep, "_no_room", room)
    found = played("disk full")["disk full"]
    assert "the fault touched nothing" in found.problems
    assert any("nothing is recorded until there is room" in problem for problem in found.problems)


def test_an_observer_who_may_arm_fails_the_row_of_the_stolen_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.bus.inbox.forbidden", lambda principal, source, method: "")
    found = played("stolen key")["stolen key"]
    assert any("safety.arm by thief was answered" in problem for problem in found.problems)


def test_a_command_of_the_flood_that_is_obeyed_fails_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    admit, count = Inbox.admit, [0]

    def some(self: Inbox, envelope, control, send, principal=None) -> None:
        count[0] += envelope.src == "flooder"
        if envelope.src == "flooder" and count[0] == 1000:
            send(self._writer.answer(envelope, Reply("", "parked")))
            return
        admit(self, envelope, control, send, principal)

    monkeypatch.setattr(Inbox, "admit", some)
    found = played("flood")["flood"]
    assert found.problems == ("station.park was answered obeyed and not NO_LEASE (parked), 1 times",)


def test_a_guest_who_commands_without_a_lease_fails_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = Fence._refusal
    monkeypatch.setattr(
        Fence,
        "_refusal",
        lambda self, request, scope: None if request.source == "bad" else refusal(self, request, scope),
    )
    assert any("station: launch.missile was answered" in why for why in played("bad client")["bad client"].problems)


def judged(emitting: list[bool], name: str = "camera stuck") -> Found:
    """What is found where emission went so, a row a millisecond."""
    (row,) = rows([name])
    on = np.array(emitting, dtype=bool)
    t_ns = np.arange(1, len(on) + 1, dtype=np.int64) * MS_NS
    log = SimpleNamespace(rows=lambda windows: SimpleNamespace(t_ns=t_ns, emitting=on, enabled=on))
    drill = SimpleNamespace(
        _clock=SimpleNamespace(now_ns=lambda: 1500 * MS_NS),
        _bench=SimpleNamespace(world=SimpleNamespace(log=log)),
        _said=["the trip is latched"],
        _died=[],
        _wrong=[],
        _lost_ns=[5 * MS_NS],
        _mode=row.ends[0],
        _silent=list,
    )
    return Drill._judge(drill, row, 0, 200 * MS_NS, 1, True)  # type: ignore[arg-type]


def test_emission_that_ends_and_stays_so_is_as_it_must_be() -> None:
    found = judged([True] * 14 + [False] * 1486)
    assert (found.off_ms, found.problems) == (15.0, ())


def test_emission_that_returns_for_a_while_has_come_back_and_ended_when_it_did_last() -> None:
    found = judged([True] * 4 + [False] * 10 + [True] * 1400 + [False] * 86)
    assert found.off_ms == 1415.0
    assert "emission came back by itself" in found.problems


def test_emission_that_blinks_where_it_should_go_on_is_a_problem() -> None:
    assert judged([True] * 1500, "flood").problems == ()
    assert judged([True] * 700 + [False] + [True] * 799, "flood").problems == ("emission ended for a moment",)


def test_an_empty_log_proves_nothing() -> None:
    assert "nothing was seen of what truly happened" in judged([], "flood").problems


def test_a_station_that_does_not_emit_is_made_ready_again_before_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    lit, asked = Drill._lit, [0]

    def dark_once(self: Drill) -> bool:
        asked[0] += 1
        return lit(self) and asked[0] != 2  # in LINK and lit; half a second later no more

    monkeypatch.setattr(Drill, "_lit", dark_once)
    assert played("two operators")["two operators"].passed
    assert asked[0] >= 5


def test_every_row_has_a_moment_of_its_own_in_the_turn_of_20_ms() -> None:
    phases = {faults_lockstep.phase_ns(row) for row in rows((), "lockstep")}
    assert len(phases) > 90
    assert min(phases) < 2 * MS_NS
    assert max(phases) > 18 * MS_NS
