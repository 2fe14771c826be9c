"""Sections of a rig file for the votes on emission: bounds, clearinghouse windows, aircraft.

Files are named without a folder: they lie beside the rig file and go with it.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from hal.rig_sections import Positive, Section

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class SafetySection(Section):
    """Bounds of the votes on emission and motion."""

    enclosed_bench: bool
    sun_cone_deg: Annotated[float, Field(ge=0, le=90)]
    moon_cone_deg: Annotated[float, Field(ge=0, le=90)]
    power_cap_w: Positive | None = None  # measured power above it trips the laser
    horizon_mask: FileName | None = None  # CSV, 360 elevations; on top of the station's elevation mask

    @model_validator(mode="after")
    def _bench_is_capped(self) -> Self:
        if self.enclosed_bench and self.power_cap_w is None:
            raise ValueError("enclosed_bench = true needs power_cap_w, the power that the measurement must not exceed")
        return self
