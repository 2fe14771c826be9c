"""Who is started again, after how long, and when no more: counted on a clock of the test's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controller.cli.factories import PRIORITIES, REALTIME
from controller.services.child import Child
from controller.services.rules import DEFAULT_RULES, Deaths
from hal.clock import NS
from hal.rig_supervisor import NEVER, RESTARTABLE, SERVICES

RULES = replace(DEFAULT_RULES, restart_delay_s=2.0, restart_delay_max_s=20.0, restarts_max=5, restart_window_s=600.0)


def test_the_delay_doubles_up_to_its_maximum_and_then_the_service_stays_down() -> None:
    deaths = Deaths("link", RULES)
    verdicts = [deaths.died(n * NS) for n in range(6)]

    delays_s = [None if v.due_ns is None else v.due_ns / NS - n for n, v in enumerate(verdicts)]
    assert delays_s == [2.0, 4.0, 8.0, 16.0, 20.0, None]
    assert [v.crash_loop for v in verdicts] == [False] * 5 + [True]
    assert "(6 deaths in 10 min): it stays down" in verdicts[-1].sentence


def test_deaths_that_are_older_than_the_window_no_longer_count() -> None:
    deaths = Deaths("link", RULES)
    for n in range(20):
        verdict = deaths.died(n * 601 * NS)
        assert verdict.due_ns == (n * 601 + 2) * NS


def test_safety_is_never_started_again_and_the_sentence_says_why() -> None:
    verdict = Deaths("safety", RULES).died(0)
    assert verdict.due_ns is None
    assert not verdict.crash_loop
    assert "not started again by itself (safety alone may switch the laser on" in verdict.sentence


def test_who_waits_for_a_device_is_tried_for_ever() -> None:
    deaths = Deaths("tracking", RULES)
    for n in range(100):
        assert deaths.refused(n * NS).due_ns == (n + 20) * NS


def test_the_names_of_the_rig_file_are_those_of_the_station() -> None:
    assert set(SERVICES) == {*REALTIME, "supervisor"}
    assert set(PRIORITIES) <= set(SERVICES)
    assert set(RESTARTABLE) | set(NEVER) == set(SERVICES), "each is one or the other"
    assert not set(RESTARTABLE) & set(NEVER)


@pytest.mark.parametrize(
    ("service", "heard_s", "now_s", "since_s", "hangs"),
    [
        ("link", 100, 110.0, 0, False),
        ("link", 100, 110.1, 0, True),
        ("pointing", 100, 102.5, 0, False),
        ("pointing", 100, 102.6, 0, True),
        ("link", 100, 130.0, 125, False),  # the supervisor itself stood still until then
        ("link", None, 180.0, 0, False),
        ("link", None, 180.1, 0, True),
    ],
)
def test_a_service_hangs_when_it_has_been_silent_too_long_while_somebody_listened(
    service: str, heard_s: int | None, now_s: float, since_s: int, hangs: bool
) -> None:
    launch = type("Launch", (), {"service": service})()
    child = Child(launch, None, Path("log"), None, None, 0)  # type: ignore[arg-type]
    child.heard_ns = None if heard_s is None else heard_s * NS
    assert bool(child.hung(round(now_s * NS), since_s * NS, DEFAULT_RULES)) == hangs
