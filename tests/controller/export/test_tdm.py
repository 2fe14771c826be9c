"""CCSDS TDM: read by somebody else's reader (ccsds-ndm-py), and the angles are where the target was."""

from __future__ import annotations

import math
from pathlib import Path

import ccsds_ndm
import pytest

from controller.bus.topics import POINTING_STATE, STATION_MODE, TRACKING_COARSE, ModeState
from controller.cli import main
from controller.export import ExportError
from controller.export.tdm import export_tdm
from controller.record import Recorder
from hal.clock import NS

from .conftest import METADATA, T0_NS, Night, coarse, pointing

CREATED_NS = T0_NS + 86_400 * NS


def exported(recording: Path) -> ccsds_ndm.Tdm:
    path = recording.with_suffix(".tdm")
    export_tdm(recording, path, CREATED_NS)
    message = ccsds_ndm.Tdm.from_file(str(path), "kvn")
    assert message.validate(strict=True) is None
    return message


def observed(segment: ccsds_ndm.TdmSegment, keyword: str) -> list[tuple[str, float]]:
    return [(item.epoch, item.value) for item in segment.data.observations if item.keyword == keyword]


def test_another_reader_finds_the_header_and_the_metadata(recording: Path) -> None:
    message = exported(recording)
    assert (message.version, message.header.originator) == ("2.0", "ogs")
    assert message.header.creation_date == "2026-09-22T14:13:20.000000000"  # date -u -d @1790086400
    (segment,) = message.segments
    metadata = segment.metadata
    assert (metadata.time_system, metadata.angle_type, metadata.timetag_ref) == ("UTC", "AZEL", "RECEIVE")
    assert (metadata.participant_1, metadata.participant_2) == ("ogs", "STARLINK-1598")
    assert any("SIMULATED" in comment for comment in metadata.comment)


def test_an_angle_is_the_mount_and_what_the_camera_saw(recording: Path) -> None:
    (segment,) = exported(recording).segments
    azimuths, elevations = observed(segment, "ANGLE_1"), observed(segment, "ANGLE_2")
    assert len(azimuths) == len(elevations) == 10, "the eleventh sample of the mount has no frame after it"
    cross_deg = math.degrees(100e-6) / math.cos(math.radians(60))
    for step, (_, azimuth_deg) in enumerate(azimuths):
        assert azimuth_deg == pytest.approx((-0.01 + 0.002 * step + cross_deg) % 360, abs=1e-8)
    assert all(value == pytest.approx(60 - math.degrees(200e-6), abs=1e-8) for _, value in elevations)
    assert azimuths[0][0] == "2026-09-21T14:13:20.010000000"  # date -u -d @1790000000


def test_what_is_told_is_the_number_of_measurements(recording: Path) -> None:
    number = export_tdm(recording, recording.with_suffix(".tdm"), CREATED_NS)
    (segment,) = ccsds_ndm.Tdm.from_file(str(recording.with_suffix(".tdm")), "kvn").segments
    assert number == len(segment.data.observations) == 10 + 10 + 11


def test_power_is_in_decibels_of_a_watt(recording: Path) -> None:
    (segment,) = exported(recording).segments
    powers = observed(segment, "CARRIER_POWER")
    assert len(powers) == 11
    assert all(value == pytest.approx(-56.9897, abs=1e-4) for _, value in powers)  # 2 µW


def test_each_target_has_a_segment_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "night.mcap"
    with Recorder(path, METADATA) as recorder:
        night = Night(recorder, simulated=False)
        night.follow("FIRST", 0.0)
        night.follow("SECOND", 10.0, "COARSE")
    message = exported(path)
    assert [segment.metadata.participant_2 for segment in message.segments] == ["FIRST", "SECOND"]
    assert not any("SIMULATED" in comment for segment in message.segments for comment in segment.metadata.comment)


def test_a_gap_between_frames_is_not_interpolated(tmp_path: Path) -> None:
    path = tmp_path / "night.mcap"
    with Recorder(path, METADATA) as recorder:
        night = Night(recorder)
        night.follow("X", 0.0)
        between_ns = T0_NS + 2 * NS
        night.say(STATION_MODE, between_ns, ModeState("COARSE", between_ns, "coasting", "X"))
        for t_ns in (between_ns, between_ns + NS // 2):
            night.say(TRACKING_COARSE, t_ns, coarse(t_ns, (0.0, 0.0), detected=False))
        night.say(POINTING_STATE, between_ns, pointing(between_ns, 0.0, 1.0))
        night.follow("X", 3.0)
    (segment,) = exported(path).segments
    assert len(observed(segment, "ANGLE_1")) == 10 + 10, "three samples of the mount lie in gaps"


def test_without_a_held_target_there_is_no_message(tmp_path: Path) -> None:
    path = tmp_path / "night.mcap"
    with Recorder(path, METADATA) as recorder:
        Night(recorder).follow("X", 0.0, "POINT")
    with pytest.raises(ExportError, match=r"night\.mcap: no target was held"):
        export_tdm(path, tmp_path / "night.tdm", CREATED_NS)
    assert [file.name for file in tmp_path.iterdir()] == ["night.mcap"]


def test_the_command_refuses_to_overwrite(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["export", str(recording), "--to", "tdm"])
    with pytest.raises(SystemExit):
        main(["export", str(recording), "--to", "tdm"])
    assert "recording.tdm exists and is not overwritten" in capsys.readouterr().err
