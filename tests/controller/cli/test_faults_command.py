"""`boresight faults`: a row that ends otherwise than the table says is named, and is the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.cli import faults_lockstep, main
from controller.cli.faults_table import Row, rows
from controller.cli.faults_verdict import Found, problems_of

GOOD = Found("laser wrong", "lockstep", "SAFE", False, False, 64.0, 65.0, 180.0, 60.0, told="read_back: 2 A")


def test_what_is_not_as_the_table_says_is_told_in_a_sentence() -> None:
    (row,) = rows(["laser wrong"])
    assert problems_of(row, GOOD, "") == ()
    for change, word in (
        ({"mode": "LINK"}, "ended in LINK"),
        ({"off_ms": 131.0, "lost_ms": 130.0}, "not within 130 ms"),
        ({"off_ms": None}, "it emits on"),
        ({"emitting": True}, "came back"),
        ({"still_ms": 700.0}, "rest after 700 ms"),
        ({"lost_ms": 53.0}, "11.0 ms after the vote was lost"),
    ):
        (problem,) = problems_of(row, replace(GOOD, **change), "")
        assert word in problem


def test_a_machine_that_stood_still_is_given_that_time_and_no_more_and_no_other_end() -> None:
    (row,) = rows(["laser wrong"])
    late = replace(GOOD, off_ms=150.0, lost_ms=None)
    assert problems_of(row, replace(late, slack_ms=30.0), "") == ()
    assert problems_of(row, replace(late, slack_ms=10.0), "") == ("emission ended after 150 ms, not within 130 ms",)
    assert "it emits on" in problems_of(row, replace(late, off_ms=None, slack_ms=1e6), "")


def test_emission_that_should_go_on_and_a_word_that_nobody_said_are_problems() -> None:
    (row,) = rows(["two operators"])
    on = Found("two operators", "lockstep", "LINK", True, True, None, None, None)
    assert problems_of(row, on, "NO_LEASE: ask") == ()
    unsaid, ended = problems_of(row, replace(on, off_ms=3.0), "flood")
    assert unsaid.startswith("nobody said 'NO_LEASE'")
    assert "flood" in unsaid
    assert ended == "emission ended"


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first row is as it should be, the second is not."""

    def play(wanted: list[Row], tell: Callable[[Row, Found], None]) -> Iterator[tuple[Row, Found]]:
        for row, problems in zip(wanted, ((), ("it emits on",)), strict=False):
            yield row, replace(GOOD, name=row.name, problems=problems)

    monkeypatch.setattr(faults_lockstep, "play", play)


@pytest.mark.usefixtures("played")
def test_a_failed_row_is_in_the_object_on_the_page_and_in_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Old\n\n## In real time\n\nkept\n")
    with pytest.raises(SystemExit) as ended:
        main(["faults", "run", "--json", "--row", "laser wrong", "--row", "laser slow", "--page", str(page)])
    assert ended.value.code == 1
    told = json.loads(capsys.readouterr().out)
    assert told["failed"] == ["laser slow"]
    assert [row["expected"]["off_within_ms"] for row in told["rows"]] == [130, 330]
    text = page.read_text()
    assert "| laser slow **failed** | SAFE |" in text
    assert text.endswith("## In real time\n\nkept\n")


@pytest.mark.usefixtures("played")
def test_the_exit_code_is_0_when_every_row_is_as_it_must_be(capsys: pytest.CaptureFixture[str]) -> None:
    main(["faults", "run", "--row", "laser wrong"])
    assert "1 rows, 0 of them failed" in capsys.readouterr().out


def test_the_list_says_how_each_row_must_end(capsys: pytest.CaptureFixture[str]) -> None:
    main(["faults", "list"])
    assert "camera hang_up" in capsys.readouterr().out
    main(["faults", "list", "--json"])
    assert len(json.loads(capsys.readouterr().out)) == len(rows())
