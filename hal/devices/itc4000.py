"""Thorlabs ITC4000 series laser diode drivers (trait Laser).

Source: Thorlabs Series 4000 SCPI Programmers' Reference Manual 3.3 (2015); bits of the measurement register from its
table in 3.14.3. The driver keeps its output on when nobody talks to it: what stops it is its interlock input.
"""

from __future__ import annotations

import math

from hal.clock import Clock
from hal.devices.scpi import ScpiDevice
from hal.errors import DeviceError, WireTimeout
from hal.traits import LaserStatus
from hal.wires.opening import open_text
from hal.wires.text import TextWire

#: STATus:MEASurement:CONDition bits that mean that a protection is active now.
PROTECTIONS = {0: "key lock", 2: "interlock", 4: "output inhibit", 5: "power limit", 14: "over temperature"}
KEY_BIT, INTERLOCK_BIT = 0, 2

#: Protections whose trip the instrument remembers.
_REMEMBERED = ("INTL", "KEYL", "OTEM")
_REMEMBERED_NAMES = ("interlock", "key lock", "over temperature")
_STATUS = "OUTP?;:MEAS:CURR?;:MEAS:POW2?;:STAT:MEAS:COND?" + "".join(f";:OUTP:PROT:{p}:TRIP?" for p in _REMEMBERED)

#: One exchange with the instrument must not hold the safety service for long.
TIMEOUT_S = 0.25


class Itc4000:
    """A laser behind its driver's interlock; opening it leaves the output as it is."""

    def __init__(self, wire: TextWire, clock: Clock) -> None:
        """Take an open wire. Raises DeviceError when another instrument answers."""
        self._device = ScpiDevice(wire)
        self._clock = clock
        self._device.clear()
        self.identity = self._device.expect("ITC4", "CLD1")

    @classmethod
    def open(cls, resource: str, clock: Clock, name: str = "laser") -> Itc4000:
        """Open a `visa://` resource. Raises ResourceError, DeviceError."""
        wire = open_text(resource, clock, name, TIMEOUT_S)
        try:
            return cls(wire, clock)
        except BaseException:
            wire.close()
            raise

    def configure(self, current_a: float, current_limit_a: float) -> None:
        """Set the current limit, then the current, and read both back; start the temperature controller.

        Raises DeviceError when the output is on, when the current exceeds the limit, or when a value was not taken.
        """
        device = self._device
        if not 0.0 < current_a <= current_limit_a:
            raise DeviceError(
                f"{device.name}: {current_a:g} A is not between zero and the limit of {current_limit_a:g} A; "
                f"correct the rig file, [{device.name}] current_a."
            )
        if device.ask("OUTP?") != "0":
            raise DeviceError(f"{device.name}: the output is on; switch it off before its current is set.")
        device.tell("SOUR:CURR 0")  # so that a lower limit is never below the set-point
        device.tell(f"SOUR:CURR:LIM {current_limit_a:.6f}")
        device.tell(f"SOUR:CURR {current_a:.6f};:OUTP2 ON")
        limit_a, taken_a = device.numbers("SOUR:CURR:LIM?;:SOUR:CURR?", 2)
        if not (
            math.isclose(limit_a, current_limit_a, rel_tol=1e-3) and math.isclose(taken_a, current_a, rel_tol=1e-3)
        ):
            raise DeviceError(
                f"{device.name}: took {taken_a:g} A with a limit of {limit_a:g} A where {current_a:g} A and "
                f"{current_limit_a:g} A were set; check its hardware limit."
            )

    def output(self, on: bool) -> None:
        """Switch the output, and make sure that it is as asked.

        Off waits for nothing, and is tried a second time when the first exchange times out. Raises DeviceError with
        the instrument's reason (an open interlock or key refuses to switch on), WireError.
        """
        try:
            self._switch(on)
        except WireTimeout:
            if on:
                raise
            self._switch(on)

    def _switch(self, on: bool) -> None:
        device, message = self._device, "OUTP ON" if on else "OUTP OFF"
        if on:
            device.tell(message)
        else:
            device.urge(message)
        if device.query("OUTP?") != ("1" if on else "0"):
            raise DeviceError(f"{device.name}: {message} was not obeyed; check key, interlock and front panel.")

    def status(self) -> LaserStatus:
        """Read back output, current, power by the monitor photodiode, and protections, in one exchange."""
        on, current_a, power_w, condition, *remembered = self._device.numbers(_STATUS, 4 + len(_REMEMBERED))
        bits = round(condition)
        tripped = [name for name, trip in zip(_REMEMBERED_NAMES, remembered, strict=True) if trip]
        protecting = [name for bit, name in PROTECTIONS.items() if bits & 1 << bit]
        tripped += [name for name in protecting if name not in tripped]
        return LaserStatus(
            t_ns=self._clock.now_ns(),
            output_on=bool(on),
            current_a=current_a,
            measured_power_w=power_w,
            interlock_closed=not bits & 1 << INTERLOCK_BIT,
            tripped=", ".join(tripped),
            protecting=", ".join(protecting),
            key_on=not bits & 1 << KEY_BIT,
        )

    def close(self) -> None:
        """Close the wire; the output stays as it is."""
        self._device.close()
