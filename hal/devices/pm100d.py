"""Thorlabs PM100D family of optical power meters (trait PowerMeter).

Source: PM100D operation manual, "SCPI commands"; the same commands drive PM100USB, PM101 and PM400.
"""

from __future__ import annotations

import math

from hal.clock import Clock
from hal.devices.scpi import ScpiDevice
from hal.errors import DeviceError
from hal.wires.opening import open_text
from hal.wires.text import TextWire

SAMPLE_RATE_HZ = 3000.0
REPLY_TIMEOUT_S = 1.0
ZERO_TIMEOUT_S = 10.0


class Pm100d:
    """A power meter that reads watts."""

    def __init__(self, wire: TextWire) -> None:
        """Take an open wire. Raises DeviceError when another instrument answers."""
        self._device = ScpiDevice(wire)
        self._reading_s = 0.0
        self._device.clear()
        self.identity = self._device.expect("PM100", "PM101", "PM400")
        self._device.tell("SENS:POW:UNIT W;:SENS:POW:RANG:AUTO ON")

    @classmethod
    def open(cls, resource: str, clock: Clock, name: str = "power_meter") -> Pm100d:
        """Open a `visa://` resource. Raises ResourceError, DeviceError."""
        wire = open_text(resource, clock, name)
        try:
            return cls(wire)
        except BaseException:
            wire.close()
            raise

    def configure(self, wavelength_m: float) -> None:
        """Set the wavelength at which the head's responsivity is taken. Raises DeviceError outside its range."""
        wavelength_nm = wavelength_m * 1e9
        self._device.tell(f"SENS:CORR:WAV {wavelength_nm:.3f}")
        taken_nm = self._device.number("SENS:CORR:WAV?")
        if not math.isclose(taken_nm, wavelength_nm, abs_tol=0.5):
            raise DeviceError(
                f"{self._device.name}: took {taken_nm:g} nm where {wavelength_nm:g} nm was set; check its sensor head."
            )

    def average(self, count: int) -> None:
        """Average each reading over `count` samples of a third of a millisecond."""
        self._device.tell(f"SENS:AVER:COUN {count}")
        self._reading_s = count / SAMPLE_RATE_HZ

    def zero(self) -> None:
        """Take the present reading as dark; cover the head first. Blocks until done."""
        self._device.tell("SENS:CORR:COLL:ZERO:INIT")
        self._device.wait(ZERO_TIMEOUT_S)

    def power_w(self) -> float:
        """Optical power now. Raises DeviceError when the head is beyond its range."""
        power = self._device.number("MEAS:POW?", REPLY_TIMEOUT_S + self._reading_s)
        if not math.isfinite(power):
            raise DeviceError(f"{self._device.name}: the power is beyond the sensor's range; attenuate the beam.")
        return power

    def close(self) -> None:
        """Close the wire."""
        self._device.close()
