"""`boresight mount` on a table of sightings."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from controller.cli import main
from controller.pointing.mount import MountModel, MountModelError, saved_sigma_rad
from controller.pointing.mount_frame import MountFrame
from controller.pointing.observation import Observation, sky_offset
from controller.pointing.star_log import load_stars, save_stars

TRUTH = MountModel(IA=3e-3, IE=-2e-3, CA=5e-4, NPAE=-2e-4, AN=8e-4, AW=-6e-4)


def stars(count=20, noise_rad=2e-5, wrong=3):
    rng = np.random.default_rng(0)
    seen = []
    for i in range(count):
        place = (i * 2.4 % math.tau, math.radians(20 + 3 * i))
        x, y = np.add(sky_offset(TRUTH.direction(*place), place), rng.normal(0, noise_rad, 2))
        seen.append(Observation(f"star {i}", *place, *place, (1.0, 1.0), (x + (5e-3 if i == wrong else 0.0), y)))
    return seen


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "stars.csv"
    save_stars(stars(), path)
    return path


def test_a_table_of_sightings_survives_its_file(table):
    for saved, seen in zip(load_stars(table), stars(), strict=True):
        assert saved.star == seen.star
        assert saved.motion == seen.motion
        assert saved.offset_rad == pytest.approx(seen.offset_rad, abs=1e-9)
        assert saved.azimuth_encoder_rad == pytest.approx(seen.azimuth_encoder_rad, abs=1e-9)


def test_the_report_has_terms_with_sigma_what_is_left_and_who_was_not_believed(table, tmp_path, capsys):
    model, plot = tmp_path / "m.toml", tmp_path / "m.svg"
    main(["mount", str(table), "--json", "--save", str(model), "--plot", str(plot)])
    told = json.loads(capsys.readouterr().out)
    assert [row["star"] for row in told["stars"] if not row["believed"]] == ["star 3"]
    assert told["suspicion"] is None
    for term in ("IA", "IE", "CA", "NPAE", "AN", "AW"):
        row = told["terms"][term]
        assert abs(row["arcsec"] - math.degrees(getattr(TRUTH, term)) * 3600) < 5 * row["sigma"], term
    assert max(told["residual_rms_arcsec"]) < 2 * 2e-5 * 206265
    assert abs(MountModel.load(model).IA - TRUTH.IA) < 1e-4
    assert saved_sigma_rad(model) == pytest.approx(told["pointing_sigma_arcsec"] / 206265, rel=1e-3)
    assert plot.read_text(encoding="utf-8").lstrip().startswith("<?xml")


def test_an_equatorial_rig_is_told_its_terms_by_their_own_names(tmp_path, capsys):
    frame = MountFrame.equatorial(math.radians(28.2995))
    truth = MountModel.from_body({"IH": 2e-3, "ID": -1e-3, "ME": 1.5e-3, "MA": -1e-3}, frame=frame)
    seen = []
    for o in stars(wrong=None):
        axes = frame.axes(o.azimuth_rad, o.elevation_rad)
        if abs(axes[1]) < 1.4:
            seen.append(replace(o, azimuth_encoder_rad=(e := truth.encoder(*axes))[0], elevation_encoder_rad=e[1]))
    seen = [replace(o, offset_rad=(0.0, 0.0)) for o in seen]
    save_stars(seen, tmp_path / "stars.csv")
    rig = tmp_path / "rig.toml"
    text = (files("controller") / "data/rigs/small-telescope.toml").read_text(encoding="utf-8")
    rig.write_text(text.replace("[gimbal]", '[gimbal]\nmount = "equatorial"'), encoding="utf-8")
    model, plot = tmp_path / "m.toml", tmp_path / "m.svg"
    asked = ["mount", str(tmp_path / "stars.csv"), "--rig", str(rig)]
    main([*asked, "--json", "--save", str(model), "--plot", str(plot)])
    told = json.loads(capsys.readouterr().out)
    assert told["mount"] == "equatorial"
    arcsec = {name: row["arcsec"] for name, row in told["terms"].items()}
    for name, value in {"IH": 2e-3, "ID": -1e-3, "ME": 1.5e-3, "MA": -1e-3, "CH": 0.0, "NP": 0.0}.items():
        assert arcsec[name] == pytest.approx(math.degrees(value) * 3600, abs=0.1), name
    assert abs(MountModel.load(model, frame).AN + 1.5e-3) < 1e-6
    assert "declination" in plot.read_text(encoding="utf-8")
    main(asked)
    assert "in declination (rms)" in capsys.readouterr().out


def test_the_table_for_people_says_how_good_the_model_is(table, capsys):
    main(["mount", str(table)])
    told = capsys.readouterr().out
    assert "20 sightings, 1 not believed" in told
    assert "over the sky" in told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("star,azimuth_deg\nVega,1\n", "has no column elevation_deg"),
        (
            "star,azimuth_deg,elevation_deg,encoder_azimuth_deg,encoder_elevation_deg\nVega,1,x,3,4\n",
            "line 2: elevation_deg is 'x'",
        ),
        (
            "star,azimuth_deg,elevation_deg,encoder_azimuth_deg,encoder_elevation_deg\nVega,40,140,140,40\n",
            "are the columns swapped",
        ),
    ],
)
def test_a_wrong_table_is_named_with_row_and_column(tmp_path, text, message):
    path = tmp_path / "stars.csv"
    path.write_text(text)
    with pytest.raises(MountModelError, match=message) as caught:
        load_stars(path)
    assert str(path) in str(caught.value)
