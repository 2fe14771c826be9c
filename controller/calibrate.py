"""Star calibration of a running station: pokes the camera, visits stars from both sides, fits the mount model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from controller.bus.port import Port
from controller.bus.topics import POINTING_STATE, Pair, PointingState
from controller.errors import BoresightError
from controller.geometry.stars import Star
from controller.pointing.calibration import Visit, choose_stars, visits
from controller.pointing.ground import OPEN, Ground
from controller.pointing.mount import MountModel, Signs
from controller.pointing.mount_fit import Fit, fit
from controller.pointing.mount_frame import ALT_AZ, MountFrame
from controller.pointing.observation import Observation, sky_offset
from controller.pointing.prediction import Observer
from controller.pointing.setting_up import mistake
from controller.procedure import NARROW_RAD, WIDE_RAD, CalibrationError, Procedure
from controller.tracking.camera_model import CameraModel, UnsteadyPokeError, poke_offsets
from controller.tracking.camera_model import fit as fit_camera
from hal.clock import Clock

POKE_RAD = math.radians(0.2)  # well inside a one degree field, with room for an uncalibrated mount
POKE_ELEVATION_RAD = math.radians(45.0)  # near the zenith azimuth says little, near the horizon refraction much
POKE_SIDE: Signs = (1.0, 1.0)  # always from the same side, so that the play does not show
POKES_MAX = 3  # of which one has to fit: a gust, or one stand on the other side of the play, spoils a poke
STARS_MIN = 8


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
        frame: MountFrame = ALT_AZ,
        sun_cone_rad: float = 0.0,
        ground: Ground = OPEN,
    ) -> None:
        self._clock = clock
        self._port = port
        self._observer = observer
        self._wavelength_um = wavelength_um
        self._frame, self._sun_cone_rad, self._ground = frame, sun_cone_rad, ground
        self._model = MountModel(frame=frame)
        self._tell = tell
        self._do = Procedure(clock, port, observer)

    def run(self) -> Calibrated:
        """Calibrate. Raises CalibrationError, PokeError, MountModelError; the mount keeps its old model then."""
        observer = self._observer
        before = self._do.call("pointing", "pointing.model", {})
        try:
            self._camera = CameraModel.from_body(self._do.call("tracking", "tracking.model", {}))
            self._use(MountModel(frame=self._frame))
            chosen = choose_stars(
                self._clock.utc_ns(),
                observer.site,
                observer.earth,
                self._wavelength_um,
                frame=self._frame,
                sun_cone_rad=self._sun_cone_rad,
                ground=self._ground,
            )
            middle = min(chosen, key=lambda one: abs(self._height(one[1:]) - POKE_ELEVATION_RAD))
            self._camera = self._poke_well(middle[0])
            observations = self._visit_all(visits(chosen))
            fitted = fit(observations, self._model)
        except BoresightError:
            self._do.give_up(before)
            raise
        self._do.keep(fitted.model.to_body())
        suspicion = mistake(observations, observer.site, self._clock.utc_ns(), self._frame)
        return Calibrated(fitted, self._camera, tuple(observations), suspicion)

    def _poke_well(self, star: Star) -> CameraModel:
        """A poke that fits, of POKES_MAX."""
        for _ in range(POKES_MAX - 1):
            try:
                return self._poke(star)
            except UnsteadyPokeError:
                continue
        return self._poke(star)

    def _poke(self, star: Star) -> CameraModel:
        """Where one star appears while the gimbal stands off by known angles."""
        self._tell("camera poke", 0.0)
        self._do.show(WIDE_RAD)
        offsets, pixels = [], []
        for offset in poke_offsets(POKE_RAD):
            primary, secondary = self._axes(star, self._clock.utc_ns())
            off = primary + offset[0] / math.cos(secondary), secondary + offset[1]
            look = self._look_at(*self._frame.sky(*off), POKE_SIDE)
            if look is None:
                raise CalibrationError(f"{star.name} is not in the camera's field: check focus, cloud and the set-up.")
            offsets.append(sky_offset(self._axes(star, look.t_utc_ns), look.encoder))
            pixels.append(self._camera.pixel(look.offset_rad))
        model = fit_camera(offsets, pixels, self._camera)
        self._do.call("tracking", "tracking.camera", {"matrix": model.matrix, "origin_px": model.origin_px})
        # The zero points, roughly: the other stars then appear near the middle, and a smaller region is enough.
        x, y = model.error(*pixels[0])
        _, secondary = self._axes(star, self._clock.utc_ns())
        x, y = x + offsets[0][0], y + offsets[0][1]
        self._use(MountModel(IA=x / math.cos(secondary), IE=y, frame=self._frame))
        self._do.show(NARROW_RAD)
        return model

    def _use(self, model: MountModel) -> None:
        self._do.use(model)
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
        return self._look(self._do.stand_at(azimuth_rad, elevation_rad, approach))

    def _look_wide(self) -> _Look | None:
        """Look again where the gimbal stands, and from then on, through nearly the whole field: badly levelled."""
        held = self._port.fresh(POINTING_STATE)
        if held is None:
            return None
        self._do.show(WIDE_RAD)
        return self._look(held)

    def _look(self, held: PointingState) -> _Look | None:
        seen = self._do.see(held)
        if seen is None:
            return None
        state = self._port.fresh(POINTING_STATE) or held
        encoder = self._model.encoder(*state.axes_rad)
        return _Look(seen.t_utc_ns, encoder, seen.offset_rad)

    def _place(self, star: Star, t_utc_ns: int) -> Pair:
        return self._do.place(star, t_utc_ns, self._wavelength_um)

    def _axes(self, star: Star, t_utc_ns: int) -> Pair:
        return self._frame.axes(*self._place(star, t_utc_ns))

    def _height(self, place: Pair) -> float:
        """How far from square to the first axis a place is."""
        return abs(self._frame.axes(*place)[1])
