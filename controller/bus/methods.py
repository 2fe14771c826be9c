"""Every command of a station in one table: service, channel, lease, body, and what it does.

The bodies are for those who send: services read them with their own parsers, which say more of what is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from controller.bus.lease import FREE, SCOPE_OF, Acquire, Granted, Renew
from controller.bus.ring import Events, Since
from controller.bus.roles import EVENTS_SINCE
from controller.bus.topics import ZERO, Pair

Channel = Literal["cmd", "ctl", "reg"]


class Empty(msgspec.Struct, frozen=True, kw_only=True):
    """A body without content."""


class TrackPass(msgspec.Struct, frozen=True, kw_only=True):
    """An element set and the part of its path to follow."""

    name: str
    line1: str
    line2: str
    start_utc_ns: int
    end_utc_ns: int
    age_max_days: float = 14.0  # older elements are refused
    above_limits: bool = False  # follow it although the mount cannot, with its outage
    source: str = ""  # the file that it is from, for the recording


class TargetState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a target is at a time, and how fast; the covariance of both, 6 x 6 in SI units, where it is known."""

    t_utc_ns: int
    position_m: tuple[float, float, float]
    velocity_m_s: tuple[float, float, float]
    covariance: list[list[float]] = []


class Follow(msgspec.Struct, frozen=True, kw_only=True):
    """A live target: its first states, in order of time, and what is known of those to come."""

    name: str
    frame: str  # of all its states: ITRF, GCRF or TEME
    states: list[TargetState]
    start_utc_ns: int
    end_utc_ns: int
    age_max_s: float = 3.0  # of the newest state, 0.2 to 30; beyond it motion stops
    acceleration_sigma_m_s2: float = 10.0  # one sigma, each way, of what it may do between two states


class Feed(msgspec.Struct, frozen=True, kw_only=True):
    """The next states of the target that is followed, in order of time."""

    name: str
    frame: str
    states: list[TargetState]


class Fed(msgspec.Struct, frozen=True, kw_only=True):
    """Data of the answer to `pointing.feed`."""

    taken: int


class Slew(msgspec.Struct, frozen=True, kw_only=True):
    """A direction, and from which side to come to it: -1, 0 (any) or 1 for each axis."""

    azimuth_rad: float
    elevation_rad: float
    approach: Pair = ZERO


class Offset(msgspec.Struct, frozen=True, kw_only=True):
    """What is added to the prediction of an object; what a command leaves out stays as it is."""

    name: str = ""  # none: the object that is tracked
    time_s: float = 0.0  # by which it is ahead of its prediction
    in_track_rad: float = 0.0
    cross_track_rad: float = 0.0  # to the right of a target that goes up


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What the camera shows."""

    half_extent_rad: float
    frame_rate_hz: float


class CameraMap(msgspec.Struct, frozen=True, kw_only=True):
    """From sensor pixels to (cross-elevation, elevation): matrix times (pixel minus origin)."""

    matrix: tuple[Pair, Pair]
    origin_px: Pair


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """Data of the answer to `safety.arm` and `safety.confirm`."""

    phase: str
    confirm_within_s: float


class Pong(msgspec.Struct, frozen=True, kw_only=True):
    """Data of the answer to `ping`."""

    utc_ns: int


@dataclass(frozen=True, slots=True)
class Method:
    """One row of the table. `body` and `data` are Structs, or a plain map."""

    name: str
    services: tuple[str, ...]
    channel: Channel
    does: str
    body: Any = Empty
    data: Any = Empty

    @property
    def scope(self) -> str:
        """The lease that its sender must hold; empty: none."""
        if self.channel != "cmd" or self.name in FREE:
            return ""
        return SCOPE_OF.get(self.services[0], "")


MOVERS: Final = ("station", "pointing", "safety")
SPEAKERS: Final = ("supervisor", "station", "pointing", "tracking", "safety", "link")
METHODS: Final = (
    Method("station.track", ("station",), "cmd", "follows an element set over one pass", TrackPass),
    Method(
        "station.follow", ("station",), "cmd", "follows a live stream of states, which `pointing.feed` goes on", Follow
    ),
    Method("station.park", ("station",), "cmd", "leaves the target, goes to the park position"),
    Method("station.reset", ("station",), "cmd", "leaves HOLD, SAFE or FAULT"),
    Method("pointing.track", ("pointing",), "cmd", "the path alone, without the station's modes", TrackPass),
    Method("pointing.follow", ("pointing",), "cmd", "the stream alone, without the station's modes", Follow),
    Method("pointing.feed", ("pointing",), "cmd", "the next states of the stream", Feed, Fed),
    Method("pointing.slew", ("pointing",), "cmd", "goes to a direction and holds it", Slew),
    Method("pointing.park", ("pointing",), "cmd", "goes to the park position"),
    Method("pointing.stop", ("pointing",), "cmd", "holds the axes"),
    Method(
        "pointing.model",
        ("pointing",),
        "cmd",
        "uses a mount model (an empty body only asks), answers with the one in use",
        dict[str, float],
        dict[str, float],
    ),
    Method(
        "pointing.try",
        ("pointing",),
        "cmd",
        "uses a mount model until `pointing.model`, or until this lease is over",
        dict[str, float],
        dict[str, float],
    ),
    Method("pointing.offset", ("pointing",), "cmd", "shifts a target against its prediction", Offset, Offset),
    Method("tracking.look", ("tracking",), "cmd", "sets what the camera shows, at rest", Look),
    Method("tracking.camera", ("tracking",), "cmd", "uses a camera model, at rest", CameraMap),
    Method("tracking.model", ("tracking",), "cmd", "answers with the camera model in use", Empty, CameraMap),
    Method("safety.arm", ("safety",), "cmd", "first half of consent to emission", Empty, Consent),
    Method("safety.confirm", ("safety",), "cmd", "second half, within 30 s, under the same lease", Empty, Consent),
    Method("safety.disarm", ("safety",), "cmd", "emission off until armed again", Empty, Consent),
    Method("supervisor.end", ("supervisor",), "cmd", "ends the station in good order"),
    Method(EVENTS_SINCE, SPEAKERS, "cmd", "past events of a topic, the latest 1024", Since, Events),
    Method("stop", MOVERS, "ctl", "axes held, emission off; the station goes to HOLD, not out of SAFE or FAULT"),
    Method("safe", MOVERS, "ctl", "axes stopped, emission latched off; the station goes to SAFE"),
    Method("ping", MOVERS, "ctl", "the service's time", Empty, Pong),
    Method("lease.acquire", ("station",), "ctl", "takes a lease", Acquire, Granted),
    Method("lease.renew", ("station",), "ctl", "keeps the lease in `ls`", Renew, Granted),
    Method("lease.release", ("station",), "ctl", "gives the lease in `ls` back"),
)
