"""Scenarios: the world a bench is put in, as TOML beside this file or anywhere else."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)


class ScenarioError(ValueError):
    """A scenario file is wrong; the message names the file and every key that is."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Gimbal(_Section):
    """The mount's mechanics; angles of backlash and friction are axis angles."""

    rate_max_deg_s: PositiveFloat
    acceleration_max_deg_s2: PositiveFloat
    start_azimuth_deg: float
    start_elevation_deg: float
    encoder_rms_urad: NonNegativeFloat
    worm_period_deg: PositiveFloat
    worm_fundamental_pp_urad: NonNegativeFloat
    worm_second_harmonic_pp_urad: NonNegativeFloat
    backlash_urad: NonNegativeFloat
    friction_static_urad: NonNegativeFloat
    friction_coulomb_urad: NonNegativeFloat
    stribeck_rate_deg_s: PositiveFloat
    stage_resonance_hz: PositiveFloat = Field(le=100.0)  # stepped at 1 kHz
    stage_damping: PositiveFloat


class Wind(_Section):
    """Flexure of the tube under wind."""

    rms_urad: NonNegativeFloat
    corner_hz: PositiveFloat
    gust_urad: NonNegativeFloat
    gust_duration_s: PositiveFloat


class Misalignment(_Section):
    """One sigma of each mount term."""

    index_azimuth_urad: NonNegativeFloat
    index_elevation_urad: NonNegativeFloat
    collimation_urad: NonNegativeFloat
    axis_north_urad: NonNegativeFloat
    axis_west_urad: NonNegativeFloat


class Ephemeris(_Section):
    """One sigma of the difference between the element set and where the satellite is."""

    along_track_m: NonNegativeFloat
    cross_track_m: NonNegativeFloat


class Jitter(_Section):
    """Line-of-sight jitter, one-sided density per axis."""

    psd_at_zero_urad2_hz: NonNegativeFloat
    corner_hz: PositiveFloat


class Turbulence(_Section):
    """Profiles of Cn2 and wind."""

    scale: NonNegativeFloat
    high_wind_m_s: NonNegativeFloat
    ground_cn2: NonNegativeFloat
    bufton_ground_m_s: NonNegativeFloat
    bufton_tropopause_m_s: NonNegativeFloat
    tilt: bool
    scintillation: bool


class Camera(_Section):
    """How the tracking camera sits on the tube, and what reaches it."""

    rotation_deg: NonNegativeFloat
    scale_error: NonNegativeFloat
    offset_urad: NonNegativeFloat
    beacon_electrons_per_s: NonNegativeFloat
    star_electrons_per_s: NonNegativeFloat
    star_noise_arcsec: NonNegativeFloat
    field_deg: PositiveFloat


class StarCamera(_Section):
    """How a wide camera sits on the tube of a rig that has one, its lens and sensor, and what reaches it."""

    rotation_deg: NonNegativeFloat
    offset_deg: NonNegativeFloat
    scale_error: NonNegativeFloat
    distortion: NonNegativeFloat
    wavelength_nm: PositiveFloat
    width_px: PositiveInt
    height_px: PositiveInt
    spot_sigma_px: PositiveFloat
    star_electrons_per_s: NonNegativeFloat
    background_electrons_per_s: NonNegativeFloat
    glare: NonNegativeFloat
    magnitude_max: float


class Fine(_Section):
    """Steering mirror and quad cell as designed; names as in sim_hw.plant.fine.FineParameters."""

    resonance_hz: tuple[PositiveFloat, PositiveFloat]
    second_mode_hz: tuple[PositiveFloat, PositiveFloat]
    damping: PositiveFloat
    hysteresis: NonNegativeFloat
    range_rad: PositiveFloat
    position_noise_rad: NonNegativeFloat
    half_field_rad: PositiveFloat
    shot_nea_rad: NonNegativeFloat
    floor_nea_rad: NonNegativeFloat
    crosstalk: tuple[NonNegativeFloat, NonNegativeFloat, NonNegativeFloat, NonNegativeFloat]


class Satellite(_Section):
    """The cooperative terminal."""

    capture_radius_urad: PositiveFloat
    dwell_s: PositiveFloat
    response_s: float = Field(ge=0.02)  # the plant runs up to 10 ms ahead of what the satellite decides
    hold_s: PositiveFloat


