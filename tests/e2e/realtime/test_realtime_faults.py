"""Rows of the fault table that need processes, in real time: all of them take minutes, and are a campaign.

CI plays those in which a process hangs, or an operator does; in those of test_realtime_kill.py a process dies.
"""

from __future__ import annotations

import pytest

from controller.cli.factories import SERVICES
from controller.cli.faults_realtime import play
from controller.cli.faults_table import rows

HANGING = [*(f"{name} suspended" for name in SERVICES), "lease holder vanishes", "two operators"]


@pytest.mark.timeout(300)
def test_whoever_hangs_or_vanishes_emission_ends_inside_its_bound_and_motion_after_it() -> None:
    found = {row.name: found for row, found in play(rows(HANGING, "realtime"), lambda row, found: None)}
    assert set(found) == set(HANGING)
    assert {name: result.problems for name, result in found.items() if result.problems} == {}


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_every_row_that_needs_processes_ends_in_the_state_of_the_table() -> None:
    wanted = rows((), "realtime")
    found = {row.name: found for row, found in play(wanted, lambda row, found: None)}
    assert list(found) == [row.name for row in wanted]
    assert {name: result.problems for name, result in found.items() if result.problems} == {}
