"""`boresight faults`: a row that ends otherwise than the table says is named, and is the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.cli import faults_lockstep, faults_realtime, main
from controller.cli.faults_table import TABLE, Row, rows
from controller.cli.faults_verdict import Found, dead_of, excusable, problems_of

SEEN: dict[str, Any] = {"touched": 1, "lit": True, "samples": 1500}
GOOD = Found("laser wrong", "lockstep", "SAFE", False, False, 64.0, 65.0, 180.0, 60.0, told="read_back: 2 A", **SEEN)


def test_what_is_not_as_the_table_says_is_told_in_a_sentence() -> None:
    (row,) = rows(["laser wrong"])
    assert problems_of(row, GOOD, "") == ()
    for change, word in (
        ({"mode": "LINK"}, "ended in LINK"),
        ({"off_ms": 131.0, "lost_ms": 130.0}, "not within 130 ms"),
        ({"off_ms": None}, "it emits on"),
        ({"came_back": True}, "came back"),
        ({"touched": 0}, "touched nothing"),
        ({"lit": False}, "did not emit and move when the fault came"),
        ({"samples": 0}, "nothing was seen"),
        ({"lost_ms": None}, "no lost vote has a time"),
        ({"more": ("link died with exit code 1",)}, "link died"),
        ({"still_ms": 700.0}, "rest after 700 ms"),
        ({"lost_ms": 53.0}, "11.0 ms after the vote was lost"),
    ):
        (problem,) = problems_of(row, replace(GOOD, **change), "")
        assert word in problem


def test_a_machine_that_stood_still_is_given_that_time_and_no_more_and_no_other_end() -> None:
    (row,) = rows(["laser wrong"])
    late = replace(GOOD, off_ms=150.0, lost_ms=150.0)
    assert problems_of(row, replace(late, slack_ms=30.0), "") == ()
    assert problems_of(row, replace(late, slack_ms=10.0), "") == ("emission ended after 150 ms, not within 130 ms",)
    assert "it emits on" in problems_of(row, replace(late, off_ms=None, slack_ms=1e6), "")


def test_emission_that_should_go_on_and_a_word_that_nobody_said_are_problems() -> None:
    (row,) = rows(["two operators"])
    on = Found("two operators", "lockstep", "LINK", True, True, None, None, None, **SEEN)
    assert problems_of(row, on, "NO_LEASE: ask") == ()
    ended, unsaid = problems_of(row, replace(on, off_ms=3.0), "flood")
    assert unsaid.startswith("nobody said 'NO_LEASE'")
    assert "flood" in unsaid
    assert ended == "emission ended"
    assert problems_of(row, replace(on, came_back=True), "NO_LEASE: ask") == ("emission ended for a moment",)


def test_no_row_passes_whose_fault_touched_nothing() -> None:
    for row in rows():
        found = Found(
            row.name, row.places[0], row.ends[0], row.off is None, True, None, None, None, lit=True, samples=1
        )
        told = "\n".join((*row.told, row.told_in_link))
        assert "the fault touched nothing" in problems_of(row, found, told)


def test_where_link_is_lost_for_certain_a_station_that_keeps_it_has_failed() -> None:
    for name in ("beam_board stuck", "power_meter garbage", "power_meter saturated"):
        (row,) = rows([name])
        kept = Found(name, "lockstep", "LINK", True, True, None, None, None, **SEEN)
        assert any(problem.startswith("ended in LINK") for problem in problems_of(row, kept, row.told_in_link))
    (row,) = rows(["link suspended"])
    kept = Found(row.name, "lockstep", "LINK", True, True, None, None, None, **SEEN)
    (unsaid,) = problems_of(row, kept, "")
    assert unsaid.startswith("nobody said 'link is lost'")


def test_a_machine_that_stood_still_excuses_what_is_late_and_nothing_that_goes_on_or_comes_back() -> None:
    (row,) = rows(["station suspended"])
    good = Found(row.name, "realtime", "SAFE", False, False, 500.0, 500.0, 700.0, **SEEN)
    for change, excused in (
        ({"off_ms": 650.0}, True),
        ({"off_ms": 650.0, "still_ms": 1300.0}, True),
        ({"off_ms": None, "still_ms": None}, False),
        ({"came_back": True, "off_ms": 650.0}, False),
        ({"mode": "LINK"}, False),
        ({"touched": 0}, False),
    ):
        found = replace(good, **change)
        found = replace(found, problems=problems_of(row, found, ""))
        assert found.problems
        assert excusable(row, found) is excused


def test_a_machine_that_stood_still_excuses_a_station_that_gave_up_emission_by_itself() -> None:
    (row,) = rows(["flood"])
    gave_up = Found(row.name, "realtime", "SAFE", False, False, 40.0, 40.0, 90.0, **SEEN)
    for found, excused in (
        (gave_up, True),
        (replace(gave_up, emitting=True), False),
        (replace(gave_up, mode=""), False),
    ):
        found = replace(found, problems=problems_of(row, found, ""))
        assert excusable(row, found) is excused


def test_who_dies_or_falls_silent_and_was_not_meant_to_is_a_problem() -> None:
    (kill,) = rows(["link killed"])
    (guest,) = rows(["malformed frame"])
    assert dead_of(kill, ["link was killed by SIGKILL"], ["link"]) == ()
    assert dead_of(guest, ["link died with exit code 1"], ["tracking"]) == (
        "link died with exit code 1",
        "tracking is silent",
    )


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row is as it should be but `laser slow`."""

    def play(wanted: list[Row], tell: Callable[[Row, Found], None]) -> Iterator[tuple[Row, Found]]:
        for row in wanted:
            yield row, replace(GOOD, name=row.name, problems=("it emits on",) if row.name == "laser slow" else ())

    monkeypatch.setattr(faults_lockstep, "play", play)
    monkeypatch.setattr(faults_realtime, "play", play)


