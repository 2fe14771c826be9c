"""What a SCPI driver makes of an instrument's answers, on a wire that plays them."""

from __future__ import annotations

import math

import pytest

from hal.devices.scpi import ScpiDevice
from hal.errors import DeviceError, ProtocolError, WireTimeout


class Played:
    """A wire with an answer for each query; None is silence."""

    name = "laser"

    def __init__(self, **answers: str | None) -> None:
        self.answers: dict[str, str | None] = {"SYST:ERR?": '+0,"No error"'}
        self.queue: list[str] = []
        self.written: list[str] = []

    def write(self, message: str) -> None:
        self.written.append(message)

    def query(self, message: str, timeout_s: float | None = None) -> str:
        if message == "SYST:ERR?" and self.queue:
            return self.queue.pop(0)
        reply = self.answers[message]
        if reply is None:
            raise WireTimeout("laser: silent; check it.")
        return reply

    def close(self) -> None: ...


def test_a_refused_setting_is_a_device_error_with_the_instruments_number() -> None:
    wire = Played()
    wire.queue = ['-222,"Data out of range"', '-113,"Undefined header"']
    with pytest.raises(DeviceError, match=r'laser: refused "CURR 9": -222 Data out of range; -113') as told:
        ScpiDevice(wire).tell("CURR 9")
    assert told.value.code == -222
    assert wire.queue == []


def test_a_query_that_was_interrupted_before_is_no_refusal_of_a_setting() -> None:
    wire = Played()
    wire.queue = ['-410,"Query INTERRUPTED"', '-420,"Query UNTERMINATED"', '-350,"Queue overflow"']
    ScpiDevice(wire).tell("OUTP ON")
    assert wire.queue == []
    assert wire.written == ["OUTP ON", "OUTP ON"], "what the full queue has lost may have been of this setting"


def test_a_setting_that_is_refused_on_a_disturbed_line_is_refused_once_more() -> None:
    wire = Played()
    end = '+0,"No error"'
    wire.queue = ['-410,"Query INTERRUPTED"', '-221,"Settings conflict"', end, '-221,"Settings conflict"', end]
    with pytest.raises(DeviceError, match="-221 Settings conflict; correct"):
        ScpiDevice(wire).tell("OUTP ON")


def test_what_a_disturbed_line_has_left_is_no_refusal_of_the_next_setting() -> None:
    wire = Played()
    device = ScpiDevice(wire)
    wire.answers["MEAS?"] = None
    wire.queue = ["SYST"]  # garbled: the queue is not read to its end
    with pytest.raises(ProtocolError):
        device.ask("MEAS?")
    wire.queue = ['-113,"Undefined header"']  # of a question that was damaged on its way
    device.tell("OUTP ON")
    wire.queue = ['-221,"Settings conflict"']
    with pytest.raises(DeviceError):
        device.tell("OUTP ON")


def test_silence_after_an_unknown_query_is_explained_by_the_error_queue() -> None:
    wire = Played()
    wire.answers["NO:SUCH?"] = None
    wire.queue = ['-113,"Undefined header"', '-420,"Query UNTERMINATED"']
    with pytest.raises(DeviceError) as told:
        ScpiDevice(wire).ask("NO:SUCH?")
    assert told.value.code == -113


def test_plain_silence_stays_a_time_out() -> None:
    wire = Played()
    wire.answers["*IDN?"] = None
    wire.queue = ['-410,"Query INTERRUPTED"']
    with pytest.raises(WireTimeout):
        ScpiDevice(wire).identity()


@pytest.mark.parametrize(("text", "value"), [("1.5E-3", 1.5e-3), ("9.9E37", math.inf), ("-9.90000E+37", -math.inf)])
def test_numbers_are_read_with_scpis_own_infinities(text: str, value: float) -> None:
    wire = Played()
    wire.answers["MEAS?"] = text
    assert ScpiDevice(wire).number("MEAS?") == value


def test_scpis_not_a_number_is_nan() -> None:
    wire = Played()
    wire.answers["MEAS?"] = "9.91E37"
    assert math.isnan(ScpiDevice(wire).number("MEAS?"))


@pytest.mark.parametrize("reply", ["", "volts", "1;2;3", "1;x"])
def test_a_reply_that_is_not_the_numbers_asked_for_is_a_protocol_error(reply: str) -> None:
    wire = Played()
    wire.answers["A?;B?"] = reply
    with pytest.raises(ProtocolError, match="no answer to A"):
        ScpiDevice(wire).numbers("A?;B?", 2)


def test_an_error_queue_that_never_ends_is_bounded() -> None:
    wire = Played()
    wire.answers["SYST:ERR?"] = '-350,"Queue overflow"'
    assert len(ScpiDevice(wire).errors()) == 32


def test_a_garbled_error_queue_is_a_protocol_error() -> None:
    wire = Played()
    wire.answers["SYST:ERR?"] = "ok"
    with pytest.raises(ProtocolError):
        ScpiDevice(wire).tell("*RST")


def test_another_model_on_the_address_is_refused_by_name() -> None:
    wire = Played()
    wire.answers["*IDN?"] = "Maker,SCOPE,1,0"
    with pytest.raises(DeviceError, match=r'laser: "Maker,SCOPE,1,0" answers, where a ITC4 or CLD1 is expected'):
        ScpiDevice(wire).expect("ITC4", "CLD1")
    wire.answers["*IDN?"] = "noise"
    with pytest.raises(DeviceError):
        ScpiDevice(wire).expect("ITC4")
