"""Thorlabs ITC4005 laser diode driver and temperature controller (ITC4000 series).

Source: Thorlabs Series 4000 SCPI Programmers' Reference Manual 3.3 (2015): commands, and the measurement register
bits of its table in 3.14.3. Which number an OUTP ON against an open interlock gives is not stated there: -221 here.
The output stays as it is when the host goes silent, as on the real unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Protocol

from sim_hw.devices.scpi import Choice, Exchange, Number, Scpi, ScpiError, nr3
from sim_hw.timeline import Timeline
from sim_hw.wires.contract import Condition
from sim_hw.wires.usbtmc import UsbTmc

VENDOR, PRODUCT = 0x1313, 0x804A
IDENTITY = "Thorlabs,ITC4005,M00404162,1.8.0/1.5.0/2.3.0"
CURRENT_MAX_A = 5.0  # ITC4005 data sheet

# STATus:MEASurement:CONDition
KEYLOCK, INTERLOCK, CURRENT_LIMIT, OVER_TEMPERATURE = 1, 4, 8, 1 << 14

AMBIENT_C = 22.0
HEATING_C_A = 12.0  # rise of an uncooled mount per ampere, a bench value
TIME_CONSTANT_S = 5.0


class LaserPlant(Protocol):
    """The diode and what is wired to the driver's interlock input."""

    @property
    def enable_line(self) -> bool:
        """True while the interlock loop is closed."""
        ...

    on_enable_change: list[Callable[[bool], None]]

    def set_laser(self, output_on: bool, current_a: float) -> None:
        """Drive the diode from now on."""
        ...

    def laser_power_w(self) -> float:
        """What its monitor photodiode sees now."""
        ...


