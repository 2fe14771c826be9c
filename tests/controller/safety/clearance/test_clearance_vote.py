"""The clearinghouse's vote, from the file beside the rig to the opinion."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from controller.geometry.bodies import Place
from controller.geometry.frames import Site
from controller.safety.clearance.gates import Expected, mismatches
from controller.safety.clearance.live import Clearance, Cleared
from controller.safety.clearance.pam import parse_pam
from controller.safety.votes import VOTERS

S = 10**9
DEG = 3.141592653589793 / 180
OPENS_NS = round(datetime(2025, 8, 21, 16, 47, 9, tzinfo=UTC).timestamp()) * S
CLOSES_NS = round(datetime(2025, 8, 22, 0, 47, 8, tzinfo=UTC).timestamp()) * S
SITE = Site(34.667332, -86.466466, 194.9)
EXPECTED = Expected("TEST 1", "EXAMPLE", SITE)
NORTH = Place(0.0, 0.0)
STAR = (
    "Method: Right Ascension And Declination\nCatalog Date:    J2000\n"
    "Right Ascension: 10.0 degrees\nDeclination: 20.0 degrees\n"
)
POINT = "Method: Fixed Azimuth/Elevation\nAzimuth: 5.0 degrees\nElevation: 2.0 degrees\n"
ROW = "2025 Aug 21 (233) 1647 09    2025 Aug 22 (234) 0047 08    0479:59"

MISMATCHES = [
    ({"comment": "Practice"}, EXPECTED, 'its comment is "Practice" and not "For Execution"'),
    ({"comment": "Not For Execution"}, EXPECTED, 'its comment is "Not For Execution"'),
    ({"kind": "Closed Windows"}, EXPECTED, 'its windows are "Closed Windows", not open times'),
    ({"operator": "OTHER"}, EXPECTED, 'it is for the operator "OTHER"; this rig is run by "EXAMPLE"'),
    ({"mission": "TEST 2"}, EXPECTED, 'it is for mission "TEST 2"; this rig flies "TEST 1"'),
    ({"number": 2}, EXPECTED, "it promises 2 targets and holds 1"),
    ({"stop": "2025 Aug 21 16:47:09"}, EXPECTED, "its mission ends before it starts"),
    # 0.0001 deg of latitude are 11 m
    ({"latitude": "34.66743200 degrees N"}, EXPECTED, "is for a laser 11 m from this station, 10 m allowed"),
    ({"latitude": "34.66733200 degrees S"}, EXPECTED, "km from this station".replace("km", "m")),
    ({}, replace(EXPECTED, site=replace(SITE, height_m=205.0)), "is for a laser 10 m from this station"),
]


@pytest.mark.parametrize(("parts", "expected", "told"), MISMATCHES, ids=[told for _, _, told in MISMATCHES])
def test_each_mismatch_refuses_with_a_sentence(
    text: Callable[..., str], parts: dict[str, Any], expected: Expected, told: str
) -> None:
    (sentence,) = mismatches(parse_pam(text(**parts)), expected)
    assert told in sentence


def test_a_message_for_this_station_has_no_mismatch_within_ten_metres(text: Callable[..., str]) -> None:
    assert mismatches(parse_pam(text()), EXPECTED) == []
    assert mismatches(parse_pam(text()), replace(EXPECTED, site=replace(SITE, height_m=204.8))) == []


@pytest.fixture
def pam(tmp_path: Path, text: Callable[..., str]) -> Callable[..., Path]:
    def write(**parts: Any) -> Path:
        path = tmp_path / "pam.txt"
        path.write_text(text(**parts))
        return path

    return write


@pytest.fixture
def beam(good: Any) -> Any:
    """Pointing at 5 deg azimuth, 2 deg elevation: inside the sample's field."""
    at = {"azimuth_rad": 5 * DEG, "elevation_rad": 2 * DEG}
    return good.changed(good.pointing, **at, **{f"target_{name}": value for name, value in at.items()})


def live(path: Path, star: Place = NORTH) -> Clearance:
    return Clearance(path, EXPECTED, lambda celestial, t: star, 0.1 * DEG, 2 * S)


def test_emission_is_allowed_inside_the_padded_window_only(pam: Callable[..., Path], beam: Any) -> None:
    clearance = live(pam())
    times = [OPENS_NS + 2 * S - 1, OPENS_NS + 2 * S, CLOSES_NS - 2 * S - 1, CLOSES_NS - 2 * S]
    words = [clearance.look(t, 0, beam) for t in times]
    assert [word.ok for word in words] == [False, True, True, False]
    assert [word.scheduled for word in words] == [not word.ok for word in words]
    assert words[1].changes_in_s == pytest.approx(28_795.0)  # 7:59:59 less two pads
    assert words[3].reason == "no window is left"


