"""What services and commands read: telemetry, files, the words of the fault door."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np
from fuzz_target import Feed, Target

from controller.bus.envelope import BusError, Ids, body_of, frame, unframe
from controller.bus.topics import SAFETY_ENABLE, EnableState, TripRecord
from controller.bus.writer import Writer
from controller.pointing.elements import ElementsError, built_in_elements, parse_elements
from controller.safety.clearance.pam import PamError, parse_pam
from controller.safety.trips import TripLog
from controller.services.lockstep import Lockstep
from hal.devices.aircraft_json import AircraftJsonFeed
from hal.devices.sbs import parse_sbs
from hal.errors import HalError
from hal.wires.wirelog import parse_log
from sim_hw.faults.door import FaultDoor
from sim_hw.faults.panel import Faults
from sim_hw.timeline import Timeline


def fault_door() -> Feed:
    door = FaultDoor.__new__(FaultDoor)
    door._faults = Faults(Timeline(), np.random.default_rng(1), {})
    return door._obey


_CLOCK = Lockstep(Timeline())

ENVELOPE = frame(Writer("safety", _CLOCK, Ids(1), True).telemetry(SAFETY_ENABLE, EnableState(1, True), 1))

TLE = "\n".join((built_in_elements()[0].name, built_in_elements()[0].line1, built_in_elements()[0].line2)).encode()


class InMemory:
    """A file that holds what is fed."""

    name = "fed"

    def __init__(self) -> None:
        self.data = b""

    def open(self, mode: str, buffering: int = -1) -> BytesIO:
        return BytesIO(self.data)


def aircraft_file() -> Feed:
    clock = Lockstep(Timeline(), 1_760_000_000 * 10**9)
    file = InMemory()

    def feed(data: bytes) -> None:
        file.data = data
        aircraft = AircraftJsonFeed("file:///aircraft.json", clock)
        aircraft._path = file  # type: ignore[assignment]
        aircraft.poll()

    return feed


def trip_log() -> Feed:
    file = InMemory()

    def feed(data: bytes) -> None:
        file.data = data
        TripLog(file).note("more")  # type: ignore[arg-type]

    return feed


PAM = b"""\
Mission ID: TEST 1
Laser Owner/Operator: EXAMPLE
Mission Start Date/Time (UTC): 2025 Aug 21 16:47:09
Mission Stop Date/Time (UTC): 2025 Aug 22 00:47:08
Type of Windows in this report: Authorized Shoot(Open) Windows
Comment: For Execution
Number of Targets: 1
YYYY MMM dd (DDD) HHMM SS    YYYY MMM dd (DDD) HHMM SS      MM:SS
2025 Aug 21 (233) 1647 09    2025 Aug 22 (234) 0047 08    0479:59
Percent = 100.00%
Source Geometry: (WGS-84)
Method: Fixed Point
Latitude:  34.66733200 degrees N
Longitude: 86.46646600 degrees W
Altitude:  0.1949 km

Target Geometry: (WGS-84) 1
Method: Fixed Field of View
Azimuth Range:   1.0 to 10.0 degrees
Elevation Range: 1.0 to 3.0 degrees
Azimuth: 1.0 degrees
Elevation: 2.0 degrees
"""
SBS = b"MSG,3,1,1,4CA2D6,1,2026/03/01,20:00:00.000,2026/03/01,20:00:00.000,,36000,450,,28.5,-16.25,,,0,0,0,-1"
AIRCRAFT = json.dumps(
    {
        "now": 1_759_999_999.5,
        "aircraft": [
            {"hex": "4ca2d6", "lat": 28.5, "lon": -16.2, "alt_baro": 36000, "gs": 450.0, "seen_pos": 2.0, "seen": 0.1},
            {"hex": "4ca2d7", "alt_baro": "ground", "seen": 0.1},
        ],
    }
).encode()


FILES = (
    Target("telemetry", lambda: lambda data: body_of(unframe(data)), [ENVELOPE], (BusError,)),
    Target(
        "element sets",
        lambda: lambda data: parse_elements(data.decode("latin-1").splitlines(), "file"),
        [TLE],
        (ElementsError,),
    ),
    Target(
        "wire log",
        lambda: lambda data: parse_log(data, Path("log")),
        [b'{"t_ns": 1, "is": "open", "kind": "stream"}\n{"t_ns": 2, "is": ">", "text": "z"}\n'],
        (HalError,),
    ),
    Target(
        "fault door",
        fault_door,
        [b'{"start": "camera", "word": "off", "for_s": 2}', b'{"clear": null}', b'{"table": 1}'],
    ),
    Target(
        "avoidance messages",
        lambda: lambda data: parse_pam(data.decode("latin-1")),
        [PAM, PAM.replace(b"Fixed Field of View", b"Fixed Azimuth/Elevation")],
        (PamError,),
    ),
    Target("aircraft lines", lambda: lambda data: parse_sbs(data.decode("latin-1"), 0), [SBS], (ValueError,)),
    Target("aircraft file", aircraft_file, [AIRCRAFT], (HalError,)),
    Target(
        "trip log",
        trip_log,
        [b'{"answered":3}\n', msgspec.json.encode(TripRecord(1, 2, "a", "a", [], [])) + b"\n"],
    ),
)
