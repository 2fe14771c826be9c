"""A mount's axes as its electronics see them: the same ways to fail for every mount."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sim_hw.wires.contract import Condition

AXES = AZIMUTH, ELEVATION = 0, 1


class Mount(Protocol):
    """The axes that the motor boards turn."""

    def encoder_rad(self) -> tuple[float, float]:
        """Azimuth and elevation that the encoders show now."""
        ...

    def set_rate(self, axis: int, rate_rad_s: float) -> None:
        """Ask axis 0 (azimuth) or 1 (elevation) for a rate, from now on."""
        ...


class Encoders:
    """A Mount around a Mount, with its faults.

    `stuck`: it takes rates and stands still; `wrong`: an offset; `off`: its motors have no power, and it begins at rest
    when they have.
    """

    def __init__(self, mount: Mount) -> None:
        self._mount = mount
        self._stuck_rad: tuple[float, float] | None = None
        self._offset_rad = 0.0
        self._powered = True

    def encoder_rad(self) -> tuple[float, float]:
        """What the electronics believe."""
        azimuth_rad, elevation_rad = self._mount.encoder_rad() if self._stuck_rad is None else self._stuck_rad
        return azimuth_rad + self._offset_rad, elevation_rad + self._offset_rad

    def set_rate(self, axis: int, rate_rad_s: float) -> None:
        """Pass it on, unless the axes are stuck or without power."""
        if self._stuck_rad is None and self._powered:
            self._mount.set_rate(axis, rate_rad_s)

    def conditions(self) -> dict[str, Condition]:
        """The faults (sim_hw.faults)."""

        def rest() -> None:
            for axis in AXES:
                self._mount.set_rate(axis, 0.0)

        def stuck(settings: Mapping[str, float] | None) -> None:
            self._stuck_rad = None if settings is None else self._mount.encoder_rad()
            rest()

        def wrong(settings: Mapping[str, float] | None) -> None:
            self._offset_rad = 0.0 if settings is None else settings["offset_rad"]

        def off(settings: Mapping[str, float] | None) -> None:
            self._powered = settings is None
            rest()

        return {"stuck": stuck, "wrong": wrong, "off": off}
