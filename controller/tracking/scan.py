"""Running a scan: when it starts, which set-points the mirror gets, when it is found or has failed. Pure.

A sweep runs while emission is on: without light there is nothing to answer, so it begins (anew) when the enable line is
up. After its end it waits for an answer that may be on its way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from controller.bus.topics import ZERO, AcquisitionState, Pair

NS = 1_000_000_000
SPACING_NS = 2_000_000  # between set-points: chords of 10 urad at 5 mrad/s
AHEAD_NS = 90_000_000  # how far the mirror's queue is filled: four camera frames
LEAD_NS = 30_000_000  # the first set-point of a sweep
REST_NS = 20_000_000  # the way back to the middle: gentle to a mirror without filters
GRACE_S = 0.5


class ScanPath(Protocol):
    """What acquisition plans; angles on the sky about the boresight."""

    @property
    def duration_s(self) -> float:
        """One sweep."""
        ...

    @property
    def half_extent_rad(self) -> float:
        """Radius of the circle that holds the scan."""
        ...

    @property
    def predicted_mean_s(self) -> float:
        """Mean time to a detection."""
        ...

    @property
    def predicted_success(self) -> float:
        """Probability of one sweep."""
        ...

    @property
    def radius_sigma(self) -> float:
        """How much of the uncertainty is scanned."""
        ...

    def position(self, t_s: float) -> Pair:
        """Where the beam is, (cross-elevation, elevation) rad."""
        ...


ToMirror = Callable[[Pair], Pair]


@dataclass(frozen=True, slots=True)
class Scan:
    """State of the acquisition: `start_ns` is None until emission is on, `filled_ns` is the last set-point sent."""

    phase: str = "idle"  # idle | scanning | found | failed
    path: ScanPath | None = None
    sweep: int = 0
    start_ns: int | None = None
    filled_ns: int = 0

    def elapsed_s(self, now_ns: int) -> float:
        """Seconds since the sweep started."""
        return 0.0 if self.start_ns is None else max(0.0, (now_ns - self.start_ns) / NS)

    def state(self, now_ns: int, t_utc_ns: int) -> AcquisitionState:
        """What is published."""
        path = self.path
        if path is None:
            return AcquisitionState(t_utc_ns, self.phase, 0.0, 0.0, 0.0, 0.0, self.sweep)
        return AcquisitionState(
            t_utc_ns,
            self.phase,
            self.elapsed_s(now_ns),
            path.predicted_mean_s,
            path.predicted_success,
            path.radius_sigma,
            self.sweep,
        )


def begin(path: ScanPath, sweep: int) -> Scan:
    """A new scan, waiting for light."""
    return Scan("scanning", path, sweep)


def step(
    scan: Scan, now_ns: int, emitting: bool, detected: bool, to_mirror: ToMirror
) -> tuple[Scan, list[tuple[int, float, float]]]:
    """One turn: the new state, and mirror set-points (monotonic ns, x_rad, y_rad) to queue."""
    path = scan.path
    if scan.phase != "scanning" or path is None:
        return scan, []
    if detected:
        return replace(scan, phase="found"), []
    if not emitting:
        return replace(scan, start_ns=None), []
    # A sweep that begins anew starts after what is still in the mirror's queue.
    first_ns = max(now_ns + LEAD_NS, scan.filled_ns + SPACING_NS)
    start_ns = first_ns if scan.start_ns is None else scan.start_ns
    if (now_ns - start_ns) / NS > path.duration_s + GRACE_S:
        return replace(scan, phase="failed"), []
    filled_ns = start_ns - SPACING_NS if scan.start_ns is None else max(scan.filled_ns, now_ns)
    points = []
    while filled_ns + SPACING_NS <= now_ns + AHEAD_NS:
        filled_ns += SPACING_NS
        points.append((filled_ns, *to_mirror(path.position((filled_ns - start_ns) / NS))))
    return replace(scan, start_ns=start_ns, filled_ns=filled_ns), points


def rest_point(now_ns: int) -> list[tuple[int, float, float]]:
    """Brings the mirror back to its middle after what is still queued."""
    return [(now_ns + AHEAD_NS + REST_NS, *ZERO)]


def ended(scan: Scan) -> Scan:
    """Ready for the next acquisition: a sweep that failed counts, anything else starts the count anew."""
    return Scan(sweep=scan.sweep + 1 if scan.phase == "failed" else 0)