class Itc4000:
    """The driver: an interlock that opens switches the output off at once, and only OUTP ON brings it back."""

    def __init__(self, timeline: Timeline, plant: LaserPlant) -> None:
        self._timeline = timeline
        self._plant = plant
        self._on = False
        self._tripped = 0  # protections that took the output down, until the next OUTP ON
        self._key = True
        self._temperature_c = AMBIENT_C
        self._temperature_ns = timeline.now_ns
        self._hot = self._disobeys = False  # faults
        self._reads_factor = 1.0
        self._cooler_on = False
        self._set_point_c = 25.0
        self._limit_a = 1.0
        self._current_a = 0.0
        self.scpi = Scpi(IDENTITY, self._reset)
        self._commands()
        self._condition()
        plant.on_enable_change.append(self._enable_changed)

    def usb(self, exchange: Exchange | None = None, discards_interrupted: bool = True) -> UsbTmc:
        """The driver as a USB device."""
        exchange = exchange or Exchange(self._timeline, self.scpi)
        vendor, model, serial, _ = IDENTITY.split(",")
        return UsbTmc(exchange, VENDOR, PRODUCT, (vendor, model, serial), discards_interrupted)

    def turn_key(self, on: bool) -> None:
        """The key switch on the front panel."""
        self._key = on
        if not on:
            self._trip(KEYLOCK)
        self._condition()

    def _reset(self) -> None:
        self._output(False)
        self._cooler(False)
        self._limit_a = 1.0
        self._current_a = 0.0
        self._set_point_c = 25.0

    def _commands(self) -> None:
        add, number, switch = self.scpi.add, self.scpi.add_number, self.scpi.add_switch
        switch("OUTPut[:STATe]", lambda: self._on, self._output)
        switch("OUTPut2[:STATe]", lambda: self._cooler_on, self._cooler)
        number(
            "SOURce:CURRent[:LEVel][:IMMediate][:AMPLitude]",
            Number("A", 0.0, lambda: self._limit_a, 0.0),
            lambda: self._current_a,
            self._set_current,
        )
        number(
            "SOURce:CURRent:LIMit[:AMPLitude]",
            Number("A", 0.005, CURRENT_MAX_A, 1.0),
            lambda: self._limit_a,
            self._set_limit,
        )
        add("SOURce:CURRent:LIMit:TRIPped", query=lambda _: str(int(bool(self._state() & CURRENT_LIMIT))))
        self.scpi.add_choice("SOURce:FUNCtion:MODE", Choice(("CURRent",)), lambda: "CURR", lambda _: None)
        number(
            "SOURce2:TEMPerature[:SPOint]",
            Number("C", 5.0, 60.0, 25.0),
            lambda: self._set_point_c,
            self._set_temperature,
        )
        # Programs in the field write SOUR:TEMP without the 2; the unit takes it.
        number(
            "SOURce:TEMPerature[:SPOint]",
            Number("C", 5.0, 60.0, 25.0),
            lambda: self._set_point_c,
            self._set_temperature,
        )
        add(
            "MEASure[:SCALar]:CURRent[:DC]",
            query=lambda _: nr3(self._reads_factor * self._current_a if self._on else 0.0),
        )
        add("MEASure[:SCALar]:POWer2[:DC]", query=lambda _: nr3(self._plant.laser_power_w()))
        add("MEASure[:SCALar]:TEMPerature", query=lambda _: nr3(self._temperature()))
        for name, bit in (("INTLock", INTERLOCK), ("KEYLock", KEYLOCK), ("OTEMp", OVER_TEMPERATURE), ("VOLTage", 0)):
            add(f"OUTPut:PROTection:{name}:TRIPped", query=self._tripped_query(bit))

    def _tripped_query(self, bit: int) -> Callable[[list[str]], str]:
        return lambda _: str(int(bool((self._tripped | self._state()) & bit)))

    def conditions(self) -> dict[str, Condition]:
        """Faults of the driver itself (sim_hw.faults)."""

        def over_temperature(settings: Mapping[str, float] | None) -> None:
            self._hot = settings is not None
            if self._hot:
                self._trip(OVER_TEMPERATURE)
            self._condition()

        def stuck(settings: Mapping[str, float] | None) -> None:
            self._disobeys = settings is not None

        def wrong(settings: Mapping[str, float] | None) -> None:
            self._reads_factor = 1.0 if settings is None else settings["factor"]

        def off(settings: Mapping[str, float] | None) -> None:
            """Mains: its output is off without, and everything as after *RST when it is back."""
            self._reset()

        return {"over_temperature": over_temperature, "stuck": stuck, "wrong": wrong, "off": off}

    def _output(self, on: bool) -> None:
        if self._disobeys:
            return
        if on:
            if self._state() & OVER_TEMPERATURE:
                raise ScpiError(-221, "over temperature")
            if self._state() & (KEYLOCK | INTERLOCK):
                raise ScpiError(-221, "key or interlock open")
            self._tripped = 0
        self._temperature()
        self._on = on
        self._drive()

    def _set_current(self, current_a: float) -> None:
        self._temperature()
        self._current_a = current_a
        self._drive()

    def _set_limit(self, limit_a: float) -> None:
        if limit_a < self._current_a:
            raise ScpiError(-221, "limit below set-point")
        self._limit_a = limit_a
        self._condition()

    def _drive(self) -> None:
        self._plant.set_laser(self._on, self._current_a if self._on else 0.0)
        self._condition()

    def _enable_changed(self, closed: bool) -> None:
        if not closed:
            self._trip(INTERLOCK)
        self._condition()

    def _trip(self, protection: int) -> None:
        if self._on:
            self._tripped |= protection
            self._output(False)

    def _state(self) -> int:
        bits = 0 if self._key else KEYLOCK
        bits |= 0 if self._plant.enable_line else INTERLOCK
        bits |= OVER_TEMPERATURE if self._hot else 0
        return bits | (CURRENT_LIMIT if self._on and self._current_a >= self._limit_a else 0)

    def _condition(self) -> None:
        self.scpi.groups["MEASurement"].set_condition(self._state())

    def _cooler(self, on: bool) -> None:
        self._temperature()
        self._cooler_on = on

    def _set_temperature(self, value_c: float) -> None:
        self._temperature()
        self._set_point_c = value_c

    def _temperature(self) -> float:
        """Mount temperature now: first order towards the set-point, or towards the uncooled balance."""
        heat_c = HEATING_C_A * self._current_a if self._on else 0.0
        towards_c = self._set_point_c if self._cooler_on else AMBIENT_C + heat_c
        passed_s = (self._timeline.now_ns - self._temperature_ns) * 1e-9
        left = math.exp(-passed_s / TIME_CONSTANT_S)
        self._temperature_c = towards_c + (self._temperature_c - towards_c) * left
        self._temperature_ns = self._timeline.now_ns
        return self._temperature_c
