"""Rows of the fault table that need processes, in real time; all of them are a campaign."""

from __future__ import annotations

import pytest

from controller.cli.faults_realtime import play
from controller.cli.faults_table import rows

QUICK = ("malformed frame", "two operators", "safety suspended", "tracking suspended")


def problems(names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    wanted = rows(names, "realtime")
    found = [result for _, result in play(wanted, lambda row, found: None)]
    assert [result.name for result in found] == [row.name for row in wanted]
    return {result.name: (*result.problems, result.told) for result in found if result.problems}


@pytest.mark.timeout(240)
def test_a_station_of_processes_ends_in_the_state_of_the_table() -> None:
    assert problems(QUICK) == {}


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_every_row_that_needs_processes_ends_in_the_state_of_the_table() -> None:
    assert problems(()) == {}
