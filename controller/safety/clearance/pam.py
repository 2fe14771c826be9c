"""Reads the text of a predictive avoidance message. What is not understood refuses the whole message.

The layout, as public readers and writers of such messages have it: a header of `Key: value` lines; for each target a
table of windows (from, to, minutes and seconds), then where the laser stands and where it may point. Each row says
its day of the year and its length a second time, and both are compared: a row that was cut or edited does not open.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from pathlib import Path

from controller.errors import BoresightError
from controller.safety.clearance.message import (
    Celestial,
    FieldOfView,
    FixedDirection,
    Geometry,
    Message,
    Source,
    Target,
    Window,
)

NS = 1_000_000_000
LARGEST_BYTES = 4_000_000
HIGHEST_M = 100_000.0
HEADER_KEYS = (
    "Mission ID",
    "Laser Owner/Operator",
    "Mission Start Date/Time (UTC)",
    "Mission Stop Date/Time (UTC)",
    "Type of Windows in this report",
    "Comment",
    "Number of Targets",
)
TABLE = "YYYY MMM dd (DDD) HHMM SS YYYY MMM dd (DDD) HHMM SS MM:SS"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MOMENT = r"(\d{4}) ([A-Z][a-z]{2}) (\d{1,2}) \((\d{3})\) (\d\d)(\d\d) (\d\d)"
_ROW = re.compile(rf"{_MOMENT} {_MOMENT} (\d{{1,6}}):(\d\d)")
_HEADER_TIME = re.compile(r"(\d{4}) ([A-Z][a-z]{2}) (\d{1,2}) (\d\d):(\d\d):(\d\d)")
_NUMBER = r"([-+]?\d+(?:\.\d+)?)"


class PamError(BoresightError):
    """A message that cannot be read opens nothing."""


def load_pam(path: Path) -> Message:
    """Read a message from a file. Raises PamError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PamError(
            f"{path.name}: cannot be read ({error.strerror}); put the message beside the rig file."
        ) from error
    if len(data) > LARGEST_BYTES:
        raise PamError(f"{path.name}: is larger than {LARGEST_BYTES // 1_000_000} MB; this is no avoidance message.")
    try:
        return parse_pam(data.decode("ascii"))
    except UnicodeDecodeError:
        raise PamError(f"{path.name}: is not plain ASCII text; use the file as it was sent.") from None
    except PamError as error:
        raise PamError(f"{path.name}: {error}") from None


def parse_pam(text: str) -> Message:
    """Read a message. Raises PamError with the line or the key that is wrong."""
    lines = [(number, " ".join(line.split())) for number, line in enumerate(text.splitlines(), 1)]
    starts = [index for index, (_, line) in enumerate(lines) if line == TABLE]
    header = _header(lines[: starts[0]] if starts else lines)
    ends = [*starts, len(lines)][1:]
    blocks = [lines[start + 1 : end] for start, end in zip(starts, ends, strict=True)]
    told = header["Number of Targets"]
    if not re.fullmatch(r"\d{1,5}", told):
        raise PamError(f'Number of Targets is "{told}"; ask for the message again.')
    return Message(
        mission_id=header["Mission ID"],
        operator=header["Laser Owner/Operator"],
        comment=header["Comment"],
        kind_of_windows=header["Type of Windows in this report"],
        start_utc_ns=_header_time(header, "Mission Start Date/Time (UTC)"),
        stop_utc_ns=_header_time(header, "Mission Stop Date/Time (UTC)"),
        targets_told=int(told),
        targets=tuple(_target(number, block) for number, block in enumerate(blocks, 1)),
    )


