"""`boresight plate` on frames in files."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imsave
from star_frames import FIELD_DEG, StarFrames

from controller.cli import main
from controller.cli.connect import DEFAULT_RIG
from controller.cli.rig import ADDRESS_FILE, emulated_devices
from controller.pointing.plate import PlateError
from controller.pointing.plate_camera import CameraOnTube

AT = "2026-03-01T21:00:07"
WHERE = ("--field", str(FIELD_DEG), "--at", AT)


@pytest.fixture(scope="module")
def frame() -> np.ndarray:
    return StarFrames(seed=4).take(2.0, 1.1)


def solved(file: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    main(["plate", str(file), *WHERE, "--json"])
    answer: dict[str, float] = json.loads(capsys.readouterr().out)
    return answer


def test_a_frame_is_the_same_field_in_whatever_file_it_is(frame, tmp_path, capsys):
    np.save(tmp_path / "a.npy", frame)
    np.savez(tmp_path / "b.npz", image=frame.astype(np.float32) - 90.5)  # a mean frame, less its dark
    imsave(tmp_path / "c.png", np.sqrt(np.minimum(frame, 20_000)), cmap="gray")  # eight bits, three colours and alpha
    plain, mean, picture = (solved(tmp_path / name, capsys) for name in ("a.npy", "b.npz", "c.png"))
    assert plain["stars"] >= 10
    assert plain["field_deg"] == pytest.approx(FIELD_DEG, rel=0.05)
    for other in (mean, picture):
        for key, within in (("right_ascension_deg", 0.01), ("declination_deg", 0.003), ("roll_deg", 0.02)):
            assert other[key] == pytest.approx(plain[key], abs=within)
    main(["plate", str(tmp_path / "a.npy"), *WHERE])
    sentence = capsys.readouterr().out
    assert f"right ascension {plain['right_ascension_deg']:.4f} deg" in sentence
    assert math.isfinite(plain["middle_sigma_arcsec"])


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        (np.zeros((200, 200), dtype=np.uint16), "dark.npy", "100% of the frame's pixels are at its largest value"),
        (np.arange(40_000).reshape(200, 200), "ramp.npy", "stars stand out in the frame"),
        (np.full((200, 200), np.nan), "nan.npy", "rows and columns of finite numbers"),
        (np.zeros(7), "row.npy", "rows and columns"),
        (np.zeros((9, 9)), "small.npy", "64 at least"),
        (b"no frame", "text.npy", "cannot be read as a frame"),
        (b"no frame", "text.png", "cannot be read as a frame"),
        (b"no frame", "picture.jpg", "a frame is read from .npy, .npz, .png"),
    ],
)
def test_what_is_no_frame_of_stars_is_refused(content, name, says, tmp_path, capsys):
    file = tmp_path / name
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        np.save(file, content)
    with pytest.raises(SystemExit) as ended:
        main(["plate", str(file), *WHERE])
    assert ended.value.code == 1
    assert says in capsys.readouterr().err


def test_a_time_that_is_none_and_a_file_that_is_not_there_are_told(tmp_path, capsys):
    for words, says in (
        (["--at", "yesterday"], "--at yesterday: is no time; write it as 2026-03-01T21:00:07"),
        ([], "frame.npy: cannot be read as a frame (No such file or directory)"),
    ):
        with pytest.raises(SystemExit):
            main(["plate", str(tmp_path / "frame.npy"), "--field", "10", *words])
        assert says in capsys.readouterr().err


def test_a_rig_without_a_star_camera_is_told_before_anything_is_asked(tmp_path, capsys):
    devices = emulated_devices(DEFAULT_RIG)
    addresses = {device: f"usbip://127.0.0.1:1/1-{number}" for number, device in enumerate(devices)}
    (tmp_path / ADDRESS_FILE).write_text(json.dumps(addresses), encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["calibrate", "--plates", "--run-dir", str(tmp_path)])
    assert ended.value.code == 1
    assert "it has no [star_camera]; write one (docs/reference.md), or leave --plates away" in capsys.readouterr().err


def test_how_the_camera_sits_on_the_tube_survives_its_file(tmp_path):
    kept, file = CameraOnTube((510.25, 498.5), 0.1, 0.17, -4e-4), tmp_path / "star_camera.toml"
    kept.save(file, "measured on Vega")
    again = CameraOnTube.load(file)
    assert again.boresight_px == kept.boresight_px
    assert (again.roll_rad, again.field_rad) == pytest.approx((kept.roll_rad, kept.field_rad))
    for text in ("boresight_x_px = 'left'", "[[["):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(PlateError, match=r"star_camera\.toml: .*and align again"):
            CameraOnTube.load(file)
