from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.bus.envelope import Envelope, pack
from controller.bus.topics import (
    LINK_STATE,
    POINTING_STATE,
    SAFETY_STATE,
    STATION_EVENT,
    STATION_MODE,
    TRACKING_COARSE,
    Body,
    CoarseState,
    LinkState,
    ModeState,
    PointingState,
    SafetyState,
    StationEvent,
    Topic,
    Vote,
)
from controller.record import Recorder, RotatingRecorder
from hal.clock import NS

T0_NS = 1_790_000_000 * NS
STATION = {"name": "ogs", "latitude_deg": 28.2995, "longitude_deg": -16.5118, "height_m": 2393.0}
METADATA = {"rig": {"settings": json.dumps({"station": STATION})}}
Target = Callable[[float], str]


def coarse(t_ns: int, error_rad: tuple[float, float], detected: bool = True) -> CoarseState:
    return CoarseState(t_ns, detected, error_rad, 1e4, 50.0, error_rad, (1e-6, 1e-6), 0.02, 0)


def pointing(t_ns: int, azimuth_rad: float, elevation_rad: float) -> PointingState:
    zero = (0.0, 0.0)
    return PointingState(
        t_ns, "track", azimuth_rad, elevation_rad, 0.01, 0.0, azimuth_rad, elevation_rad, 0.01, 0.0, 6e5, zero, zero,
        zero, zero, 0.1, True,
    )  # fmt: skip


class Night:
    """Writes a recording message by message."""

    def __init__(self, recorder: Recorder | RotatingRecorder, simulated: bool = True) -> None:
        self.recorder = recorder
        self.simulated = simulated
        self._seq = 0

    def say(self, topic: Topic, t_ns: int, body: Body) -> None:
        self._seq += 1
        source, _, _ = topic.name.partition("/")
        self.recorder.write(
            topic.name,
            Envelope(v=1, k="tlm", m=topic.name, src=source, t=t_ns, seq=self._seq, sim=self.simulated, b=pack(body)),
        )
        self.recorder.tick(t_ns)

    def follow(self, target: str, start_s: float, mode: str = "LINK") -> None:
        """One second: the mount turns from 359.99 deg to 0.01 deg, the camera sees 100 and -200 µrad."""
        for step in range(51):
            t_ns = T0_NS + round((start_s + step / 50) * NS)
            if step % 5 == 0:
                self.say(STATION_MODE, t_ns, ModeState(mode, t_ns, "as told", target))
                azimuth_rad = math.radians(-0.01 + 0.02 * step / 50)
                self.say(POINTING_STATE, t_ns + NS // 100, pointing(t_ns + NS // 100, azimuth_rad, math.radians(60)))
                self.say(LINK_STATE, t_ns, LinkState(t_ns, 2e-6, 1e-7, above=True))
            self.say(TRACKING_COARSE, t_ns, coarse(t_ns, (100e-6, -200e-6)))


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A second of LINK between STOWED and a lost beacon."""
    path = tmp_path / "recording.mcap"
    with Recorder(path, METADATA) as recorder:
        night = Night(recorder)
        night.say(STATION_MODE, T0_NS - NS, ModeState("STOWED", T0_NS, "at rest"))
        night.say(POINTING_STATE, T0_NS - NS, pointing(T0_NS - NS, 1.0, 1.0))
        night.say(STATION_EVENT, T0_NS - NS, StationEvent("info", "X", 'a "quoted" word,\nand a line µ'))
        votes = [Vote("mode", True, "LINK", 0.1), Vote("sun", False, "too near", 0.2)]
        night.say(SAFETY_STATE, T0_NS - NS, SafetyState(T0_NS, False, False, False, "", votes))
        night.follow("STARLINK-1598", 0.0)
        night.say(TRACKING_COARSE, T0_NS + 2 * NS, coarse(T0_NS + 2 * NS, (math.nan, 0.0), detected=False))
    return path
