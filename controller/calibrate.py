"""Star calibration of a running station: pokes the camera, visits stars from both sides, fits the mount model.

An operator's procedure: it speaks to the services over the bus as any client does, and owns no device.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from controller.bus.port import Port
from controller.bus.topics import POINTING_STATE, TRACKING_COARSE, CoarseState, Pair, PointingState
from controller.errors import BoresightError
from controller.geometry.stars import Star, observed
from controller.pointing.calibration import Visit, choose_stars, visits
from controller.pointing.mount import MountModel, Signs
from controller.pointing.mount_fit import Fit, fit
from controller.pointing.observation import Observation, sky_offset
from controller.pointing.prediction import Observer
from controller.pointing.setting_up import mistake
from controller.tracking.camera_model import CameraModel, poke_offsets
from controller.tracking.camera_model import fit as fit_camera
from hal.clock import NS, Clock

POKE_RAD = math.radians(0.2)  # well inside a one degree field, with room for an uncalibrated mount
POKE_ELEVATION_RAD = math.radians(45.0)  # near the zenith azimuth says little, near the horizon refraction much
POKE_SIDE: Signs = (1.0, 1.0)  # always from the same side, so that the play does not show
WIDE_RAD = 8e-3  # nearly the whole field: a mount set up by hand
NARROW_RAD = 2.5e-3  # once the zero points are known roughly: tilts of half a degree of arc remain
FRAME_RATE_HZ = 10.0
SLEW_TIMEOUT_S = 150.0
LOOK_TIMEOUT_S = 15.0
LOOKS = 10  # a second of frames, against jitter
CALL_TIMEOUT_S = 1.0
POLL_NS = NS // 20
STARS_MIN = 8


class CalibrationError(BoresightError):
    """The calibration did not come to an end; the message says what to look at."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What a calibration found."""

    fit: Fit
    camera: CameraModel
    sightings: tuple[Observation, ...]
    suspicion: str  # a mistake of setting up that would explain the model, or nothing

    @property
    def stars(self) -> int:
        """How many different ones were seen."""
        return len({o.star for o in self.sightings})


@dataclass(frozen=True, slots=True)
class _Look:
    """Mean of some frames of a star: when, where the encoders stood, and how far off it appeared."""

    t_utc_ns: int
    encoder: Pair
    offset_rad: Pair


