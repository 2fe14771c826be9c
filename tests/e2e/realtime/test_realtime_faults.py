"""The rows of the fault table that need processes, in real time: each process killed, suspended, slowed, bad guests."""

from __future__ import annotations

import pytest

from controller.cli.faults_realtime import play
from controller.cli.faults_table import rows


@pytest.mark.timeout(1200)
def test_every_row_that_needs_processes_ends_in_the_state_of_the_table() -> None:
    wanted = rows((), "realtime")
    found = {row.name: found for row, found in play(wanted, lambda row, found: None)}
    assert list(found) == [row.name for row in wanted]
    assert {name: result.problems for name, result in found.items() if result.problems} == {}
