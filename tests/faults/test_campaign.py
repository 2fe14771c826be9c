"""The whole fault table in lockstep, row by row on stations in LINK: each ends in its state, inside its bound."""

from __future__ import annotations

import pytest

from controller.cli.faults_lockstep import play
from controller.cli.faults_table import TABLE, NoSuchRowError, rows
from sim_hw.faults.table import DEVICES
from sim_hw.faults.table import TABLE as WORDS


@pytest.mark.no_cover  # tracing would double minutes of simulated time; what is traced here has tests of its own
@pytest.mark.timeout(900)
def test_every_row_ends_in_its_state_inside_its_bound() -> None:
    # All of them on as few flights as it takes: coming to LINK costs more than a row.
    wanted = rows((), "lockstep")
    found = {row.name: found for row, found in play(wanted, lambda row, found: None)}
    assert set(found) == {row.name for row in wanted}
    assert {name: result.problems for name, result in found.items() if result.problems} == {}


def test_the_table_has_every_word_of_every_device_and_every_process_killed_suspended_and_slowed() -> None:
    names = {row.name for row in TABLE}
    assert len(names) == len(TABLE)
    owned = [
        device for device in DEVICES if device not in ("stage", "mirror")
    ]  # no service of a station owns it, or depends on it
    words = [(word, device) for word in WORDS.values() for device in owned if word.applies_to(device)]
    assert {f"{device} {'power cycle' if word.name == 'off' else word.name}" for word, device in words} <= names
    for service in ("safety", "station", "pointing", "tracking", "link"):
        assert {f"{service} {what}" for what in ("killed", "suspended", "slowed")} <= names


def test_a_wrong_name_is_told_with_the_nearest() -> None:
    with pytest.raises(NoSuchRowError, match="did you mean camera stuck"):
        rows(["camera stck"])