class Calibration:
    """`tell(what, share)` is called as it goes on; stars are seen at `wavelength_um`."""

    def __init__(
        self,
        clock: Clock,
        port: Port,
        observer: Observer,
        wavelength_um: float,
        tell: Callable[[str, float], None] = lambda what, share: None,
    ) -> None:
        self._clock = clock
        self._port = port
        self._observer = observer
        self._wavelength_um = wavelength_um
        self._model = MountModel()
        self._tell = tell

    def run(self) -> Calibrated:
        """Calibrate. Raises CalibrationError, PokeError, MountModelError; the mount keeps its old model then."""
        observer = self._observer
        before = self._call("pointing", "pointing.model", {})
        try:
            self._camera = CameraModel.from_body(self._call("tracking", "tracking.model", {}))
            self._use(MountModel())
            chosen = choose_stars(self._clock.utc_ns(), observer.site, observer.earth, self._wavelength_um)
            middle = min(chosen, key=lambda one: abs(one[2] - POKE_ELEVATION_RAD))
            self._camera = self._poke(middle[0])
            observations = self._visit_all(visits(chosen))
            fitted = fit(observations, self._model)
        except BoresightError:
            self._call("pointing", "pointing.model", before)
            raise
        self._call("pointing", "pointing.model", fitted.model.to_body())
        suspicion = mistake(observations, observer.site, self._clock.utc_ns())
        return Calibrated(fitted, self._camera, tuple(observations), suspicion)

    def _poke(self, star: Star) -> CameraModel:
        """Where one star appears while the gimbal stands off by known angles."""
        self._tell("camera poke", 0.0)
        self._show(WIDE_RAD)
        offsets, pixels = [], []
        for offset in poke_offsets(POKE_RAD):
            azimuth, elevation = self._place(star, self._clock.utc_ns())
            look = self._look_at(azimuth + offset[0] / math.cos(elevation), elevation + offset[1], POKE_SIDE)
            if look is None:
                raise CalibrationError(f"{star.name} is not in the camera's field: check focus, cloud and the set-up.")
            offsets.append(sky_offset(self._place(star, look.t_utc_ns), look.encoder))
            pixels.append(self._camera.pixel(look.offset_rad))
        model = fit_camera(offsets, pixels, self._camera)
        self._call("tracking", "tracking.camera", {"matrix": model.matrix, "origin_px": model.origin_px})
        # The zero points, roughly: the other stars then appear near the middle, and a smaller region is enough.
        x, y = model.error(*pixels[0])
        _, elevation = self._place(star, self._clock.utc_ns())
        x, y = x + offsets[0][0], y + offsets[0][1]
        self._use(MountModel(IA=x / math.cos(elevation), IE=y))
        self._show(NARROW_RAD)
        return model

    def _show(self, half_extent_rad: float) -> None:
        self._call("tracking", "tracking.look", {"half_extent_rad": half_extent_rad, "frame_rate_hz": FRAME_RATE_HZ})

    def _use(self, model: MountModel) -> None:
        self._call("pointing", "pointing.model", model.to_body())
        self._model = model

    def _visit_all(self, tour: list[Visit]) -> list[Observation]:
        observations = []
        for number, visit in enumerate(tour, start=1):
            self._tell(f"star {visit.star.name}", number / len(tour))
            azimuth, elevation = self._place(visit.star, self._clock.utc_ns())
            look = self._look_at(azimuth, elevation, visit.approach) or self._look_wide()
            if look is None:
                continue  # a cloud, a chimney; the fit says when too few are left
            place = self._place(visit.star, look.t_utc_ns)
            observations.append(Observation(visit.star.name, *place, *look.encoder, visit.approach, look.offset_rad))
        if len({o.star for o in observations}) < STARS_MIN:
            raise CalibrationError(
                f"Only {len(observations)} looks at stars succeeded: check cloud, focus and exposure."
            )
        return observations

    def _look_at(self, azimuth_rad: float, elevation_rad: float, approach: Signs) -> _Look | None:
        body = {"azimuth_rad": azimuth_rad, "elevation_rad": elevation_rad, "approach": list(approach)}
        self._call("pointing", "pointing.slew", body)
        asked_ns = self._clock.utc_ns()
        held = self._until(lambda: self._holding(asked_ns), SLEW_TIMEOUT_S)
        if held is None:
            raise CalibrationError(f"The gimbal did not reach a star within {SLEW_TIMEOUT_S:g} s: check its limits.")
        return self._look(held)

    def _look_wide(self) -> _Look | None:
        """Look again where the gimbal stands, and from then on, through nearly the whole field: badly levelled."""
        held = self._port.fresh(POINTING_STATE)
        if held is None:
            return None
        self._show(WIDE_RAD)
        return self._look(held)

    def _look(self, held: PointingState) -> _Look | None:
        """Mean of LOOKS frames that began after the gimbal came to rest; None after as many without a star."""
        frames: list[CoarseState] = []
        blank: list[CoarseState] = []

        def enough() -> bool | None:
            sample = self._port.latest(TRACKING_COARSE)  # a frame is good whenever it was taken at rest
            if sample is not None and sample.body.t_utc_ns > newest_ns():
                (frames if sample.body.detected else blank).append(sample.body)
            return True if max(len(frames), len(blank)) >= LOOKS else None

        def newest_ns() -> int:
            return max(held.t_utc_ns, *(kind[-1].t_utc_ns for kind in (frames, blank) if kind), 0)

        if self._until(enough, LOOK_TIMEOUT_S) is None or len(frames) < LOOKS:
            return None
        t_utc_ns = int(np.mean([frame.t_utc_ns - held.t_utc_ns for frame in frames])) + held.t_utc_ns
        x, y = np.mean([frame.error_rad for frame in frames], axis=0)
        state = self._port.fresh(POINTING_STATE) or held
        encoder = self._model.encoder(state.azimuth_rad, state.elevation_rad)
        return _Look(t_utc_ns, encoder, (float(x), float(y)))

    def _holding(self, since_utc_ns: int) -> PointingState | None:
        state: PointingState | None = self._port.fresh(POINTING_STATE)
        ready = state is not None and state.activity == "hold" and state.settled and state.t_utc_ns > since_utc_ns
        return state if ready else None

    def _place(self, star: Star, t_utc_ns: int) -> Pair:
        observer = self._observer
        azimuth, elevation = observed([star], t_utc_ns, observer.site, observer.earth, self._wavelength_um)
        return float(azimuth[0]), float(elevation[0])

    def _until(self, condition: Callable[[], Any], timeout_s: float) -> Any:
        """What the condition gives once it gives something; None when the time is up."""
        end_ns = self._clock.now_ns() + round(timeout_s * NS)
        while (found := condition()) is None and self._clock.now_ns() < end_ns and not self._port.stopped:
            self._clock.sleep_until(self._clock.now_ns() + POLL_NS)
        return found

    def _call(self, service: str, method: str, body: dict[str, Any]) -> dict[str, Any]:
        reply = self._port.call(service, method, body, CALL_TIMEOUT_S)
        if reply.code:
            raise CalibrationError(f"{method} was refused: {reply.message} {reply.hint}".rstrip())
        return reply.body or {}