class Laser(_Section):
    """Emitted power against current."""

    threshold_a: NonNegativeFloat
    slope_w_per_a: PositiveFloat
    nominal_w: PositiveFloat


class Link(_Section):
    """Optical link budget."""

    beacon_wavelength_nm: PositiveFloat
    receive_wavelength_nm: PositiveFloat
    transmit_wavelength_nm: PositiveFloat
    aperture_m: PositiveFloat
    reference_range_m: PositiveFloat
    downlink_power_w: NonNegativeFloat
    downlink_divergence_urad: PositiveFloat
    downlink_loss_db: NonNegativeFloat
    zenith_transmission: float = Field(gt=0, le=1)
    coupling_radius_urad: PositiveFloat


class Cloud(_Section):
    """Times during which a cloud stands in the way."""

    windows_s: tuple[tuple[float, float], ...]
    transmission: float = Field(ge=0, le=1)


class PlannedFault(BaseModel):
    """`[[faults]]`: what goes wrong, and when; further keys are the fault's parameters (docs/faults.md)."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, float]

    device: str
    fault: str
    at_s: NonNegativeFloat | None = None
    at_command: PositiveInt | None = None
    for_s: PositiveFloat | None = None
    for_commands: PositiveInt | None = None

    def trigger(self) -> dict[str, Any]:
        """When it begins and ends."""
        return self.model_dump(include={"at_s", "at_command", "for_s", "for_commands"})

    def parameters(self) -> dict[str, float]:
        """The fault's own."""
        return dict(self.__pydantic_extra__ or {})


class Scenario(_Section):
    """A whole scenario file."""

    name: str
    gimbal: Gimbal
    wind: Wind
    misalignment: Misalignment
    ephemeris: Ephemeris
    jitter: Jitter
    turbulence: Turbulence
    camera: Camera
    star_camera: StarCamera
    fine: Fine
    satellite: Satellite
    laser: Laser
    link: Link
    cloud: Cloud
    faults: tuple[PlannedFault, ...] = ()

    @model_validator(mode="after")
    def _friction_is_ordered(self) -> Scenario:
        if self.gimbal.friction_static_urad < self.gimbal.friction_coulomb_urad:
            raise ValueError("gimbal.friction_static_urad must be at least gimbal.friction_coulomb_urad")
        return self


def load_scenario(source: str | Path = "default", overrides: dict[str, dict[str, object]] | None = None) -> Scenario:
    """Read a scenario by the name of one that is shipped, or by path.

    Parameters
    ----------
    source
        Name of a file beside this one without its suffix, or a path to a TOML file.
    overrides
        Sections with keys to replace, for example ``{"jitter": {"psd_at_zero_urad2_hz": 0.0}}``.

    Raises
    ------
    ScenarioError
        The file is missing, is not TOML, or has keys that are wrong (all are named).
    """
    shipped = resources.files(__package__) / f"{source}.toml"
    file = shipped if shipped.is_file() else Path(source)
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScenarioError(
            f"scenario {source}: no such file; give a path or one of: {', '.join(shipped_scenarios())}."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScenarioError(f"scenario {source}: not a TOML file: {error}.") from error
    for section, keys in (overrides or {}).items():
        data[section] = {**data.get(section, {}), **keys}
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        wrong = "\n".join(_sentence(source, dict(problem)) for problem in error.errors())
        raise ScenarioError(wrong) from error


def _sentence(source: str | Path, problem: dict[str, Any]) -> str:
    """One thing that is wrong: section, key, what is there, what may be."""
    where = problem["loc"]
    key = f"[{where[0]}] {' '.join(str(part) for part in where[1:])}".strip() if where else "the file"
    if problem["type"] == "extra_forbidden":
        section = Scenario.model_fields[where[0]].annotation if len(where) > 1 else Scenario
        allowed = (
            ", ".join(section.model_fields) if isinstance(section, type) and issubclass(section, BaseModel) else ""
        )
        return f"scenario {source}: {key} is not known; allowed: {allowed}."
    if problem["type"] == "missing":
        return f"scenario {source}: {key} is missing; the shipped scenario default.toml has every key."
    return f"scenario {source}: {key} = {problem['input']!r} is not allowed: {problem['msg'].lower()}."


def shipped_scenarios() -> list[str]:
    """Names of the scenarios that come with the project."""
    return sorted(
        p.name.removesuffix(".toml") for p in resources.files(__package__).iterdir() if p.name.endswith(".toml")
    )
