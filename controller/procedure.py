"""What calibrations on stars have in common: ask the services, send the gimbal somewhere, see a star in the telescope.

An operator's procedure: it speaks to the services over the bus as any client does, and owns none of their devices.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from controller.bus.port import Port
from controller.bus.topics import POINTING_STATE, TRACKING_COARSE, CoarseState, Pair, PointingState
from controller.errors import BoresightError
from controller.geometry.stars import Star, observed
from controller.pointing.mount import MountModel, Signs
from controller.pointing.prediction import Observer
from hal.clock import NS, Clock

WIDE_RAD = 8e-3  # nearly the whole field: a mount set up by hand
NARROW_RAD = 2.5e-3  # once the zero points are known roughly: tilts of half a degree of arc remain
FRAME_RATE_HZ = 10.0
SLEW_TIMEOUT_S = 240.0  # half a turn, or three such on a way round the Sun
LOOK_TIMEOUT_S = 15.0
LOOKS = 10  # a second of frames, against jitter
CALL_TIMEOUT_S = 1.0
POLL_NS = NS // 20


class CalibrationError(BoresightError):
    """The calibration did not come to an end; the message says what to look at."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Mean of some frames of a star in the telescope's camera: when, and how far off it appeared."""

    t_utc_ns: int
    offset_rad: Pair


class Procedure:
    """Asks the station's services, and waits for them. Every method raises CalibrationError."""

    def __init__(self, clock: Clock, port: Port, observer: Observer) -> None:
        self.clock, self.port, self.observer = clock, port, observer

    def place(self, star: Star, t_utc_ns: int, wavelength_um: float) -> Pair:
        """Observed azimuth and elevation of a star."""
        site, earth = self.observer.site, self.observer.earth
        azimuth, elevation = observed([star], t_utc_ns, site, earth, wavelength_um)
        return float(azimuth[0]), float(elevation[0])

    def use(self, model: MountModel) -> None:
        """Point with this mount model until `keep`, or until the lease is over."""
        self.call("pointing", "pointing.try", model.to_body())

    def keep(self, body: dict[str, Any]) -> None:
        """Point with this mount model from now on."""
        self.call("pointing", "pointing.model", body)

    def give_up(self, before: dict[str, Any]) -> None:
        """Point with the model before again. Where the lease is over nobody obeys, and pointing does so by itself."""
        with suppress(BoresightError):
            self.keep(before)

    def show(self, half_extent_rad: float) -> None:
        """Look through that much of the telescope's field."""
        self.call("tracking", "tracking.look", {"half_extent_rad": half_extent_rad, "frame_rate_hz": FRAME_RATE_HZ})

    def stand_at(self, azimuth_rad: float, elevation_rad: float, approach: Signs) -> PointingState:
        """Go to a direction from one side and wait until the gimbal stands there."""
        body = {"azimuth_rad": azimuth_rad, "elevation_rad": elevation_rad, "approach": list(approach)}
        self.call("pointing", "pointing.slew", body)
        asked_ns = self.clock.utc_ns()
        held: PointingState | None = self.until(lambda: self._holding(asked_ns), SLEW_TIMEOUT_S)
        if held is None:
            raise CalibrationError(f"The gimbal did not reach a star within {SLEW_TIMEOUT_S:g} s: check its limits.")
        return held

    def see(self, held: PointingState) -> Seen | None:
        """Mean of LOOKS frames that began after the gimbal came to rest; None after as many without a star."""
        frames: list[CoarseState] = []
        blank: list[CoarseState] = []

        def enough() -> bool | None:
            sample = self.port.latest(TRACKING_COARSE)  # a frame is good whenever it was taken at rest
            if sample is not None and sample.body.t_utc_ns > newest_ns():
                (frames if sample.body.detected else blank).append(sample.body)
            return True if max(len(frames), len(blank)) >= LOOKS else None

        def newest_ns() -> int:
            return max(held.t_utc_ns, *(kind[-1].t_utc_ns for kind in (frames, blank) if kind), 0)

        if self.until(enough, LOOK_TIMEOUT_S) is None or len(frames) < LOOKS:
            return None
        t_utc_ns = int(np.mean([frame.t_utc_ns - held.t_utc_ns for frame in frames])) + held.t_utc_ns
        x, y = np.mean([frame.error_rad for frame in frames], axis=0)
        return Seen(t_utc_ns, (float(x), float(y)))

    def until(self, condition: Callable[[], Any], timeout_s: float) -> Any:
        """What the condition gives once it gives something; None when the time is up."""
        end_ns = self.clock.now_ns() + round(timeout_s * NS)
        while (found := condition()) is None and self.clock.now_ns() < end_ns and not self.port.stopped:
            self.clock.sleep_until(self.clock.now_ns() + POLL_NS)
        return found

    def call(self, service: str, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """The body of a service's answer."""
        reply = self.port.call(service, method, body, CALL_TIMEOUT_S)
        if reply.code:
            raise CalibrationError(f"{method} was refused: {reply.message} {reply.hint}".rstrip())
        return reply.body or {}

    def _holding(self, since_utc_ns: int) -> PointingState | None:
        state: PointingState | None = self.port.fresh(POINTING_STATE)
        ready = state is not None and state.activity == "hold" and state.settled and state.t_utc_ns > since_utc_ns
        return state if ready else None