def _header(lines: list[tuple[int, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in lines:
        for key in HEADER_KEYS:
            if line.startswith(key + ":"):
                if key in found:
                    raise PamError(f"line {number} says {key} a second time; use the file as it was sent.")
                found[key] = line[len(key) + 1 :].strip()
    for key in HEADER_KEYS:
        if not found.get(key):
            raise PamError(f'no "{key}:" in the header; use the file as it was sent.')
    return found


def _header_time(header: dict[str, str], key: str) -> int:
    found = _HEADER_TIME.fullmatch(header[key])
    if found is None:
        raise PamError(f'{key} is "{header[key]}"; it should read as 2025 Aug 21 16:47:09.')
    year, month, day, *clock = found.groups()
    return _utc_ns(key, year, month, day, *clock)


def _target(number: int, lines: list[tuple[int, str]]) -> Target:
    end = next((i for i, (_, line) in enumerate(lines) if line.startswith("Percent")), None)
    if end is None:
        raise PamError(f'target {number}: no line "Percent = ..." after its windows; the file is cut off.')
    windows = tuple(_window(at, line) for at, line in lines[:end] if line.strip("- "))
    source = _section(number, "Source Geometry", lines[end:])
    target = _section(number, "Target Geometry", lines[end:])
    return Target(number, _source(number, source), _geometry(number, target), windows)


def _window(number: int, line: str) -> Window:
    found = _ROW.fullmatch(line)
    if found is None:
        raise PamError(f'line {number} is no window: "{line}"; use the file as it was sent.')
    cells = found.groups()
    window = Window(_moment(number, *cells[:7]), _moment(number, *cells[7:14]))
    told_ns = (int(cells[14]) * 60 + int(cells[15])) * NS
    if window.close_utc_ns - window.open_utc_ns != told_ns or told_ns <= 0:
        raise PamError(f"line {number}: the window does not last {cells[14]}:{cells[15]}; use the file as it was sent.")
    return window


def _moment(number: int, year: str, month: str, day: str, day_of_year: str, *clock: str) -> int:
    t_utc_ns = _utc_ns(f"line {number}", year, month, day, *clock)
    if datetime.fromtimestamp(t_utc_ns // NS, UTC).timetuple().tm_yday != int(day_of_year):
        raise PamError(f"line {number}: {month} {day} {year} is not day ({day_of_year}); use the file as it was sent.")
    return t_utc_ns


def _utc_ns(where: str, year: str, month: str, day: str, *clock: str) -> int:
    try:
        hour, minute, second = (int(part) for part in clock)
        moment = datetime(int(year), MONTHS.index(month) + 1, int(day), hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise PamError(f"{where}: {year} {month} {day} {':'.join(clock)} is no moment of UTC.") from None
    return round(moment.timestamp()) * NS


def _section(number: int, name: str, lines: list[tuple[int, str]]) -> list[str]:
    """Method and values of a geometry: what follows its title, up to an empty line."""
    titles = [i for i, (_, line) in enumerate(lines) if line.startswith(name)]
    if len(titles) != 1 or "(WGS-84)" not in lines[titles[0]][1]:
        raise PamError(f'target {number}: not exactly one "{name}: (WGS-84)"; use the file as it was sent.')
    found: list[str] = []
    for _, line in lines[titles[0] + 1 :]:
        if not line and found:
            break
        if line.strip("- "):
            found.append(line)
    return found


def _source(number: int, lines: list[str]) -> Source:
    where = f"target {number}: source"
    if not lines or lines[0] != "Method: Fixed Point":
        raise PamError(f'{where} is "{lines[0] if lines else ""}"; only a fixed point can be compared with the rig.')
    latitude, north = _values(where, lines, rf"Latitude: {_NUMBER} degrees ([NS])")
    longitude, east = _values(where, lines, rf"Longitude: {_NUMBER} degrees ([EW])")
    (height_km,) = _values(where, lines, rf"Altitude: {_NUMBER} km")
    found = Source(
        float(latitude) * (1 if north == "N" else -1),
        float(longitude) * (1 if east == "E" else -1),
        float(height_km) * 1000.0,
    )
    if not (abs(found.latitude_deg) <= 90 and abs(found.longitude_deg) <= 360 and abs(found.height_m) <= HIGHEST_M):
        raise PamError(f"{where} is no place on Earth; use the file as it was sent.")
    return found


def _geometry(number: int, lines: list[str]) -> Geometry:
    where, method = f"target {number}", lines[0].removeprefix("Method: ") if lines else ""
    if method == "Fixed Azimuth/Elevation":
        return FixedDirection(_angle(where, lines, "Azimuth", 360.0), _angle(where, lines, "Elevation", 90.0))
    if method == "Fixed Field of View":
        span = rf"{_NUMBER} to {_NUMBER} degrees"
        azimuths = [float(v) for v in _values(where, lines, f"Azimuth Range: {span}")]
        elevations = [float(v) for v in _values(where, lines, f"Elevation Range: {span}")]
        if any(abs(v) > 360.0 for v in azimuths) or not -90.0 <= elevations[0] <= elevations[1] <= 90.0:
            raise PamError(f"{where}: its field of view is no part of the sky; use the file as it was sent.")
        return FieldOfView(*azimuths, *elevations)
    if method == "Right Ascension And Declination":
        _values(where, lines, "(Catalog Date: J2000)")
        return Celestial(_angle(where, lines, "Right Ascension", 360.0), _angle(where, lines, "Declination", 90.0))
    raise PamError(
        f'{where}: the method "{method}" cannot be compared with where the telescope points; ask for a fixed azimuth '
        "and elevation, a field of view, or right ascension and declination."
    )


def _angle(where: str, lines: list[str], name: str, largest_deg: float) -> float:
    angle_deg = float(_values(where, lines, rf"{name}: {_NUMBER} degrees")[0])
    if not math.isfinite(angle_deg) or abs(angle_deg) > largest_deg:
        raise PamError(f"{where}: {name} {angle_deg:g} degrees is no place in the sky; use the file as it was sent.")
    return angle_deg


def _values(where: str, lines: list[str], pattern: str) -> tuple[str, ...]:
    found = [match.groups() for line in lines if (match := re.fullmatch(pattern, line))]
    if len(found) != 1:
        name = pattern.partition(":")[0].lstrip("(")
        raise PamError(f'{where}: not exactly one line "{name}: ..." with its unit; use the file as it was sent.')
    return found[0]
