"""The sections of a rig file, with units in the keys, ranges, and what must hold between keys.

controller/data/rigs/ogs.toml is a complete example.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from hal.drivers import DRIVERS, drivers_of

Positive = Annotated[float, Field(gt=0)]
Baud = Annotated[int, Field(ge=300, le=12_000_000)]


class Section(BaseModel):
    """A table of the rig file: no unknown keys, no conversion of text to numbers, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _beside_the_rig(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError(
            f'"{name}" is no plain file name; put the file beside the rig file and name it without a folder'
        )
    return name


FileName = Annotated[str, AfterValidator(_beside_the_rig)]


def _driver_of(device: str) -> Callable[[str], str]:
    def check(name: str) -> str:
        if name not in (allowed := drivers_of(device)):
            near = get_close_matches(name, allowed, n=1)
            meant = f"; did you mean {near[0]}?" if near else "."
            raise ValueError(f'there is no driver "{name}"{meant} Allowed: {", ".join(allowed)}')
        return name

    return check


class StationSection(Section):
    """Where the rig stands."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    latitude_deg: Annotated[float, Field(ge=-90, le=90)]
    longitude_deg: Annotated[float, Field(ge=-180, le=180)]
    height_m: Annotated[float, Field(ge=-500, le=9000)]
    elevation_mask_deg: Annotated[float, Field(ge=0, lt=90)]
    pressure_hpa: Annotated[float, Field(ge=300, le=1100)]
    temperature_c: Annotated[float, Field(ge=-60, le=60)]
    relative_humidity: Annotated[float, Field(ge=0, le=1)]


class GimbalSection(Section):
    """The mount that moves the telescope."""

    driver: Annotated[str, AfterValidator(_driver_of("gimbal"))]
    resource: str
    baud: Baud = 9600
    rate_max_deg_s: Annotated[float, Field(gt=0, le=100)]
    acceleration_max_deg_s2: Annotated[float, Field(gt=0, le=1000)]
    command_latency_s: Annotated[float, Field(ge=0, le=2)]
    mount: Literal["alt-az", "equatorial", "alt-alt"] = "alt-az"  # how it stands; its axes below are then others
    axis_azimuth_deg: Annotated[float, Field(ge=-360, le=360)] | None = None  # where its first axis points
    axis_elevation_deg: Annotated[float, Field(ge=0, le=90)] | None = None
    start_azimuth_deg: Annotated[float, Field(ge=-360, le=360)] = (
        0.0  # axes where they are when it is switched on, of a
    )
    start_elevation_deg: Annotated[float, Field(ge=-180, le=180)] = 0.0  # mount that counts from there
    horizon_min_deg: Annotated[float, Field(ge=-10, le=90)] = -2.0  # where an axis is not elevation: no lower
    horizon_mask: FileName | None = None  # CSV, 360 elevations: the telescope stays above, in every motion
    park_azimuth_deg: Annotated[float, Field(ge=-360, le=360)]
    park_elevation_deg: Annotated[float, Field(ge=-10, le=90)]
    position_step_deg: Annotated[float, Field(gt=0, le=10)] = 1.0  # of a rotator whose protocol does not tell it
    azimuth_min_deg: Annotated[float, Field(ge=-720, le=720)] = -720.0  # soft limits, inside its stops
    azimuth_max_deg: Annotated[float, Field(ge=-720, le=720)] = 720.0
    elevation_min_deg: Annotated[float, Field(ge=-180, le=90)] = -2.0  # soft limits, on every way into the device
    elevation_max_deg: Annotated[float, Field(ge=0, le=180)] = 92.0
    approach_deg: Annotated[float, Field(ge=0, le=10)] = 0.0  # over which it comes to rest upwards, against its play
    dead_band_deg: Annotated[float, Field(ge=0, le=10)] = 0.0  # so near to where it should be no axis is moved again
    without_power: Literal["unknown", "holds", "falls", "turns freely"] = "unknown"  # what its axes do then
    reversed_axes: list[Literal["azimuth", "elevation"]] = Field(default=[])  # of Alpaca, which leaves signs open
    motion_cut_off: Annotated[
        str, Field(min_length=3, description="say what a person uses to stop the mount when host or cable is dead")
    ]

    @model_validator(mode="before")
    @classmethod
    def _axes_of_a_leaning_mount(cls, given: Any) -> Any:
        """If nobody says otherwise: the second axis turns as far down as up, the first not below the pole."""
        if isinstance(given, dict) and given.get("mount", "alt-az") != "alt-az":
            return {"elevation_min_deg": -92.0, "azimuth_min_deg": -195.0, "azimuth_max_deg": 195.0, **given}
        return given

    @model_validator(mode="after")
    def _axis_of_a_free_mount(self) -> Self:
        if self.mount == "alt-az" and not (self.axis_azimuth_deg is None and self.axis_elevation_deg is None):
            raise ValueError(
                'axis_azimuth_deg and axis_elevation_deg are of mount = "equatorial" or "alt-alt"; how far an alt-az '
                "mount leans is measured by boresight calibrate"
            )
        return self

    @property
    def start_deg(self) -> tuple[float, float]:
        """Angles of both axes where the mount is switched on."""
        return self.start_azimuth_deg, self.start_elevation_deg

    @property
    def start_rad(self) -> tuple[float, float]:
        """The same in radians."""
        return math.radians(self.start_azimuth_deg), math.radians(self.start_elevation_deg)

    @property
    def travel_deg(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Soft limits (lowest, highest) of azimuth and elevation."""
        return (self.azimuth_min_deg, self.azimuth_max_deg), (self.elevation_min_deg, self.elevation_max_deg)

    @property
    def azimuth_rad(self) -> tuple[float, float]:
        """Soft limits (lowest, highest) of azimuth."""
        return math.radians(self.azimuth_min_deg), math.radians(self.azimuth_max_deg)

    @property
    def elevation_rad(self) -> tuple[float, float]:
        """Soft limits (lowest, highest) of elevation."""
        return math.radians(self.elevation_min_deg), math.radians(self.elevation_max_deg)

    @property
    def approach_rad(self) -> float:
        """The way over which each axis comes to rest upwards."""
        return math.radians(self.approach_deg)

    @property
    def dead_band_rad(self) -> float:
        """How far an axis may be off before it is moved again."""
        return math.radians(self.dead_band_deg)

    @property
    def rate_max_rad_s(self) -> float:
        """Fastest rate of an axis."""
        return math.radians(self.rate_max_deg_s)

    @property
    def acceleration_max_rad_s2(self) -> float:
        """Greatest acceleration of an axis."""
        return math.radians(self.acceleration_max_deg_s2)


class CameraSection(Section):
    """The tracking camera."""

    driver: Annotated[str, AfterValidator(_driver_of("camera"))]
    resource: str
    frame_rate_hz: Annotated[float, Field(gt=0, le=10_000)]
    exposure_s: Annotated[float, Field(gt=0, le=10)]
    field_deg: Annotated[float, Field(gt=0, le=60)]
    pixel_scale_urad: Annotated[float, Field(gt=0, le=1000)]

    @model_validator(mode="after")
    def _exposure_fits(self) -> Self:
        if self.exposure_s * self.frame_rate_hz > 1:
            raise ValueError(
                f"exposure_s = {self.exposure_s:g} is longer than one frame at frame_rate_hz = {self.frame_rate_hz:g}; "
                f"at most {1 / self.frame_rate_hz:g} s fits"
            )
        return self


class StarCameraSection(Section):
    """A wide camera on the tube that sees a field of stars, from which the mount is aligned."""

    driver: Annotated[str, AfterValidator(_driver_of("star_camera"))]
    resource: str
    exposure_s: Annotated[float, Field(gt=0, le=10)]
    field_deg: Annotated[float, Field(ge=3, le=40)]  # along a row, within 5 %
    wavelength_nm: Annotated[float, Field(ge=300, le=2000)] = 600.0  # middle of its band, which the air bends


class BeamBoardSection(Section):
    """Steering mirror, quad cell and the enable line of the laser."""

    driver: Annotated[str, AfterValidator(_driver_of("beam_board"))]
    resource: str
    baud: Baud = 921_600


class LaserSection(Section):
    """The laser source behind the enable line; both `alignment_` keys, or none."""

    driver: Annotated[str, AfterValidator(_driver_of("laser"))]
    resource: str
    current_a: Positive
    current_limit_a: Positive
    alignment_current_a: Positive | None = None  # of low power alignment on an enclosed bench
    alignment_power_max_w: Positive | None = None  # measured power above it trips then
    reads_back: list[str] = Field(default=[])  # what the laser has and its driver reads; each is a vote

    @model_validator(mode="after")
    def _read_by_the_driver(self) -> Self:
        read = DRIVERS[self.driver].reads_back
        for name in self.reads_back:
            if name not in read:
                told = f"it reads {', '.join(read)}" if read else "it reads none of its kind"
                raise ValueError(f'reads_back = "{name}": the driver {self.driver} does not read that; {told}')
        return self

    @model_validator(mode="after")
    def _aligns_at_low_power(self) -> Self:
        if (self.alignment_current_a is None) != (self.alignment_power_max_w is None):
            raise ValueError("alignment_current_a and alignment_power_max_w belong together; give both or none")
        if self.alignment_current_a is not None and self.alignment_current_a >= self.current_a:
            raise ValueError(f"alignment_current_a = {self.alignment_current_a:g} is not below current_a")
        return self

    @model_validator(mode="after")
    def _below_limit(self) -> Self:
        if self.current_a > self.current_limit_a:
            raise ValueError(f"current_a = {self.current_a:g} is above current_limit_a = {self.current_limit_a:g}")
        return self


class PowerMeterSection(Section):
    """Measures the received power."""

    driver: Annotated[str, AfterValidator(_driver_of("power_meter"))]
    resource: str
    wavelength_nm: Annotated[float, Field(ge=200, le=20_000)]
    power_max_w: Positive | None = None  # received power above it may harm the detectors: the station goes to SAFE


class ShutterSection(Section):
    """Blades in the beam behind the laser."""

    driver: Annotated[str, AfterValidator(_driver_of("shutter"))]
    resource: str
    baud: Baud = 9600


class StageSection(Section):
    """A linear stage beside the telescope: its focus, a delay line, the translation of a fibre."""

    driver: Annotated[str, AfterValidator(_driver_of("stage"))]
    resource: str
    baud: Baud = 115_200
    axis: str = ""  # which of the controller's, as its protocol calls it; empty: its first
    travel_min_mm: float  # soft limits, inside those that the controller keeps
    travel_max_mm: float
    resolution_mm: Annotated[float, Field(gt=0, le=1)]  # smallest step; of one count where the protocol counts
    speed_max_mm_s: Annotated[float, Field(gt=0, le=1000)]
    approach_mm: Annotated[float, Field(ge=0, le=100)] = 0.0  # over which it comes from below, against its screw's play

    @model_validator(mode="after")
    def _goes_somewhere(self) -> Self:
        if self.travel_max_mm <= self.travel_min_mm:
            raise ValueError(
                f"travel_max_mm = {self.travel_max_mm:g} is not above travel_min_mm = {self.travel_min_mm:g}"
            )
        return self


class MirrorSection(Section):
    """A steering mirror on a controller of its own, for aligning and for point-ahead; not the fine loop's."""

    driver: Annotated[str, AfterValidator(_driver_of("mirror"))]
    resource: str
    baud: Baud = 115_200
    x_axis: str = "1"  # which of the controller's axes tips it about x
    y_axis: str = "2"
    reach_urad: Annotated[float, Field(gt=0, le=100_000)]  # soft limit of each axis, to either side of its middle
    resolution_urad: Annotated[float, Field(gt=0, le=100)]
    settling_s: Annotated[float, Field(gt=0, le=10)]  # from a command until it stands, over a small way

    @model_validator(mode="after")
    def _two_axes(self) -> Self:
        if self.x_axis == self.y_axis:
            raise ValueError(f'x_axis and y_axis are both "{self.x_axis}"; a mirror has two')
        return self


class OpticsSection(Section):
    """The optical train; what sits before and after the mirror is drawn in docs/optics.md."""

    aperture_m: Annotated[float, Field(gt=0, le=20)]
    beacon_wavelength_nm: Annotated[float, Field(ge=200, le=20_000)]
    receive_wavelength_nm: Annotated[float, Field(ge=200, le=20_000)]
    transmit_wavelength_nm: Annotated[float, Field(ge=200, le=20_000)]
    transmit_divergence_urad: Annotated[float, Field(gt=0, le=100_000)]  # full angle, 1/e2
    transmit_power_w: Annotated[float, Field(gt=0, le=10_000)]
    quad_half_field_urad: Annotated[float, Field(gt=0, le=100_000)]
    mirror_range_urad: Annotated[float, Field(gt=0, le=100_000)]


class RadioSection(Section):
    """What an antenna on the gimbal receives, and how wide it sees."""

    frequency_mhz: Annotated[float, Field(ge=30, le=300_000)]
    beamwidth_deg: Annotated[float, Field(gt=0, le=180)]  # full width at half power


class AcquisitionSection(Section):
    """How well the target is known and how fast it answers."""

    ephemeris_along_track_m: Positive  # one sigma
    ephemeris_cross_track_m: Positive
    dwell_s: Annotated[float, Field(gt=0, le=60)]
    response_s: Annotated[float, Field(ge=0, le=60)]
    success_probability: Annotated[float, Field(gt=0, lt=1)]


class LinkSection(Section):
    """When the link counts as up."""

    received_power_threshold_w: Positive


class BusSection(Section):
    """Where the control bus listens, and the keys of those who may use it."""

    host: str = "127.0.0.1"
    base_port: Annotated[int, Field(ge=1024, le=65_000)] = 5560
    keys: str = ""
    key: str = ""


class RecordingSection(Section):
    """When the recorder begins a new file: whichever comes first."""

    file_max_mb: Annotated[float, Field(ge=0.01, le=100_000)] = 256.0
    file_max_min: Annotated[float, Field(ge=1, le=10_080)] = 15.0
