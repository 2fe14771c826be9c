"""The whole fault table in lockstep, row by row on stations in LINK: each ends in its state, inside its bound."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from controller.cli.faults_lockstep import play
from controller.cli.faults_table import TABLE, NoSuchRowError, Row, rows
from sim_hw.faults.table import DEVICES
from sim_hw.faults.table import TABLE as WORDS

Choice = Callable[[Row], bool]
PARTS: dict[str, Choice] = {
    "processes": lambda row: row.cause.kind in {"kill", "suspend", "starve"},
    **{device: lambda row, device=device: row.cause.target == device for device in DEVICES},
    "clock, disk and guests": lambda row: row.cause.kind in {"utc", "disk", "guest"},
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", PARTS)
def test_every_row_ends_in_its_state_inside_its_bound(part: str) -> None:
    wanted = [row for row in TABLE if PARTS[part](row)]
    found = [(row.name, result) for row, result in play(wanted, lambda row, found: None)]
    assert [name for name, _ in found] == [row.name for row in wanted]
    assert {name: result.problems for name, result in found if result.problems} == {}


def test_every_row_is_in_one_part_of_this_test() -> None:
    assert {row.name: sum(choice(row) for choice in PARTS.values()) for row in TABLE} == {row.name: 1 for row in TABLE}


def test_the_table_has_every_word_of_every_device_and_every_process_killed_suspended_and_slowed() -> None:
    names = {row.name for row in TABLE}
    assert len(names) == len(TABLE)
    words = [(word, device) for word in WORDS.values() for device in DEVICES if word.applies_to(device)]
    assert {f"{device} {'power cycle' if word.name == 'off' else word.name}" for word, device in words} <= names
    for service in ("safety", "station", "pointing", "tracking", "link"):
        assert {f"{service} {what}" for what in ("killed", "suspended", "slowed")} <= names


def test_a_wrong_name_is_told_with_the_nearest() -> None:
    with pytest.raises(NoSuchRowError, match="did you mean camera stuck"):
        rows(["camera stck"])
