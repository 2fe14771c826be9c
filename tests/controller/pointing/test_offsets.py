"""What an operator adds to a prediction: by itself, in the loop, and from one pass to the next."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from controller.geometry.frames import azel_to_enu
from controller.pointing.offsets import NONE, OffsetBook, OffsetError, Offsets
from controller.pointing.targets import Fixed
from hal.clock import NS


def test_a_time_bias_looks_where_the_prediction_is_later(pass_70):
    path, t = pass_70.trajectory, pass_70.target.rise_utc_ns + 60 * NS
    assert Offsets(time_s=1.5).look(path, t) == path.receive(t + 3 * NS // 2)
    assert NONE.look(path, t) == path.receive(t)


def test_along_and_across_the_track_are_what_two_positions_of_the_target_say(pass_70):
    path, t = pass_70.trajectory, pass_70.target.rise_utc_ns + 60 * NS
    here, later = (azel_to_enu(*path.receive(at)[:2]) for at in (t, t + NS // 100))
    onwards = (later - here) / np.linalg.norm(later - here)
    right = np.cross(here, onwards)  # of somebody who faces it with the head along its track
    angle = math.radians(0.2)
    for offsets, direction in ((Offsets(0.0, angle, 0.0), onwards), (Offsets(0.0, 0.0, angle), right)):
        moved = azel_to_enu(*offsets.look(path, t)[:2]) - here
        assert moved @ direction == pytest.approx(angle, rel=2e-3)
        assert np.linalg.norm(moved) == pytest.approx(angle, rel=2e-3)


def test_right_is_east_of_a_target_that_climbs_in_the_north():
    class Climbs(Fixed):
        def receive(self, t_utc_ns):
            return super().receive(t_utc_ns)._replace(elevation_rate_rad_s=0.01)

    look = Offsets(cross_track_rad=0.01).look(Climbs(0.0, 0.5), 0)
    assert look.azimuth_rad > 0
    assert look.elevation_rad == 0.5


def test_offsets_of_each_object_outlive_the_service(tmp_path):
    book = OffsetBook(tmp_path / "offsets.json")
    book.keep("ISS (ZARYA)", Offsets(0.4, 1e-3, 0.0))
    book.keep("MOON", Offsets(0.0, 0.0, 2e-4))
    book.keep("MOON", NONE)
    again = OffsetBook(tmp_path / "offsets.json")
    assert again.of("ISS (ZARYA)") == Offsets(0.4, 1e-3, 0.0)
    assert again.of("MOON") == again.of("nobody") == NONE
    assert list(json.loads((tmp_path / "offsets.json").read_text())) == ["ISS (ZARYA)"]


@pytest.mark.parametrize("text", ["[]", "{", '{"A": {"time_s": 1e9}}', '{"A": 3}'])
def test_a_damaged_file_of_offsets_is_named(tmp_path, text):
    path = tmp_path / "offsets.json"
    path.write_text(text)
    with pytest.raises(OffsetError, match=r"offsets\.json holds no offsets"):
        OffsetBook(path)


@pytest.mark.parametrize("body", [{"time_s": 121}, {"time_s": math.nan}, {"in_track_rad": "1"}, {"cross_track_rad": 1}])
def test_an_offset_that_is_no_number_or_too_large_is_refused_by_name(body):
    with pytest.raises(OffsetError, match=next(iter(body))):
        Offsets.from_body(body, NONE)
