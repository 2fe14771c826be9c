"""Sections of a rig file for the votes on emission: bounds, clearinghouse windows, aircraft.

Files are named without a folder: they lie beside the rig file and go with it.
"""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from hal.rig_sections import FileName, Positive, Section


class SafetySection(Section):
    """What the gimbal does not look into."""

    sun_cone_deg: Annotated[float, Field(ge=0, le=90)]
    moon_cone_deg: Annotated[float, Field(ge=0, le=90)]


class EmissionSafetySection(SafetySection):
    """The same, and bounds of the votes on emission."""

    enclosed_bench: bool
    power_cap_w: Positive | None = None  # measured power above it trips the laser
    horizon_mask: FileName | None = None  # CSV, 360 elevations; on top of the station's elevation mask

    @model_validator(mode="after")
    def _bench_is_capped(self) -> Self:
        if self.enclosed_bench and self.power_cap_w is None:
            raise ValueError("enclosed_bench = true needs power_cap_w, the power that the measurement must not exceed")
        return self


def _aircraft_feed(resource: str) -> str:
    if not re.fullmatch(r"tcp://.+:\d+|file:///.+", resource):
        raise ValueError(f'"{resource}" is no aircraft feed; write {" or ".join(AIRCRAFT_FEEDS)}')
    return resource


AIRCRAFT_FEEDS = ("tcp://HOST:PORT", "file:///.../aircraft.json")


class AircraftSection(Section):
    """Where reports of aircraft come from, and how far the beam stays from them."""

    resource: Annotated[str, AfterValidator(_aircraft_feed)] | None = None
    cone_deg: Annotated[float, Field(gt=0, le=90)] = 5.0
    position_uncertainty_m: Annotated[float, Field(gt=0, le=100_000)] = 200.0
    altitude_uncertainty_m: Annotated[float, Field(gt=0, le=100_000)] = 600.0
    ignore_without_position: bool = False


class ClearinghouseSection(Section):
    """The predictive avoidance message that this station fires under, and whose it must be."""

    file: FileName | None = None
    mission_id: str = ""
    operator: str = ""
    pad_s: Annotated[float, Field(ge=0.5, le=600)] = 1.0  # drawn in at both ends of every window
    cone_half_angle_deg: Annotated[float, Field(gt=0, le=10)] = 0.1  # of the beam as it was cleared
    emitters: list[str] = Field(default=[])

    @model_validator(mode="after")
    def _says_whose(self) -> Self:
        if self.file is not None and not (self.mission_id and self.operator):
            raise ValueError("a message needs mission_id and operator, as they were registered, to be compared with")
        return self
