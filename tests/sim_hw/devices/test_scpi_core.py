"""The SCPI core alone; expected answers follow IEEE 488.2-1992 and SCPI-1999 chapters named at each test."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_hw.devices.scpi import Choice, Number, Scpi


class Toy:
    def __init__(self) -> None:
        self.wavelength_nm = 1550.0
        self.limit_a = 2.0
        self.current_a = 0.5
        self.on = False
        self.shape = "DC"
        self.pending_s = 0.0
        self.scpi = Scpi("Maker,TOY,1,0", self.reset, lambda: self.pending_s)
        self.scpi.add_number(
            "[SENSe:]CORRection:WAVelength",
            Number("NM", 800, 1700, 1550),
            lambda: self.wavelength_nm,
            lambda v: setattr(self, "wavelength_nm", v),
        )
        self.scpi.add_switch("OUTPut[:STATe]", lambda: self.on, lambda v: setattr(self, "on", v))
        self.scpi.add_number(
            "SOURce:CURRent[:LEVel]",
            Number("A", 0, lambda: self.limit_a, 0),
            lambda: self.current_a,
            lambda v: setattr(self, "current_a", v),
        )
        self.scpi.add_choice(
            "SOURce:FUNCtion:SHAPe", Choice(("DC", "PULSe")), lambda: self.shape, lambda v: setattr(self, "shape", v)
        )
        self.scpi.add("MEASure:POWer2", query=lambda _: "2")
        self.scpi.add("MEASure:POWer", query=lambda _: "1")

    def reset(self) -> None:
        self.on = False

    def error(self) -> int:
        return int((self.scpi.execute("SYST:ERR?") or "").partition(",")[0])


@pytest.fixture
def toy() -> Toy:
    return Toy()


@pytest.mark.parametrize(
    "header",
    ["SENS:CORR:WAV?", "sense:correction:wavelength?", ":SENSe:CORR:WAVelength?", "CORR:WAV?", "Sens1:Corr:Wav?"],
)
def test_short_long_optional_and_suffixed_headers_are_the_same_command(toy: Toy, header: str) -> None:
    assert toy.scpi.execute(header) == "1.55000000E+03"


def test_a_form_between_short_and_long_is_an_undefined_header(toy: Toy) -> None:
    assert toy.scpi.execute("SENS:CORR:WAVEL?") is None
    assert toy.error() == -113


def test_a_numeric_suffix_names_another_command(toy: Toy) -> None:
    assert toy.scpi.execute("MEAS:POW2?;:MEAS:POW?;:MEAS:POW1?") == "2;1;1"


def test_a_unit_after_a_semicolon_inherits_the_path_and_a_colon_resets_it(toy: Toy) -> None:
    # SCPI-1999 volume 1, 6.2.4
    assert toy.scpi.execute("SENS:CORR:WAV 1310;WAV?") == "1.31000000E+03"
    assert toy.scpi.execute("SENS:CORR:WAV 1320;:OUTP ON;:OUTP?") == "1"
    assert toy.scpi.execute("SENS:CORR:WAV 1330;OUTP?") is None
    assert toy.error() == -113


def test_a_common_command_leaves_the_path_as_it_is(toy: Toy) -> None:
    assert toy.scpi.execute("SENS:CORR:WAV 1310;*ESE 1;WAV?") == "1.31000000E+03"


@pytest.mark.parametrize(
    ("text", "value_a"),
    [("1", 1.0), ("750MA", 0.75), ("0.5 A", 0.5), ("2.5e-1", 0.25), (".5", 0.5), ("#H1", 1.0), ("200000uA", 0.2)],
)
def test_units_and_multipliers_scale_the_value(toy: Toy, text: str, value_a: float) -> None:
    toy.scpi.execute(f"SOUR:CURR {text}")
    assert toy.current_a == pytest.approx(value_a)
    assert toy.error() == 0


def test_m_is_milli_but_mega_with_hertz() -> None:
    # SCPI-1999 volume 1, table 7-2
    assert Number("HZ", 0, 1e9, 0).parse("2MHZ") == 2e6
    assert Number("W", 0, 1e9, 0).parse("2MW") == 2e-3


def test_min_max_and_def_follow_the_other_settings(toy: Toy) -> None:
    assert toy.scpi.execute("SOUR:CURR? MAX") == "2.00000000E+00"
    toy.limit_a = 1.5
    assert toy.scpi.execute("SOUR:CURR? MAXimum;:SOUR:CURR? MIN;:SOUR:CURR? DEF") == (
        "1.50000000E+00;0.00000000E+00;0.00000000E+00"
    )
    toy.scpi.execute("SOUR:CURR MAX")
    assert toy.current_a == 1.5


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("SOUR:CURR 2.5", -222),
        ("SOUR:CURR", -109),
        ("SOUR:CURR 1,2", -108),
        ("SOUR:CURR 1 V", -131),
        ("SOUR:CURR much", -104),
        ("SOUR:FUNC:SHAP SINE", -224),
        ("OUTP PERHAPS", -224),
        ("NO:SUCH 1", -113),
        ("SOUR:CU%R 1", -102),
        ("*ESE", -109),
        ("*RST 1", -108),
        ("MEAS:POW 1", -113),
    ],
)
def test_each_kind_of_mistake_has_its_number_and_changes_nothing(toy: Toy, line: str, code: int) -> None:
    assert toy.scpi.execute(line) is None
    assert toy.error() == code
    assert (toy.current_a, toy.shape, toy.on) == (0.5, "DC", False)


def test_after_a_command_error_the_rest_is_dropped_and_after_an_execution_error_it_is_not(toy: Toy) -> None:
    assert toy.scpi.execute("OUTP?;:NO:SUCH;:OUTP?") == "0"
    assert toy.scpi.execute("OUTP?;:SOUR:CURR 99;:OUTP?") == "0;0"


def test_a_full_error_queue_ends_with_queue_overflow(toy: Toy) -> None:
    # SCPI-1999 volume 2, 21.8.1: the last entry is replaced
    for _ in range(20):
        toy.scpi.execute("NO:SUCH")
    codes = [toy.error() for _ in range(17)]
    assert codes == [-113] * 15 + [-350, 0]


def test_status_byte_and_event_register_tell_what_went_wrong(toy: Toy) -> None:
    # IEEE 488.2 11.2 and 11.5: 128 power on, 32 command error, 16 execution error, 4 query error
    assert toy.scpi.execute("*ESR?") == "128"
    toy.scpi.execute("*ESE 48;*SRE 32")
    toy.scpi.execute("SOUR:CURR 99")
    toy.scpi.execute("NO:SUCH")
    assert toy.scpi.execute("*STB?") == str(4 + 32 + 64)
    assert toy.scpi.execute("*ESR?") == "48"
    assert toy.scpi.execute("*STB?") == "4"
    toy.scpi.execute("*CLS")
    assert toy.scpi.execute("*STB?;*ESR?;SYST:ERR?") == '0;0;+0,"No error"'
    toy.scpi.interrupted()
    toy.scpi.unterminated()
    assert toy.scpi.execute("*ESR?") == "4"
    assert [toy.error(), toy.error()] == [-410, -420]


def test_operation_complete_takes_as_long_as_what_is_pending(toy: Toy) -> None:
    toy.pending_s = 0.7
    assert toy.scpi.execute("*OPC?") == "1"
    assert toy.scpi.busy_s() == 0.7
    assert toy.scpi.busy_s() == 0.0
    toy.scpi.execute("*ESR?")
    toy.scpi.execute("*OPC")
    assert toy.scpi.execute("*ESR?") == "1"


def test_a_status_group_latches_rising_bits_until_they_are_read(toy: Toy) -> None:
    group = toy.scpi.groups["MEASurement"]
    toy.scpi.execute("STAT:MEAS:ENAB 4;*SRE 1")
    group.set_condition(4)
    group.set_condition(0)
    assert toy.scpi.execute("*STB?") == str(1 + 64)
    assert toy.scpi.execute("STAT:MEAS:COND?;EVEN?;EVEN?") == "0;4;0"
    toy.scpi.execute("STAT:MEAS:NTR 4;PTR 0")
    group.set_condition(4)
    assert toy.scpi.execute("STAT:MEAS?") == "0"
    group.set_condition(0)
    assert toy.scpi.execute("STAT:MEAS?") == "4"


def test_identity_reset_self_test_and_version_answer(toy: Toy) -> None:
    toy.on = True
    assert toy.scpi.execute("*IDN?;*RST;*TST?;SYST:VERS?") == "Maker,TOY,1,0;0;1999.0"
    assert not toy.on


PIECES = st.sampled_from(
    [
        *["SENS", ":CORR", ":WAV", "OUTP", "SOUR:CURR", "*IDN", "*ESE", "STAT:QUES:ENAB", "SENS99999999"],
        *["?", ":", ";", ",", " ", "\t", "'", '"', "@", "-", "."],
        *["ON", "MIN", "9", "1e", "inf", "nan", "1e999", "#H", "#HZZ"],
    ]
)
LINES = st.lists(PIECES, max_size=12).map("".join) | st.text(st.characters(max_codepoint=255), max_size=40)


@settings(max_examples=300, deadline=None)
@given(LINES)
def test_no_line_whatever_breaks_the_instrument(line: str) -> None:
    toy = Toy()
    toy.scpi.execute(line)
    toy.scpi.execute("*CLS")
    assert toy.scpi.execute("*IDN?") == "Maker,TOY,1,0"
    assert 0 <= toy.current_a <= toy.limit_a
