"""Every row of the fault table that needs processes, in real time: minutes on a quiet machine, so a campaign.

What CI plays of it in real time is test_realtime_kill.py.
"""

from __future__ import annotations

import pytest

from controller.cli.faults_realtime import play
from controller.cli.faults_table import rows


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_every_row_that_needs_processes_ends_in_the_state_of_the_table() -> None:
    wanted = rows((), "realtime")
    found = [(row.name, result) for row, result in play(wanted, lambda row, found: None)]
    assert [name for name, _ in found] == [row.name for row in wanted]
    assert {name: result.problems for name, result in found if result.problems} == {}
