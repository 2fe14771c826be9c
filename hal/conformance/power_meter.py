"""What every PowerMeter must do."""

from __future__ import annotations

import math
from statistics import fmean, pstdev

from hal.conformance.suite import Case, Trial, require
from hal.errors import DeviceError

READINGS = 50
WAVELENGTH_M = 1550e-9
BELOW_ZERO_W = -1e-6  # a reading in the dark scatters around zero, by much less than this


def _reads(trial: Trial) -> None:
    trial.device.configure(WAVELENGTH_M)
    readings = [trial.device.power_w() for _ in range(READINGS)]
    require(all(map(math.isfinite, readings)), f"a reading is not finite: {readings}")
    require(min(readings) >= BELOW_ZERO_W, f"a reading is {min(readings):.3e} W")
    trial.note("power_w", fmean(readings))
    trial.note("power_noise_w", pstdev(readings))


def _takes_wavelengths(trial: Trial) -> None:
    for wavelength_m in (1310e-9, WAVELENGTH_M):
        trial.device.configure(wavelength_m)
        require(math.isfinite(trial.device.power_w()), f"no reading at {wavelength_m * 1e9:g} nm")


def _refuses_wavelengths(trial: Trial) -> None:
    for wavelength_m in (10e-9, 1e-3):
        try:
            trial.device.configure(wavelength_m)
        except DeviceError:
            continue
        require(False, f"{wavelength_m * 1e9:g} nm was taken")
    trial.device.configure(WAVELENGTH_M)
    require(math.isfinite(trial.device.power_w()), "no reading after a wavelength was refused")


def _opens_again(trial: Trial) -> None:
    trial.reopen()
    require(math.isfinite(trial.device.power_w()), "no reading after it was opened again")


CASES = (
    Case("reads watts", _reads),
    Case("takes the wavelength of its calibration", _takes_wavelengths),
    Case("refuses a wavelength that no head has, and goes on", _refuses_wavelengths),
    Case("works when it is opened again", _opens_again),
)
