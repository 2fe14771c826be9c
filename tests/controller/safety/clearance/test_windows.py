"""Windows are open times: their pads, their gaps, their edges, and the sky that they are for."""

from __future__ import annotations

import math

import pytest

from controller.geometry.bodies import Place
from controller.safety.clearance.message import FieldOfView, Window, at, padded

S = 10**9
DEG = math.pi / 180
ALWAYS = Window(0, 10_000 * S)


def windows(*pairs: tuple[int, int]) -> list[Window]:
    return [Window(a * S, b * S) for a, b in pairs]


def test_the_pad_is_taken_at_both_ends_and_the_edges_are_exact_to_a_nanosecond() -> None:
    (only,) = padded(windows((100, 200)), ALWAYS, 2 * S)
    assert only == Window(102 * S, 198 * S)
    assert [at((only,), t)[0] for t in (102 * S - 1, 102 * S, 198 * S - 1, 198 * S)] == [False, True, True, False]


def test_the_time_to_change_is_that_of_the_coming_edge_never_of_a_window_that_is_over() -> None:
    made = padded(windows((300, 400), (100, 200)), ALWAYS, 0)
    times = {50: (False, 50), 150: (True, 50), 250: (False, 50), 310: (True, 90), 400: (False, None)}
    assert {t: at(made, t * S) for t in times} == times


def test_a_window_shorter_than_its_pads_does_not_open() -> None:
    assert padded(windows((100, 104)), ALWAYS, 2 * S) == ()


def test_windows_that_overlap_are_one_and_windows_that_touch_keep_their_pads() -> None:
    assert padded(windows((100, 200), (150, 300)), ALWAYS, 2 * S) == (Window(102 * S, 298 * S),)
    touching = padded(windows((100, 200), (200, 300)), ALWAYS, 2 * S)
    assert at(touching, 200 * S) == (False, 2.0)
    assert padded(windows((100, 300), (150, 200)), ALWAYS, 2 * S) == (Window(102 * S, 298 * S),)


def test_a_window_outside_of_the_mission_is_closed() -> None:
    mission = Window(150 * S, 180 * S)
    assert padded(windows((100, 200), (300, 400)), mission, S) == (Window(151 * S, 179 * S),)


@pytest.mark.parametrize(
    ("field", "azimuth_deg", "elevation_deg", "inside"),
    [
        (FieldOfView(1.0, 10.0, 1.0, 3.0), 5.0, 2.0, True),
        (FieldOfView(1.0, 10.0, 1.0, 3.0), 0.9, 2.0, False),
        (FieldOfView(1.0, 10.0, 1.0, 3.0), 10.1, 2.0, False),
        (FieldOfView(1.0, 10.0, 1.0, 3.0), 5.0, 3.1, False),
        (FieldOfView(1.0, 10.0, 1.0, 3.0), 5.0, math.nan, False),
        (FieldOfView(350.0, 10.0, 1.0, 3.0), 355.0, 2.0, True),
        (FieldOfView(350.0, 10.0, 1.0, 3.0), -5.0, 2.0, True),
        (FieldOfView(350.0, 10.0, 1.0, 3.0), 5.0, 2.0, True),
        (FieldOfView(350.0, 10.0, 1.0, 3.0), 180.0, 2.0, False),
        (FieldOfView(0.0, 360.0, 20.0, 90.0), 200.0, 45.0, True),
    ],
)
def test_a_field_of_view_holds_what_is_inside_also_across_north(
    field: FieldOfView, azimuth_deg: float, elevation_deg: float, inside: bool
) -> None:
    assert field.holds(Place(azimuth_deg * DEG, elevation_deg * DEG)) is inside
