"""A long test's row says what was proved, how it ended, and what was measured."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from benchmarks.long_tests import measured, row

STAMP = "2026-11-27 | abc1234"


@pytest.mark.parametrize(("inside", "outcome"), [("", "passed"), ("<failure/>", "FAILED"), ("<skipped/>", "skipped")])
def test_a_row_names_what_is_proved_and_how_it_ended(inside: str, outcome: str) -> None:
    case = f'<testcase classname="tests.controller.test_a" name="test_it_holds[20]" time="61.4">{inside}</testcase>'
    name, told = row(ElementTree.fromstring(case), STAMP)
    assert name == "controller.test_a: it holds[20]"
    assert told == f"| {name} | {outcome} | 61 |  | {STAMP} |"


@pytest.mark.parametrize(
    ("value", "told"),
    [("[10, 30, 20]", "losses_ms: 3, median 20, at most 30"), ("[]", "losses_ms: none"), ("few", "losses_ms few")],
)
def test_of_many_numbers_the_median_and_the_largest_are_told(value: str, told: str) -> None:
    assert measured("losses_ms", value) == told
