"""TLE text: what is read, and one sentence with file and line for everything that is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from controller.pointing.elements import ElementsError, built_in_elements, find, load_elements, parse_elements

NAME = "ISS (ZARYA)"
ONE = "1 25544U 98067A   14020.93268519  .00009878  00000-0  18200-3 0  5082"
TWO = "2 25544  51.6498 109.4756 0003572  55.9686 274.8005 15.49815350868473"
EPOCH = int(np.datetime64("2014-01-20T22:23:04.000416", "ns").astype(np.int64))


def error_of(lines):
    with pytest.raises(ElementsError) as caught:
        parse_elements(lines, "file.tle")
    message = str(caught.value)
    assert message.count("\n") == 0
    assert message.startswith("file.tle")
    assert message.endswith((".", "?"))
    return message


def test_two_and_three_line_sets_are_read_whatever_stands_between_them():
    text = [NAME, ONE, TWO, "", "# comment", ONE, TWO, "0 " + NAME + "  ", ONE + "\r", TWO + "   "]
    sets = parse_elements(text, "file.tle")
    assert [s.name for s in sets] == [NAME, "25544", NAME]
    assert sets[1].source == "file.tle line 6"
    assert sets[0].catalogue_number == 25544
    assert sets[0].epoch_utc_ns == pytest.approx(EPOCH, abs=2000)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([NAME, ONE[:-1] + "3", TWO], "line 2: bad checksum (3 written, 2 computed)"),
        ([NAME, ONE, TWO[:-1] + "x"], "line 3: column 69"),
        ([NAME, ONE[:40], TWO], "line 2: 40 columns instead of 69"),
        ([NAME, ONE], "cut off"),
        ([NAME], "cut off"),
        ([NAME, ONE, NAME], "line 3: line 2 of the element set that began on line 2"),
        ([NAME, TWO], "line 2: line 2 of an element set without its line 1"),
        ([NAME, NAME], "line 2: two lines of an element set should follow"),
        ([ONE, TWO.replace("25544", "25545", 1)[:-1] + "4"], "line 2: catalogue number 25545 differs from 25544"),
        ([], "holds no element set"),
        (["<html>", "<body>"], "should follow the name"),
    ],
)
def test_wrong_text_is_named_with_file_and_line(lines, words):
    assert words in error_of(lines)


def with_checksum(line):
    return line[:68] + str(sum(int(c) if c.isdigit() else c == "-" for c in line[:68]) % 10)


@pytest.mark.parametrize(
    ("line", "column", "words"),
    [
        (1, 21, "line 2: the epoch's day (columns 21-32)"),
        (1, 57, "line 2: the drag term"),
        (2, 12, "line 3: the inclination"),
        (2, 30, "line 3: the eccentricity"),
        (2, 55, "line 3: the mean motion"),
    ],
)
def test_a_field_that_is_no_number_is_named_with_its_columns(line, column, words):
    lines = [NAME, ONE, TWO]
    lines[line] = with_checksum(lines[line][: column - 1] + "X" + lines[line][column:])
    message = error_of(lines)
    assert words in message
    assert "no number" in message


def test_elements_that_sgp4_refuses_are_told():
    decayed = with_checksum(TWO[:52] + "28.49815350" + TWO[63:])
    (one,) = parse_elements([NAME, ONE, decayed], "file.tle")
    with pytest.raises(ElementsError, match=r"file.tle line 2: SGP4 refuses the elements of ISS"):
        _ = one.satrec


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: None, "does not exist"),
        (lambda p: p.mkdir(), "is a folder"),
        (lambda p: p.write_bytes(b"\xff\xfe\x00"), "is not text"),
        (lambda p: p.write_text(""), "holds no element set"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, make, words):
    path = tmp_path / "x.tle"
    make(path)
    with pytest.raises(ElementsError, match=words) as caught:
        load_elements(path)
    assert str(path) in str(caught.value)


def test_an_old_epoch_is_told_in_days():
    (iss,) = parse_elements([ONE, TWO], "file.tle")
    day = 86_400_000_000_000
    iss.check_age(EPOCH + 13 * day)
    with pytest.raises(ElementsError, match=r"file.tle line 1: .* 30.0 days old, more than the 14"):
        iss.check_age(EPOCH + 30 * day)
    with pytest.raises(ElementsError, match="ahead"):
        iss.check_age(EPOCH - 30 * day)


def test_a_satellite_is_found_by_name_or_number_in_any_case():
    sets = built_in_elements()
    assert find(sets, " starlink-1008 ") is find(sets, "44714")


def test_a_misspelt_satellite_names_its_neighbours():
    with pytest.raises(ElementsError, match=r"no satellite named STARLNK-1008; did you mean .*STARLINK-1008"):
        find(built_in_elements(), "STARLNK-1008")
    with pytest.raises(ElementsError, match="boresight passes"):
        find(built_in_elements(), "qqq")


def test_the_built_in_sets_are_whole():
    sets = built_in_elements()
    assert len(sets) >= 30
    assert len({s.name for s in sets}) == len(sets)
    again = parse_elements([line for s in sets for line in (s.name, s.line1, s.line2)], "again")
    assert [s.name for s in again] == [s.name for s in sets]
    assert all(s.satrec.error == 0 for s in sets)
