"""A gimbal that something stops when we are gone: the driver and its guardian as one device.

For a gimbal that stops by itself without a host, and for one inside this process (lockstep), it is the driver alone.
"""

from __future__ import annotations

from typing import cast

from hal.clock import Clock
from hal.errors import DeviceError, HalError
from hal.guardian import Guardian, guard
from hal.rig import Rig, open_device
from hal.traits import AxisPosition, Gimbal, PositionGimbal, RateGimbal


def open_gimbal(rig: Rig, clock: Clock) -> Gimbal:
    """Open the gimbal of a rig, guarded where it needs a guardian.

    Raises ResourceError when gimbal or guardian cannot be had, and whatever the driver raises.
    """
    gimbal = cast("Gimbal", open_device(rig, "gimbal", clock))
    # A guardian can take a port of the machine; what lives and dies with this process needs none.
    outside = rig.gimbal.resource.partition("://")[0] in rig.driver("gimbal").schemes
    if not (outside and gimbal.capabilities.keeps_moving_when_silent):
        return gimbal
    try:
        guardian = guard(rig, "gimbal")
    except HalError:
        gimbal.close()
        raise
    return gimbal if guardian is None else GuardedGimbal(gimbal, guardian)


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

    def _need_guardian(self) -> None:
        if not self._guardian.alive:
            self._gimbal.stop()
            raise DeviceError("gimbal: its guardian process is gone, so it was stopped; start its service again.")

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
