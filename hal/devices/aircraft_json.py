"""The file aircraft.json that dump1090 and readsb write every second: trait AircraftFeed.

Source: README-json.md of dump1090: `now` in seconds since 1970; for each aircraft `hex`, `lat` and `lon` in degrees
with `seen_pos` in seconds before `now`, `alt_geom` and `alt_baro` in feet (or "ground"), `gs` in knots, `seen` in
seconds. The file is written with an empty sky, too: it says that the receiver works.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hal.clock import NS, Clock
from hal.devices.sbs import ALTITUDE_MAX_FT, FOOT_M, KNOT_M_S, SPEED_MAX_KT
from hal.errors import ProtocolError, WireError
from hal.traits import AircraftReport

POLL_NS = NS // 2
LARGEST_BYTES = 4_000_000
AHEAD_NS = 2 * NS  # the receiver's clock may be this far ahead of ours
UNIX_MAX_S = 1e11  # the year 5138
SEEN_MAX_S = 86_400.0  # receivers forget after minutes


class AircraftJsonFeed:
    """One file, read twice a second."""

    def __init__(self, resource: str, clock: Clock, name: str = "aircraft") -> None:
        self._path = Path(resource.removeprefix("file://"))
        self._name, self._clock = name, clock
        self._due_ns = 0
        self._heard_ns: int | None = None

    @property
    def heard_ns(self) -> int | None:
        """The time that the file says it was written at."""
        return self._heard_ns

    def poll(self) -> list[AircraftReport]:
        """Every aircraft of the file, when it is time to read it. Raises WireError, ProtocolError."""
        now_ns = self._clock.now_ns()
        if now_ns < self._due_ns:
            return []
        self._due_ns = now_ns + POLL_NS
        try:
            with self._path.open("rb") as file:
                data = file.read(LARGEST_BYTES + 1)
        except OSError as error:
            raise WireError(f"{self._name}: {self._path.name} cannot be read ({error.strerror}).") from error
        try:
            if len(data) > LARGEST_BYTES:
                raise ValueError("too large")
            document = json.loads(data)
            written_ns = now_ns - (self._clock.utc_ns() - round(_number(document["now"], UNIX_MAX_S) * NS))
            if written_ns > now_ns + AHEAD_NS:
                raise ValueError("written in the future")
            reports = [_report(row, written_ns) for row in document["aircraft"]]
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ProtocolError(
                f"{self._name}: {self._path.name} is no list of aircraft ({error}); check what writes it."
            ) from error
        self._heard_ns = min(written_ns, now_ns)
        return reports

    def close(self) -> None:
        """Nothing is held open."""


def _report(row: dict[str, Any], written_ns: int) -> AircraftReport:
    placed = row.get("lat") is not None and row.get("lon") is not None
    altitude = row.get("alt_geom", row.get("alt_baro"))
    speed_kt = row.get("gs")
    return AircraftReport(
        written_ns - round(max(0.0, _number(row["seen_pos" if placed else "seen"], SEEN_MAX_S)) * NS),
        str(row["hex"]).upper(),
        latitude_deg=_number(row["lat"], 90.0) if placed else None,
        longitude_deg=_number(row["lon"], 180.0) if placed else None,
        altitude_m=_number(altitude, ALTITUDE_MAX_FT) * FOOT_M if altitude not in (None, "ground") else None,
        speed_m_s=_number(speed_kt, SPEED_MAX_KT) * KNOT_M_S if speed_kt is not None else None,
        on_ground=row.get("alt_baro") == "ground",
    )


def _number(value: Any, largest: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= largest:  # nor is nan
        raise ValueError(f"{str(value)[:20]!r} is no number, or out of range")
    return float(value)
