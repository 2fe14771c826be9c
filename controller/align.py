"""Alignment of a mount by plates: a wide camera's frames, solved without knowing where the mount looks.

The mount is sent to directions all over its own sky, from both sides; every frame says where the camera looked. Where
the telescope looks in such a frame is then found with a few bright stars, which the telescope's own camera and the
star camera see at the same time.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from controller.bus.port import Port
from controller.bus.topics import POINTING_STATE
from controller.errors import BoresightError
from controller.geometry.bodies import sun_and_moon
from controller.geometry.frames import azel_to_enu, enu_to_azel
from controller.geometry.stars import Star
from controller.pointing.calibration import choose_stars
from controller.pointing.ground import OPEN, Ground
from controller.pointing.lens import LensFit
from controller.pointing.mount import MountModel, MountModelError, Signs
from controller.pointing.mount_fit import Fit, fit
from controller.pointing.mount_frame import ALT_AZ, MountFrame
from controller.pointing.observation import Observation, Pair
from controller.pointing.plate import Plate, PlateError, over_site, solve
from controller.pointing.plate_camera import CameraOnTube, looked_at, roll_rad
from controller.pointing.prediction import Observer
from controller.pointing.setting_up import mistake
from controller.procedure import NARROW_RAD, WIDE_RAD, CalibrationError, Procedure
from hal.clock import NS, Clock
from hal.errors import HalError, WireTimeout
from hal.traits import Camera

SIDES: tuple[Signs, ...] = ((1.0, 1.0), (-1.0, -1.0))
DARK_RAD = math.radians(-6.0)  # the Sun lower than this: a sky that shows stars, and no harm wherever the mount looks
FIELDS_MIN = 8
FIELDS_SHARE = 0.7  # of the time
HOPELESS = 6  # plates that fail, one after the other, before the first that is solved
BRIGHT_STARS = 3
AHEAD_NS = 3 * NS  # until the gimbal stands after a short way, and a frame or two
FRAME_MORE_S = 2.0  # than its exposure, until a frame is here


@dataclass(frozen=True, slots=True)
class StarCamera:
    """The camera and what the rig says of it."""

    camera: Camera
    exposure_s: float
    field_deg: float
    wavelength_um: float


@dataclass(frozen=True, slots=True)
class Look:
    """One frame at rest: where the encoders stood, and what it showed (None, and why it was refused)."""

    name: str
    encoder: Pair
    approach: Signs
    t_utc_ns: int
    plate: Plate | None = None
    over: LensFit | None = None
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Aligned:
    """What an alignment found. `bore` says how the telescope's pixel is known."""

    fit: Fit
    sightings: tuple[Observation, ...]
    looks: tuple[Look, ...]
    camera: CameraOnTube
    bore: str
    bore_known: bool
    suspicion: str