@pytest.mark.usefixtures("played")
def test_a_failed_row_is_in_the_object_on_the_page_and_in_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Old\n\n## In real time\n\nkept\n")
    with pytest.raises(SystemExit) as ended:
        main(["faults", "run", "--json", "--page", str(page)])
    assert ended.value.code == 1
    told = json.loads(capsys.readouterr().out)
    assert told["failed"] == ["laser slow"]
    bounds = {row["name"]: row["expected"]["off_within_ms"] for row in told["rows"]}
    assert (bounds["laser wrong"], bounds["laser slow"]) == (130, 330)
    text = page.read_text()
    assert f"{len(rows((), 'lockstep'))} of {len(TABLE)} rows, not played in lockstep: recorder killed, " in text
    assert "| laser slow **failed** | SAFE |" in text
    assert text.endswith("## In real time\n\nkept\n")


@pytest.mark.usefixtures("played")
def test_the_exit_code_is_0_when_every_row_is_as_it_must_be(capsys: pytest.CaptureFixture[str]) -> None:
    main(["faults", "run", "--row", "laser wrong"])
    assert "1 rows, 0 of them failed" in capsys.readouterr().out


@pytest.mark.usefixtures("played")
def test_all_plays_both_places_and_a_row_where_it_is_at_home(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["faults", "run", "--all", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert len(told["rows"]) == sum(len(row.places) for row in TABLE)
    main(["faults", "run", "--all", "--json", "--row", "camera stuck", "--row", "recorder killed", "--row", "flood"])
    told = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in told["rows"]] == ["camera stuck", "flood", "recorder killed", "flood"]


@pytest.mark.usefixtures("played")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--realtime", "--row", "camera stuck"], "not played in realtime, but in lockstep"),
        (["--row", "recorder killed"], "not played in lockstep, but in realtime"),
        (["--row", "laser wrong", "--page", "page.md"], "leave out --row"),
    ],
)
def test_a_row_of_elsewhere_and_a_page_of_a_selection_are_refused(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["faults", "run", *words])
    assert ended.value.code != 0
    assert told in " ".join(capsys.readouterr().err.split())
    assert not Path("page.md").exists()


def test_the_list_says_how_each_row_must_end(capsys: pytest.CaptureFixture[str]) -> None:
    main(["faults", "list"])
    assert "camera hang_up" in capsys.readouterr().out
    main(["faults", "list", "--json"])
    assert len(json.loads(capsys.readouterr().out)) == len(rows())
