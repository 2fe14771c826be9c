"""A gimbal or stage that something stops when we are gone: the driver and its guardian as one device.

For one that stops by itself without a host, and for one inside this process (lockstep), it is the driver alone.
"""

from __future__ import annotations

from typing import cast

from hal.clock import Clock
from hal.errors import DeviceError, HalError
from hal.guardian import Guardian, guard
from hal.rig import Rig, open_device
from hal.traits import (
    AxisPosition,
    DriveStatus,
    Gimbal,
    PositionGimbal,
    PoweredGimbal,
    RateGimbal,
    Stage,
    StageStatus,
)


def open_gimbal(rig: Rig, clock: Clock) -> Gimbal:
    """Open the gimbal of a rig, guarded where it needs a guardian.

    Raises ResourceError when gimbal or guardian cannot be had, and whatever the driver raises.
    """
    gimbal = cast("Gimbal", open_device(rig, "gimbal", clock))
    guardian = _guardian(rig, "gimbal", gimbal) if gimbal.capabilities.keeps_moving_when_silent else None
    return gimbal if guardian is None else GuardedGimbal(gimbal, guardian)


def open_stage(rig: Rig, clock: Clock) -> Stage:
    """Open the stage of a rig, guarded where a guardian can stop it.

    Raises ResourceError when stage or guardian cannot be had, and whatever the driver raises.
    """
    stage = cast("Stage", open_device(rig, "stage", clock))
    guardian = _guardian(rig, "stage", stage)
    return stage if guardian is None else GuardedStage(stage, guardian)


def _guardian(rig: Rig, name: str, device: Gimbal | Stage) -> Guardian | None:
    """The guardian of an open device, which is closed when it cannot be had."""
    # A guardian can take a port of the machine; what lives and dies with this process needs none.
    if getattr(rig, name).resource.partition("://")[0] not in rig.driver(name).schemes:
        return None
    try:
        return guard(rig, name)
    except HalError:
        device.close()
        raise


class GuardedGimbal:
    """A Gimbal that moves only while its guardian watches."""

    def __init__(self, gimbal: Gimbal, guardian: Guardian) -> None:
        self.capabilities = gimbal.capabilities
        self.identity = gimbal.identity
        self._gimbal = gimbal
        self._guardian = guardian

    def position(self) -> AxisPosition:
        """Encoder angles of both axes."""
        return self._gimbal.position()

    def set_rate(self, azimuth_rad_s: float, elevation_rad_s: float) -> None:
        """Give both axes a rate. Raises DeviceError, after a stop, when the guardian is gone."""
        self._need_guardian()
        cast("RateGimbal", self._gimbal).set_rate(azimuth_rad_s, elevation_rad_s)

    def go_to(self, azimuth_rad: float, elevation_rad: float) -> None:
        """Send both axes somewhere. Raises DeviceError, after a stop, when the guardian is gone."""
        self._need_guardian()
        cast("PositionGimbal", self._gimbal).go_to(azimuth_rad, elevation_rad)

    def stop(self) -> None:
        """Bring both axes to rest."""
        self._gimbal.stop()

    def drives(self) -> DriveStatus:
        """What its drives say now."""
        return cast("PoweredGimbal", self._gimbal).drives()

    def power(self, on: bool) -> None:
        """Have both axes ready, or let go of them at rest."""
        cast("PoweredGimbal", self._gimbal).power(on)

    def _need_guardian(self) -> None:
        if not self._guardian.alive:
            self._gimbal.stop()
            raise DeviceError("gimbal: its guardian process is gone, so it was stopped; start its service again.")

    def abandon(self) -> None:
        """Leave it to the guardian, and wait for nothing: its port has hung up, and no stop of ours would reach it."""
        self._gimbal.close()
        self._guardian.release(0.0)

    def close(self) -> None:
        """Stop and close. A gimbal that does not acknowledge the stop is left to the guardian."""
        try:
            self._gimbal.stop()
        except HalError:
            self._gimbal.close()
            self._guardian.release()
        else:
            self._gimbal.close()
            self._guardian.dismiss()


class GuardedStage:
    """A Stage that moves only while its guardian watches."""

    def __init__(self, stage: Stage, guardian: Guardian) -> None:
        self.capabilities = stage.capabilities
        self.identity = stage.identity
        self._stage = stage
        self._guardian = guardian

    def status(self) -> StageStatus:
        """Where it is and whether it moves."""
        return self._stage.status()

    def home(self) -> None:
        """Be on the way to its reference. Raises DeviceError, after a stop, when the guardian is gone."""
        self._need_guardian()
        self._stage.home()

    def go_to(self, position_mm: float) -> None:
        """Be on the way there. Raises DeviceError, after a stop, when the guardian is gone."""
        self._need_guardian()
        self._stage.go_to(position_mm)

    def stop(self) -> None:
        """Bring it to rest."""
        self._stage.stop()

    def power(self, on: bool) -> None:
        """Its motor holds it, or lets go of it."""
        self._stage.power(on)

    def _need_guardian(self) -> None:
        if not self._guardian.alive:
            self._stage.stop()
            raise DeviceError("stage: its guardian process is gone, so it was stopped; open it again.")

    def close(self) -> None:
        """Stop and close. A stage that does not acknowledge the stop is left to the guardian."""
        try:
            self._stage.stop()
        except HalError:
            self._stage.close()
            self._guardian.release()
        else:
            self._stage.close()
            self._guardian.dismiss()