class Alignment:
    """Visits `directions` (azimuth, elevation; as the mount takes them to be), from each of `sides`.

    `known` is how the camera sat on the tube the last time; `tell(what, share)` is called as it goes on.
    """

    def __init__(
        self,
        clock: Clock,
        port: Port,
        observer: Observer,
        stars: StarCamera,
        beacon_um: float,
        directions: Sequence[Pair],
        sides: Sequence[Signs] = SIDES,
        known: CameraOnTube | None = None,
        tell: Callable[[str, float], None] = lambda what, share: None,
        frame: MountFrame = ALT_AZ,
        ground: Ground = OPEN,
    ) -> None:
        self._clock, self._port, self._observer = clock, port, observer
        self._stars, self._beacon_um, self._known, self._tell = stars, beacon_um, known, tell
        self._directions, self._sides = directions, sides
        self._frame, self._ground = frame, ground
        self._model = MountModel(frame=frame)
        self._do = Procedure(clock, port, observer)

    def run(self) -> Aligned:
        """Align. Raises CalibrationError, MountModelError, HalError; the mount keeps its old model then."""
        self._refuse_day()
        before = self._do.call("pointing", "pointing.model", {})
        try:
            camera = self._stars.camera
            camera.configure(self._stars.exposure_s, 0.5 / self._stars.exposure_s, camera.sensor)
            self._use(MountModel(frame=self._frame))
            looks = self._tour()
            middle = ((camera.sensor.width - 1) / 2, (camera.sensor.height - 1) / 2)
            fitted = self._fit(sightings(looks, middle))
            pixel, how = self._telescope(looks, fitted)
            fitted = self._fit(seen := sightings(looks, pixel or middle))
        except (BoresightError, HalError):
            self._do.give_up(before)
            raise
        self._do.keep(fitted.model.to_body())
        suspicion = mistake(seen, self._observer.site, self._clock.utc_ns(), self._frame)
        on_tube = _on_tube(looks, fitted.model, pixel or middle)
        return Aligned(fitted, tuple(seen), tuple(looks), on_tube, how, pixel is not None, suspicion)

    def _refuse_day(self) -> None:
        sun, _ = sun_and_moon(self._clock.utc_ns(), self._observer.site, self._observer.earth)
        if sun.elevation_rad > DARK_RAD:
            raise CalibrationError(
                f"The Sun stands at {math.degrees(sun.elevation_rad):+.1f} deg, and plates need it below "
                f"{math.degrees(DARK_RAD):g}: no stars are seen before, and a mount whose azimuth is not known could "
                "look into it."
            )

    def _tour(self) -> list[Look]:
        looks: list[Look] = []
        visits = [(f"field {n}", *place, side) for n, place in enumerate(self._directions, 1) for side in self._sides]
        for number, (name, azimuth, elevation, side) in enumerate(visits):
            self._tell(f"{name} of {len(self._directions)}", FIELDS_SHARE * number / len(visits))
            self._do.stand_at(azimuth, elevation, side)
            looks.append(look := self._look(name, side))
            self._tell(_said(look), FIELDS_SHARE * (number + 1) / len(visits))
            if len(looks) == HOPELESS and not any(one.plate for one in looks):
                break
        solved = {look.name for look in looks if look.plate}
        if len(solved) < FIELDS_MIN:
            reasons = Counter(look.refusal for look in looks if look.refusal)
            raise CalibrationError(
                f"{len(solved)} of {len({look.name for look in looks})} fields were recognised, and {FIELDS_MIN} are "
                f"needed. {max(reasons, key=lambda why: reasons[why], default='')}".rstrip()
            )
        return looks

    def _look(self, name: str, side: Signs) -> Look:
        """Take a frame where the gimbal stands, and say what it shows."""
        camera, stars = self._stars.camera, self._stars
        camera.start()
        try:
            frame = camera.read(2 * stars.exposure_s + FRAME_MORE_S)
        except WireTimeout as error:
            return Look(name, self._encoder(), side, self._clock.utc_ns(), refusal=str(error))
        finally:
            camera.stop()
        t_utc_ns = self._clock.utc_ns() + frame.t_mid_ns - self._clock.now_ns()
        encoder = self._encoder()
        try:
            plate = solve(frame.image, stars.field_deg, t_utc_ns)
        except PlateError as error:
            return Look(name, encoder, side, t_utc_ns, refusal=str(error))
        over = over_site(plate, t_utc_ns, self._observer.site, self._observer.earth, stars.wavelength_um)
        return Look(name, encoder, side, t_utc_ns, plate, over)

    def _telescope(self, looks: Sequence[Look], fitted: Fit) -> tuple[Pair | None, str]:
        """Which pixel the telescope looks along, and how that is known."""
        pixels: list[Pair] = []
        names: list[str] = []
        if self._known is not None:
            fitted = self._fit(sightings(looks, self._known.boresight_px))
        stars = self._bright_stars()
        for number, star in enumerate(stars):
            self._tell(f"the telescope on {star.name}", FIELDS_SHARE + (1 - FIELDS_SHARE) * number / len(stars))
            self._use(fitted.model)
            if (pixel := self._both_see(star, NARROW_RAD if pixels else WIDE_RAD)) is not None:
                pixels.append(pixel)
                names.append(star.name)
                fitted = self._fit(sightings(looks, pixel))
        if len(pixels) > 1:
            x, y = np.mean(pixels[1:], axis=0)  # the first was seen far from the middle, where its place is rough
            return (float(x), float(y)), f"measured on {', '.join(dict.fromkeys(names))}"
        if self._known is not None:
            return self._known.boresight_px, "as it was measured the last time: the telescope saw no bright star"
        return None, "not known: the telescope saw no bright star, and the model is that of the star camera's own axis"

    def _bright_stars(self) -> list[Star]:
        """A few for the telescope, the first once more at the end; none where nothing looks through it."""
        observer = self._observer
        try:
            self._do.show(WIDE_RAD)
            now_ns = self._clock.utc_ns()
            chosen = choose_stars(
                now_ns,
                observer.site,
                observer.earth,
                self._beacon_um,
                BRIGHT_STARS,
                frame=self._frame,
                ground=self._ground,
            )
        except (CalibrationError, MountModelError):
            return []
        return [star for star, _, _ in (*chosen, chosen[0])]

    def _both_see(self, star: Star, half_extent_rad: float) -> Pair | None:
        """The pixel of the direction in which the telescope looks while both cameras see a star's surroundings."""
        self._do.show(half_extent_rad)
        self._do.stand_at(*self._place(star, self._clock.utc_ns()), SIDES[0])
        # Once more, a short way: the star has moved on meanwhile, and near the middle a camera's roll does not matter.
        held = self._do.stand_at(*self._place(star, self._clock.utc_ns() + AHEAD_NS), SIDES[0])
        seen = self._do.see(held)
        look = self._look(star.name, SIDES[0])
        if seen is None or look.over is None:
            return None
        azimuth, elevation = self._place(star, seen.t_utc_ns)
        x, y = self._frame.on_sky(azimuth, elevation, seen.offset_rad)
        enu = azel_to_enu(azimuth - x / math.cos(elevation), elevation - y)
        column, row = look.over.lens.pixel(enu[None])[0]
        return float(column), float(row)

    def _place(self, star: Star, t_utc_ns: int) -> Pair:
        return self._do.place(star, t_utc_ns, self._beacon_um)

    def _fit(self, seen: Sequence[Observation]) -> Fit:
        return fit(seen, frame=self._frame)

    def _use(self, model: MountModel) -> None:
        self._do.use(model)
        self._model = model

    def _encoder(self) -> Pair:
        state = self._do.until(lambda: self._port.fresh(POINTING_STATE), 1.0)
        if state is None:
            raise CalibrationError("Pointing fell silent; the log says why.")
        return self._model.encoder(*state.axes_rad)


