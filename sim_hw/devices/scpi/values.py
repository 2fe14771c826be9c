"""Parameter types: numbers with units and MIN/MAX/DEF, booleans, mnemonics."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from sim_hw.devices.scpi.errors import ScpiError

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z%]*)$")
_RADIX = re.compile(r"#([HQBhqb])([0-9A-Fa-f]+)$")
_BASE = {"H": 16, "Q": 8, "B": 2}

#: Multipliers of SCPI-1999 table 7-2; M is milli, and mega only with Hz and ohm.
_PREFIX = {"T": 1e12, "G": 1e9, "MA": 1e6, "K": 1e3, "": 1.0, "M": 1e-3, "U": 1e-6, "N": 1e-9, "P": 1e-12}

Bound = float | Callable[[], float]


def nr3(value: float) -> str:
    """A number as instruments print it: `1.55000000E+03`; SCPI's own codes for infinite and not-a-number."""
    if math.isnan(value):
        return "9.91000000E+37"
    if math.isinf(value):
        return "9.90000000E+37" if value > 0 else "-9.90000000E+37"
    return f"{value:.8E}"


def boolean(text: str) -> bool:
    """ON, OFF or a number (non-zero is on). Raises -224."""
    upper = text.upper()
    if upper in ("ON", "OFF"):
        return upper == "ON"
    try:
        return round(float(text)) != 0
    except (ValueError, OverflowError):
        raise ScpiError(-224, text) from None


def mnemonic_forms(mnemonic: str) -> tuple[str, str]:
    """Short and long form, upper case, of a mnemonic in the manual's spelling (`WAVelength`)."""
    return "".join(c for c in mnemonic if not c.islower()), mnemonic.upper()


@dataclass(frozen=True, slots=True)
class Number:
    """A numeric parameter in `unit`; bounds may be functions, since some follow other settings."""

    unit: str
    minimum: Bound
    maximum: Bound
    default: Bound

    def bound(self, name: str) -> float | None:
        """The value that MIN, MAX or DEF (either form) stands for, or None."""
        for mnemonic, bound in (
            ("MINimum", self.minimum),
            ("MAXimum", self.maximum),
            ("DEFault", self.default),
        ):
            if name.upper() in mnemonic_forms(mnemonic):
                return bound() if callable(bound) else bound
        return None

    def parse(self, text: str) -> float:
        """A value in `unit`. Raises -104, -131 or -222."""
        named = self.bound(text)
        if named is not None:
            return named
        radix = _RADIX.match(text)
        if radix:
            try:
                value = float(int(radix[2], _BASE[radix[1].upper()]))
            except ValueError:
                raise ScpiError(-104, text) from None
        else:
            match = _NUMBER.match(text)
            if match is None:
                raise ScpiError(-104, text)
            value = float(match[1]) * self._multiplier(match[2].upper())
        low, high = self.bound("MIN"), self.bound("MAX")
        if not math.isfinite(value) or (low is not None and value < low) or (high is not None and value > high):
            raise ScpiError(-222, text)
        return value

    def _multiplier(self, suffix: str) -> float:
        unit = self.unit.upper()
        if suffix in ("", unit):
            return 1.0
        if unit and suffix.endswith(unit):
            prefix = suffix[: -len(unit)]
            if prefix == "M" and unit in ("HZ", "OHM"):
                return 1e6
            if prefix in _PREFIX:
                return _PREFIX[prefix]
        raise ScpiError(-131, suffix)


@dataclass(frozen=True, slots=True)
class Choice:
    """A parameter that is one of a few mnemonics, in the manual's spelling."""

    options: tuple[str, ...]

    def parse(self, text: str) -> str:
        """The short form of the option. Raises -224."""
        for option in self.options:
            forms = mnemonic_forms(option)
            if text.upper() in forms:
                return forms[0]
        raise ScpiError(-224, text)
