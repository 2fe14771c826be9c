"""SigMF: a stranger's library accepts the files, and reads from them what the messages held."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sigmf import sigmffile
from sigmf.error import SigMFFileError

from controller.bus.topics import (
    LINK_STATE,
    POINTING_STATE,
    STATION_MODE,
    TRACKING_FINE,
    FineState,
    LinkState,
    ModeState,
)
from controller.cli import main
from controller.export import ExportError
from controller.export.sigmf import VERSION, export_sigmf
from controller.record import Recorder
from hal.clock import NS

from .conftest import METADATA, T0_NS, Night, pointing

POWERS_W = [1e-6 * step for step in range(30)]
QUADS_RAD = [(1e-6 * step, -2e-6 * step) for step in range(150)]


@pytest.fixture
def signals(tmp_path: Path) -> Path:
    """Three seconds of power and quad cell, the second of them missing: FINE before it, LINK after."""
    path = tmp_path / "pass.mcap"
    with Recorder(path, METADATA) as recorder:
        night = Night(recorder)
        night.say(STATION_MODE, T0_NS - NS, ModeState("FINE", T0_NS, "", "STARLINK-1598"))
        for step in range(150):
            t_ns = T0_NS + step * NS // 50 + (step % 3) * 1_000_000  # late by up to 2 ms, as things are
            if 50 <= step < 100:
                continue
            if step == 100:
                night.say(STATION_MODE, t_ns, ModeState("LINK", t_ns, "", "STARLINK-1598"))
            if step % 5 == 0:
                night.say(
                    STATION_MODE, t_ns + 1, ModeState("FINE" if step < 100 else "LINK", t_ns, "", "STARLINK-1598")
                )
                night.say(POINTING_STATE, t_ns, pointing(t_ns, math.radians(step), math.radians(60)))
                night.say(LINK_STATE, t_ns, LinkState(t_ns, POWERS_W[step // 5], 1e-7, above=True))
            zero = (0.0, 0.0)
            state = FineState(t_ns, "track", True, False, QUADS_RAD[step], zero, 1.0, zero, zero, 0, 200, "closed")
            night.say(TRACKING_FINE, t_ns, state)
    return path


def stranger(folder: Path, name: str) -> Any:
    """The file as the SigMF project's own library reads it: schema and checksum are checked."""
    found = sigmffile.fromfile(str(folder / f"pass_{name}.sigmf-meta"))
    found.validate()
    return found


def test_a_stranger_reads_the_same_samples(signals: Path, tmp_path: Path) -> None:
    assert export_sigmf(signals, tmp_path / "out") == {"pass_power.sigmf-data": 20, "pass_quad.sigmf-data": 100}
    power, quad = (stranger(tmp_path / "out", name) for name in ("power", "quad"))
    assert power[:].tolist() == POWERS_W[:10] + POWERS_W[20:]
    kept = np.array(QUADS_RAD[:50] + QUADS_RAD[100:])
    assert quad[:].tolist() == (kept[:, 0] + 1j * kept[:, 1]).tolist()
    assert (power.get_global_field("core:sample_rate"), quad.get_global_field("core:sample_rate")) == (10, 50)
    assert quad.get_global_field("core:version") == VERSION
    assert quad.get_global_field("core:geolocation")["coordinates"] == [-16.5118, 28.2995, 2393.0]
    assert quad.get_global_field("boresight:simulated") is True
    assert quad.get_global_field("core:description").startswith("SIMULATED")


def test_a_gap_begins_a_capture_with_its_own_time(signals: Path, tmp_path: Path) -> None:
    export_sigmf(signals, tmp_path)
    captures = stranger(tmp_path, "quad").get_captures()
    assert [(one["core:sample_start"], one["core:datetime"]) for one in captures] == [
        (0, "2026-09-21T14:13:20.000000000Z"),  # 1790000000 s after 1970, by `date -u -d @1790000000`
        (50, "2026-09-21T14:13:22.001000000Z"),
    ]


def test_each_sample_is_annotated_with_direction_and_mode(signals: Path, tmp_path: Path) -> None:
    export_sigmf(signals, tmp_path)
    annotations = stranger(tmp_path, "quad").get_annotations(index=7)
    (place,) = [one for one in annotations if "antenna:azimuth_angle" in one]
    assert place["antenna:azimuth_angle"] == pytest.approx(5.0)
    assert place["antenna:elevation_angle"] == pytest.approx(60.0)
    assert (place["core:sample_start"], place["core:sample_count"]) == (5, 5)
    modes = [one for one in stranger(tmp_path, "quad").get_annotations() if "core:label" in one]
    assert [(one["core:label"], one["core:sample_start"], one["core:sample_count"]) for one in modes] == [
        ("FINE", 0, 50),
        ("LINK", 50, 50),
    ]
    assert {one["boresight:target"] for one in modes} == {"STARLINK-1598"}


def test_a_stranger_notices_a_byte_that_was_changed(signals: Path, tmp_path: Path) -> None:
    export_sigmf(signals, tmp_path)
    data = tmp_path / "pass_power.sigmf-data"
    data.write_bytes(b"\x01" + data.read_bytes()[1:])
    with pytest.raises(SigMFFileError):
        stranger(tmp_path, "power")


def test_what_is_no_number_stays_none(tmp_path: Path) -> None:
    path = tmp_path / "pass.mcap"
    with Recorder(path, METADATA) as recorder:
        Night(recorder).say(LINK_STATE, T0_NS, LinkState(T0_NS, math.nan, 1e-7, above=False))
    export_sigmf(path, tmp_path)
    assert np.isnan(stranger(tmp_path, "power").read_samples()).all()
    assert not (tmp_path / "pass_quad.sigmf-data").exists()


def test_without_signals_there_is_nothing_and_what_exists_stays(signals: Path, tmp_path: Path) -> None:
    path = tmp_path / "empty.mcap"
    with Recorder(path, METADATA):
        pass
    with pytest.raises(ExportError, match="nothing for SigMF"):
        export_sigmf(path, tmp_path)
    export_sigmf(signals, tmp_path)
    with pytest.raises(ExportError, match="is not overwritten"):
        export_sigmf(signals, tmp_path)


def test_the_command_writes_it(signals: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["export", str(signals), "--to", "sigmf", "--out", str(tmp_path), "--json"])
    assert json.loads(capsys.readouterr().out)["rows"] == {"pass_power.sigmf-data": 20, "pass_quad.sigmf-data": 100}