def sightings(looks: Sequence[Look], pixel: Pair) -> list[Observation]:
    """Every solved frame as a star in the middle of the telescope's field: what its pixel looked at."""
    seen = []
    for look in looks:
        if look.over is not None:
            azimuth, elevation = enu_to_azel(looked_at(look.over.lens, pixel)[None])
            place = float(azimuth[0]), float(elevation[0])
            seen.append(Observation(look.name, *place, *look.encoder, look.approach, (0.0, 0.0)))
    return seen


def _on_tube(looks: Sequence[Look], model: MountModel, pixel: Pair) -> CameraOnTube:
    solved = [(look.over.lens, look.encoder) for look in looks if look.over is not None]
    turns = np.exp(1j * np.array([roll_rad(lens, model, encoder) for lens, encoder in solved]))
    field_rad = float(np.median([lens.field_rad for lens, _ in solved]))
    distortion = float(np.median([lens.distortion for lens, _ in solved]))
    return CameraOnTube(pixel, float(np.angle(turns.mean())), field_rad, distortion)


def _said(look: Look) -> str:
    if look.plate is None:
        return f"{look.name}: {look.refusal}"
    ra, dec = np.degrees(look.plate.middle_rad)
    return f"{look.name}: right ascension {ra:.2f}, declination {dec:+.2f} deg, from {look.plate.fit.stars} stars"
