"""What every SCPI instrument can do: settings with an error check, numbers, operation complete."""

from __future__ import annotations

import math

from hal.errors import DeviceError, HalError, ProtocolError, WireTimeout
from hal.traits import Identity
from hal.wires.text import TextWire

IDN_FIELDS = ("manufacturer", "model", "serial", "firmware")  # IEEE 488.2, 10.14
_QUEUE_LIMIT = 32  # longer than any instrument's queue
_QUERY_ERRORS = range(-499, -399)  # 488.2's own complaints about a reply that was not read: never of a setting


class ScpiDevice:
    """An instrument on a text wire; every error of its queue becomes a DeviceError with the instrument's number."""

    def __init__(self, wire: TextWire) -> None:
        self.wire = wire
        self.name = wire.name
        self._disturbed = False  # since the error queue was emptied: what it has may be of a message that was damaged

    def identity(self) -> str:
        """The answer to *IDN?."""
        return self.ask("*IDN?")

    def expect(self, *models: str) -> Identity:
        """What it says of itself, if its model is one of `models` (prefixes). Raises DeviceError."""
        identity = self.identity()
        fields = identity.split(",")
        if len(fields) < 2 or not fields[1].strip().upper().startswith(tuple(m.upper() for m in models)):
            raise DeviceError(
                f'{self.name}: "{identity}" answers, where a {" or ".join(models)} is expected; '
                f"correct the rig file, [{self.name}]."
            )
        return dict(zip(IDN_FIELDS, map(str.strip, fields), strict=False))

    def clear(self) -> None:
        """Forget old errors and events."""
        self.wire.write("*CLS")

    def tell(self, message: str) -> None:
        """Send settings and make sure that the instrument took them. Raises DeviceError.

        What a disturbed line has left in the error queue is nobody's any more, and is not taken for a refusal: where
        there are signs of it the settings are sent once more, to an empty queue.
        """
        if self._disturbed:
            self.errors()
        self.urge(message)
        errors = self.errors()
        if any(code in _QUERY_ERRORS for code, _ in errors):
            self.urge(message)
            errors = [error for error in self.errors() if error[0] not in _QUERY_ERRORS]
        self._refuse(errors, message)

    def urge(self, message: str) -> None:
        """Send what must wait for nothing, not even for the error queue; ask for its effect."""
        try:
            self.wire.write(message)
        except HalError:
            self._disturbed = True
            raise

    def query(self, message: str, timeout_s: float | None = None) -> str:
        """Query text, and take silence as it is."""
        try:
            return self.wire.query(message, timeout_s)
        except HalError:
            self._disturbed = True
            raise

    def ask(self, message: str, timeout_s: float | None = None) -> str:
        """Query text.

        An instrument does not answer a query that it does not know; its error queue says so, and the time-out then
        becomes a DeviceError.
        """
        try:
            return self.query(message, timeout_s)
        except WireTimeout as silence:
            told = [(code, text) for code, text in self.errors() if code not in _QUERY_ERRORS]
            if told:
                raise self._refusal(told, message) from silence
            raise

    def numbers(self, message: str, count: int, timeout_s: float | None = None) -> list[float]:
        """Query `count` numbers that come separated by semicolons; SCPI's codes become inf and nan."""
        reply = self.ask(message, timeout_s)
        try:
            values = [_number(part) for part in reply.split(";")]
        except ValueError:
            values = []
        if len(values) != count:
            raise ProtocolError(f'{self.name}: "{reply}" is no answer to {message}; check the instrument\'s firmware.')
        return values

    def number(self, message: str, timeout_s: float | None = None) -> float:
        """Query one number."""
        return self.numbers(message, 1, timeout_s)[0]

    def wait(self, timeout_s: float) -> None:
        """Wait until pending operations are complete. Raises WireTimeout."""
        self.ask("*OPC?", timeout_s)

    def errors(self) -> list[tuple[int, str]]:
        """Empty the error queue: (number, text), oldest first."""
        found: list[tuple[int, str]] = []
        while len(found) < _QUEUE_LIMIT:
            reply = self.query("SYST:ERR?")
            number, _, text = reply.partition(",")
            try:
                code = int(number)
            except ValueError:
                raise ProtocolError(
                    f'{self.name}: "{reply}" is no answer to SYST:ERR?; check the instrument\'s firmware.'
                ) from None
            if code == 0:
                break
            found.append((code, text.strip('"')))
        self._disturbed = False
        return found

    def close(self) -> None:
        """Close the wire."""
        self.wire.close()

    def _refuse(self, errors: list[tuple[int, str]], message: str) -> None:
        if errors:
            raise self._refusal(errors, message)

    def _refusal(self, errors: list[tuple[int, str]], message: str) -> DeviceError:
        told = "; ".join(f"{code} {text}" for code, text in errors)
        return DeviceError(f'{self.name}: refused "{message}": {told}; correct the setting.', errors[0][0])


def _number(text: str) -> float:
    value = float(text)
    if math.isclose(abs(value), 9.9e37):  # SCPI-1999 7.2.1.4 and 7.2.1.5
        return math.copysign(math.inf, value)
    return math.nan if math.isclose(value, 9.91e37) else value
