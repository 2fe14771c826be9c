"""CCSDS Tracking Data Message (503.0-B-2, KVN): where the satellite was seen, and the power that came from it.

Measured values only. An angle is the mount's direction (encoders through the mount model) plus what the camera saw, at
the moments of the mount's samples, while the loop was closed on the beacon. Range and range rate in a recording are
predictions and stay out. The angles are topocentric and apparent: refraction is in them, as it is in the air.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from controller.bus.topics import LINK_STATE, POINTING_STATE, STATION_MODE, TRACKING_COARSE
from controller.export import ExportError
from controller.export.utc import utc_text
from controller.export.whole import whole
from controller.record import OnDamage, Recorded, fields_expected, ignore, read_metadata, read_run
from hal.clock import NS

CLOSED = frozenset({"COARSE", "FINE", "LINK"})  # modes in which the beacon is held
GAP_NS = round(TRACKING_COARSE.stale_after_s * NS)  # frames farther apart say nothing about the time between them
VERSION = "2.0"


@dataclass(frozen=True, slots=True)
class Angles:
    """A direction in degrees."""

    t_utc_ns: int
    azimuth_deg: float
    elevation_deg: float


@dataclass(slots=True)
class Track:
    """One target's data in a recording; becomes one segment."""

    target: str
    simulated: bool = False
    mount: list[tuple[int, float, float]] = field(default_factory=list)  # time, azimuth, elevation
    seen: list[tuple[int, float, float]] = field(default_factory=list)  # time, cross-elevation, elevation
    power_w: list[tuple[int, float]] = field(default_factory=list)

    def angles(self) -> Iterator[Angles]:
        """Where the camera saw the target, at each of the mount's samples between two frames."""
        frames = pairwise(self.seen)
        before, after = next(frames, ((0, 0.0, 0.0), (0, 0.0, 0.0)))
        for t_ns, azimuth, elevation in self.mount:
            while after[0] < t_ns and (following := next(frames, None)) is not None:
                before, after = following
            if not before[0] <= t_ns <= after[0] or after[0] - before[0] > GAP_NS:
                continue
            share = (t_ns - before[0]) / (after[0] - before[0])
            cross, up = (before[axis] + share * (after[axis] - before[axis]) for axis in (1, 2))
            azimuth += cross / math.cos(elevation)
            yield Angles(t_ns, math.degrees(azimuth) % 360.0, math.degrees(elevation + up))


def export_tdm(first: Path, path: Path, created_utc_ns: int, damaged: OnDamage = ignore) -> int:
    """Write the message; returns the number of data lines.

    `damaged` is told what of the recording cannot be read.

    Raises:
        ExportError: the file exists, or no target was held. RecordingError: it is no recording.
    """
    station = _station(first)
    with fields_expected(first):
        found = tracks(read_run(first, damaged))
    segments = [segment for track in found if (segment := _segment(track, station))]
    if not segments:
        raise ExportError(f"{first}: no target was held in COARSE, FINE or LINK, so there is nothing for a TDM")
    originator = station.get("name", "boresight")
    head = [f"CCSDS_TDM_VERS = {VERSION}", "COMMENT Made by boresight from a recording", *_site(station)]
    head += [f"CREATION_DATE = {utc_text(created_utc_ns)}", f"ORIGINATOR = {originator}"]
    text = "\n".join(line for part in (head, *segments) for line in (*part, ""))
    with whole(path) as partial:
        partial.write_text(text, encoding="ascii", errors="replace")
    return sum(text.count(f"\n{keyword} = ") for keyword in ("ANGLE_1", "ANGLE_2", "CARRIER_POWER"))


def tracks(messages: Iterable[Recorded]) -> list[Track]:
    """What was measured of each target, in the order in which they were followed."""
    found: list[Track] = []
    held = False
    for message in messages:
        body = message.body
        if message.topic == STATION_MODE.name:
            held = body["mode"] in CLOSED and bool(body["target"])
            if held and (not found or found[-1].target != body["target"]):
                found.append(Track(body["target"]))
        elif held and _take(found[-1], message.topic, body):
            found[-1].simulated |= message.simulated
    return found


def _take(track: Track, topic: str, body: dict[str, Any]) -> bool:
    """Add a measurement; False when the message is none."""
    t_ns = body.get("t_utc_ns", 0)
    if topic == POINTING_STATE.name and body["activity"] == "track":
        track.mount.append((t_ns, body["azimuth_rad"], body["elevation_rad"]))
    elif topic == TRACKING_COARSE.name and body["detected"] and None not in body["error_rad"]:
        track.seen.append((t_ns, *body["error_rad"]))
    elif topic == LINK_STATE.name and (body["received_power_w"] or 0.0) > 0.0:
        track.power_w.append((t_ns, body["received_power_w"]))
    else:
        return False
    return True


def _segment(track: Track, station: dict[str, Any]) -> list[str]:
    """Lines of metadata and data; none when no direction was measured."""
    angles = list(track.angles())
    if not angles:
        return []
    times = [item.t_utc_ns for item in angles] + [t_ns for t_ns, _ in track.power_w]
    simulated = ["COMMENT SIMULATED: devices were emulated, nothing of this was measured on the sky"]
    data = [
        line
        for item in angles
        for line in (
            f"ANGLE_1 = {utc_text(item.t_utc_ns)} {item.azimuth_deg:.8f}",
            f"ANGLE_2 = {utc_text(item.t_utc_ns)} {item.elevation_deg:.8f}",
        )
    ]
    data += [f"CARRIER_POWER = {utc_text(t_ns)} {10 * math.log10(power_w):.4f}" for t_ns, power_w in track.power_w]
    return [
        "META_START",
        *(simulated if track.simulated else []),
        "COMMENT Angles: mount plus camera, apparent (refraction not removed)",
        *(["COMMENT CARRIER_POWER: optical power at the power meter, dBW"] if track.power_w else []),
        f"DATA_TYPES = ANGLE_1,ANGLE_2{',CARRIER_POWER' if track.power_w else ''}",
        "TIME_SYSTEM = UTC",
        f"START_TIME = {utc_text(min(times))}",
        f"STOP_TIME = {utc_text(max(times))}",
        f"PARTICIPANT_1 = {station.get('name', 'station')}",
        f"PARTICIPANT_2 = {track.target}",
        "MODE = SEQUENTIAL",
        "PATH = 2,1",
        "TIMETAG_REF = RECEIVE",
        "ANGLE_TYPE = AZEL",
        "META_STOP",
        "DATA_START",
        *data,
        "DATA_STOP",
    ]


def _station(first: Path) -> dict[str, Any]:
    """[station] of the rig that the recording keeps; empty when it keeps none."""
    settings = json.loads(read_metadata(first).get("rig", {}).get("settings", "{}"))
    found: dict[str, Any] = settings.get("station", {})
    return found


def _site(station: dict[str, Any]) -> list[str]:
    if "latitude_deg" not in station:
        return []
    place = f"{station['latitude_deg']:g} {station['longitude_deg']:g} deg, {station['height_m']:g} m"
    return [f"COMMENT Station at latitude, longitude (WGS 84), height above the ellipsoid: {place}"]
