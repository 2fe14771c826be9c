"""The reader of avoidance messages: what it takes, and that one wrong character opens nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.geometry.frames import Site
from controller.safety.clearance.gates import Expected, mismatches
from controller.safety.clearance.message import Celestial, FieldOfView, FixedDirection, Window
from controller.safety.clearance.pam import PamError, load_pam, parse_pam

ROW = "2025 Aug 21 (233) 1647 09    2025 Aug 22 (234) 0047 08    0479:59"
POINT = "Method: Fixed Azimuth/Elevation\nAzimuth: 123.4 degrees\nElevation: 56.7 degrees\n"
STAR = (
    "Method: Right Ascension And Declination\nCatalog Date:    J2000\n"
    "Right Ascension: 101.287 degrees\nDeclination: -16.716 degrees\n"
)


def utc_ns(*moment: int) -> int:
    return round(datetime(*moment, tzinfo=UTC).timestamp()) * 10**9  # type: ignore[misc]


def test_the_sample_of_the_reference_is_read_to_the_second(text: Callable[..., str]) -> None:
    message = parse_pam(text())
    assert (message.mission_id, message.operator, message.comment) == ("TEST 1", "EXAMPLE", "For Execution")
    assert message.targets_told == 1
    (target,) = message.targets
    assert target.windows == (Window(utc_ns(2025, 8, 21, 16, 47, 9), utc_ns(2025, 8, 22, 0, 47, 8)),)
    assert target.geometry == FieldOfView(1.0, 10.0, 1.0, 3.0)
    source = target.source
    assert (source.latitude_deg, source.longitude_deg) == (34.667332, -86.466466)
    assert source.height_m == pytest.approx(194.9)


def test_every_geometry_of_the_format_is_read_and_targets_keep_their_windows(text: Callable[..., str]) -> None:
    early = "2025 Aug 21 (233) 1700 00    2025 Aug 21 (233) 1701 30    0001:30"
    message = parse_pam(text(targets=[([ROW, early], POINT), ([], STAR), ([early], POINT)]))
    assert [len(t.windows) for t in message.targets] == [2, 0, 1]
    assert message.targets[0].geometry == FixedDirection(123.4, 56.7)
    assert message.targets[1].geometry == Celestial(101.287, -16.716)


def test_line_ends_of_windows_and_southern_sites_are_read(text: Callable[..., str]) -> None:
    message = parse_pam(text(latitude="34.66733200 degrees S").replace("\n", "\r\n"))
    assert message.targets[0].source.latitude_deg == -34.667332


WRONG = [
    ("(233) 1647", "(234) 1647", "is not day (234)"),
    ("0479:59", "0480:59", "the window does not last 0480:59"),
    ("0047 08", "1647 09", "the window does not last 0479:59"),
    ("Aug 21 (233) 1647", "Aut 21 (233) 1647", "is no moment of UTC"),
    ("1647 09", "1660 09", "is no moment of UTC"),
    ("0479:59\n", "0479:59 closed\n", "is no window"),
    ("2025 Aug 21 (233) 1647 09 ", "2025 Aug 21 (233) 1647 ", "is no window"),
    ("Percent = 100.00%", "", "the file is cut off"),
    ("Latitude:  34.66733200 degrees N", "Latitude:  34.66733200 degrees", 'not exactly one line "Latitude: ..."'),
    ("34.66733200 degrees N", "9" * 400 + " degrees N", "is no place on Earth"),
    ("86.46646600 degrees W", "486.46646600 degrees W", "is no place on Earth"),
    ("0.1949 km", "1949 km", "is no place on Earth"),
    ("0479:59", "9" * 5000 + ":59", "is no window"),
    ("Number of Targets:               1", "Number of Targets: " + "9" * 5000, "Number of Targets is"),
    ("0.1949 km", "194.9 m", 'not exactly one line "Altitude: ..."'),
    ("1.0 to 10.0 degrees", "1.0 degrees", 'not exactly one line "Azimuth Range: ..."'),
    ("1.0 to 3.0 degrees", "3.0 to 1.0 degrees", "is no part of the sky"),
    ("Method: Fixed Field of View", "Method: Satellite", 'the method "Satellite" cannot be compared'),
    ("Method: Fixed Point", "Method: Satellite", 'target 1: source is "Method: Satellite"'),
    ("Source Geometry: (WGS-84)", "Source Geometry: (NAD-27)", 'not exactly one "Source Geometry: (WGS-84)"'),
    ("Comment:                         For Execution\n", "", 'no "Comment:" in the header'),
    ("Laser Owner/Operator:            EXAMPLE", "Laser Owner/Operator:", 'no "Laser Owner/Operator:" in the header'),
    ("Comment: ", "Mission ID: TEST 1\nComment: ", "says Mission ID a second time"),
    ("Number of Targets:               1", "Number of Targets:               one", 'Number of Targets is "one"'),
    ("2025 Aug 21 16:47:09", "21 Aug 2025 16:47:09", "it should read as 2025 Aug 21 16:47:09"),
]


@pytest.mark.parametrize(("right", "wrong", "told"), WRONG, ids=[told[:40] for _, _, told in WRONG])
def test_a_message_with_a_mistake_is_refused_whole(text: Callable[..., str], right: str, wrong: str, told: str) -> None:
    good = text()
    assert right in good
    with pytest.raises(PamError) as caught:
        parse_pam(good.replace(right, wrong, 1))
    assert told in str(caught.value)


def test_a_message_that_is_cut_off_anywhere_never_opens_anything(text: Callable[..., str]) -> None:
    whole = text()
    expected = Expected("TEST 1", "EXAMPLE", Site(34.667332, -86.466466, 194.9))
    assert mismatches(parse_pam(whole), expected) == []
    end = whole.index(" degrees", whole.index("Elevation Range"))
    for length in range(end):
        try:
            message = parse_pam(whole[:length])
        except PamError:
            continue
        assert mismatches(message, expected), whole[:length][-40:]


def test_what_is_no_file_no_text_or_too_large_is_named(tmp_path: Path) -> None:
    with pytest.raises(PamError, match=r"^pam.txt: cannot be read \(No such file"):
        load_pam(tmp_path / "pam.txt")
    (tmp_path / "pam.txt").write_bytes(b"Mission ID: \xff")
    with pytest.raises(PamError, match="is not plain ASCII"):
        load_pam(tmp_path / "pam.txt")
    (tmp_path / "pam.txt").write_bytes(b" " * 4_000_001)
    with pytest.raises(PamError, match="is larger than 4 MB"):
        load_pam(tmp_path / "pam.txt")