@pytest.mark.parametrize("axis", ["azimuth_rad", "target_azimuth_rad"])
def test_a_beam_or_a_target_outside_of_what_was_cleared_is_a_trip(
    pam: Callable[..., Path], beam: Any, good: Any, axis: str
) -> None:
    word = live(pam()).look(OPENS_NS + 10 * S, 0, good.changed(beam, **{axis: 11 * DEG}))
    assert (word.ok, word.scheduled) == (False, False)
    assert "no target of pam.txt is at" in word.reason


def test_a_fixed_direction_holds_a_beam_within_its_cone(pam: Callable[..., Path], beam: Any, good: Any) -> None:
    clearance = live(pam(targets=[([ROW], POINT)]))
    near = {"elevation_rad": 2.09 * DEG, "target_elevation_rad": 2.09 * DEG}
    far = {"elevation_rad": 2.11 * DEG, "target_elevation_rad": 2.11 * DEG}
    assert clearance.look(OPENS_NS + 10 * S, 0, good.changed(beam, **near)).ok
    assert not clearance.look(OPENS_NS + 10 * S, 0, good.changed(beam, **far)).ok


def test_a_direction_among_the_stars_is_followed(pam: Callable[..., Path], beam: Any) -> None:
    path = pam(targets=[([ROW], STAR)])
    assert live(path, Place(5 * DEG, 2 * DEG)).look(OPENS_NS + 10 * S, 0, beam).ok
    assert not live(path, Place(6 * DEG, 2 * DEG)).look(OPENS_NS + 10 * S, 0, beam).ok


def test_a_window_of_another_direction_opens_nothing_here(pam: Callable[..., Path], beam: Any) -> None:
    late = "2025 Aug 21 (233) 2000 00    2025 Aug 21 (233) 2010 00    0010:00"
    elsewhere = POINT.replace("5.0", "180.0")
    clearance = live(pam(targets=[([ROW], elsewhere), ([late], POINT)]))
    word = clearance.look(OPENS_NS + 10 * S, 0, beam)
    assert (word.ok, word.scheduled) == (False, True)
    assert word.changes_in_s == pytest.approx(11_571 - 10 + 2)  # 20:00:00 less 16:47:09, with the pad


def test_a_file_that_is_replaced_is_in_force_after_ten_seconds_and_one_that_is_gone_closes(
    pam: Callable[..., Path], beam: Any
) -> None:
    clearance, t = live(pam(comment="Practice")), OPENS_NS + 10 * S
    assert "Practice" in clearance.look(t, 0, beam).reason
    path = pam()
    os.utime(path, ns=(1, 1))
    assert not clearance.look(t, 10 * S - 1, beam).ok
    assert clearance.look(t, 10 * S, beam).ok
    path.unlink()
    word = clearance.look(t, 20 * S, beam)
    assert (word.ok, word.scheduled) == (False, False)
    assert "pam.txt cannot be read" in word.reason
    path.write_text("nonsense")
    assert 'no "Mission ID:"' in clearance.look(t, 30 * S, beam).reason


@pytest.fixture
def outdoors(good: Any) -> Any:
    return replace(good.limits, enclosed_bench=False)


def test_the_vote_is_the_word_and_no_word_is_a_trip(good: Any, outdoors: Any) -> None:
    vote, inputs = VOTERS["clearinghouse"], good.inputs()
    assert vote(replace(inputs, cleared=Cleared(True, "open", changes_in_s=5.0)), outdoors).changes_in_s == 5.0
    assert vote(replace(inputs, cleared=Cleared(False, "closed", scheduled=True)), outdoors).orderly
    for word in (None, Cleared(False, "for another")):
        opinion = vote(replace(inputs, cleared=word), outdoors)
        assert (opinion.ok, opinion.orderly) == (False, False)


def test_the_vote_needs_to_know_where_the_beam_is(good: Any, outdoors: Any) -> None:
    open_word = replace(good.inputs(), cleared=Cleared(True, "open"))
    assert not VOTERS["clearinghouse"](replace(open_word, pointing=None), outdoors).ok
    stale = replace(open_word.pointing, age_s=0.51)
    assert not VOTERS["clearinghouse"](replace(open_word, pointing=stale), outdoors).ok


@pytest.mark.parametrize("name", ["clearinghouse", "aircraft"])
@pytest.mark.parametrize("power_w", [1.21, float("nan")])
def test_an_enclosed_bench_counts_only_while_its_power_cap_is_measured_to_hold(
    good: Any, name: str, power_w: float
) -> None:
    inputs = good.inputs()
    assert VOTERS[name](inputs, good.limits).ok
    assert not VOTERS[name](replace(inputs, laser=None), good.limits).ok
    strong = replace(inputs.laser, body=replace(inputs.laser.body, measured_power_w=power_w))
    assert not VOTERS[name](replace(inputs, laser=strong), good.limits).ok


@pytest.mark.parametrize("name", ["clearinghouse", "aircraft"])
def test_an_emulated_laser_alone_does_not_stand_in_for_a_room(good: Any, outdoors: Any, name: str) -> None:
    assert outdoors.laser_emulated
    assert not VOTERS[name](good.inputs(), outdoors).ok
