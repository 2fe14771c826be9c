"""Whether an aircraft is, or may be, near the beam at this moment."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from controller.bus.topics import PointingState
from controller.geometry.frames import Site
from controller.safety.failures import told
from controller.safety.path import Vector, direction, dot
from controller.safety.traffic.tracks import FORGOTTEN_S, Track, Uncertainty
from hal.errors import HalError
from hal.traits import AircraftFeed

NS = 1_000_000_000
REOPEN_NS = NS
LARGEST_SKY = 2_000  # aircraft; more are no sky but a fault or a flood
SILENCE_MAX_S = 10.0  # of a feed that works
# How long a feed is heard before it counts: a receiver that has just started knows no aircraft yet. Each sends its
# position twice a second, of which the receiver needs two in ten seconds; this is three such spans.
LISTENING_S = 30.0


@dataclass(frozen=True, slots=True)
class Rules:
    """How far the beam stays from aircraft."""

    cone_rad: float
    uncertainty: Uncertainty = field(default_factory=Uncertainty)
    ignore_without_position: bool = False


@dataclass(frozen=True, slots=True)
class TrafficWord:
    """The word of the feed, and when it was last known to work."""

    ok: bool
    reason: str
    heard_ns: int | None
    changes_in_s: float | None = None


class Traffic:
    """The aircraft of one feed, which is opened again for as long as it fails."""

    def __init__(self, open_feed: Callable[[], AircraftFeed], site: Site, rules: Rules) -> None:
        self._open_feed = open_feed
        self._site = site
        self._rules = rules
        self._feed: AircraftFeed | None = None
        self._reopen_ns = 0
        self._trouble = "no aircraft feed yet"
        self._heard_ns: int | None = None  # when the feed that is open was heard last
        self._listening_ns = 0  # since when it has been heard without a gap
        self._tracks: dict[str, Track] = {}

    def look(self, now_ns: int, pointing: PointingState) -> TrafficWord:
        """Read the feed and judge every aircraft against gimbal and target."""
        self._read(now_ns)
        if self._feed is None:
            return TrafficWord(False, self._trouble, None)
        if len(self._tracks) > LARGEST_SKY:
            return TrafficWord(False, f"more than {LARGEST_SKY} aircraft: check the feed", self._feed.heard_ns)
        beams = (
            direction(pointing.azimuth_rad, pointing.elevation_rad),
            direction(pointing.target_azimuth_rad, pointing.target_elevation_rad),
        )
        word = self._judge(now_ns, beams, self._feed.heard_ns)
        left_s = LISTENING_S - (now_ns - self._listening_ns) * 1e-9
        if word.ok and self._heard_ns is not None and left_s > 0.0:
            told = f"the feed is heard again: it counts in {left_s:.0f} s, when every aircraft must have been heard"
            return TrafficWord(False, told, self._heard_ns, left_s)
        return word

    def close(self) -> None:
        """Let go of the feed."""
        if self._feed is not None:
            with suppress(HalError, OSError):
                self._feed.close()
        self._feed = self._heard_ns = None

    def _read(self, now_ns: int) -> None:
        try:
            if self._feed is None:
                if now_ns < self._reopen_ns:
                    return
                self._feed = self._open_feed()
            for report in self._feed.poll():
                self._track(report.address, report.t_ns).hear(report, self._site)
            self._listen(now_ns, self._feed.heard_ns)
        except Exception as error:  # nonsense that broke the driver is no better than nonsense that it names
            self._trouble = str(error) if isinstance(error, HalError) else f"the aircraft feed {told(error)}"
            self._reopen_ns = now_ns + REOPEN_NS
            self.close()
        forgotten_ns = now_ns - round(FORGOTTEN_S * NS)
        for address in [a for a, track in self._tracks.items() if track.heard_ns < forgotten_ns]:
            del self._tracks[address]

    def _listen(self, now_ns: int, heard_ns: int | None) -> None:
        if heard_ns is not None:
            if self._heard_ns is None or heard_ns - self._heard_ns > SILENCE_MAX_S * NS:
                self._listening_ns = now_ns
            self._heard_ns = heard_ns

    def _track(self, address: str, t_ns: int) -> Track:
        track = self._tracks.get(address)
        if track is None:
            # Beyond the largest sky they are counted under one name: a flood must not eat the memory.
            address = address if len(self._tracks) <= LARGEST_SKY else "flood"
            track = self._tracks.setdefault(address, Track(address, t_ns))
        return track

    def _judge(self, now_ns: int, beams: tuple[Vector, Vector], heard_ns: int | None) -> TrafficWord:
        flying = [track for track in self._tracks.values() if not track.on_ground]
        unplaced = [track.address for track in flying if not track.placed]
        if unplaced and not self._rules.ignore_without_position:
            return TrafficWord(False, f"{unplaced[0]} does not say where it is ({len(unplaced)} such)", heard_ns)
        soonest_s, nearest_rad, nearest = math.inf, math.pi, ""
        for track in flying:
            if not track.placed:
                continue
            off_rad, reach_rad, enters_s = self._near(track, now_ns, beams)
            if not off_rad > reach_rad:
                told = f"{track.address} is {math.degrees(off_rad):.1f} deg from the beam, {track.range_m / 1e3:.1f} km"
                return TrafficWord(False, f"{told} away; {math.degrees(reach_rad):.1f} deg are kept", heard_ns)
            soonest_s = min(soonest_s, enters_s)
            if off_rad < nearest_rad:
                nearest_rad, nearest = off_rad, track.address
        told = f"nearest of {len(flying)}: {nearest}, {math.degrees(nearest_rad):.1f} deg" if nearest else "none placed"
        return TrafficWord(True, told, heard_ns, None if math.isinf(soonest_s) else soonest_s)

    def _near(self, track: Track, now_ns: int, beams: tuple[Vector, Vector]) -> tuple[float, float, float]:
        """Angle to the nearer beam, angle that is kept, and the time in which its ball alone could grow into that."""
        off_rad = math.acos(max(-1.0, min(1.0, max(dot(beam, track.towards) for beam in beams))))
        cone_rad, radius_m = self._rules.cone_rad, track.radius_m(now_ns, self._rules.uncertainty)
        if not radius_m < track.range_m:
            return off_rad, math.inf, 0.0
        free_m = track.range_m * math.sin(min(max(off_rad - cone_rad, 0.0), math.pi / 2))
        enters_s = max(0.0, free_m - radius_m) / track.speed_bound_m_s()
        return off_rad, cone_rad + math.asin(radius_m / track.range_m), enters_s
