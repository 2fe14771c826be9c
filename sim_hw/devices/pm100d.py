"""Thorlabs PM100D optical power meter with an InGaAs photodiode head.

Sources: Thorlabs PM100D operation manual, chapter "SCPI commands"; head figures from the S154C data sheet
(800-1700 nm, 100 pW to 3 mW, 10 pW resolution). Sample rate 3 kHz as in `SENSe:AVERage` of the manual.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from sim_hw.devices.scpi import Choice, Exchange, Number, Scpi, ScpiError, nr3
from sim_hw.timeline import Timeline
from sim_hw.wires.contract import Condition
from sim_hw.wires.usbtmc import UsbTmc

VENDOR, PRODUCT = 0x1313, 0x8078
IDENTITY = "Thorlabs,PM100D,P0009084,2.4.0"

SAMPLE_RATE_HZ = 3000.0
ZERO_DURATION_S = 1.0
RANGES_W = (3e-8, 3e-7, 3e-6, 3e-5, 3e-4, 3e-3)  # upper end of each; 3 mW is the head's limit
NOISE_FLOOR_W = 1e-11  # one sample
NOISE_OF_RANGE = 2e-5  # one sample, of the range in use
DARK_OFFSET_SIGMA_W = 5e-11

#: InGaAs responsivity, A/W by nm: the usual curve, read at seven points.
_RESPONSIVITY_NM = (800.0, 900.0, 1000.0, 1200.0, 1400.0, 1550.0, 1700.0)
_RESPONSIVITY_A_W = (0.15, 0.40, 0.65, 0.85, 0.95, 1.00, 0.70)


class ReceivedLight(Protocol):
    """What falls on the head."""

    def received_power_w(self) -> float:
        """Power now."""
        ...


class Pm100d:
    """The meter: reads the light of the moment at which a measurement starts."""

    def __init__(
        self,
        timeline: Timeline,
        light: ReceivedLight,
        rng: np.random.Generator,
        light_wavelength_nm: float = 1550.0,
    ) -> None:
        self._timeline = timeline
        self._light = light
        self._rng = rng
        self._light_nm = light_wavelength_nm
        self._dark_w = float(rng.normal(0.0, DARK_OFFSET_SIGMA_W))
        self._zero_w = 0.0
        self._fault: Callable[[float], float] | None = None  # what becomes of a reading
        self._zero_done_ns = 0
        self._reset()
        self.scpi = Scpi(IDENTITY, self._reset, self._pending_s)
        self._commands()

    def usb(self, exchange: Exchange | None = None, discards_interrupted: bool = True) -> UsbTmc:
        """The meter as a USB device."""
        exchange = exchange or Exchange(self._timeline, self.scpi)
        vendor, model, serial, _ = IDENTITY.split(",")
        return UsbTmc(exchange, VENDOR, PRODUCT, (vendor, model, serial), discards_interrupted)

    def _reset(self) -> None:
        self._wavelength_nm = 1550.0
        self._averages = 1
        self._auto = True
        self._range_w = RANGES_W[-1]
        self._unit = "W"
        self._last_w = math.nan

    def _commands(self) -> None:
        add, number, switch = self.scpi.add, self.scpi.add_number, self.scpi.add_switch
        add("SYSTem:SENSor:IDN", query=lambda _: '"S154C","14092201","22-SEP-2014",1,2,289')
        number(
            "[SENSe:]CORRection:WAVelength",
            Number("NM", 800.0, 1700.0, 1550.0),
            lambda: self._wavelength_nm,
            lambda v: setattr(self, "_wavelength_nm", v),
        )
        number(
            "[SENSe:]AVERage[:COUNt]",
            Number("", 1, 10000, 1),
            lambda: self._averages,
            lambda v: setattr(self, "_averages", round(v)),
            lambda v: str(round(v)),
        )
        number(
            "[SENSe:]POWer[:DC]:RANGe[:UPPer]",
            Number("W", 0.0, RANGES_W[-1], RANGES_W[-1]),
            lambda: self._range_w,
            self._set_range,
        )
        switch(
            "[SENSe:]POWer[:DC]:RANGe:AUTO",
            lambda: self._auto,
            lambda on: setattr(self, "_auto", on),
        )
        self.scpi.add_choice(
            "[SENSe:]POWer[:DC]:UNIT",
            Choice(("W", "DBM")),
            lambda: self._unit,
            lambda unit: setattr(self, "_unit", unit),
        )
        add("[SENSe:]CORRection:COLLect:ZERO[:INITiate]", action=lambda _: self._zero())
        add("[SENSe:]CORRection:COLLect:ZERO:STATe", query=lambda _: str(int(self._pending_s() > 0)))
        add("[SENSe:]CORRection:COLLect:ZERO:MAGNitude", query=lambda _: nr3(self._zero_w))
        switch("INPut[:PDIode]:FILTer[:LPASs][:STATe]", lambda: True, lambda _: None)
        add("CONFigure[:SCALar][:POWer]", query=lambda _: "POW", action=lambda _: None)
        add("INITiate[:IMMediate]", action=lambda _: self._measure())
        add("FETCh", query=lambda _: self._show())
        add("READ", query=lambda _: self._read())
        add("MEASure[:SCALar][:POWer]", query=lambda _: self._read())

    def _set_range(self, value_w: float) -> None:
        self._auto = False
        self._range_w = next(r for r in RANGES_W if r >= value_w)

    def _zero(self) -> None:
        if self._pending_s() > 0:
            raise ScpiError(-221, "zeroing")
        # A zero taken with light on the head subtracts that light for ever after, as on the bench.
        self._zero_w = self._dark_w + self._seen_w()
        self._zero_done_ns = self._timeline.now_ns + round(ZERO_DURATION_S * 1e9)

    def _pending_s(self) -> float:
        return max(0, self._zero_done_ns - self._timeline.now_ns) * 1e-9

    def _seen_w(self) -> float:
        """Power as the head's correction turns its photocurrent into watts at the wavelength set."""
        true_a_w = np.interp(self._light_nm, _RESPONSIVITY_NM, _RESPONSIVITY_A_W)
        assumed_a_w = np.interp(self._wavelength_nm, _RESPONSIVITY_NM, _RESPONSIVITY_A_W)
        return self._light.received_power_w() * float(true_a_w / assumed_a_w)

    def _measure(self) -> None:
        light_w = self._seen_w()
        if self._auto:
            self._range_w = next((r for r in RANGES_W if r >= light_w), RANGES_W[-1])
        over = light_w > self._range_w
        self.scpi.groups["QUEStionable"].set_condition(8 if over else 0)  # bit 3: power
        noise_w = max(NOISE_FLOOR_W, NOISE_OF_RANGE * self._range_w) / math.sqrt(self._averages)
        measured_w = light_w + self._dark_w - self._zero_w + noise_w * float(self._rng.standard_normal())
        measured_w = math.inf if over else measured_w
        self._last_w = measured_w if self._fault is None else self._fault(measured_w)
        self.scpi.take_s(self._averages / SAMPLE_RATE_HZ)

    def conditions(self) -> dict[str, Condition]:
        """Faults of the meter itself (sim_hw.faults)."""

        def stuck(settings: Mapping[str, float] | None) -> None:
            held_w = self._last_w
            self._fault = None if settings is None else lambda _: held_w

        def wrong(settings: Mapping[str, float] | None) -> None:
            self._fault = None if settings is None else lambda measured_w: settings["factor"] * measured_w

        def saturated(settings: Mapping[str, float] | None) -> None:
            self._fault = None if settings is None else lambda _: math.inf

        return {"stuck": stuck, "wrong": wrong, "saturated": saturated}

    def _read(self) -> str:
        self._measure()
        return self._show()

    def _show(self) -> str:
        if self._unit == "W" or not math.isfinite(self._last_w):
            return nr3(self._last_w)
        return nr3(10.0 * math.log10(max(self._last_w, 1e-15) / 1e-3))
