"""The whole fault table in lockstep, row by row on stations in LINK: each ends in its state, inside its bound."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from controller.cli.faults_lockstep import play
from controller.cli.faults_table import TABLE, NoSuchRowError, Row, rows
from controller.cli.faults_verdict import Found
from sim_hw.faults.table import DEVICES
from sim_hw.faults.table import TABLE as WORDS

Choice = Callable[[Row], bool]
PARTS: dict[str, Choice] = {
    "processes": lambda row: row.cause.kind in {"kill", "suspend", "starve"},
    **{device: lambda row, device=device: row.cause.target == device for device in DEVICES},
    "clock, disk, lease and guests": lambda row: row.cause.kind in {"utc", "disk", "vanish", "guest"},
}


@pytest.fixture(scope="module")
def campaign() -> dict[str, Found]:
    """What came of each row. All of them on as few flights as it takes: coming to LINK costs more than a row."""
    return {row.name: found for row, found in play(list(TABLE), lambda row, found: None)}


@pytest.mark.no_cover  # tracing would double minutes of simulated time; what is traced here has tests of its own
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", PARTS)
def test_every_row_ends_in_its_state_inside_its_bound(campaign: dict[str, Found], part: str) -> None:
    wanted = [row.name for row in TABLE if PARTS[part](row)]
    assert wanted
    assert {name: campaign[name].problems for name in wanted if campaign[name].problems} == {}


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
