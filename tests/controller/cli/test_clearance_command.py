"""`boresight clearance`: the request that is written, and what is said of a message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from controller.cli import main
from controller.geometry.frames import Site
from controller.safety.clearance.message import FieldOfView
from controller.safety.clearance.prm import Asked, RequestError, request

SHIPPED = Path(__file__).parents[3] / "controller" / "data" / "rigs" / "ogs.toml"
SECTION = """
[clearinghouse]
file = "pam.txt"
mission_id = "TEST 1"
operator = "EXAMPLE"
emitters = ["2346c0a0-585f-4232-af5d-93bad320fdc0"]
"""
#: Keys that the data library's record requires (its public client libraries), whatever else it may hold.
REQUIRED = {
    "classificationMarking", "dataMode", "endDate", "idLaserEmitters", "numTargets", "requestId", "requestTs",
    "source", "startDate",
}  # fmt: skip
PAM = """\
Mission ID:                      TEST 1
Laser Owner/Operator:            EXAMPLE
Mission Start Date/Time (UTC):   2025 Aug 21 16:47:09
Mission Stop  Date/Time (UTC):   2025 Aug 22 00:47:08
Type of Windows in this report:  Authorized Shoot(Open) Windows
Comment:                         For Execution
Number of Targets:               1

YYYY MMM dd (DDD) HHMM SS    YYYY MMM dd (DDD) HHMM SS      MM:SS
-------------------------    -------------------------    -------
2025 Aug 21 (233) 1647 09    2025 Aug 22 (234) 0047 08    0479:59

Percent = 100.00%

Source Geometry: (WGS-84)
---------------
Method: Fixed Point
Latitude:  28.29950000 degrees N
Longitude: 16.51180000 degrees W
Altitude:  2.3930 km

Target Geometry: (WGS-84) 1
---------------
Method: Fixed Field of View
Azimuth Range:   1.0 to 10.0 degrees
Elevation Range: 1.0 to 3.0 degrees
"""


@pytest.fixture
def rig(tmp_path: Path) -> Path:
    path = tmp_path / "rig.toml"
    path.write_text(SHIPPED.read_text() + SECTION)
    return path


def said(capsys: Any, *words: str) -> tuple[int, str, str]:
    code = 0
    try:
        main([str(word) for word in words])
    except SystemExit as ended:
        code = int(ended.code or 0)
    out = capsys.readouterr()
    return code, out.out, out.err


def test_a_request_has_every_key_that_the_record_requires_and_no_height_above_sea_level(
    rig: Path, tmp_path: Path, capsys: Any
) -> None:
    file = tmp_path / "request.json"
    span = ("--start", "2026-03-01T20:00:00", "--stop", "2026-03-01T21:00:00Z")
    code, out, _ = said(capsys, "clearance", "request", file, *span, "--rig", rig, "--field", "350,10,20,90", "--test")
    record = json.loads(file.read_text())
    assert code == 0
    assert record["requestId"] in out
    assert set(record) >= REQUIRED
    assert (record["startDate"], record["endDate"]) == ("2026-03-01T20:00:00.000Z", "2026-03-01T21:00:00.000Z")
    assert (record["dataMode"], record["source"], record["numTargets"]) == ("TEST", "EXAMPLE", 1)
    assert record["fixedPoints"] == [{"latitude": 28.2995, "longitude": -16.5118}]
    assert (record["minimumHeight"], record["maximumHeight"]) == (2.393, 2.393)
    assert record["defaultCHA"] == 0.1
    (target,) = record["laserDeconflictTargets"]
    assert (target["azimuthStart"], target["azimuthEnd"], target["elevationStart"]) == (350.0, 10.0, 20.0)


def asked(**more: Any) -> Asked:
    given: dict[str, Any] = {
        "mission_id": "TEST 1", "operator": "EXAMPLE", "system": "ogs", "emitters": ("1",), "site": Site(0.0, 0.0, 0.0),
        "cone_half_angle_deg": 0.1, "start_utc_ns": 0, "stop_utc_ns": 10**9, "satellites": (25544,), **more,
    }  # fmt: skip
    return Asked(**given)


def test_a_request_for_satellites_names_them() -> None:
    record = request(asked(satellites=(25544, 48274)), "id", 0)
    assert [target["targetObjectNo"] for target in record["laserDeconflictTargets"]] == [25544, 48274]
    assert (record["targetType"], record["numTargets"]) == ("SATELLITE", 2)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"emitters": ()}, "write mission_id, operator and emitters"),
        ({"operator": ""}, "write mission_id, operator and emitters"),
        ({"satellites": ()}, "give one of --field and --satellite"),
        ({"field": FieldOfView(0, 360, 20, 90)}, "give one of --field and --satellite"),
        ({"stop_utc_ns": 0}, "begins before it ends"),
        ({"stop_utc_ns": 8 * 86_400 * 10**9}, "lasts a week at most"),
    ],
)
def test_a_request_that_lacks_something_is_not_written(more: dict[str, Any], told: str) -> None:
    with pytest.raises(RequestError, match=told):
        request(asked(**more), "id", 0)


def test_a_message_is_checked_against_the_rig_and_its_windows_are_told(rig: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "pam.txt").write_text(PAM)
    words = ("clearance", "check", tmp_path / "pam.txt", "--rig", rig, "--at", "2025-08-21T16:47:09")
    code, out, _ = said(capsys, *words, "--json")
    told = json.loads(out)
    assert (code, told["refusals"]) == (0, [])
    (target,) = told["targets"]
    assert (target["open"], target["changes_in_s"]) == (False, 1.0)  # the pad of one second
    assert target["windows_utc"] == [["2025-08-21T16:47:10.000Z", "2025-08-22T00:47:07.000Z"]]
    assert "closed, changes in 1 s" in said(capsys, *words)[1]


def test_a_message_for_another_ends_with_exit_code_one_and_opens_nothing(
    rig: Path, tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "pam.txt").write_text(PAM.replace("For Execution", "Practice"))
    words = ("clearance", "check", tmp_path / "pam.txt", "--rig", rig, "--at", "2025-08-21T18:00:00")
    code, out, _ = said(capsys, *words)
    assert code == 1
    assert 'REFUSED: its comment is "Practice"' in out
    assert "open," not in out
    assert said(capsys, "clearance", "check", rig, "--rig", rig)[0] == 1


@pytest.mark.parametrize("text", ["tomorrow", "2026-03-01T20:00:00+01:00"])
def test_a_time_that_is_not_utc_is_refused(rig: Path, tmp_path: Path, capsys: Any, text: str) -> None:
    (tmp_path / "pam.txt").write_text(PAM)
    code, _, error = said(capsys, "clearance", "check", tmp_path / "pam.txt", "--rig", rig, "--at", text)
    assert code == 1
    assert "write UTC as" in error
